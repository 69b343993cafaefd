"""Powers, and pictures that are worked on in parts."""

import pytest
import torch

from irodori.color import ColorSpace, planes, rgb_to_lab
from irodori.color.planes import power_


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 5e-15), (torch.float32, 3e-6)])
@pytest.mark.parametrize("exponent", [1 / 3, 1 / 2.4, 2.4])
def test_a_power_is_torchs_of_float64(dtype: torch.dtype, error: float, exponent: float) -> None:
    values = torch.logspace(-9, 0.2, 20001, dtype=dtype)
    expected = values.double() ** exponent
    # Relative to the most that a colour's values are: what counts is a step on that scale.
    near = values > 3e-3
    found = power_(values.clone(), exponent).double()
    assert ((found - expected) / expected)[near].abs().max() < error
    assert (found - expected)[~near].abs().max() < error


def test_a_power_has_its_gradient() -> None:
    values = torch.tensor([0.01, 0.2, 1.0, 1.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda each: power_(each.clone(), 2.4), (values,))


@pytest.mark.parametrize("part", [1, 36, 100])
def test_parts_are_the_whole(space: ColorSpace, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = torch.rand(7, 3, 6, 6, generator=torch.Generator().manual_seed(part))
    luminance, chroma = space.encode(rgb)
    decoded, lab = space.decode(luminance, chroma), rgb_to_lab(rgb)
    monkeypatch.setattr(planes, "PART", part)
    encoded = space.encode(rgb)
    for found, expected in zip(
        (*encoded, space.decode(luminance, chroma), rgb_to_lab(rgb)),
        (luminance, chroma, decoded, lab),
        strict=True,
    ):
        # As whole vectors or their ends, numbers may be rounded differently.
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_only_what_needs_no_gradient_is_worked_on_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planes, "PART", 16)
    sizes = []

    def work(picture: torch.Tensor) -> tuple[torch.Tensor]:
        sizes.append(len(picture))
        return (picture * 2,)

    for wanted in (False, True):
        (doubled,) = planes.by_parts(work, torch.ones(5, 3, 4, 2, requires_grad=wanted))
        assert torch.equal(doubled, torch.full((5, 3, 4, 2), 2.0))
    assert sizes == [2, 2, 1, 5]

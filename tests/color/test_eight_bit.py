"""8-bit pixels and float pictures."""

import pytest
import torch

from irodori.color import to_float, to_uint8


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_levels_survive(dtype: torch.dtype) -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    back = to_uint8(to_float(levels).to(dtype))
    # bf16 itself holds no more than 8 bits: half a level is lost before it comes here.
    assert (back.int() - levels.int()).abs().max() <= (1 if dtype == torch.bfloat16 else 0)


def test_clips_and_rounds() -> None:
    values = torch.tensor([-0.5, 0.0, 0.4 / 255, 0.6 / 255, 254.4 / 255, 1.0, 7.0])
    assert to_uint8(values).tolist() == [0, 0, 0, 1, 254, 255, 255]
    assert to_uint8(torch.tensor([-torch.inf, torch.inf])).tolist() == [0, 255]


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="uint8"):
        to_uint8(torch.zeros(3, dtype=torch.uint8))
    with pytest.raises(TypeError, match="float32"):
        to_float(torch.zeros(3))

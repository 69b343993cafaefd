"""Conversions are kornia's, and run in full precision whatever the caller has switched on."""

from collections.abc import Iterator
from threading import Barrier, Thread
from typing import Any

import kornia.color
import pytest
import torch
from torch import Tensor, backends

from irodori.color import Lab, rgb_to_lab
from irodori.color.precision import full_precision

CPU = torch.device("cpu")
SWITCHES = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul)


def switches() -> list[Any]:
    """What decides the precision of matrix products and convolutions."""
    return [
        torch.get_float32_matmul_precision(),
        backends.cuda.matmul.allow_tf32,
        backends.cudnn.allow_tf32,
        *(switch.fp32_precision for switch in SWITCHES),
    ]


@pytest.fixture(params=["as it comes", "high", "medium", "allow_tf32"])
def before(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """A caller's switches, put back after the test."""
    kept = torch.get_float32_matmul_precision(), backends.cudnn.allow_tf32
    if request.param in ("high", "medium"):
        torch.set_float32_matmul_precision(request.param)
    if request.param == "allow_tf32":
        backends.cuda.matmul.allow_tf32 = True
    backends.cudnn.allow_tf32 = True
    yield switches()
    torch.set_float32_matmul_precision(kept[0])
    backends.cudnn.allow_tf32 = kept[1]


def test_conversions_run_without_autocast_and_tf32(
    before: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watched(convert: Any) -> Any:
        def call(picture: Tensor, **options: Any) -> Any:
            seen.append((picture.dtype, torch.is_autocast_enabled("cpu"), switches()))
            return convert(picture, **options)

        return call

    for name in ("rgb_to_lab", "lab_to_rgb"):
        monkeypatch.setattr(kornia.color, name, watched(getattr(kornia.color, name)))
    rgb = torch.rand(1, 3, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        Lab().decode(*Lab().encode(rgb.bfloat16()))
        rgb_to_lab(rgb)
        assert torch.is_autocast_enabled("cpu")
    assert switches() == before
    assert len(seen) == 3
    for dtype, autocast, (matmul, allow_matmul, allow_cudnn, *precisions) in seen:
        assert (dtype, autocast) == (torch.float32, False)
        assert (matmul, allow_matmul, allow_cudnn) == ("highest", False, False)
        assert set(precisions) <= {"ieee", "none"}


def test_an_error_inside_restores_the_switches(before: list[Any]) -> None:
    with pytest.raises(ZeroDivisionError), full_precision(CPU):
        _ = 1 / 0
    assert switches() == before


def test_threads_that_overlap_leave_the_switches_as_they_were(before: list[Any]) -> None:
    """The first thread leaves while the second is inside, which must stay in full precision."""
    both_inside, first_left = Barrier(2), Barrier(2)
    seen = []

    def first() -> None:
        with full_precision(CPU):
            both_inside.wait(10)
        first_left.wait(10)

    def second() -> None:
        with full_precision(CPU):
            both_inside.wait(10)
            first_left.wait(10)
            seen.append(switches())

    threads = [Thread(target=first), Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen[0][:3] == ["highest", False, False]
    assert switches() == before


def test_switches_of_the_newer_kind_are_restored_too() -> None:
    kept = backends.cuda.matmul.fp32_precision
    backends.cuda.matmul.fp32_precision = "tf32"
    try:
        with full_precision(CPU):
            assert backends.cuda.matmul.fp32_precision == "ieee"
        assert backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        backends.cuda.matmul.fp32_precision = kept
        torch.set_float32_matmul_precision("highest")

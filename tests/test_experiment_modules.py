"""What scripts of experiments/ compute themselves: spreading hints, counting answers, skin."""

import math
import sys

import numpy as np
import pytest
import torch

from irodori.color import Lab, to_uint8
from irodori.config import PROJECT
from irodori.metrics.pair import Pair

sys.path[:0] = [str(PROJECT / "experiments" / name) for name in ("hints", "speed", "starter")]

from blind import counted  # noqa: E402
from levin import neighbor_weights, spread  # noqa: E402
from portraits import skin_color  # noqa: E402
from roofline import Card, floor_of  # noqa: E402

from training import PAPER, Case  # noqa: E402


def weights_by_loops(luminance_HW):
    """The weights of Levin and others' program (getColorExact.m), pixel by pixel."""
    height, width = luminance_HW.shape
    weights_NN = np.zeros((height * width, height * width))
    for y in range(height):
        for x in range(width):
            near = [
                (v, u)
                for v in range(max(0, y - 1), min(height, y + 2))
                for u in range(max(0, x - 1), min(width, x + 2))
                if (v, u) != (y, x)
            ]
            values = np.array([luminance_HW[place] for place in near])
            own = luminance_HW[y, x]
            sigma = 0.6 * np.append(values, own).var()
            nearest = ((values - own) ** 2).min()
            sigma = max(sigma, -nearest / math.log(0.01), 2e-6)
            found = np.exp(-((values - own) ** 2) / sigma)
            for (v, u), weight in zip(near, found / found.sum(), strict=True):
                weights_NN[y * width + x, v * width + u] = weight
    return weights_NN


def test_hints_spread_as_a_dense_solve_says():
    random = np.random.default_rng(0)
    luminance_HW = random.random((7, 9))
    luminance_HW[2:5, 3:6] = 0.5
    colors_HWC = random.random((7, 9, 2))
    given_HW = random.random((7, 9)) < 0.1
    given_HW[0, 0] = True
    weights_NN = weights_by_loops(luminance_HW)
    np.testing.assert_allclose(neighbor_weights(luminance_HW).toarray(), weights_NN, atol=1e-12)
    given_N = given_HW.ravel()
    equations_NN = np.eye(63) - np.where(given_N[:, None], 0, weights_NN)
    right_NC = np.where(given_N[:, None], colors_HWC.reshape(63, 2), 0)
    wanted_HWC = np.linalg.solve(equations_NN, right_NC).reshape(7, 9, 2)
    np.testing.assert_allclose(spread(luminance_HW, colors_HWC, given_HW), wanted_HWC, atol=1e-10)


def test_preferences_are_counted_with_wilsons_interval(tmp_path):
    sides = ["A", "B"] * 5
    key = tmp_path / "key.csv"
    key.write_text(
        "pair,photograph,new\n" + "".join(f"{n},k,{s}\n" for n, s in enumerate(sides, 1))
    )
    answers = tmp_path / "answers.txt"
    answers.write_text("\n".join(f"{n} {'=' if n == 2 else 'A'}" for n in range(1, 11)))
    # Five of ten; Wilson's interval is (10·0.5 + z²/2 ± z √(10·0.25 + z²/4)) / (10 + z²).
    found = counted(key, answers)
    assert "5 of 10" in found
    assert "24% to 76%" in found
    assert "1 ties, 4 for" in found
    answers.write_text("1 A\n2 C\n")
    with pytest.raises(SystemExit, match="answers"):
        counted(key, answers)


def test_the_color_of_skin_is_that_of_the_face_alone():
    lab = Lab()

    def filled(ab_face, ab_around):
        luminance_11HW = torch.full((1, 1, 100, 100), 0.6)
        chroma_12HW = torch.empty(1, 2, 100, 100)
        for place, ab in ((slice(None), ab_around), (slice(30, 70), ab_face)):
            for channel, (value, half) in enumerate(zip(ab, lab.chroma_range, strict=True)):
                chroma_12HW[0, channel, place, place] = 0.5 + value / (2 * half)
        return to_uint8(lab.decode(luminance_11HW, chroma_12HW))[0]

    pair = Pair(filled((12.0, 5.0), (-20.0, 0.0)), filled((15.0, 20.0), (0.0, -30.0)))
    wanted = math.degrees(math.atan2(5, 12)), math.hypot(5, 12)
    assert skin_color("us-house/somebody", pair) == pytest.approx(wanted, abs=1.5)
    assert all(map(math.isnan, skin_color("grocery/apple", pair)))
    blue = Pair(pair.predicted_3HW, filled((0.0, -30.0), (0.0, -30.0)))
    assert all(map(math.isnan, skin_color("us-house/nobody", blue)))


def test_the_floor_of_a_step_grows_with_the_batch_and_needs_no_gpu():
    tiny = [*PAPER, "network.width=0.0625"]
    few, many = (
        floor_of(Case(tiny, batch_size, 32, turns=1, device="cuda"), Card("any", 1e12, 1e9), 3)
        for batch_size in (2, 4)
    )
    assert many.flops == 2 * few.flops > 0
    # What the optimizer reads and writes is the same for any batch.
    assert few.seconds < many.seconds < 2 * few.seconds
    # At so little bandwidth, hardly anything is bound by operations.
    assert few.seconds_of_bytes > 0.9 * few.seconds

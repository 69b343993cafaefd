"""How fast colour conversion is: `python experiments/speed/conversion.py`.

A batch of 8 × 3 × 224² in fp32, and in 8-bit levels, becomes L*a*b* and comes back, by kornia
(plain) and by `irodori.color` (ours), in turn in one process; on a CPU in one thread. The last line
printed is one JSON object: medians in seconds per image.
"""

import argparse
import json
import statistics
from collections.abc import Callable

import kornia.color
import torch
from timing import seconds
from torch import Tensor

from irodori.color import Lab, rgb_to_lab, to_float


def kornia_from_uint8(pixels_B3HW: Tensor) -> Tensor:
    """L*a*b* of 8-bit levels, the plain way."""
    return kornia.color.rgb_to_lab(pixels_B3HW.float() / 255)


def ours_from_uint8(pixels_B3HW: Tensor) -> Tensor:
    """L*a*b* of 8-bit levels."""
    return rgb_to_lab(to_float(pixels_B3HW))


def kornia_to_rgb(lab_B3HW: Tensor) -> Tensor:
    """sRGB, as kornia's own default is: clipped."""
    return kornia.color.lab_to_rgb(lab_B3HW)


def ours_to_rgb(parts: tuple[Tensor, Tensor]) -> Tensor:
    """sRGB of luminance and chrominance, which is what a network's prediction is shown by."""
    return Lab().decode(*parts).clamp_(0, 1)


def powers(light_B3HW: Tensor) -> None:
    """All that RGB → L*a*b* has of powers, and nothing else: three of 2.4 and three cube roots."""
    for light_3HW in light_B3HW:
        for _ in range(2):
            torch.exp2(torch.log2(light_3HW, out=light_3HW), out=light_3HW)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    torch.manual_seed(0)
    count, side, rounds = (2, 32, 3) if quick else (8, 224, 11)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pixels_B3HW = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, device=device)
    rgb_B3HW = to_float(pixels_B3HW)
    lab_B3HW = rgb_to_lab(rgb_B3HW)
    parts = Lab().encode(rgb_B3HW)
    light_B3HW = rgb_B3HW.clamp(0.01, 1)
    sides: dict[str, dict[str, Callable[[], object]]] = {
        "conversion_lab": {
            "plain": lambda: kornia.color.rgb_to_lab(rgb_B3HW),
            "ours": lambda: rgb_to_lab(rgb_B3HW),
        },
        "conversion_from_uint8": {
            "plain": lambda: kornia_from_uint8(pixels_B3HW),
            "ours": lambda: ours_from_uint8(pixels_B3HW),
        },
        "conversion_to_rgb": {
            "plain": lambda: kornia_to_rgb(lab_B3HW),
            "ours": lambda: ours_to_rgb(parts),
        },
        "conversion_powers": {"seconds": lambda: powers(light_B3HW)},
    }
    times: dict[str, dict[str, list[float]]] = {
        key: {side: [] for side in calls} for key, calls in sides.items()
    }
    with torch.inference_mode():
        for number in range(rounds + 1):
            for key, calls in sides.items():
                for name, call in calls.items():
                    taken = seconds(call)
                    if number:  # The first is a warm-up.
                        times[key][name].append(taken / count)
    medians = {
        key: {name: statistics.median(each) for name, each in one.items()}
        for key, one in times.items()
    }
    for key, one in medians.items():
        print(f"{key}: " + " → ".join(f"{value * 1e3:.3f}" for value in one.values()), "ms/image")
    print(json.dumps(medians))


if __name__ == "__main__":
    main()

"""Colouring by the full-width network: `python experiments/speed/inference.py`.

Plain is the network as it was trained, in fp32, contiguous; ours is what `faster` makes of it.
Each is measured in a fresh process (inference_side.py), the network alone: seconds per image of
batches of 8 of 224², of one image of 224², and of photos of 1024² and 2048², with the most memory
that these take beyond the process with its network. The last line is one JSON object of them.
"""

import argparse
from pathlib import Path

from sides import both

FLOPS = 17.2e9
"""Of the network as it was trained, per image of 224²: the count of the wanted figures."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    arguments = parser.parse_args()
    both(
        Path(__file__).with_name("inference_side.py"),
        ["--quick"] if arguments.quick else [],
        {"infer_batch8": FLOPS},
    )


if __name__ == "__main__":
    main()

"""A training step of the full-width network at 224²: `python experiments/speed/training.py`.

Plain is fp32, NCHW, the layers as they are, and torch's own Adadelta; ours is the step of
`train.py` on this machine. Each is measured in a fresh process (training_side.py): seconds per
image of batches of 8 and 32, and the most memory that is taken in steps of 32, beyond the process
before it has a network. The last line is one JSON object of them.
"""

import argparse
from pathlib import Path

from sides import both

FLOPS = 51.5e9
"""Of a step, an image: the count of the wanted figures."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small and short, for tests")
    arguments = parser.parse_args()
    both(
        Path(__file__).with_name("training_side.py"),
        ["--quick"] if arguments.quick else [],
        {"step_batch8": FLOPS, "step_batch32": FLOPS},
    )


if __name__ == "__main__":
    main()

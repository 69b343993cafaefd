"""Compare final weights of runs: `python experiments/color_spaces/same_bits.py RUN RUN`."""

import sys
from pathlib import Path

import torch


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a run's last checkpoint."""
    stored = torch.load(run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    return dict(stored["state_dict"])


if __name__ == "__main__":
    first, second = (weights(Path(run)) for run in sys.argv[1:])
    different = [name for name in first | second if not torch.equal(first[name], second[name])]
    if different:
        sys.exit(f"{len(different)} of {len(first)} tensors differ, such as {different[0]}")
    print(f"all {len(first)} tensors have the same bits")

"""How fast a training step can be on a GPU at most: `python experiments/speed/roofline.py`.

The step runs on fake tensors, which have shapes and no numbers, and each operator is counted: its
operations, and the bytes of all tensors that it reads and writes. It takes at least its operations
at the GPU's peak, and at least its bytes at its memory bandwidth (Williams, Waterman, Patterson:
*Roofline*, 2009); the sum over all operators is the floor of a step that runs them one after the
other. A compiler that fuses operators saves bytes, and may go below it.
"""

import argparse
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from irodori.config.instantiate import instantiate
from irodori.network import JointNetwork
from training import PAPER, Case, ExpertLoop, compose, resident_batch


@dataclass(frozen=True)
class Card:
    """What a GPU can do at most, as its data sheet says.

    Attributes:
        flops: operations a second of dense bf16 matrix products.
        bandwidth: bytes a second between memory and cores.
    """

    name: str
    flops: float
    bandwidth: float


CARDS = (
    Card("H200", 989e12, 4.8e12),
    Card("H100 PCIe", 756e12, 2.0e12),
    Card("H100", 989e12, 3.35e12),
    Card("A100", 312e12, 2.0e12),
    Card("L40S", 362e12, 0.864e12),
    Card("RTX 4090", 165e12, 1.008e12),
)
"""The first whose name is part of the device's is taken."""


@dataclass
class Floor:
    """The operations of a step, and its least time in seconds."""

    flops: float = 0.0
    seconds: float = 0.0
    seconds_of_bytes: float = 0.0


class Count(TorchDispatchMode):
    """Counts the operators that run inside."""

    def __init__(self, card: Card) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.card = card
        self.floor = Floor()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator; views and empty tensors are no work."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        moves_nothing = func.is_view or name.startswith(("empty", "new_empty", "_unsafe_view"))
        if func.namespace != "aten" or moves_nothing:
            return result
        count = flop_registry.get(func.overloadpacket)
        flops = 0 if count is None else count(*args, **kwargs, out_val=result)
        # Batch norm in training reads everything twice: first for its sums.
        passes = 2 if "batch_norm" in name else 1
        size = passes * bytes_of((args, kwargs)) + bytes_of(result)
        by_flops, by_bytes = flops / self.card.flops, size / self.card.bandwidth
        self.floor.flops += flops
        self.floor.seconds += max(by_flops, by_bytes)
        if by_bytes > by_flops:
            self.floor.seconds_of_bytes += by_bytes
        return result


def bytes_of(tree: Any) -> int:
    """Return the bytes of all tensors in a nested structure."""
    return sum(
        leaf.numel() * leaf.element_size() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)
    )


def floor_of(case: Case, card: Card, classes: int = 205) -> Floor:
    """Return the floor of a training step in bf16 by autocast, with fp32 weights."""
    config = compose(*case.overrides)
    case = replace(case, device="cpu")  # fake, wherever the step itself runs
    with FakeTensorMode():
        network: JointNetwork = instantiate(config.network, num_classes=classes, chroma_channels=2)
        batch = resident_batch(case, classes, network)
        expert = ExpertLoop(batch, network, instantiate(config.optimizer), bf16=True)
        expert.step()  # makes the optimizer's state
        counted = Count(card)
        with counted:
            expert.step()
    return counted.floor


def card_of(name: str) -> Card | None:
    """Return the data sheet of a device, None for one that isn't listed."""
    return next((card for card in CARDS if card.name in name), None)


def main() -> None:
    """Print the floors of the paper's network at its full width."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--card", default="H100", choices=[card.name for card in CARDS])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 128, 256])
    options = parser.parse_args()
    card = next(card for card in CARDS if card.name == options.card)
    print(f"{card.name}: the paper's network, training at 224², bf16\n")
    print("| batch | TFLOP | ms at least | of which bound by memory | images/s at most |")
    print("|---|---|---|---|---|")
    for batch_size in options.batch_sizes:
        floor = floor_of(Case([*PAPER, "network.width=1"], batch_size, 224, turns=1), card)
        share = floor.seconds_of_bytes / floor.seconds
        rate = batch_size / floor.seconds
        print(
            f"| {batch_size} | {floor.flops / 1e12:.2f} | {1e3 * floor.seconds:.2f} | {share:.0%}"
            f" | {rate:,.0f} |"
        )


if __name__ == "__main__":
    main()

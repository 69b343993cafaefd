"""What one GPU can do, from bytes and operations: `python experiments/speed/roofline.py`.

Training steps and inference of the full-width network are run on tensors that have a shape and no
content, and every kernel is written down: its operations, and the bytes of all tensors that it
reads and writes. A kernel takes no less than its operations at the GPU's peak, nor less than its
bytes at its memory bandwidth (Williams, Waterman, Patterson 2009: roofline), so the sum over all
kernels is a floor of the whole; caches that hold a tensor between two kernels would lower it.

Prints a table for each case in Markdown.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from torch.utils.module_tracker import ModuleTracker

from irodori.network import JointNetwork
from irodori.network.joint import reduce_chroma
from irodori.studies.document import Block, Cell, Document, Heading, Table, Text
from irodori.studies.markdown import markdown

LAUNCH = 5e-6
"""Seconds between the starts of two kernels that the CPU starts one by one."""
FUSED_PASSES = 7
"""Adadelta in one kernel: reads weight, gradient, two moments; writes all but the gradient."""
PASSES = 2
"""How often batch norm in training reads everything: first for its sums."""
KINDS = {
    "convolution": "convolutions",
    "mm": "fully connected",
    "batch_norm": "batch norm",
    "relu": "ReLU",
    "threshold": "ReLU",
    "upsample": "enlarging, reducing",
    "avg_pool": "enlarging, reducing",
    "_to_copy": "casts",
    "_foreach": "Adadelta (foreach)",
}
"""Of operators, by a part of their name; the rest is "other"."""


@dataclass(frozen=True)
class Machine:
    """What a machine can do at most."""

    name: str
    flops: float
    """Per second, of matrix products in the precision that is used."""
    bandwidth: float
    """Bytes per second between memory and cores."""


H100 = Machine("H100 SXM, bf16 dense", flops=989e12, bandwidth=3.35e12)


@dataclass(frozen=True)
class Case:
    """What is run."""

    title: str
    batch: int
    side: int
    training: bool


CASES = (
    Case("training step, batch 32, 224²", 32, 224, training=True),
    Case("inference, batch 8, 224²", 8, 224, training=False),
    Case("inference, one photo of 2048²", 1, 2048, training=False),
)


@dataclass(frozen=True)
class Work:
    """A kernel, or the two or three of one operator."""

    layer: str
    """Of convolutions, the module; "" of others."""
    operator: str
    flops: float
    bytes: float
    kernels: int = 1

    @property
    def kind(self) -> str:
        """One of KINDS, or "other"."""
        return next((kind for part, kind in KINDS.items() if part in self.operator), "other")

    def seconds(self, machine: Machine) -> float:
        """That it takes at least."""
        return max(self.flops / machine.flops, self.bytes / machine.bandwidth)


class Recorder(TorchDispatchMode):
    """Writes down every kernel that runs inside."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.works: list[Work] = []
        self.tracker = ModuleTracker()
        self.convolved: dict[str, str] = {}
        """Layers by what the backward pass knows of them, too: shapes and stride."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator; views and empty tensors are no work."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if func.namespace != "aten" or func.is_view or name.startswith(("empty", "new_empty")):
            return out
        layer, kernels = "", 1
        if name == "convolution":
            layer = max(self.tracker.parents, key=lambda parent: parent.count(".")).partition(".")[
                2
            ]
            self.convolved[f"{args[0].shape}{args[1].shape}{args[3]}"] = layer
        elif name == "convolution_backward":
            layer = self.convolved[f"{args[1].shape}{args[2].shape}{args[4]}"]
            kernels = sum(args[-1])
        count = flop_registry.get(func.overloadpacket)
        passes = PASSES if "batch_norm" in name else 1
        self.works.append(
            Work(
                layer=layer,
                operator=name,
                flops=0 if count is None else count(*args, **kwargs, out_val=out),
                bytes=size_of((args, kwargs)) * passes + size_of(out),
                kernels=kernels,
            )
        )
        return out


def size_of(tree: Any) -> int:
    """Bytes of all tensors in a nested structure."""
    return sum(
        leaf.numel() * leaf.element_size() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)
    )


@contextmanager
def recorded() -> Iterator[list[Work]]:
    """A list that fills with the kernels that run inside."""
    recorder = Recorder()
    with recorder.tracker, recorder:
        yield recorder.works


def works_of(
    case: Case, bf16: bool = True, network: Callable[[], JointNetwork] = JointNetwork
) -> list[Work]:
    """The kernels of a training step, or of a forward pass with folded norms.

    Args:
        case: what is run.
        bf16: by autocast, with fp32 weights, in training, and altogether in inference; else fp32.
        network: makes it; it isn't computed with, so that any size is quick.
    """
    dtype = torch.bfloat16 if bf16 and not case.training else torch.float32
    with FakeTensorMode(), default_dtype(dtype):
        joint = network()
        luminance_B1HW = torch.empty(case.batch, 1, case.side, case.side)
        if case.training:
            step = training_step(joint, luminance_B1HW, bf16)
            step()  # Makes the optimizer's moments.
        else:
            without_norms(joint.eval().requires_grad_(False))

            def step() -> None:
                joint(luminance_B1HW)

        with recorded() as works:
            step()
    return works


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Tensors made inside are of this type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def training_step(network: JointNetwork, luminance_B1HW: Tensor, bf16: bool) -> Callable[[], None]:
    """A step as training takes it."""
    chroma_BCHW = torch.empty(len(luminance_B1HW), 2, *luminance_B1HW.shape[-2:])
    labels_B = torch.zeros(len(luminance_B1HW), dtype=torch.int64)
    optimizer = torch.optim.Adadelta(network.parameters(), foreach=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            predicted_BCHW, logits_BC = network(luminance_B1HW)
        assert logits_BC is not None
        loss = functional.mse_loss(predicted_BCHW.float(), reduce_chroma(chroma_BCHW))
        (loss + functional.cross_entropy(logits_BC.float(), labels_B)).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def without_norms(network: nn.Module) -> None:
    """Folded norms are no work."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, nn.Identity())


def seconds(works: Sequence[Work], machine: Machine) -> float:
    """That they take at least, one after another."""
    return sum(work.seconds(machine) for work in works)


def section(case: Case, works: Sequence[Work], machine: Machine) -> list[Block]:
    """A case's totals, and its table: convolutions one by one, the rest by kind."""
    total, launches = seconds(works, machine), sum(work.kernels for work in works)
    by_bytes = sum(
        work.seconds(machine)
        for work in works
        if work.bytes / machine.bandwidth > work.flops / machine.flops
    )
    flops, moved = sum(work.flops for work in works), sum(work.bytes for work in works)
    expected = max(total, launches * LAUNCH)
    said = (
        f"{flops / 1e12:.2f} TFLOP and {moved / 1e9:.2f} GB: at least {total * 1e3:.2f} ms,"
        f" {case.batch / total:,.0f} images/s, of which kernels bound by memory take"
        f" {by_bytes / total:.0%}. {launches} kernels, started one by one every"
        f" {LAUNCH * 1e6:.0f} µs, take at least {launches * LAUNCH * 1e3:.2f} ms. So without CUDA"
        f" graphs no less than {expected * 1e3:.2f} ms, {case.batch / expected:,.0f} images/s."
    )
    if case.training:
        weights = sum(weight.numel() for weight in on_meta().parameters())
        foreach = seconds([work for work in works if work.operator.startswith("_foreach")], machine)
        fused = FUSED_PASSES * 4 * weights / machine.bandwidth
        said += (
            f" Adadelta takes {foreach * 1e3:.2f} ms by foreach, and would take"
            f" {fused * 1e3:.2f} ms in one kernel."
        )
    groups: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        groups[work.layer or work.kind].append(work)
    rows = []
    for name, group in groups.items():
        at_peak = sum(work.flops for work in group) / machine.flops
        through = sum(work.bytes for work in group) / machine.bandwidth
        least = seconds(group, machine)
        values = (
            f"{sum(work.flops for work in group) / 1e9:,.1f}",
            f"{sum(work.bytes for work in group) / 1e6:,.0f}",
            f"{at_peak * 1e6:,.0f}",
            f"{through * 1e6:,.0f}",
            "operations" if at_peak > through else "bytes",
            f"{least / total:.1%}",
        )
        rows.append([Cell(name), *map(Cell, values)])
    header = [
        "layer",
        "GFLOP",
        "MB",
        "µs by operations",
        "µs by bytes",
        "bound",
        "share of the time",
    ]
    return [Heading(case.title), Text(said), Table(header, rows)]


def on_meta() -> JointNetwork:
    """The full-width network without content."""
    with torch.device("meta"):
        return JointNetwork()


def main() -> None:
    """Print all cases."""
    blocks = [block for case in CASES for block in section(case, works_of(case), H100)]
    print(markdown(Document(f"Roofline of the full-width network: {H100.name}", blocks)))


if __name__ == "__main__":
    main()

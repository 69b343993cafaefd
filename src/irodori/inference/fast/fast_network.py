"""The fast copy of a network: folded batch norms, channels-last, bf16 where that is fast."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from irodori.inference.fast.folding import fold
from irodori.network import JointNetwork
from irodori.utils.cpu import cpu_has_bf16, gpu_has_bf16
from irodori.utils.errors import IrodoriError

PRECISIONS = ("auto", "fp32", "bf16")


def faster(network: JointNetwork, precision: str = "auto") -> JointNetwork:
    """Return a copy for inference on the same device; it can't be trained nor stored.

    Args:
        network: stays as it is.
        precision: "fp32", where results differ from the network's by rounding; "bf16", where they
            differ by well below 1 ΔE on average; or "auto": bf16 where the device multiplies it in
            hardware and fp32 elsewhere, since emulated it is slower by orders of magnitude.

    Raises:
        IrodoriError: the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise IrodoriError(
            f"precision={precision} is unknown; it is one of {', '.join(PRECISIONS)}"
        )
    copy = deepcopy(network).eval().requires_grad_(False)
    fold(copy)
    copy = copy.to(memory_format=torch.channels_last)
    on_cpu = next(copy.parameters()).device.type == "cpu"
    if precision == "auto":
        precision = "bf16" if (cpu_has_bf16() if on_cpu else gpu_has_bf16()) else "fp32"
    if precision == "bf16":
        to_bf16(copy)
    return copy


def to_bf16(network: JointNetwork) -> None:
    """Change a network, in place, so that it computes in bf16 and is used like one in fp32.

    Weights are stored in bf16, since autocast would convert all of them again at every call.
    Luminance is scaled and normalized in fp32, since bf16 has no more than 128 steps from 0.5 to 1;
    chrominance (see `network.output`), what hints change of it, and scene logits are fp32. Global
    features are bf16 and are accepted in any precision.
    """
    for part in network.children():
        if part not in (network.output, network.hint_spread):
            part.to(torch.bfloat16)
    network.backbone.first_layer().register_forward_pre_hook(_to_bf16)
    if network.fusion is not None:
        network.fusion.register_forward_pre_hook(_to_bf16)
    if network.classification is not None:
        network.classification.register_forward_hook(lambda _, __, logits_BC: logits_BC.float())


def _to_bf16(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(value.bfloat16() for value in inputs)

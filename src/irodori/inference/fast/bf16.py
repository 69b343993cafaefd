"""A network's weights and features in bf16, between luminance and output in fp32.

Weights are stored in bf16, since autocast would convert all of them again at every call.
"""

from typing import Any

import torch
from torch import Tensor, nn

from irodori.network import JointNetwork


def to_bf16(network: JointNetwork) -> None:
    """Change a network, in place, so that it computes in bf16 and is used like one in fp32.

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
        network.classification.register_forward_hook(_to_fp32)


def _to_bf16(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(value.bfloat16() for value in inputs)


def _to_fp32(_: nn.Module, __: Any, output: Tensor) -> Tensor:
    return output.float()

"""Fusion and scene classification."""

from torch import Tensor, nn
from torch.nn import functional

from irodori.network.blocks import linear_block, scaled

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
"""Activations of the fusion: ReLU by default; a sigmoid in the paper's formula."""


class Fusion(nn.Module):
    """activation(BN(W · [global ; local(u,v)] + b)) at every position (u,v).

    W is a 1×1 convolution over the concatenated features. Its global half is constant over an
    image, so it is computed once per image and added.
    """

    def __init__(self, global_channels: int, local_channels: int, activation: str) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"fusion must be one of {', '.join(ACTIVATIONS)}, not {activation!r}")
        self.global_channels = global_channels
        self.mix = nn.Conv2d(global_channels + local_channels, local_channels, 1)
        self.norm = nn.BatchNorm2d(local_channels)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, global_BC: Tensor, local_BCHW: Tensor) -> Tensor:
        """Map B×G global and B×L×h×w local features to B×L×h×w."""
        weight_global, weight_local = self.mix.weight.split(
            [self.global_channels, self.mix.in_channels - self.global_channels], dim=1
        )
        shared_BC = functional.linear(global_BC, weight_global.flatten(1), self.mix.bias)
        mixed_BCHW = functional.conv2d(local_BCHW, weight_local) + shared_BC[:, :, None, None]
        fused_BCHW: Tensor = self.activation(self.norm(mixed_BCHW))
        return fused_BCHW


class Classification(nn.Module):
    """Scene logits from the scene features: B×inputs → B×num_classes."""

    def __init__(self, inputs: int, num_classes: int, width: float) -> None:
        super().__init__()
        hidden = scaled(256, width)
        self.layers = nn.Sequential(linear_block(inputs, hidden), nn.Linear(hidden, num_classes))

    def forward(self, scene_BC: Tensor) -> Tensor:
        """Map B×inputs to B×num_classes logits."""
        logits_BC: Tensor = self.layers(scene_BC)
        return logits_BC

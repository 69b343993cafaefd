"""Hints: colors that a person has named for places of a photo, on their way into the network."""

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS = 4
HEAD_CHANNELS = 32
MAX_CELLS = 128
"""Cells with hints that features attend to, at most; of more, those that hints fill most."""


class HintAttention(nn.Module):
    """Spreads hints over the features: each position attends to the cells that hold a hint.

    A cell is a position of the features. Attention goes by the likeness of features, as colors
    spread within what looks alike (Levin et al., 2004), and by distance, of which each head has a
    scale of its own. A key without a value, for "none of them", lets a position stay as it is; so
    nothing changes where there are no hints.

    Args:
        channels: of the features.
        hint_channels: chrominance and the mask.
    """

    def __init__(self, channels: int, hint_channels: int) -> None:
        super().__init__()
        width = HEADS * HEAD_CHANNELS
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Linear(channels, width)
        self.value = nn.Linear(channels + hint_channels, width)
        self.none_H = nn.Parameter(torch.zeros(HEADS))
        # Begins with reaches of about 2, 4, 8 and 16 cells.
        self.log_reach_H = nn.Parameter(torch.arange(1.0, HEADS + 1) * 0.6931)
        self.output = nn.Conv2d(width, channels, 1, bias=False)

    def forward(self, features_BCHW: Tensor, hints_BMHW: Tensor) -> Tensor:
        """Return the features with what the hints add to them, B×C×H×W.

        Args:
            features_BCHW: see `channels`.
            hints_BMHW: at the same size, see `hint_levels`.
        """
        batch, channels, height, width = features_BCHW.shape
        hints_BNM = hints_BMHW.flatten(2).mT
        mask_BN = hints_BNM[..., -1]
        filled_BK, cells_BK = mask_BN.topk(min(MAX_CELLS, height * width))
        features_BNC = features_BCHW.flatten(2).mT
        hinted_BKC = features_BNC.gather(1, cells_BK[..., None].expand(-1, -1, channels))
        hinted_BKM = hints_BNM.gather(1, cells_BK[..., None].expand(-1, -1, hints_BNM.shape[-1]))

        def heads(values_BLW: Tensor) -> Tensor:
            split_BHLD: Tensor = values_BLW.unflatten(2, (HEADS, HEAD_CHANNELS)).transpose(1, 2)
            return split_BHLD

        query_BHND = heads(self.query(features_BCHW).flatten(2).mT)
        key_BHKD = heads(self.key(hinted_BKC))
        value_BHKD = heads(self.value(torch.cat([hinted_BKC, hinted_BKM], 2)))
        score_BHNK = query_BHND @ key_BHKD.mT / HEAD_CHANNELS**0.5
        places_N2 = torch.stack(
            torch.meshgrid(
                torch.arange(height, device=mask_BN.device, dtype=torch.float32),
                torch.arange(width, device=mask_BN.device, dtype=torch.float32),
                indexing="ij",
            ),
            -1,
        ).flatten(0, 1)
        distance_BNK = torch.cdist(places_N2[None].expand(batch, -1, -1), places_N2[cells_BK])
        reach_H11 = self.log_reach_H.float().exp()[:, None, None]
        score_BHNK = score_BHNK.float() - distance_BNK[:, None] / reach_H11
        score_BHNK = score_BHNK.masked_fill(filled_BK[:, None, None] <= 0, -torch.inf)
        none_BHN1 = self.none_H.float()[:, None, None].expand(batch, -1, height * width, 1)
        share_BHNK = torch.cat([score_BHNK, none_BHN1], 3).softmax(3)[..., :-1]
        spread_BHND = share_BHNK.to(value_BHKD.dtype) @ value_BHKD
        spread_BWHW = spread_BHND.transpose(1, 2).flatten(2).mT.unflatten(2, (height, width))
        changed_BCHW: Tensor = features_BCHW + self.output(spread_BWHW)
        return changed_BCHW


def hint_levels(hints_BMHW: Tensor, strides: tuple[int, ...]) -> dict[int, Tensor]:
    """Return hints at coarser sizes, by stride s: B×M×⌈H/s⌉×⌈W/s⌉.

    Args:
        hints_BMHW: the first channels hold chrominance in [0,1] where a hint is, and 0 elsewhere;
            the last one is 1 where a hint is, and 0 elsewhere.

    Returns:
        Chrominance less 0.5, averaged over the pixels that have a hint, and the share of the cell
        that they fill; all 0 where none has.
    """
    mask_B1HW = hints_BMHW[:, -1:]
    centered_BMHW = torch.cat([(hints_BMHW[:, :-1] - 0.5) * mask_B1HW, mask_B1HW], 1)
    levels = {}
    for stride in strides:
        bottom, right = (-size % stride for size in hints_BMHW.shape[-2:])
        padded_BMHW = functional.pad(centered_BMHW, (0, right, 0, bottom))
        mean_BMHW = functional.avg_pool2d(padded_BMHW, stride)
        share_B1HW = mean_BMHW[:, -1:]
        known_BMHW = mean_BMHW[:, :-1] / share_B1HW.clamp(min=stride**-2)
        levels[stride] = torch.cat([known_BMHW, share_B1HW], 1)
    return levels

"""Hints: colors that a person has named for places of a photo, and how they spread from there."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS = 2
HEAD_CHANNELS = 16
CELL = 8
"""Side in pixels of the cells that hints are gathered in."""
TRAINED_CELLS, MAX_CELLS = 64, 512
"""Cells with hints that spread, in training and in use, at most; of more, the fullest."""
LIKENESS, REACH = 8.0, 24.0
"""Where training begins: how much likeness counts, and the reach in pixels at stride 2."""
NEVER = -1e4
"""Score of a cell that holds no hint."""


class HintSpread(nn.Module):
    """Adds to a prediction what it lacks at the hints, spread to what looks alike nearby.

    What the prediction lacks in a cell (the mean over the pixels that have a hint) goes to each
    position by the softmax of a score: the cosine of learned embeddings of both, less the distance
    over a learned reach, beside a fixed score of 0 for staying as it is. So classical propagation
    (Levin et al., 2004) has learned features, and where there are no hints nothing changes. The
    prediction and the features are taken as they are, without gradients: a network learns what it
    would learn without hints.

    Args:
        feature_channels: channels of the features by their stride: 8 and, where there are finer
            ones, 4 and 2.
        prediction_channels: of the prediction at stride 2, logits of the chrominance.
    """

    def __init__(self, feature_channels: dict[int, int], prediction_channels: int) -> None:
        super().__init__()
        width = HEADS * HEAD_CHANNELS
        self.projections = nn.ModuleDict(
            {str(s): nn.Conv2d(c, width, 1, bias=False) for s, c in feature_channels.items()}
        )
        self.own = nn.Conv2d(prediction_channels, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.embedding = nn.Conv2d(width, width, 1)
        self.likeness_H = nn.Parameter(torch.full((HEADS,), LIKENESS))
        self.threshold_H = nn.Parameter(torch.full((HEADS,), LIKENESS / 2))
        # By math: on the meta device, a logarithm would import torch's compiler, for seconds.
        self.log_reach_H = nn.Parameter(torch.tensor([math.log(REACH / 2), math.log(2 * REACH)]))

    def forward(
        self, prediction_BQHW: Tensor, features: dict[int, Tensor], hints_BMHW: Tensor
    ) -> Tensor:
        """Return the prediction with what the hints change, of the same shape, fp32.

        Args:
            prediction_BQHW: logits of chrominance at stride 2.
            features: by stride, see `feature_channels`.
            hints_BMHW: at stride 1. The first channels hold chrominance in [0,1] where a hint is,
                and 0 elsewhere; the last one is 1 where a hint is, and 0 elsewhere.
        """
        # In fp32: a share of what is missing would be lost in bf16.
        with torch.autocast(prediction_BQHW.device.type, enabled=False):
            prediction_BQHW = prediction_BQHW.detach().float()
            height, width = prediction_BQHW.shape[-2:]
            embedding_BEHW = self._embedding(prediction_BQHW, features)
            color_BCHW, mask_B1HW = hint_colors(hints_BMHW.float())
            # Beyond 0.001, the sigmoid of a logit hardly changes.
            missing_BQHW = torch.logit(color_BCHW, 1e-3) - prediction_BQHW
            places_12HW = positions(height, width, prediction_BQHW.device)[None]
            values_BVHW = torch.cat(
                [missing_BQHW, places_12HW.expand(len(color_BCHW), -1, -1, -1), embedding_BEHW], 1
            )
            cells_BKV, filled_BK = gathered(
                values_BVHW, mask_B1HW, TRAINED_CELLS if self.training else MAX_CELLS
            )
            if not self.training:
                # Most photos have few; in training their number would have to be waited for.
                used = int((filled_BK > 0).sum(1).max())
                cells_BKV, filled_BK = cells_BKV[:, :used], filled_BK[:, :used]
            missing_BKQ, places_BK2, key_BKE = cells_BKV.split(
                [missing_BQHW.shape[1], 2, embedding_BEHW.shape[1]], 2
            )
            score_BHNK = self._heads(embedding_BEHW.flatten(2).mT) @ self._heads(key_BKE).mT
            places_BN2 = places_12HW.flatten(2).mT.expand(len(color_BCHW), -1, -1)
            # By matrix products the distances of neighbors would be differences of large squares,
            # which TF32 rounds to whole pixels. Places have nothing to learn from gradients.
            distance_B1NK = torch.cdist(
                places_BN2, places_BK2.detach(), compute_mode="donot_use_mm_for_euclid_dist"
            )[:, None]
            likeness, threshold, reach = (
                parameter_H[:, None, None]
                for parameter_H in (self.likeness_H, self.threshold_H, self.log_reach_H.exp())
            )
            score_BHNK = likeness * score_BHNK - threshold - distance_B1NK / reach
            score_BHNK = score_BHNK.masked_fill(filled_BK[:, None, None] <= 0, NEVER)
            share_BNK = functional.pad(score_BHNK, (0, 1)).softmax(3)[..., :-1].mean(1)
            spread_BQN = (share_BNK @ missing_BKQ).mT
            hinted_BQHW: Tensor = prediction_BQHW + spread_BQN.unflatten(2, (height, width))
            return hinted_BQHW

    def _embedding(self, prediction_BQHW: Tensor, features: dict[int, Tensor]) -> Tensor:
        """Return what tells like from unlike positions, B×(HEADS·HEAD_CHANNELS)×H×W."""
        height, width = prediction_BQHW.shape[-2:]
        total_BEHW: Tensor = self.own(prediction_BQHW.sigmoid())
        for stride, projection in self.projections.items():
            projected = projection(features[int(stride)].detach().float())
            factor = int(stride) // 2
            if factor > 1:
                projected = functional.interpolate(projected, scale_factor=factor, mode="bilinear")
            total_BEHW = total_BEHW + projected[..., :height, :width]
        embedding_BEHW: Tensor = self.embedding(functional.relu(self.norm(total_BEHW)))
        return embedding_BEHW

    def _heads(self, embedding_BNE: Tensor) -> Tensor:
        """Return unit vectors, B×HEADS×N×HEAD_CHANNELS."""
        split_BHND = embedding_BNE.unflatten(2, (HEADS, HEAD_CHANNELS)).transpose(1, 2)
        return functional.normalize(split_BHND, dim=3)


def hint_colors(hints_BMHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean colors at stride 2, 0.5 where no hint is, and whether there is one (0 or 1)."""
    bottom, right = (-size % 2 for size in hints_BMHW.shape[-2:])
    mean_BMHW = functional.avg_pool2d(functional.pad(hints_BMHW, (0, right, 0, bottom)), 2)
    color_BCHW, share_B1HW = mean_BMHW[:, :-1], mean_BMHW[:, -1:]
    mask_B1HW = (share_B1HW > 0).float()
    return torch.where(share_B1HW > 0, color_BCHW / share_B1HW.clamp(min=0.25), 0.5), mask_B1HW


def gathered(values_BVHW: Tensor, mask_B1HW: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """Return the means of values over the positions of each cell that have a hint.

    Returns:
        B×K×V for K = limit, or as many cells as there are, the fullest first, and B×K: how much of
        each is filled; 0 for cells without a hint, whose values are 0.
    """
    side = CELL // 2
    bottom, right = (-size % side for size in mask_B1HW.shape[-2:])
    both_BUHW = torch.cat([values_BVHW * mask_B1HW, mask_B1HW], 1)
    mean_BUhw = functional.avg_pool2d(functional.pad(both_BUHW, (0, right, 0, bottom)), side)
    filled_BK, cells_BK = mean_BUhw[:, -1].flatten(1).topk(min(limit, mean_BUhw[0, 0].numel()))
    values_BVK = (
        mean_BUhw[:, :-1]
        .flatten(2)
        .gather(2, cells_BK[:, None].expand(-1, values_BVHW.shape[1], -1))
    )
    return (values_BVK / filled_BK[:, None].clamp(min=side**-2)).mT, filled_BK


def positions(height: int, width: int, device: torch.device) -> Tensor:
    """Return the row and the column of each position, 2×H×W."""
    lines = (torch.arange(size, device=device).float() for size in (height, width))
    return torch.stack(torch.meshgrid(*lines, indexing="ij"))

"""Propagation of hints, known colors at positions of a photo."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS = 2
HEAD_CHANNELS = 16
CELL = 8
"""Side in pixels of the cells in which hints are averaged."""
TRAINED_CELLS, MAX_CELLS = 64, 512
"""Largest numbers of cells with hints in training and inference; the fullest are used."""
LIKENESS, REACH = 8.0, 24.0
"""Initial values: factor of the similarity, and reach in pixels at stride 2."""
NEVER = -1e4
"""Score of a cell without hints."""


class HintSpread(nn.Module):
    """Propagates the prediction's error at hints to similar positions nearby.

    The error in a cell (the mean over its pixels with hints) is added to each position with the
    weight of a softmax over scores: the cosine similarity of learned embeddings minus the distance
    divided by a learned reach, with a fixed score of 0 for no change. This is classical propagation
    (Levin et al., 2004) with learned features; without hints nothing changes. Prediction and
    features are detached, so that hints don't influence the rest of the network.

    Args:
        feature_channels: channels of the features by stride: 8 and, if available, 4 and 2.
        prediction_channels: channels of the prediction, chrominance logits at stride 2.
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
        # `math.log`, since torch's would import its compiler on the meta device, which takes
        # seconds.
        self.log_reach_H = nn.Parameter(torch.tensor([math.log(REACH / 2), math.log(2 * REACH)]))

    def forward(
        self, prediction_BQHW: Tensor, features: dict[int, Tensor], hints_BMHW: Tensor
    ) -> Tensor:
        """Return the prediction corrected by hints, with the same shape, fp32.

        Args:
            prediction_BQHW: chrominance logits at stride 2.
            features: features by stride, see `feature_channels`.
            hints_BMHW: hints at stride 1. The first channels are the chrominance in [0,1] at hints
                and 0 elsewhere; the last channel is 1 at hints and 0 elsewhere.
        """
        # In fp32, since bf16 would lose small corrections.
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
                # Most photos have few hints; in training, reading their number would synchronize.
                used = int((filled_BK > 0).sum(1).max())
                cells_BKV, filled_BK = cells_BKV[:, :used], filled_BK[:, :used]
            missing_BKQ, places_BK2, key_BKE = cells_BKV.split(
                [missing_BQHW.shape[1], 2, embedding_BEHW.shape[1]], 2
            )
            score_BHNK = self._heads(embedding_BEHW.flatten(2).mT) @ self._heads(key_BKE).mT
            places_BN2 = places_12HW.flatten(2).mT.expand(len(color_BCHW), -1, -1)
            # Matrix products would compute distances as differences of large squares, which TF32
            # rounds to whole pixels. Positions need no gradients.
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
        """Return the embeddings for similarity, B×(HEADS·HEAD_CHANNELS)×H×W."""
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
    """Return mean colors at stride 2 (0.5 without hint), and a mask of hints (0 or 1)."""
    bottom, right = (-size % 2 for size in hints_BMHW.shape[-2:])
    mean_BMHW = functional.avg_pool2d(functional.pad(hints_BMHW, (0, right, 0, bottom)), 2)
    color_BCHW, share_B1HW = mean_BMHW[:, :-1], mean_BMHW[:, -1:]
    mask_B1HW = (share_B1HW > 0).float()
    return torch.where(share_B1HW > 0, color_BCHW / share_B1HW.clamp(min=0.25), 0.5), mask_B1HW


def gathered(values_BVHW: Tensor, mask_B1HW: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """Return the means of values over the positions with hints in each cell.

    Returns:
        Means B×K×V for the K fullest cells (at most `limit`), and the filled share of each, B×K;
        both are 0 for cells without hints.
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
    """Return row and column of each position, 2×H×W."""
    lines = (torch.arange(size, device=device).float() for size in (height, width))
    return torch.stack(torch.meshgrid(*lines, indexing="ij"))

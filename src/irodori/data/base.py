"""What every data module on shards has: validation samples, loaders, ranks."""

import sys
from collections.abc import Callable
from pathlib import Path

import webdataset as wds
from lightning import LightningDataModule
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from irodori.data.collate import validation_batch
from irodori.data.config import DataConfig
from irodori.data.folders import shard_cache
from irodori.data.index import Index
from irodori.data.loader import web_loader
from irodori.data.pipeline import PlannedBatches, pipeline
from irodori.data.plan import ValidationPlan
from irodori.data.remote.retry import Network
from irodori.data.samples import Samples
from irodori.data.shard_reader import ShardReader
from irodori.utils.errors import IrodoriError

NAMED_SHARDS = 5
"""At most so many shards are named whose images can't all be read."""


class ShardModule(LightningDataModule):
    """Serves the samples of an index in its order, each exactly once, to validate on.

    Args:
        config: of which batch size, workers, and how servers are asked are used.
        index: the samples.
        resize: brings a decoded 3×H×W uint8 image to the size that it is validated at.

    Raises:
        IrodoriError: the batch size is below 1.
    """

    def __init__(
        self, config: DataConfig, index: Index, resize: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.config = config
        self.val_index = index
        self.val_resize = resize
        cache, limit, network = storage(config)
        self.reader = ShardReader(shard_cache(cache, limit, network), network)
        self.val_samples = Samples(index, self.reader)
        self.val_plan(world_size=1, rank=0)
        report_unread(index)

    def val_plan(self, world_size: int, rank: int) -> ValidationPlan:
        """Return what a rank validates on.

        Raises:
            IrodoriError: the batch size is below 1.
        """
        samples = len(self.val_index)
        try:
            return ValidationPlan(samples, self.config.val_batch_size, world_size, rank)
        except ValueError as error:
            raise IrodoriError(str(error)) from None

    def val_dataloader(self) -> wds.WebLoader:
        """Return the loader of this rank's share of the validation samples."""
        batches = PlannedBatches(self.val_plan(*self.ranks()))
        dataset = pipeline(
            batches,
            self.val_samples,
            self.val_resize,
            self.config.val_batch_size,
            validation_batch,
        )
        return web_loader(batches, dataset, self.config.workers)

    def ranks(self) -> tuple[int, int]:
        """Return world size and rank of the trainer; one process without a trainer."""
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)


def storage(config: DataConfig) -> tuple[Path | None, int | None, Network]:
    """Return where shards behind URLs are kept, in how many bytes, and how servers are asked."""
    cache = None if config.cache is None else Path(config.cache)
    limit = None if config.cache_gb is None else int(config.cache_gb * 1e9)
    return cache, limit, Network(config.retries, config.timeout)


def report_unread(index: Index) -> None:
    """Name, on rank 0, the shards with files that look like images and can't be read."""
    lines = [f"{shard.path}: {shard.unread}" for shard in index.shards if shard.unread]
    if rank_zero_only.rank:  # type: ignore[attr-defined]
        return
    for line in lines[:NAMED_SHARDS]:
        print(f"warning: {line}", file=sys.stderr, flush=True)
    if len(lines) > NAMED_SHARDS:
        print(f"warning: and so in {len(lines) - NAMED_SHARDS} more shards", file=sys.stderr)

"""Photographs to be judged, each exactly once, as a LightningDataModule."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from irodori.config import DataConfig
from irodori.data.folders import shard_cache
from irodori.data.index import Index
from irodori.data.plan import ValidationPlan
from irodori.data.remote.retry import Network
from irodori.data.shard_reader import ShardReader
from irodori.data.stream import ReadingSampler, ShardDataset
from irodori.data.workers import prepare_worker
from irodori.errors import IrodoriError


class ValidationShards(LightningDataModule):
    """Streams the samples of an index in its order.

    Args:
        config: group data, of which batch size, workers, and how servers are asked are used.
        index: the samples.
        resize: brings a decoded 3×H×W uint8 image to the size that it is judged at.

    Raises:
        IrodoriError: the batch size is below 1.
    """

    def __init__(
        self, config: DataConfig, index: Index, resize: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.config = config
        self.val_index = index
        cache, limit, network = storage(config)
        self.reader = ShardReader(shard_cache(cache, limit, network), network)
        self.val_data = ShardDataset(index, resize, None, self.reader)
        self.val_plan(world_size=1, rank=0)

    def val_plan(self, world_size: int, rank: int) -> ValidationPlan:
        """What a rank validates on.

        Raises:
            IrodoriError: the batch size is below 1.
        """
        samples = len(self.val_index)
        try:
            return ValidationPlan(samples, self.config.val_batch_size, world_size, rank)
        except ValueError as error:
            raise IrodoriError(str(error)) from None

    def val_dataloader(self) -> DataLoader[Any]:
        """This rank's share of the validation set."""
        return self.loader(self.val_data, ReadingSampler(self.val_plan(*self.ranks())))

    def loader(self, data: ShardDataset, sampler: ReadingSampler) -> DataLoader[Any]:
        """A loader of whole batches, with the configured processes."""
        workers = min(self.config.workers, max(1, len(sampler))) if self.config.workers else 0
        return DataLoader(
            data,
            sampler=sampler,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=prepare_worker,
            # One of its own, so that making an iterator draws nothing from the run's generator.
            generator=torch.Generator(),
        )

    def ranks(self) -> tuple[int, int]:
        """World size and rank of the trainer; one process without a trainer."""
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)


def storage(config: DataConfig) -> tuple[Path | None, int | None, Network]:
    """Where shards behind URLs are kept, how many bytes of them, and how servers are asked."""
    cache = None if config.cache is None else Path(config.cache)
    limit = None if config.cache_gb is None else int(config.cache_gb * 1e9)
    return cache, limit, Network(config.retries, config.timeout)

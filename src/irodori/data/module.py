"""The LightningDataModule: shards in, batches of luminance and chrominance on the device out."""

import hashlib
from functools import cached_property, partial
from typing import Any, get_args, get_type_hints

import numpy as np
import torch
import webdataset as wds

from irodori.color import ColorSpace, to_float
from irodori.data.augment import AugmentationBase
from irodori.data.base import ShardModule, report_unread
from irodori.data.both import open_both, refuse_missing_labels, refuse_small_cache
from irodori.data.collate import TrainingBatches
from irodori.data.config import DataConfig
from irodori.data.images import to_short_side, to_square
from irodori.data.loader import web_loader
from irodori.data.pipeline import PlannedBatches, pipeline
from irodori.data.plan import TrainingPlan
from irodori.data.samples import Samples
from irodori.data.slots import BatchSlots
from irodori.utils.errors import IrodoriError

SHUFFLES = get_args(get_type_hints(DataConfig)["shuffle"])


class ShardData(ShardModule):
    """Streams shards to train and to validate on.

    Args:
        config: which shards are read, and how.
        color_space: converts training batches on the device.
        augmentation: crops, flips and ages training batches on the device.
        seed: of order and augmentation.
        accumulate: micro-batches per optimizer step.
        needs_labels: refuse samples without a class (α > 0).
        nodes: machines that the batch is shared by, each with a cache of its own.

    Raises:
        IrodoriError: no shards match, one is damaged, a class is missing or out of range, or a
            size doesn't fit; each in one line.
    """

    def __init__(
        self,
        config: DataConfig,
        color_space: ColorSpace,
        augmentation: AugmentationBase,
        seed: int = 0,
        accumulate: int = 1,
        needs_labels: bool = False,
        nodes: int = 1,
    ) -> None:
        if config.shuffle not in SHUFFLES:
            raise IrodoriError(f"data.shuffle={config.shuffle} is unknown: {' or '.join(SHUFFLES)}")
        if augmentation.crop > config.size:
            raise IrodoriError(
                f"augmentation.crop={augmentation.crop} exceeds data.size={config.size}: crop less,"
                " or scale the images to more"
            )
        self.train_index, val_index = open_both(config)
        refuse_small_cache(config, self.train_index, nodes)
        if needs_labels:
            for index in (self.train_index, val_index):
                refuse_missing_labels(index)
        super().__init__(config, val_index, partial(to_short_side, size=config.val_size))
        self.color_space = color_space
        self.augmentation = augmentation
        self.seed = seed
        self.accumulate = accumulate
        self.start = 0
        self.train_samples = Samples(self.train_index, self.reader)
        self.plan(world_size=1, rank=0)
        report_unread(self.train_index)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the scenes; a label is a position in this tuple."""
        return self.train_index.classes

    def plan(self, world_size: int, rank: int) -> TrainingPlan:
        """Return what a rank trains on.

        Raises:
            IrodoriError: the batch size doesn't fit.
        """
        by_shards = self.config.shuffle == "shards"
        try:
            return TrainingPlan(
                len(self.train_index),
                self.config.batch_size,
                self.accumulate,
                world_size,
                rank,
                self.seed,
                tuple(map(len, self.train_index.shards)) if by_shards else None,
            )
        except ValueError as error:
            raise IrodoriError(str(error)) from None

    def train_dataloader(self) -> wds.WebLoader:
        """Return the loader of this rank's training batches, from the checkpoint's position on."""
        plan = self.plan(*self.ranks())
        batches = PlannedBatches(plan, *divmod(self.start, self.epoch_batches))
        size, workers = self.config.size, self.config.workers
        slots = BatchSlots(workers, plan.micro_batch, size)
        dataset = pipeline(
            batches,
            self.train_samples,
            partial(to_square, size=size),
            plan.micro_batch,
            TrainingBatches(size, self.augmentation.draws, slots),
            self.config.stages,
            self.seed,
        )
        return web_loader(batches, dataset, workers, slots)

    @property
    def epoch_batches(self) -> int:
        """Micro-batches of an epoch, as far as the trainer's `limit_train_batches` allows."""
        batches = self.plan(*self.ranks()).batches
        limit = self.trainer.limit_train_batches if self.trainer else 1.0
        return max(1, min(limit, batches) if isinstance(limit, int) else int(limit * batches))

    @cached_property
    def fingerprint(self) -> str:
        """A checksum of the training samples' keys, labels and lengths, in order."""
        digest = hashlib.sha256()
        for shard in self.train_index.shards:
            digest.update("\n".join(shard.keys).encode("utf-8", "surrogateescape"))
            # A scanned shard's columns may be wider than those of its stored index.
            for column in (shard.labels, shard.sizes):
                digest.update(column.astype(np.int64).tobytes())
        return digest.hexdigest()

    def state_dict(self) -> dict[str, Any]:
        """Return how many micro-batches a rank has trained on, and the data's fingerprint."""
        batches = 0
        if self.trainer is not None:
            batches = self.trainer.fit_loop.epoch_loop.batch_progress.total.completed
        return {"batches": batches, "data": self.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Start after as many micro-batches; on any number of ranks.

        Raises:
            IrodoriError: the training data is not that of the checkpoint.
        """
        if state_dict["data"] != self.fingerprint:
            raise IrodoriError(
                f"{self.config.train} doesn't hold the samples that this run was started with:"
                " restore the shards, or start a new run"
            )
        self.start = state_dict["batches"]

    def on_before_batch_transfer(self, batch: dict[str, Any], _: int) -> dict[str, Any]:
        """Keep the draws of training batches on the CPU, too."""
        if "draws" in batch:
            # No tensor, which would be transferred.
            batch["draws_on_cpu"] = batch["draws"].numpy()
        return batch

    def on_after_batch_transfer(self, batch: dict[str, Any], _: int) -> dict[str, Any]:
        """Crop, flip, convert and age training batches on the device they are on.

        Adds `luminance` (B×1×crop×crop in [0,1]) and `chroma` (B×C×crop×crop in [0,1]), both fp32.
        """
        if "draws" in batch:
            draws_BD, on_cpu = batch.pop("draws"), batch.pop("draws_on_cpu", None)
            rgb_B3HW = self.augmentation.on_rgb(to_float(batch.pop("images")), draws_BD)
            luminance_B1HW, batch["chroma"] = self.color_space.encode(rgb_B3HW)
            draws_BD = draws_BD.cpu() if on_cpu is None else torch.from_numpy(on_cpu)
            batch["luminance"] = self.augmentation.on_luminance(luminance_B1HW, draws_BD)
        return batch

"""LightningDataModules that load shards and return batches of luminance and chrominance."""

import hashlib
import sys
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
import webdataset as wds
from lightning import LightningDataModule
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray
from torch import Tensor

from irodori.color import ColorSpace, to_float
from irodori.data.augment import AugmentationBase
from irodori.data.batch_memory import BatchMemory
from irodori.data.config import DataConfig
from irodori.data.images import to_short_side
from irodori.data.index import Index
from irodori.data.loader import web_loader
from irodori.data.opening import ShardOpener, open_both, refuse_missing_labels, refuse_small_cache
from irodori.data.pipeline import PlannedBatches, training_pipeline, validation_pipeline
from irodori.data.plan import TrainingPlan, ValidationPlan, sample_weights
from irodori.data.samples import Samples
from irodori.data.simulated_hints import SimulatedHints
from irodori.utils.cores import available_cores
from irodori.utils.errors import IrodoriError

NAMED_SHARDS = 5
"""Largest number of shards with unreadable images that are named."""


class ShardModule(LightningDataModule):
    """Loads the samples of an index for validation, in order, each exactly once.

    Args:
        config: supplies batch size, workers, and the settings of requests to servers.
        index: index of the samples.
        resize: scales a decoded 3×H×W uint8 image to its validation size.
    """

    def __init__(
        self, config: DataConfig, index: Index, resize: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.config = config
        self.val_index = index
        self.val_resize = resize
        self.val_samples = self.samples(index)

    def samples(self, index: Index) -> Samples:
        """Return the samples of an index, and report shards with unreadable images."""
        report_unread(index)
        return ShardOpener.of(self.config).samples(index)

    def val_plan(self, world_size: int, rank: int) -> ValidationPlan:
        """Return the validation plan of a rank."""
        return ValidationPlan(len(self.val_index), self.config.val_batch_size, world_size, rank)

    def val_dataloader(self) -> wds.WebLoader:
        """Return the loader of this rank's validation samples."""
        batches = PlannedBatches(self.val_plan(*self.ranks()))
        dataset = validation_pipeline(batches, self.val_samples, self.val_resize)
        return web_loader(dataset, self.workers)

    @property
    def workers(self) -> int:
        """Number of loader processes of this rank: as configured, or by its share of cores.

        More than four are seldom needed.
        """
        if self.config.workers is not None:
            return self.config.workers
        ranks_here = max(1, self.ranks()[0] // (self.trainer.num_nodes if self.trainer else 1))
        return min(4, max(1, available_cores() // ranks_here))

    def ranks(self) -> tuple[int, int]:
        """Return the trainer's world size and rank; (1, 0) without a trainer."""
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)


def report_unread(index: Index) -> None:
    """Report, on rank 0, the shards with files that look like images but can't be read."""
    lines = [f"warning: {shard.path}: {shard.unread}" for shard in index.shards if shard.unread]
    if len(lines) > NAMED_SHARDS:
        lines[NAMED_SHARDS:] = [f"warning: the same in {len(lines) - NAMED_SHARDS} more shards"]
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        for line in lines:
            print(line, file=sys.stderr, flush=True)


class ShardData(ShardModule):
    """Streams shards for training and validation.

    Args:
        config: settings of the shards.
        color_space: converts training batches on the device.
        augmentation: crops, flips and ages training batches on the device.
        seed: seed of order and augmentation.
        accumulate: micro-batches per optimizer step.
        needs_labels: reject samples without a class (for α > 0).
        nodes: number of machines that share the batch, each with its own cache.
        hints: simulates hints from the true colors of training batches; None for no hints.

    Raises:
        IrodoriError: no shards match, one is damaged, a class is missing or out of range, or a size
            is invalid.
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
        hints: SimulatedHints | None = None,
    ) -> None:
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
        self.hints = hints
        self.seed = seed
        self.accumulate = accumulate
        self.start = 0
        self.train_samples = self.samples(self.train_index)
        self.plan(world_size=1, rank=0)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the scenes; labels are indices into this tuple."""
        return self.train_index.classes

    @cached_property
    def weights(self) -> NDArray[np.float64] | None:
        """The mean number of times that each training sample is drawn in an epoch; None: once.

        Raises:
            IrodoriError: see `sample_weights`.
        """
        if not self.config.weights:
            return None
        if self.config.shuffle == "shards":
            raise IrodoriError(
                "data.weights needs data.shuffle=samples: whole shards are read once per epoch"
            )
        return sample_weights(self.train_index, self.config.weights)

    def plan(self, world_size: int, rank: int) -> TrainingPlan:
        """Return the training plan of a rank.

        Raises:
            IrodoriError: see `TrainingPlan`.
        """
        sizes = tuple(map(len, self.train_index.shards))
        return TrainingPlan(
            len(self.train_index),
            self.config.batch_size,
            self.accumulate,
            world_size,
            rank,
            self.seed,
            sizes if self.config.shuffle == "shards" else None,
            self.weights,
        )

    def train_dataloader(self) -> wds.WebLoader:
        """Return the loader of this rank's training batches, from the checkpoint's position on."""
        plan, config = self.plan(*self.ranks()), self.config
        batches = PlannedBatches(plan, *divmod(self.start, self.epoch_batches))
        memory = BatchMemory(self.workers, plan.micro_batch, config.size)
        dataset = training_pipeline(batches, self.train_samples, self.draws, memory, config.stages)
        return web_loader(dataset, self.workers, memory)

    @property
    def draws(self) -> int:
        """The number of uniform random numbers per training sample."""
        return self.augmentation.draws + (self.hints is not None)

    @property
    def epoch_batches(self) -> int:
        """The number of micro-batches per epoch, within the trainer's `limit_train_batches`."""
        limit = self.trainer.limit_train_batches if self.trainer else 1.0
        return self.plan(*self.ranks()).limited(limit)

    @cached_property
    def fingerprint(self) -> str:
        """A checksum of the training samples' keys, labels and sizes, in order."""
        digest = hashlib.sha256()
        for shard in self.train_index.shards:
            digest.update("\n".join(shard.keys).encode("utf-8", "surrogateescape"))
            for column in (shard.labels, shard.sizes):
                digest.update(column.astype(np.int64).tobytes())
        return digest.hexdigest()

    def state_dict(self) -> dict[str, Any]:
        """Return the number of trained micro-batches per rank, and the data's fingerprint."""
        batches = 0
        if self.trainer is not None:
            batches = self.trainer.fit_loop.epoch_loop.batch_progress.total.completed
        return {"batches": batches, "data": self.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the stored number of micro-batches, on any number of ranks.

        Raises:
            IrodoriError: the training data differs from the checkpoint's.
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
            # Not a tensor, which would be transferred.
            batch["draws_on_cpu"] = batch["draws"].numpy()
        return batch

    def on_after_batch_transfer(self, batch: dict[str, Any], _: int) -> dict[str, Any]:
        """Crop, flip, convert and age training batches on the device they are on.

        Adds `luminance` (B×1×crop×crop in [0,1]), `chroma` (B×C×crop×crop in [0,1]) and, with
        simulated hints, `hints` (R×(C+1)×crop×crop), all fp32, and `hinted`, the indices of the R
        photographs with hints.
        """
        if "draws" in batch:
            draws_BD, on_cpu = batch.pop("draws"), batch.pop("draws_on_cpu", None)
            own = self.augmentation.draws
            rgb_B3HW = self.augmentation.on_rgb(to_float(batch.pop("images")), draws_BD[:, :own])
            luminance_B1HW, batch["chroma"] = self.color_space.encode(rgb_B3HW)
            draws_BD = draws_BD.cpu() if on_cpu is None else torch.from_numpy(on_cpu)
            batch["luminance"] = self.augmentation.on_luminance(luminance_B1HW, draws_BD[:, :own])
            if self.hints is not None:
                every, device = self.hints.every, luminance_B1HW.device
                # Created on the device, since a copy would synchronize.
                batch["hinted"] = torch.arange(0, len(draws_BD), every, device=device)
                batch["hints"] = self.hints(batch["chroma"][::every], draws_BD[::every, own])
        return batch

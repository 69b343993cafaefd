"""The LightningDataModule: shards in, batches of luminance and chrominance on the device out."""

import hashlib
from functools import cached_property, partial
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from irodori.color import ColorSpace, to_float
from irodori.config import DataConfig
from irodori.data.augment import Augmentation
from irodori.data.device_decoding import decode_on_device
from irodori.data.folders import Folders
from irodori.data.images import to_short_side, to_square
from irodori.data.index import Index
from irodori.data.opening import index_of
from irodori.data.plan import TrainingPlan
from irodori.data.stream import ReadingSampler, ShardDataset
from irodori.data.validation import ValidationShards, storage
from irodori.errors import IrodoriError

SHUFFLES = ("samples", "shards")
DECODERS = ("workers", "device")


class ShardData(ValidationShards):
    """Streams shards; the same for the sample, Places and anyone's own.

    Args:
        config: group data.
        color_space: converts training batches on the device.
        seed: of order and augmentation.
        accumulate: micro-batches per optimizer step.
        needs_labels: refuse samples without a class (α > 0).
        nodes: machines that the batch is shared by, each with a cache of its own.

    Raises:
        IrodoriError: no shards match, one is damaged, a class is missing or out of range, or the
            batch size doesn't fit; each in one line.
    """

    def __init__(
        self,
        config: DataConfig,
        color_space: ColorSpace,
        seed: int = 0,
        accumulate: int = 1,
        needs_labels: bool = False,
        nodes: int = 1,
    ) -> None:
        if config.shuffle not in SHUFFLES:
            raise IrodoriError(f"data.shuffle={config.shuffle} is unknown: {' or '.join(SHUFFLES)}")
        if config.decode not in DECODERS:
            raise IrodoriError(f"data.decode={config.decode} is unknown: {' or '.join(DECODERS)}")
        self.train_index, val_index = open_both(config)
        super().__init__(config, val_index, partial(to_short_side, size=config.val_size))
        self.color_space = color_space
        self.seed = seed
        self.accumulate = accumulate
        self.start = 0
        refuse_small_cache(config, self.train_index, nodes)
        if needs_labels:
            for index in (self.train_index, self.val_index):
                refuse_missing_labels(index)
        self.augmentation = Augmentation(
            config.crop, config.crop_scale, config.crop_aspect, config.flip, config.age
        )
        self.plan(world_size=1, rank=0)
        self.train_data = ShardDataset(
            self.train_index,
            partial(to_square, size=config.size),
            seed,
            self.reader,
            on_device=config.decode == "device",
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the scenes; a label is a place in this tuple."""
        return self.train_index.classes

    def plan(self, world_size: int, rank: int) -> TrainingPlan:
        """What a rank trains on.

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

    def train_dataloader(self) -> DataLoader[Any]:
        """This rank's training batches, from where a checkpoint was written on."""
        plan = self.plan(*self.ranks())
        self.train_data.share_memory(self.config.workers, plan.micro_batch, self.config.size)
        return self.loader(self.train_data, ReadingSampler(plan, *divmod(self.start, plan.batches)))

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
        """Micro-batches that a rank has trained on, and what identifies the training data."""
        batches = 0
        if self.trainer is not None:
            batches = self.trainer.fit_loop.epoch_loop.batch_progress.total.completed
        return {"batches": batches, "data": self.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after as many micro-batches; on any number of ranks.

        Raises:
            IrodoriError: the training data is not that of the checkpoint.
        """
        if state_dict["data"] != self.fingerprint:
            raise IrodoriError(
                f"{self.config.train} doesn't hold the samples that this run was begun with:"
                " restore the shards, or start a new run"
            )
        self.start = state_dict["batches"]

    def on_after_batch_transfer(self, batch: dict[str, Any], _: int) -> dict[str, Any]:
        """Crop, flip, convert and age training batches on the device they are on.

        With `data.decode=device` they are decoded there, too.


        Adds `luminance` (B×1×crop×crop in [0,1]) and `chroma` (B×C×crop×crop in [0,1]), both fp32.
        """
        if "encoded" in batch:
            decode_on_device(batch)
        if "draws" in batch:
            draws_BD = batch.pop("draws")
            rgb_B3HW = self.augmentation.on_rgb(to_float(batch.pop("images")), draws_BD)
            luminance_B1HW, batch["chroma"] = self.color_space.encode(rgb_B3HW)
            batch["luminance"] = self.augmentation.on_luminance(luminance_B1HW, draws_BD)
        return batch


def open_both(config: DataConfig) -> tuple[Index, Index]:
    """Training and validation index of a configuration.

    Raises:
        IrodoriError: see `index_of`; the fold doesn't exist; or training and validation shards
            name different classes.
    """
    folders = Folders(*storage(config))
    train = index_of(config.train, config.classes, folders)
    if config.fold is None:
        val = index_of(config.val, config.classes, folders)
        both = {shard.path for shard in train.shards} & {shard.path for shard in val.shards}
        if both and not config.val_seen:
            raise IrodoriError(
                f"{min(map(str, both))} is in data.train and in data.val: name it in one, or set"
                " data.fold"
            )
        if val.classes != train.classes and config.classes is None:
            classes = common_classes(train.classes, val.classes)
            train, val = Index(train.shards, classes), Index(val.shards, classes)
        return train, val
    if config.val != config.train:
        raise IrodoriError(
            f"data.fold={config.fold} validates on one of the shards of data.train, and data.val"
            " names others: set data.fold=null, or leave data.val out"
        )
    count = len(train.shards)
    if not 0 <= config.fold < count:
        raise IrodoriError(f"data.fold={config.fold}: {config.train} has folds 0 to {count - 1}")
    rest = [number for number in range(count) if number != config.fold]
    return train.select(rest), train.select([config.fold])


def refuse_small_cache(config: DataConfig, index: Index, nodes: int) -> None:
    """Raise IrodoriError if every batch would fetch shards anew that had to make room before."""
    if config.cache is None or config.cache_gb is None:
        return
    sizes = [shard.num_bytes / 1e9 for shard in index.shards if isinstance(shard.path, str)]
    if config.shuffle == "shards":
        # Each place of the batch is in a shard of its own.
        at_once = sum(sorted(sizes, reverse=True)[: config.batch_size // nodes])
        if at_once > config.cache_gb:
            raise IrodoriError(
                f"data.cache_gb={config.cache_gb:g} is less than the {at_once:.3g} GB of shards"
                f" that a batch of {config.batch_size} walks through at once: give the cache more"
                " room, write smaller shards, or set data.cache=null to fetch single samples"
            )
        return
    size = sum(sizes)
    if size > config.cache_gb:
        raise IrodoriError(
            f"data.cache_gb={config.cache_gb:g} is less than the {size:.3g} GB of shards behind"
            " URLs, which data.shuffle=samples reads all over: set data.shuffle=shards, give the"
            " cache more room, or set data.cache=null to fetch single samples"
        )


def common_classes(train: tuple[str, ...], val: tuple[str, ...]) -> tuple[str, ...]:
    """The longer of two lists of class names, of which the other is a part.

    Shards without names have plain numbers ("0", "1", …), which fit any names.

    Raises:
        IrodoriError: a class id would mean one thing in training and another in validation.
    """

    def numbers(count: int) -> tuple[str, ...]:
        return tuple(map(str, range(count)))

    # Of two lists of equal length, names come before numbers.
    other, wider = sorted(
        (train, val), key=lambda names: (len(names), names != numbers(len(names)))
    )
    if other not in (wider[: len(other)], numbers(len(other))):
        raise IrodoriError(
            "data.train and data.val name different classes: give data.classes, one list for both"
        )
    return wider


def refuse_missing_labels(index: Index) -> None:
    """Raise IrodoriError for the first sample without a class."""
    for shard in index.shards:
        missing = (shard.labels < 0).nonzero()[0]
        if len(missing):
            raise IrodoriError(
                f"{shard.path}: {shard.keys[missing[0]]} has no class (.cls), which alpha > 0"
                " needs; add it, or train with alpha=0"
            )

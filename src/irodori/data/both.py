"""The indexes to train and to validate on, and whether they fit together."""

from irodori.data.base import storage
from irodori.data.config import DataConfig
from irodori.data.folders import Folders
from irodori.data.index import Index
from irodori.data.opening import index_of
from irodori.utils.errors import IrodoriError


def open_both(config: DataConfig) -> tuple[Index, Index]:
    """Return the training and the validation index of a configuration.

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
        # Each position of the batch is in a shard of its own.
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
    """Return the longer of two lists of class names, of which the other is a part.

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

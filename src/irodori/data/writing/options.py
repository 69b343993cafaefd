"""Options that decide the bytes of written shards."""

from dataclasses import dataclass

from irodori.utils.errors import IrodoriError


@dataclass(frozen=True)
class Options:
    """Options that, with the source, decide the bytes that are written.

    Attributes:
        size: the short side in pixels that larger images are scaled down to.
        near_gray: images whose `colorfulness` is below are left out; 0 keeps all.
        decode: False copies what fits by its header without looking at its pixels.
        val_share: of each class, for validation; None: 0.05, or the published split.
        shard_samples: images a shard, about.
        seed: of the order.
    """

    size: int = 256
    near_gray: float = 4.0
    decode: bool = True
    val_share: float | None = None
    shard_samples: int = 1000
    seed: int = 0

    def check(self) -> None:
        """Raise IrodoriError for what is out of range."""
        for name, value, lowest, highest in (
            ("--size", self.size, 16, 16384),
            ("--near-gray", self.near_gray, 0, 128),
            ("--val-share", self.val_share or 0, 0, 0.9),
            ("--shard-samples", self.shard_samples, 1, 1_000_000),
        ):
            if not lowest <= value <= highest:
                raise IrodoriError(f"{name} is {value}: give a number from {lowest} to {highest}")
        if not self.decode and self.near_gray:
            raise IrodoriError("--no-decode sees no colors: give --near-gray 0 with it")

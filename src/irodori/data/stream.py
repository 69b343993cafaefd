"""Reading samples out of shards by their offsets, in loader processes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler, get_worker_info

from irodori.data.augment import Augmentation
from irodori.data.batch_memory import BatchMemory, Room, inlined
from irodori.data.device_decoding import Encoded, left_to_device
from irodori.data.images import decode, decode_into
from irodori.data.index import Index
from irodori.data.plan import Reading, TrainingPlan, ValidationPlan
from irodori.data.remote.retry import RefusedError
from irodori.data.shard_reader import ShardReader

DRAWS = Augmentation.draws
"""Uniform random numbers in [0,1) that a training sample's augmentation takes."""


class ReadingSampler(Sampler[Reading]):
    """Gives a plan's readings to the loader; Lightning tells it the epoch.

    Args:
        plan: what this rank reads.
        epoch, start: where to begin; later epochs begin at their start.
    """

    def __init__(self, plan: TrainingPlan | ValidationPlan, epoch: int = 0, start: int = 0) -> None:
        self.plan = plan
        self.epoch = epoch
        self.start = start

    def set_epoch(self, epoch: int) -> None:
        """Called before an epoch's iterator is made."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return self.plan.batches

    def __iter__(self) -> Iterator[Reading]:
        return self.plan.readings(self.epoch, self.start)


class ShardDataset(Dataset[dict[str, Any]]):
    """Whole batches out of shards: item `Reading` → dict of the batch.

    An image that can't be decoded keeps its place: it is marked invalid, and a valid neighbour's
    pixels stand in for it, so that batch norm sees photographs only.

    Args:
        index: where the samples lie.
        resize: brings a decoded 3×H×W image to the size for the network.
        seed: of the augmentation; None for validation, which draws nothing and keeps a list of
            images of different sizes instead of a stack.
        reader: gets the samples' bytes.
        on_device: leave common JPEGs of the training size to `decode_on_device`.
    """

    def __init__(
        self,
        index: Index,
        resize: Callable[[Tensor], Tensor],
        seed: int | None,
        reader: ShardReader | None = None,
        on_device: bool = False,
    ) -> None:
        self.index = index
        self.resize = resize
        self.seed = seed
        self.reader = reader or ShardReader()
        self.on_device = on_device
        self.memory: BatchMemory | None = None
        self.shape: torch.Size | None = None
        """Of training images, as soon as one has been seen."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "memory": None}  # it is for processes that are forked

    def share_memory(self, workers: int, batch_size: int, size: int) -> None:
        """Have `workers` loader processes hand over training batches in memory of their own."""
        self.memory = BatchMemory(workers, batch_size * 3 * size * size) if workers else None

    def image(self, sample: int) -> Tensor:
        """The decoded image of a sample: 3×H×W uint8 RGB, not resized.

        Raises:
            RuntimeError, OSError: it can't be read or decoded.
        """
        shard_number, number = (int(place) for place in self.index.locate(sample))
        return decode(self.reader.read(self.index.shards[shard_number], number))

    def __getitem__(self, reading: Reading) -> dict[str, Any]:
        """A batch of B = len(reading.samples) samples.

        Returns:
            `images` (B×3×size×size uint8, or for validation a list of 3×H×W), `labels` (B, −1 = no
            class), `valid` (B bool), `keys`, `bad` (a line "shard: key: reason" for each image that
            can't be decoded), `lost` (a line for each that lies behind a URL and can't be had), and
            in training `draws` (B×DRAWS float32 in [0,1), a function of seed, epoch and position
            alone) and, with `on_device`, `encoded` (what `decode_on_device` has to do yet).
        """
        count = len(reading.samples)
        images: list[Tensor] = []
        room = self._room(count, self.shape) if self.shape else None
        labels, keys, bad, lost = [], [], [], []
        encoded: list[Encoded] = []
        valid = [False] * count
        places = (numbers.tolist() for numbers in self.index.locate(reading.samples))
        for i, (shard_number, number) in enumerate(zip(*places, strict=True)):
            shard = self.index.shards[shard_number]
            keys.append(shard.keys[number])
            labels.append(int(shard.labels[number]))
            try:
                content = self.reader.read(shard, number)
                if room and self.on_device and left_to_device(content, room.pixels.shape[1:3]):
                    encoded.append(Encoded(i, content, f"{shard.name}: {keys[-1]}"))
                elif room is None or not decode_into(room.pixels[i], content):
                    image = self.resize(decode(content))
                    if self.seed is None:
                        images.append(image)
                    else:
                        self.shape = image.shape
                        room = room or self._room(count, self.shape)
                        # At once, so that the next one is decoded into the same memory.
                        room.pixels[i] = image.permute(1, 2, 0).numpy()
                valid[i] = True
            except RefusedError as error:
                lost.append(f"{shard.name} can't be had: {error}")
            except (RuntimeError, OSError) as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                bad.append(f"{shard.name}: {keys[-1]}: {reason}")
        batch: dict[str, Any] = {
            "labels": torch.tensor(labels, dtype=torch.int64),
            "valid": torch.tensor(valid, dtype=torch.bool),
            "keys": keys,
            "bad": bad,
            "lost": lost,
        }
        if self.seed is None:
            whole = iter(images)
            stand_in = images[0] if images else self._black()
            batch["images"] = [next(whole) if good else stand_in for good in valid]
        else:
            if room is None or not any(valid):
                black = self._black()
                room = room or self._room(count, black.shape)
                room.pixels[:] = black.permute(1, 2, 0).numpy()
            elif not all(valid):
                room.pixels[[not good for good in valid]] = room.pixels[valid.index(True)]
            batch["images"] = room.sent
            batch["draws"] = augmentation_draws(self.seed, reading)
            if self.on_device:
                batch["encoded"] = encoded
        if get_worker_info() is None:
            return batch
        return {name: inlined(value) for name, value in batch.items()}

    def _black(self) -> Tensor:
        """What stands in where a batch has no image at all."""
        return self.resize(torch.zeros(3, 8, 8, dtype=torch.uint8))

    def _room(self, count: int, shape: torch.Size) -> Room:
        """Room for so many images of 3×H×W.

        Channels are last in memory: decoders leave pixels, not planes, and to turn them would take
        half as long as to decode them.
        """
        channels, height, width = shape
        whole = (count, height, width, channels)
        shared = self.memory.room(whole) if self.memory else None
        if shared is not None:
            return shared
        pixels = np.empty(whole, np.uint8)
        return Room(pixels, torch.from_numpy(pixels).permute(0, 3, 1, 2))


def augmentation_draws(seed: int, reading: Reading) -> Tensor:
    """B×DRAWS float32 in [0,1): each sample's own, whatever rank or worker reads it.

    A counter-based generator (Philox) is set to (position, epoch) under the key `seed`, so nothing
    has to be stored to go on in the middle of an epoch.
    """
    # The lowest counter word counts up with the numbers drawn; the key's second word separates
    # these draws from the plan's. A generator made for each sample would take four times as long.
    philox = np.random.Philox(key=[seed, 1 << 40], counter=[0, 0, reading.epoch, 0])
    generator = np.random.Generator(philox)
    fresh = philox.state
    draws = np.empty((len(reading.positions), DRAWS), np.float32)
    for row, position in zip(draws, reading.positions, strict=True):
        fresh["state"]["counter"][1] = position
        philox.state = fresh
        generator.random(out=row, dtype=np.float32)
    return torch.from_numpy(draws)

import gc

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from irodori.data.batch_memory import SLOTS, BatchMemory

SHAPE = (2, 5, 7, 3)


class Batches(Dataset):
    """Batch i is full of the number i; those in `large` don't fit."""

    def __init__(self, memory, large=()):
        self.memory, self.large = memory, large

    def __len__(self):
        return 40

    def __getitem__(self, i):
        count = 3 if i in self.large else 2
        shape = (count, *SHAPE[1:])
        room = self.memory.room(shape)
        if room is None:
            whole = torch.full(shape, i, dtype=torch.uint8).permute(0, 3, 1, 2)
            return {"shared": False, "images": whole}
        room.pixels.fill(i)
        return {"shared": True, "images": room.sent}


def loader(workers=2, **options):
    memory = BatchMemory(workers, 2 * 5 * 7 * 3)
    return DataLoader(Batches(memory, **options), batch_size=None, num_workers=workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_slots_are_used_again_and_again(workers):
    load = loader(workers)
    for _ in range(2):
        for i, batch in enumerate(load):
            assert batch["images"].shape == (2, 3, 5, 7)
            assert batch["images"].unique().tolist() == [i]
            assert batch["shared"]
            del batch  # as a training step lets go of it
    gc.collect()
    assert not any(load.dataset.memory._taken[:])


def test_a_batch_that_is_kept_is_never_overwritten():
    load = loader()
    kept = [(batch["shared"], batch["images"][1, :, 2]) for batch in load]  # views, not batches
    gc.collect()
    assert [view.unique().tolist() for _, view in kept] == [[i] for i in range(40)]
    assert sum(shared for shared, _ in kept) == 2 * SLOTS  # others found no free slot
    del kept
    gc.collect()
    assert not any(load.dataset.memory._taken[:])
    assert next(iter(load))["shared"]


def test_what_does_not_fit_goes_the_ordinary_way():
    for i, batch in enumerate(loader(large=(0, 3))):
        assert batch["shared"] == (i not in (0, 3))
        assert len(batch["images"]) == (3 if i in (0, 3) else 2)
        assert batch["images"].unique().tolist() == [i]


def test_batches_that_nobody_takes_free_their_slots():
    memory = BatchMemory(1, 2 * 5 * 7 * 3)
    load = DataLoader(Batches(memory), batch_size=None, num_workers=1, persistent_workers=True)
    for _ in range(5):
        assert next(iter(load))["shared"]
    assert sum(batch["shared"] for batch in load) == 40


def test_outside_of_a_loader_process_there_are_no_slots():
    assert BatchMemory(1, 10**6).room(SHAPE) is None

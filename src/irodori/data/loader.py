"""Serving a pipeline's batches from loader processes."""

from typing import Any

import torch
import webdataset as wds

from irodori.data.pipeline import PlannedBatches
from irodori.data.slots import PREFETCH, BatchSlots
from irodori.data.workers import prepare_worker


class PlannedLoader(wds.WebLoader):  # type: ignore[misc]
    """A WebLoader with what Lightning looks for in a DataLoader.

    Its length is that of a whole epoch.
    """

    batch_sampler = None
    """Lightning asks whatever has a sampler for this, too."""
    sampler: PlannedBatches
    """Lightning calls the sampler's `set_epoch`."""

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""
        return self.sampler.plan.batches

    @property
    def _iterator(self) -> Any:
        """The DataLoader's iterator: Lightning ends its processes when it is done."""
        return self.pipeline[0]._iterator

    @_iterator.setter
    def _iterator(self, iterator: Any) -> None:
        self.pipeline[0]._iterator = iterator


def web_loader(
    batches: PlannedBatches,
    dataset: wds.DataPipeline,
    workers: int,
    slots: BatchSlots | None = None,
) -> PlannedLoader:
    """Return the loader of a pipeline.

    Args:
        batches: the pipeline's first stage, which learns the epoch from Lightning.
        dataset: the pipeline.
        workers: loader processes; 0 reads and decodes in this process.
        slots: where they put training images.
    """
    workers = min(workers, max(1, batches.plan.batches))
    loader = PlannedLoader(
        dataset,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=PREFETCH if workers else None,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=prepare_worker,
        # Its own, so that making an iterator draws nothing from the run's generator, and the
        # rank's own: Lightning seeds the workers of no WebLoader.
        generator=torch.Generator().manual_seed(batches.plan.rank),
    )
    loader.sampler = batches
    if slots is not None:
        loader.append(slots.copied)
    return loader

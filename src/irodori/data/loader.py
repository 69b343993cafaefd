"""Serving a pipeline's batches from loader processes."""

import torch
import webdataset as wds

from irodori.data.pipeline import PlannedBatches
from irodori.data.slots import PREFETCH, BatchSlots
from irodori.data.workers import prepare_worker


class PlannedLoader(wds.WebLoader):
    """A WebLoader whose length is that of a whole epoch, and which Lightning tells the epoch.

    Args:
        batches: the first stage of the pipeline.
        dataset: the pipeline.
        workers: loader processes; 0 reads and decodes in this process.
        slots: where they put training images.
    """

    batch_sampler = None
    """Lightning asks whatever has a sampler for this, too."""

    def __init__(
        self,
        batches: PlannedBatches,
        dataset: wds.DataPipeline,
        workers: int,
        slots: BatchSlots | None = None,
    ) -> None:
        self.sampler = batches  # Lightning calls `set_epoch` of a loader's sampler.
        workers = min(workers, max(1, len(self)))
        super().__init__(
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
        if slots is not None:
            self.append(slots.copied)

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return self.sampler.plan.batches

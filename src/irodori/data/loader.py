"""Serving a pipeline's batches from loader processes."""

import torch
import webdataset as wds

from irodori.data.pipeline import PlannedBatches
from irodori.data.slots import PREFETCH, BatchSlots
from irodori.data.workers import prepare_worker


def web_loader(
    batches: PlannedBatches,
    dataset: wds.DataPipeline,
    workers: int,
    slots: BatchSlots | None = None,
) -> wds.WebLoader:
    """Return the loader of a pipeline; its length is that of a whole epoch.

    Args:
        batches: the pipeline's first stage, which learns the epoch from Lightning.
        dataset: the pipeline.
        workers: loader processes; 0 reads and decodes in this process.
        slots: where they put training images.
    """
    count = batches.plan.batches
    workers = min(workers, max(1, count))
    loader = wds.WebLoader(
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
    ).with_length(count, silent=True)
    if slots is not None:
        loader.append(slots.copied)
    # Lightning calls `set_epoch` of a loader's sampler, and looks whether it shuffles.
    loader.sampler, loader.batch_sampler = batches, None
    return loader

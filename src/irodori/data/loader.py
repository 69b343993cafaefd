"""Serving a pipeline's batches from loader processes: their signals and their end."""

import ctypes
import multiprocessing
import signal
import sys
from functools import partial
from typing import Any

import torch
import webdataset as wds
from webdataset.utils import identity

from irodori.data.batch_memory import PREFETCH, BatchMemory, tensors
from irodori.data.pipeline import PlannedBatches

PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>: the signal that a process gets when its parent dies."""


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
    dataset: wds.DataPipeline, workers: int, memory: BatchMemory | None = None
) -> PlannedLoader:
    """Return the loader of a pipeline.

    Args:
        dataset: the pipeline; its first stage learns the epoch from Lightning.
        workers: loader processes; 0 reads and decodes in this process.
        memory: of a training pipeline.
    """
    batches = dataset.stage(0)
    workers = min(workers, max(1, batches.plan.batches))
    loader = PlannedLoader(
        dataset,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=PREFETCH if workers else None,
        persistent_workers=workers > 0,
        worker_init_fn=prepare_worker,
        # DataLoader's own would make tensors of arrays, in the worker (see `BatchMemory.received`).
        collate_fn=identity,
        # Its own, so that making an iterator draws nothing from the run's generator, and the
        # rank's own: Lightning seeds the workers of no WebLoader.
        generator=torch.Generator().manual_seed(batches.plan.rank),
    )
    loader.sampler = batches
    loader.append(partial(map, tensors) if memory is None else memory.received)
    return loader


def prepare_worker(_: int) -> None:
    """Leave signals to the training process, which ends its workers; die with it.

    SLURM and terminals send signals to all processes of a job: a worker that died of one would end
    the training process before it has written its checkpoint.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_workers() -> None:
    """End loader processes that are busy when a run ends, in waiting for a server, say.

    Python would ask them to end with SIGTERM, which they ignore, and wait for them at its exit.
    """
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()

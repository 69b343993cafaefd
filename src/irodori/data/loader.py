"""Loading a pipeline's batches with loader processes, their signals and termination."""

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
    """A WebLoader with the attributes that Lightning expects of a DataLoader.

    Its length is the number of batches of a whole epoch.
    """

    batch_sampler = None
    """Lightning reads this of any loader with a sampler."""
    sampler: PlannedBatches
    """Lightning calls the sampler's `set_epoch`."""

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""
        return self.sampler.plan.batches

    @property
    def _iterator(self) -> Any:
        """The DataLoader's iterator, whose processes Lightning shuts down at the end."""
        return self.pipeline[0]._iterator

    @_iterator.setter
    def _iterator(self, iterator: Any) -> None:
        self.pipeline[0]._iterator = iterator


def web_loader(
    dataset: wds.DataPipeline, workers: int, memory: BatchMemory | None = None
) -> PlannedLoader:
    """Return the loader of a pipeline.

    Args:
        dataset: pipeline, whose first stage receives the epoch from Lightning.
        workers: number of loader processes; 0 reads and decodes in this process.
        memory: shared memory of a training pipeline.
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
        # DataLoader's default would convert arrays to tensors in the worker (see
        # `BatchMemory.received`).
        collate_fn=identity,
        # A separate generator, so that creating an iterator draws nothing from the run's generator;
        # one per rank, since Lightning doesn't seed the workers of a WebLoader.
        generator=torch.Generator().manual_seed(batches.plan.rank),
    )
    loader.sampler = batches
    loader.append(partial(map, tensors) if memory is None else memory.received)
    return loader


def prepare_worker(_: int) -> None:
    """Make a worker ignore signals, which the training process handles, and die with its parent.

    SLURM and terminals signal all processes of a job: a worker that died from it would stop the
    training process before it has written its checkpoint.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_workers() -> None:
    """Kill loader processes that are still busy when a run ends, such as waiting for a server.

    At exit, Python would send SIGTERM, which they ignore, and wait for them.
    """
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()

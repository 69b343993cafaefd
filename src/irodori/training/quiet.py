"""Silencing Lightning's warnings about intended settings."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("lightning.pytorch", "lightning.fabric")
MEANT = (
    ".*does not have many workers.*",
    ".*resuming from a checkpoint that ended before the epoch ended.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*GPU available but not used.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
    ".*before the ``update`` method.*",
    ".*isinstance.treespec, LeafSpec.*",
    # Metrics of an epoch are already the same on all ranks.
    ".*sync_dist=True.*",
    # The run stops with a more detailed message.
    "Encountered `nan` values in tensor.*",
    # For 1×1 kernels, the strides of both layouts are equivalent.
    "Grad strides do not match bucket view strides.*",
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Ignore the warnings in `MEANT`, and Lightning's log below errors, within the block."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with warnings.catch_warnings():
        for message in MEANT:
            warnings.filterwarnings("ignore", message)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)

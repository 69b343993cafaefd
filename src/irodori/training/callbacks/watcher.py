"""Callbacks that may have to stop a run."""

from typing import NoReturn

from lightning import Callback


class Watcher(Callback):
    """Base class of callbacks that may have to stop the run.

    `Checkpoints` asks all ranks between two steps, before anything is written, and all stop
    together: a rank that left alone would keep the others waiting for its gradients.
    """

    @property
    def alarm(self) -> bool:
        """Whether this rank wants to stop; it must not wait for the device."""
        raise NotImplementedError

    def look(self) -> None:
        """Look at what is still on the device; called before a checkpoint is written."""

    def report(self) -> NoReturn:
        """Say why; called on all ranks together.

        Raises:
            IrodoriError: always.
        """
        raise NotImplementedError

"""The models that a visitor can choose; few of them are in memory at a time."""

import copy
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch

from irodori.imageio import Provenance
from irodori.inference.colorizer import STARTER, Colorizer, provenance_of
from irodori.inference.settings import ColorizeSettings
from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import checkpoint_file, model_name

KEPT = 2
"""Models in memory: as many as stand side by side."""


class Models:
    """Checkpoints by names that don't tell where they lie.

    Args:
        checkpoints: files or run folders; the bundled model follows them.
        device: where they run.
        trust: names of packages besides irodori whose classes the checkpoints may name.

    Raises:
        IrodoriError: a folder is no run folder. Whether files can be read, `load` says.
    """

    def __init__(
        self,
        checkpoints: Sequence[Path],
        device: str | torch.device = "cpu",
        trust: Sequence[str] = (),
    ) -> None:
        self.device = device
        self.trust = trust
        self._paths: dict[str, Path] = {}
        for given in (*checkpoints, STARTER):
            name, number = model_name(given), 2
            while name in self._paths:
                name, number = f"{model_name(given)} ({number})", number + 1
            self._paths[name] = checkpoint_file(given)
        self._loaded: OrderedDict[str, Colorizer] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """The models' names, in the order of the checkpoints."""
        return list(self._paths)

    @property
    def loaded(self) -> list[str]:
        """The names of those in memory."""
        return list(self._loaded)

    def load(self, name: str, settings: ColorizeSettings | None = None) -> Colorizer:
        """Return a model that colorizes with these settings.

        Raises:
            IrodoriError: there is no such model, or its checkpoint can't be read.
        """
        if name not in self._paths:
            raise IrodoriError(f"no model {name!r}; there are {', '.join(self.names)}")
        with self._lock:
            if name not in self._loaded:
                # Before another is loaded: else there would be one more at a time.
                while len(self._loaded) >= KEPT:
                    self._loaded.popitem(last=False)
                self._loaded[name] = Colorizer.load(
                    self._paths[name], device=self.device, trust=self.trust
                )
            self._loaded.move_to_end(name)
            colorizer = copy.copy(self._loaded[name])
        # The copy has the network in common with the one that is kept.
        colorizer.settings = settings or ColorizeSettings()
        return colorizer

    def provenance(self, name: str, settings: ColorizeSettings) -> Provenance:
        """Return what results of a model say of how they were made."""
        return provenance_of(self._paths[name], settings)

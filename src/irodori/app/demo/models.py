"""The models that a visitor can choose, a few of which are in memory at a time."""

import copy
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch

from irodori.imageio import Provenance
from irodori.inference.colorizer import STARTER, Colorizer
from irodori.inference.provenance import provenance_of
from irodori.inference.settings import ColorizeSettings
from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import checkpoint_file, model_name

KEPT = 2
"""Number of models in memory: as many as a request compares."""


class Models:
    """Checkpoints by names that don't reveal their paths.

    Args:
        checkpoints: files or run folders; the bundled model is appended.
        device: device that the models run on.
        trust: names of packages besides irodori whose classes the checkpoints may name.

    Raises:
        IrodoriError: a folder is not a run folder. Files are read by `load` only.
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
        """The names of the models in memory."""
        return list(self._loaded)

    def load(self, name: str, settings: ColorizeSettings | None = None) -> Colorizer:
        """Return a colorizer of the named model with these settings.

        Raises:
            IrodoriError: there is no such model, or its checkpoint can't be read.
        """
        if name not in self._paths:
            raise IrodoriError(f"no model {name!r}; there are {', '.join(self.names)}")
        with self._lock:
            if name not in self._loaded:
                # Before the next one is loaded, so that memory never holds one more.
                while len(self._loaded) >= KEPT:
                    self._loaded.popitem(last=False)
                self._loaded[name] = Colorizer.load(
                    self._paths[name], device=self.device, trust=self.trust
                )
            self._loaded.move_to_end(name)
            colorizer = copy.copy(self._loaded[name])
        # The copy shares the network with the cached colorizer.
        colorizer.settings = settings or ColorizeSettings()
        return colorizer

    def provenance(self, name: str, settings: ColorizeSettings) -> Provenance:
        """Return the provenance that results of a model are marked with."""
        return provenance_of(self._paths[name], settings)

"""The models that a visitor can choose; few of them are in memory at a time."""

import copy
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch

from irodori.inference.colorizer import STARTER, Colorizer, Settings
from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import CHECKPOINTS, checkpoint_file

STARTER_NAME = "starter"
"""What the bundled model is called."""
KEPT = 2
"""Models in memory: as many as stand side by side."""


class Models:
    """Checkpoints by names that tell nothing of where they lie.

    Args:
        checkpoints: files, or run folders, of which the best checkpoint is taken, or else the last;
            the bundled model follows them.
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
        for given in checkpoints:
            self._paths[_free(_named(given), self._paths)] = checkpoint_file(given)
        self._paths[_free(STARTER_NAME, self._paths)] = STARTER
        self._loaded: OrderedDict[str, Colorizer] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """In the order of the checkpoints."""
        return list(self._paths)

    def load(self, name: str, settings: Settings | None = None) -> Colorizer:
        """A model that colours with these settings.

        Raises:
            IrodoriError: there is no such model, or its checkpoint can't be read.
        """
        if name not in self._paths:
            raise IrodoriError(f"no model {name!r}; there are {', '.join(self.names)}")
        with self._lock:
            if name not in self._loaded:
                # Room is made first: else there would be one more at a time.
                while len(self._loaded) >= KEPT:
                    self._loaded.popitem(last=False)
                self._loaded[name] = Colorizer.load(
                    self._paths[name], device=self.device, trust=self.trust
                )
            self._loaded.move_to_end(name)
            colorizer = copy.copy(self._loaded[name])
        # The copy has the network in common with the one that is kept.
        colorizer.settings = settings or Settings()
        return colorizer


def _named(given: Path) -> str:
    """The name of a run by its last two folders, or of a file without its suffix."""
    path = given.resolve()
    if path.is_dir():
        folder, kind = path, ""
    elif path.parent.name == CHECKPOINTS:
        folder, kind = path.parent.parent, f" ({path.stem})"
    else:
        return path.stem
    if folder.name == CHECKPOINTS:
        folder = folder.parent
    return f"{folder.parent.name}/{folder.name}{kind}"


def _free(name: str, taken: dict[str, Path]) -> str:
    """The name, with a number where it is taken."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name} ({number})"
    return found

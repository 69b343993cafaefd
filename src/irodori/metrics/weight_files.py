"""Weights of other networks that metrics need: used where they lie, never downloaded."""

from dataclasses import dataclass
from pathlib import Path

from torch import hub

from irodori.utils.errors import IrodoriError


@dataclass(frozen=True)
class WeightFile:
    """A file in torch.hub's folder, under the name that the library that reads it looks for."""

    url: str
    """URL that the file comes from."""

    @property
    def path(self) -> Path:
        """The path at which the file has to lie; it moves with TORCH_HOME."""
        return Path(hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]

    def missing(self) -> str | None:
        """Return what to do if it isn't there; None if it is."""
        return None if self.path.is_file() else f"put {self.url} into {self.path.parent}"

    def damaged(self) -> IrodoriError:
        """Return the error that it is there, but can't be read."""
        return IrodoriError(f"{self.path} is damaged: put {self.url} there again")


ALEXNET = WeightFile("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth")
VGG16 = WeightFile("https://download.pytorch.org/models/vgg16-397923af.pth")
INCEPTION = WeightFile(
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)

"""Weight files of networks for metrics, which are never downloaded automatically."""

from dataclasses import dataclass
from pathlib import Path

from torch import hub

from irodori.utils.errors import IrodoriError


@dataclass(frozen=True)
class WeightFile:
    """A file in torch.hub's folder, with the name that its library expects."""

    url: str
    """URL of the file."""

    @property
    def path(self) -> Path:
        """The path of the file, which depends on TORCH_HOME."""
        return Path(hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]

    def missing(self) -> str | None:
        """Return how to install the file; None if it exists."""
        return None if self.path.is_file() else f"put {self.url} into {self.path.parent}"

    def damaged(self) -> IrodoriError:
        """Return the error for a damaged file."""
        return IrodoriError(f"{self.path} is damaged: download {self.url} again")


ALEXNET = WeightFile("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth")
VGG16 = WeightFile("https://download.pytorch.org/models/vgg16-397923af.pth")
INCEPTION = WeightFile(
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)

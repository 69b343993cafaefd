"""From folders to the photographs of a study: found, matched by name, coloured where need be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from irodori.app.naturalness.settings import TRUTH
from irodori.inference.job.inputs import find_photos
from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import CHECKPOINTS, checkpoint_file

if TYPE_CHECKING:
    from irodori.inference.colorizer import Colorizer

Pixels = np.ndarray
"""H×W×3 uint8, sRGB."""
CHECKPOINT_SUFFIXES = (".ckpt", ".safetensors")


@dataclass(frozen=True)
class Method:
    """Where a method's pictures come from: files by photograph, or a checkpoint that colours."""

    name: str
    source: Path
    files: Mapping[str, Path] | None

    def has(self, photograph: str) -> bool:
        """Whether there is a picture of the photograph."""
        return self.files is None or photograph in self.files

    def painter(self) -> "Callable[[str, Pixels], Pixels]":
        """What gives the picture of a photograph, from its name and its true pixels.

        Raises:
            IrodoriError: the checkpoint can't be loaded; by the result, the file can't be read.
        """
        if self.files is not None:
            files = self.files
            return lambda photograph, true_HW3: read_pixels(files[photograph])
        # Imported here: most studies have results already, and no need of torch.
        from irodori.inference.colorizer import Colorizer

        colorizer = Colorizer.load(self.source)
        return lambda photograph, true_HW3: _colored(colorizer, true_HW3)


def _colored(colorizer: "Colorizer", true_HW3: Pixels) -> Pixels:
    return colorizer.color(true_HW3).pixels_HW3


def read_pixels(path: Path) -> Pixels:
    """A file's picture as H×W×3 uint8 sRGB, upright.

    Raises:
        IrodoriError: it can't be read.
    """
    from irodori.imageio import read_photo, to_uint8

    pixels_HWC = read_photo(path).pixels
    shallow = to_uint8(pixels_HWC) if pixels_HWC.dtype == np.uint16 else pixels_HWC
    return np.broadcast_to(shallow, (*shallow.shape[:2], 3))


def find_methods(truth: Path, results: Sequence[str]) -> list[Method]:
    """The truth and the methods that are named.

    Args:
        truth: a folder of photographs.
        results: folders of pictures, run folders, or checkpoints, each as `name=path` or as a path
            whose last part is the name.

    Raises:
        IrodoriError: there is no such folder, a folder holds no pictures or two of one name, or two
            methods have one name.
    """
    methods = [Method(TRUTH, truth, pictures_of(truth))]
    for text in results:
        name, path = _named(text)
        checkpoint = _checkpoint(path)
        files = pictures_of(path) if checkpoint is None else None
        if name in (method.name for method in methods):
            raise IrodoriError(f"{text}: a second method {name}; name it otherwise: other={path}")
        methods.append(Method(name, checkpoint or path, files))
    return methods


def _named(text: str) -> tuple[str, Path]:
    name, equals, rest = text.partition("=")
    if equals and name and rest and not Path(text).exists():
        return name, Path(rest).expanduser()
    path = Path(text).expanduser()
    return path.resolve().name, path


def _checkpoint(path: Path) -> Path | None:
    """The checkpoint that a path leads to, None for a folder of pictures.

    Raises:
        IrodoriError: the path leads nowhere, or to a run without checkpoints.
    """
    if path.is_file():
        if path.suffix not in CHECKPOINT_SUFFIXES:
            raise IrodoriError(f"{path}: neither a folder nor a checkpoint")
        return path
    # People shall judge what a run is worth at its best.
    return checkpoint_file(path) if (path / CHECKPOINTS).is_dir() else None


def pictures_of(folder: Path) -> dict[str, Path]:
    """The pictures below a folder, by their names without suffixes, relative to it.

    Raises:
        IrodoriError: there is no such folder, it holds no pictures, or two of one name.
    """
    if not folder.is_dir():
        raise IrodoriError(f"{folder}: no such folder")
    found = find_photos([str(folder)], None)
    for path, reason in found.unread:
        raise IrodoriError(f"{path}: {reason}")
    pictures: dict[str, Path] = {}
    for source in found.sources:
        other = pictures.setdefault(_key(source.tree), source.path)
        if other != source.path:
            raise IrodoriError(f"{source.path} and {other.name}: two pictures of one name")
    return pictures


def _key(tree: PurePath) -> str:
    return tree.with_suffix("").as_posix()


def common(methods: Sequence[Method]) -> tuple[list[str], list[str], list[str]]:
    """The photographs that all methods have, those that one lacks, and lines that say so.

    Args:
        methods: the first is the truth.

    Raises:
        IrodoriError: they have none in common.
    """
    truth = methods[0]
    assert truth.files is not None
    lines = []
    left_out: set[str] = set()
    for method in methods[1:]:
        lacking = [name for name in truth.files if not method.has(name)]
        left_out.update(lacking)
        if lacking:
            lines.append(f"{method.name} lacks {_some(lacking)}: left out")
        unknown = [name for name in method.files or () if name not in truth.files]
        if unknown:
            lines.append(f"{method.name} has {_some(unknown)} that {truth.source} lacks")
    kept = [name for name in truth.files if name not in left_out]
    if not kept:
        raise IrodoriError(
            f"no photograph of {truth.source} is in all methods: files are matched by their names"
            " without suffixes"
        )
    return kept, sorted(left_out), lines


def _some(names: Sequence[str]) -> str:
    """So many photographs, and which, as far as a line holds them."""
    most = 3
    shown = ", ".join(names[:most]) + (" …" if len(names) > most else "")
    return f"{len(names):,} photograph{'s' * (len(names) != 1)} ({shown})"

"""Any method's pictures against the true photographs."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from irodori.color import Lab
from irodori.data.images import from_pil
from irodori.evaluation.extremes import Photographs
from irodori.evaluation.protocol import describe_photographs, resize_of
from irodori.evaluation.settings import EvaluateSettings, Protocol
from irodori.inference.contact_sheet import gray_of
from irodori.metrics.evaluation import Evaluation, with_ab
from irodori.metrics.prior import AbPrior
from irodori.metrics.results import EvaluationResult
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.progress import ProgressLines

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def measure_pictures(
    config: EvaluateSettings, prior: AbPrior
) -> tuple[EvaluationResult, dict[str, Any], Photographs]:
    """Measure the pictures of a folder against those of the same names in another.

    The mean color beside them is that of the prior, since nobody knows what a method was trained
    on. Where the true photographs lie in folders, these are their scenes.

    Returns:
        The metrics, the protocol, and the photographs.

    Raises:
        IrodoriError: a picture is missing, can't be read, or has another size than the photograph.
    """
    assert config.predictions is not None
    assert config.truth is not None
    truth, predictions = Path(config.truth), Path(config.predictions)
    names = chosen(pictures_in(truth), config.protocol, truth)
    pairs = matched(names, predictions, truth)
    scenes = [name.parent.as_posix() if name.parent.parts else "" for name in names]
    classes = sorted(set(scenes) - {""})
    rows = ("model", "mean_color", "gray")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    evaluation = Evaluation(rows, classes, config.metrics, device, prior, config.perceptual)
    report = ProgressLines()
    for number, (name, scene, paths) in enumerate(zip(names, scenes, pairs, strict=True)):
        report("measuring pictures", number, len(names))
        predicted, true = both(*paths, config.protocol, device)
        label = classes.index(scene) if scene else -1
        pictures = (predicted, with_ab(true, prior.mean_ab), with_ab(true, (0.0, 0.0)))
        for row, picture in zip(rows, pictures, strict=True):
            evaluation.add(row, name.with_suffix("").as_posix(), label, picture, true)
    protocol = {
        "name": config.protocol.name,
        "photographs": describe_photographs(config.protocol, short_side=None),
        "samples": len(names),
        "predictions": str(predictions),
        "truth": str(truth),
        "mean_color": {"ab": list(prior.mean_ab), "of": f"the photographs of {prior.identity}"},
        "ab_prior": prior.identity,
    }

    def shown(number: int) -> Sequence[Tensor]:
        predicted, true = both(*pairs[number], config.protocol, device)
        return gray_of(Lab(), true), predicted, true

    result = EvaluationResult(
        evaluation.overall(), evaluation.scenes(), evaluation.ordered(), evaluation.infos
    )
    return result, protocol, Photographs([name.as_posix() for name in names], shown)


def pictures_in(folder: Path) -> list[Path]:
    """Return pictures below a folder, by name, relative to it.

    Raises:
        IrodoriError: there is no such folder, or none in it.
    """
    if not folder.is_dir():
        raise IrodoriError(f"{folder} is no folder")
    found = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    if not found:
        raise IrodoriError(f"{folder} holds no pictures ({', '.join(SUFFIXES)})")
    return found


def chosen(names: list[Path], protocol: Protocol, folder: Path) -> list[Path]:
    """Return the photographs that a protocol measures.

    Raises:
        IrodoriError: there are fewer, or two names differ in their ending only.
    """
    if protocol.first is not None:
        if len(names) < protocol.first:
            raise IrodoriError(
                f"protocol={protocol.name} measures the first {protocol.first} photographs, and"
                f" {folder} holds {len(names)}: name the whole set, or set"
                f" protocol.first={len(names)}"
            )
        # By the name of the file, as the field does.
        names = sorted(names, key=lambda name: (name.name, name))[: protocol.first]
    seen: dict[Path, Path] = {}
    for name in names:
        if (other := seen.setdefault(name.with_suffix(""), name)) != name:
            raise IrodoriError(f"{folder}: {other} and {name} are two photographs of one name")
    return names


def matched(names: Sequence[Path], predictions: Path, truth: Path) -> list[tuple[Path, Path]]:
    """Return pairs of prediction and photograph of the same name, whatever their suffixes.

    Raises:
        IrodoriError: a prediction is missing, or there are two.
    """
    found: dict[Path, list[Path]] = {}
    for name in pictures_in(predictions):
        found.setdefault(name.with_suffix(""), []).append(name)
    missing = [name for name in names if name.with_suffix("") not in found]
    if missing:
        raise IrodoriError(
            f"{predictions} lacks {len(missing)} of {len(names)} pictures, the first is"
            f" {missing[0].with_suffix('')}: color all photographs of {truth}, under their names"
        )
    pairs = []
    for name in names:
        first, *others = found.pop(name.with_suffix(""))
        if others:
            raise IrodoriError(f"{predictions}: {first} and {others[0]} are of one name")
        pairs.append((predictions / first, truth / name))
    if found:
        print(f"{len(found)} pictures of {predictions} have no photograph in {truth}", flush=True)
    return pairs


def both(
    predicted: Path, true: Path, protocol: Protocol, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return a prediction and its photograph, as they are measured: 3×H×W uint8 each.

    Either is brought to the protocol's size, but for a prediction that has it already.

    Raises:
        IrodoriError: one can't be read, or the sizes differ.
    """
    picture, photo = (read(path) for path in (predicted, true))
    side = protocol.side
    if picture.shape != photo.shape and picture.shape[1:] != (side, side):
        sizes = [f"{image.shape[2]}×{image.shape[1]}" for image in (picture, photo)]
        raise IrodoriError(
            f"{predicted} is {sizes[0]} pixels, the photograph {sizes[1]}: pictures are measured at"
            " the photograph's size" + (f"; or {side}×{side}" if side else "")
        )
    if side is not None:
        resize = resize_of(protocol, short_side=side)
        photo = resize(photo)
        picture = picture if picture.shape == photo.shape else resize(picture)
    return picture.to(device), photo.to(device)


def read(path: Path) -> Tensor:
    """Return a picture as it is meant to be seen: 3×H×W uint8 RGB.

    Raises:
        IrodoriError: it can't be read.
    """
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            return from_pil(ImageOps.exif_transpose(image))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise IrodoriError(f"{path} can't be read: {one_line(error)}") from None

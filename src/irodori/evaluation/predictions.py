"""Evaluating any method's pictures against the true photographs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from irodori.color import Lab
from irodori.data.config import Protocol
from irodori.data.protocol import describe_photographs, first_by_name, resize_of
from irodori.evaluation.extremes import Show
from irodori.evaluation.settings import EvaluateSettings
from irodori.imageio import READ, read_photo, to_uint8
from irodori.inference.contact_sheet import gray_of
from irodori.metrics.evaluation import Evaluation, with_ab
from irodori.metrics.prior import AbPrior
from irodori.metrics.results import EvaluationResult
from irodori.utils.errors import IrodoriError, one_line
from irodori.utils.progress import ProgressLines
from irodori.utils.walk import pictures_by_name


def measure_pictures(
    config: EvaluateSettings, prior: AbPrior
) -> tuple[EvaluationResult, dict[str, Any], Show]:
    """Evaluate the pictures in a folder against the true photographs of the same names.

    The reference's mean color is that of the prior, since a method's training data is unknown.
    Subfolders of the true photographs are their scenes.

    Returns:
        The metrics, the protocol, and a function that shows the photographs.

    Raises:
        IrodoriError: a picture is missing, unreadable, or differs in size from the photograph.
    """
    assert config.predictions is not None
    assert config.truth is not None
    truth, predictions = Path(config.truth), Path(config.predictions)
    # All in order of paths; the first N in order of file names, as is customary.
    files = sorted(pictures_by_name(truth, READ).items(), key=lambda item: item[1])
    first = first_by_name(config.protocol, [path.name for _, path in files], f"{truth} holds")
    true_files = dict(files[number] for number in first)
    pairs = matched(true_files, predictions, truth)
    scenes = [name.rpartition("/")[0] for name in true_files]
    classes = sorted(set(scenes) - {""})
    rows = ("model", "mean_color", "gray")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    evaluation = Evaluation(rows, classes, config.metrics, device, prior, config.perceptual)
    report = ProgressLines()
    for number, (name, scene) in enumerate(zip(true_files, scenes, strict=True)):
        report("measuring pictures", number, len(pairs))
        predicted, true = both(*pairs[number], config.protocol, device)
        label = classes.index(scene) if scene else -1
        pictures = (predicted, with_ab(true, prior.mean_ab), with_ab(true, (0.0, 0.0)))
        for row, picture in zip(rows, pictures, strict=True):
            evaluation.add(row, name, label, picture, true)
    protocol = {
        "name": config.protocol.name,
        "photographs": describe_photographs(config.protocol, short_side=None),
        "samples": len(pairs),
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
    return result, protocol, shown


def matched(files: Mapping[str, Path], predictions: Path, truth: Path) -> list[tuple[Path, Path]]:
    """Return pairs of prediction and photograph; raise IrodoriError if a prediction is missing."""
    found = pictures_by_name(predictions, READ)
    if missing := [name for name in files if name not in found]:
        raise IrodoriError(
            f"{predictions} lacks {len(missing)} of {len(files)} pictures, the first is"
            f" {missing[0]}: colorize all photographs of {truth} under the same names"
        )
    if more := len(found) - len(files):
        print(f"{more} pictures of {predictions} have no photograph in {truth}", flush=True)
    return [(found[name], path) for name, path in files.items()]


def both(
    predicted: Path, true: Path, protocol: Protocol, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return a prediction and its photograph at the size of the protocol: 3×H×W uint8 each.

    A prediction that already has this size is not resized.

    Raises:
        IrodoriError: a picture can't be read, or the sizes differ.
    """
    picture, photo = (read(path) for path in (predicted, true))
    side = protocol.side
    if picture.shape != photo.shape and picture.shape[1:] != (side, side):
        sizes = [f"{image.shape[2]}×{image.shape[1]}" for image in (picture, photo)]
        raise IrodoriError(
            f"{predicted} is {sizes[0]} pixels, the photograph {sizes[1]}: pictures must have"
            " the photograph's size" + (f"; or {side}×{side}" if side else "")
        )
    if side is not None:
        resize = resize_of(protocol, short_side=side)
        photo = resize(photo)
        picture = picture if picture.shape == photo.shape else resize(picture)
    return picture.to(device), photo.to(device)


def read(path: Path) -> Tensor:
    """Read a picture, upright and in sRGB: 3×H×W uint8 RGB.

    Raises:
        IrodoriError: the picture can't be read.
    """
    try:
        levels_HWC = to_uint8(read_photo(path).pixels)
    except (OSError, IrodoriError) as error:
        raise IrodoriError(f"{path} can't be read: {one_line(error)}") from None
    return torch.tensor(levels_HWC).movedim(2, 0).expand(3, -1, -1).contiguous()

"""A study from folders: photographs are chosen, reduced to one size, and put into its file."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from irodori.app.naturalness.materials import Method, common, find_methods, read_pixels
from irodori.app.naturalness.pictures import (
    absurd_hues,
    as_jpeg,
    card,
    common_size,
    encoded,
    same_shape,
)
from irodori.app.naturalness.settings import Settings
from irodori.app.naturalness.store import Picture, create
from irodori.app.naturalness.study import Study, checks_per_person
from irodori.utils.errors import IrodoriError


def build(
    path: Path,
    truth: Path,
    results: Sequence[str],
    settings: Settings,
    say: Callable[[str], None],
    seed: int | None = None,
) -> None:
    """Write a new study's file.

    Args:
        path: of the file.
        truth: a folder of photographs.
        results: see `find_methods`.
        settings: see there.
        say: takes lines on what was left out and how far the work is.
        seed: of all that is random; None: a random one.

    Raises:
        IrodoriError: see `find_methods` and `create`; too few photographs are left, or one can't be
            read or has another shape in a method.
    """
    if path.exists():
        raise IrodoriError(f"{path} is there already")
    seed = secrets.randbits(32) if seed is None else seed
    methods = find_methods(truth, results)
    kept, lacking, lines = common(methods)
    if settings.pairs and len(methods) < 2:
        raise IrodoriError("--pairs shows a method's picture beside the true one: name a method")
    for line in lines:
        say(line)
    count, reserved = _shares(kept, lacking, settings, seed)
    photographs = [name for name in kept if name not in reserved]
    hues, cards = checks_per_person(settings, count)
    if hues:
        where = "left out of the study" if set(reserved) <= set(lacking) else "kept for it"
        say(f"photographs that attention checks are made from: {len(reserved)}, {where}")
    study = Study(
        secrets.token_hex(8),
        seed,
        settings,
        tuple(method.name for method in methods),
        tuple(photographs),
        count,
        hues,
        cards,
    )
    create(path, study, _pictures(study, methods, reserved, say))


def _shares(
    kept: Sequence[str], lacking: Sequence[str], settings: Settings, seed: int
) -> tuple[int, list[str]]:
    """Photographs that each person sees, and those that attention checks are made from.

    Nobody shall see a photograph both as it is judged and as a check: what is left out of the study
    serves first, then photographs are kept for it.

    Raises:
        IrodoriError: too few are left.
    """
    mixed = np.random.default_rng([5, seed]).permutation(len(kept)).tolist()
    spare = [*lacking, *(kept[number] for number in mixed)]
    for reserved in range(len(spare) + 1):
        judged = len(kept) - max(0, reserved - len(lacking))
        if judged < 1:
            break
        count = settings.per_person(judged)
        if checks_per_person(settings, count)[0] <= reserved:
            return count, spare[:reserved]
    raise IrodoriError(
        f"{len(kept)} photographs are too few for a study with attention checks: give more, or"
        " --checks 0"
    )


def _pictures(
    study: Study, methods: Sequence[Method], checks: Sequence[str], say: Callable[[str], None]
) -> Iterator[Picture]:
    """All pictures of a study, one by one."""
    settings, truth = study.settings, methods[0].files
    assert truth is not None
    painters = [method.painter() for method in methods[1:]]
    for number, name in enumerate(study.photographs):
        true_HW3 = read_pixels(truth[name])
        versions = [true_HW3, *(painter(name, true_HW3) for painter in painters)]
        for method, pixels_HW3 in zip(methods, versions, strict=True):
            if not same_shape(pixels_HW3, true_HW3):
                raise IrodoriError(_other_shape(method, name, pixels_HW3, true_HW3))
        size = common_size(versions, settings.size)
        for place, pixels_HW3 in enumerate(versions):
            yield Picture("photograph", number, place, size, as_jpeg(pixels_HW3, size))
        if (number + 1) % 100 == 0:
            say(f"{number + 1:,} of {len(study.photographs):,} photographs are ready")
    for number, name in enumerate(checks):
        true_HW3 = read_pixels(truth[name])
        size = common_size([true_HW3], settings.size)
        for version, pixels_HW3 in enumerate((true_HW3, absurd_hues(true_HW3))):
            yield Picture("hues", number, version, size, as_jpeg(pixels_HW3, size))
    if study.cards:
        image = card(settings.size)
        yield Picture("card", 0, 0, image.size, encoded(image))


def _other_shape(method: Method, name: str, pixels_HW3: np.ndarray, true_HW3: np.ndarray) -> str:
    sizes = [f"{array.shape[1]}×{array.shape[0]}" for array in (pixels_HW3, true_HW3)]
    return (
        f"{method.name}: {name} is {sizes[0]}, and the true photograph {sizes[1]}: crop that as the"
        " method does, or take the picture out"
    )

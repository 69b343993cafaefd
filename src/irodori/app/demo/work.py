"""What one press of the button does: photo after photo, told as it goes on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from irodori.app.demo import markup
from irodori.app.demo.studio import Studio, Wishes, reason
from irodori.app.demo.visits import LeftError
from irodori.utils.errors import IrodoriError


@dataclass(frozen=True)
class Order:
    """What a visitor wants.

    Args:
        photos: files.
        models: one, or two to be seen side by side.
        saturation, style, style_strength: as in `Wishes`, but with the style's file.
    """

    photos: list[Path]
    models: list[str]
    saturation: float = 1.0
    style: Path | None = None
    style_strength: float = 1.0


class Step(NamedTuple):
    """What changes on the page, as HTML: the status, and the place of a photo."""

    status: str | None = None
    place: int = 0
    photo: str | None = None


def fulfil(order: Order, studio: Studio, new_folder: Callable[[], Path]) -> Iterator[Step]:
    """Colour photos.

    Args:
        order: what is wanted.
        studio: colours.
        new_folder: makes folders for results; LeftError ends the work.

    Yields:
        What the page shows from then on.
    """
    total, most = len(order.photos), studio.limits.photos
    if not total:
        yield Step(markup.status("Choose a photo or an example first."))
        return
    if total > most:
        yield Step(markup.status(f"{total} photos are too many: up to {most} at a time."))
        return
    done = 0
    try:
        for number, path in enumerate(order.photos):
            yield Step(markup.status(_progress(path, number, total), number, total))
            if not number:
                wanted = wishes(studio, order.saturation, order.style, order.style_strength)
            shown, well = _shown(studio, path, order.models, wanted, new_folder)
            done += well
            yield Step(None, number, shown)
    except LeftError:
        return
    except IrodoriError as error:
        yield Step(markup.status(f"Nothing was coloured: {error}"))
        return
    yield Step(markup.status(_summary(done, total)))


def wishes(studio: Studio, saturation: float, style: Path | None, style_strength: float) -> Wishes:
    """How photos are to be coloured, with the style's pixels.

    Raises:
        IrodoriError: the style photo can't be read; the line names it.
    """
    pixels_HWC = None
    if style is not None:
        try:
            pixels_HWC = studio.read(style).pixels
        except Exception as error:
            raise IrodoriError(f"style photo {style.name}: {reason(error)}") from None
    return Wishes(saturation, pixels_HWC, style_strength)


def _shown(
    studio: Studio, path: Path, models: list[str], wanted: Wishes, new_folder: Callable[[], Path]
) -> tuple[str, bool]:
    """What is shown of a photo, and whether it was coloured."""
    try:
        photo = studio.read(path)
        results = [studio.paint(photo, path.name, name, wanted, new_folder) for name in models]
    except LeftError:
        raise
    except Exception as error:
        return markup.refusal(path.name, reason(error)), False
    height, width = photo.pixels.shape[:2]
    return markup.card(path.name, (width, height), results), True


def _progress(path: Path, number: int, total: int) -> str:
    of = f" ({number + 1} of {total})" if total > 1 else ""
    return f"Colouring {path.name}{of} …"


def _summary(done: int, total: int) -> str:
    if total == 1:
        return "Done." if done else "No photo was coloured."
    return f"Done: {done} of {total} photos are coloured."

"""Hints on the page: which color belongs where, and what a photo looks like with them."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from irodori.app.demo.service import (
    QUALITY,
    ColorizeRequest,
    ColorizeService,
    LeftError,
    Result,
)
from irodori.imageio import pil_to_pixels, pixels_to_pil
from irodori.inference.hints import Hint, PreparedPhoto, read_hints
from irodori.utils.errors import IrodoriError

KEPT = 12
"""Prepared photos in memory. Each is of a preview's size, so this bounds their bytes, too."""
MAX_HINTS = 200
"""Hints of a photo: the time that they take grows faster than their number."""


class Edit(NamedTuple):
    """A result that hints may change: of a request's photo, by the one model it names."""

    request: ColorizeRequest
    photo: Path
    result: Result


class HintEditor:
    """Colorizes visitors' photos again with their hints.

    A result is known by the name of its folder, which nobody can guess; it takes hints as long as
    the folder is there. Previews come from prepared photos, of which the least recently used goes.
    """

    def __init__(self, service: ColorizeService) -> None:
        self.service = service
        self._edits: dict[str, Edit] = {}
        self._prepared: OrderedDict[str, PreparedPhoto] = OrderedDict()
        self._lock = threading.Lock()

    def offer(self, request: ColorizeRequest, photo: Path, results: Sequence[Result]) -> None:
        """Take hints for a photo's results from now on, where their models take any."""
        self.forget_gone()
        for result in results:
            if result.takes_hints:
                wanted = replace(request, models=[result.model])
                self._edits[result.file.parent.name] = Edit(wanted, photo, result)

    def forget_gone(self) -> None:
        """Forget results whose visitor has left, and photos prepared by models that have gone."""
        with self._lock:
            for token, edit in list(self._edits.items()):
                here = edit.result.file.parent.is_dir()
                if not here:
                    del self._edits[token]
                if not here or edit.result.model not in self.service.models.loaded:
                    self._prepared.pop(token, None)

    def read(self, token: str, text: bytes) -> tuple[Hint, ...]:
        """Return the hints of a hint file's text.

        Raises:
            IrodoriError: this is no hint file, or it has too many hints.
            LeftError: there is no such result.
        """
        path = self._edit(token).result.file.parent / "hints.json"
        try:
            path.write_bytes(text)
            hints = read_hints(path)
        except FileNotFoundError:
            raise LeftError from None
        except IrodoriError as error:
            raise IrodoriError(str(error).removeprefix(f"{path}: ")) from None
        if len(hints) > MAX_HINTS:
            raise IrodoriError(f"{len(hints)} hints are too many: up to {MAX_HINTS} on a photo")
        return hints

    def preview(self, token: str, hints: Sequence[Hint]) -> bytes:
        """Return the photo with hints as a JPEG of the preview's size.

        Raises:
            IrodoriError: it takes too long.
            LeftError: there is no such result (any more).
        """
        prepared = self._prepare(token)
        colored = prepared.color(hints, self.service.with_time_limit(self._check(token)))
        jpeg = io.BytesIO()
        pixels_to_pil(colored.pixels_HW3).save(jpeg, "JPEG", quality=QUALITY)
        return jpeg.getvalue()

    def likely_colors(self, token: str, x_share: float, y_share: float) -> list[str]:
        """Return colors, "#rrggbb", that the model holds likely at a place of the photo.

        Args:
            token: see the class.
            x_share: from the left, as a share of the width, 0 to 1.
            y_share: from the top, as a share of the height, 0 to 1.

        Raises:
            IrodoriError: this is no place of the photo.
            LeftError: there is no such result.
        """
        if not (0 <= x_share <= 1 and 0 <= y_share <= 1):
            raise IrodoriError(f"x={x_share:g}, y={y_share:g} is no place: give shares, 0 to 1")
        return self._prepare(token).likely_colors(x_share, y_share)

    def full_size(self, token: str, hints: tuple[Hint, ...]) -> Path:
        """Write the photo with hints at its own size, and return the file.

        Raises:
            IrodoriError: see `ColorizeService.colorize`.
            LeftError: there is no such result (any more).
        """
        edit = self._edit(token)
        folder = edit.result.file.parent / "hints"

        def new_folder() -> Path:
            folder.mkdir(exist_ok=True)
            return folder

        request = replace(edit.request, hints=hints)
        check = self._check(token)
        _, (result,) = self.service.colorize(request, edit.photo, new_folder, check)
        check()
        return result.file

    def _edit(self, token: str) -> Edit:
        self.forget_gone()
        if token not in self._edits:
            raise LeftError
        return self._edits[token]

    def _check(self, token: str) -> Callable[[], None]:
        """Return what raises LeftError once the visitor has left."""

        def check() -> None:
            if token not in self._edits:
                raise LeftError

        return check

    def _prepare(self, token: str) -> PreparedPhoto:
        edit = self._edit(token)
        with self._lock:
            if token in self._prepared:
                self._prepared.move_to_end(token)
                return self._prepared[token]
        colorizer = self.service.models.load(edit.result.model, edit.request.settings)
        with Image.open(edit.result.gray) as gray:
            prepared = colorizer.prepare(pil_to_pixels(gray), edit.result.style_1G)
        with self._lock:
            self._prepared[token] = prepared
            while len(self._prepared) > KEPT:
                self._prepared.popitem(last=False)
        return prepared

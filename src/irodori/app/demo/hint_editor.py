"""Hints on the page: which color belongs where, and what a photo looks like with them."""

import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from irodori.app.demo.service import QUALITY, ColorizeRequest, ColorizeService, LeftError, Result
from irodori.imageio import pil_to_pixels, pixels_to_pil
from irodori.inference.hints import Hint
from irodori.inference.placed_hints import pixel_of
from irodori.inference.prepared_photo import PreparedPhoto
from irodori.utils.errors import IrodoriError

KEPT = 12
"""Prepared photos in memory. Each is of a preview's size, so this bounds their bytes, too."""


@dataclass
class Edit:
    """A result that hints may change: of a request's one photo, by its one model."""

    request: ColorizeRequest
    result: Result
    prepared: PreparedPhoto | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while `prepared` is used, which is for one thread at a time."""

    @property
    def folder(self) -> Path:
        """The result's, whose name nobody can guess."""
        return self.result.file.parent

    def check(self) -> None:
        """Raise LeftError once the visitor has left."""
        if not self.folder.is_dir():
            raise LeftError


class HintEditor:
    """Colorizes visitors' photos again with their hints.

    A result is known by the name of its folder, its token, and takes hints as long as the folder
    is there. Previews come from prepared photos, of which the least recently used goes. With a
    token of no result that is there, the methods raise LeftError.
    """

    def __init__(self, service: ColorizeService) -> None:
        self.service = service
        self._edits: OrderedDict[str, Edit] = OrderedDict()
        """By token; the most recently used is the last."""
        self._lock = threading.Lock()

    def offer(self, request: ColorizeRequest, photo: Path, results: Sequence[Result]) -> None:
        """Take hints for the results of a request's photo, where their models take any."""
        self.forget_gone()
        for result in results:
            if result.takes_hints:
                edit = Edit(replace(request, photos=[photo], models=[result.model]), result)
                with self._lock:
                    self._edits[edit.folder.name] = edit

    def forget_gone(self) -> None:
        """Forget results whose visitor has left, and photos prepared by models that have gone."""
        with self._lock:
            for token, edit in list(self._edits.items()):
                if not edit.folder.is_dir():
                    del self._edits[token]
                elif edit.result.model not in self.service.models.loaded:
                    edit.prepared = None

    def in_shares(self, token: str, hints: Sequence[Hint]) -> tuple[Hint, ...]:
        """Return hints with their places as shares of the photo's width and height.

        Raises:
            IrodoriError: one lies outside of the photo.
        """
        width, height = self._edit(token).result.size
        shares = []
        for number, hint in enumerate(hints):
            pixel_of(hint, height, width, f"hints[{number}]")
            if not hint.relative:
                hint = Hint(hint.x / width, hint.y / height, hint.color, relative=True)
            shares.append(hint)
        return tuple(shares)

    def preview(self, token: str, hints: Sequence[Hint]) -> bytes:
        """Return the photo with hints as a JPEG of the preview's size.

        Raises:
            IrodoriError: a hint lies outside of the photo, or it takes too long.
        """
        shares, edit = self.in_shares(token, hints), self._edit(token)
        check = self.service.with_time_limit(edit.check)
        with edit.lock:
            pixels_HW3 = self._prepare(edit).color(shares, check).pixels_HW3
        jpeg = io.BytesIO()
        pixels_to_pil(pixels_HW3).save(jpeg, "JPEG", quality=QUALITY)
        return jpeg.getvalue()

    def likely_colors(self, token: str, x_share: float, y_share: float) -> list[str]:
        """Return colors, "#rrggbb", that the model holds likely at a place of the photo.

        Args:
            token: see the class.
            x_share, y_share: the place as shares of width and height, 0 to 1.

        Raises:
            IrodoriError: this is no place of the photo.
        """
        if not (0 <= x_share <= 1 and 0 <= y_share <= 1):
            raise IrodoriError(f"x={x_share:g}, y={y_share:g} is no place: give shares, 0 to 1")
        edit = self._edit(token)
        with edit.lock:
            return self._prepare(edit).likely_colors(x_share, y_share)

    def full_size(self, token: str, hints: tuple[Hint, ...]) -> Path:
        """Write the photo with hints at its own size, and return the file.

        Raises:
            IrodoriError: see `ColorizeService.colorize`.
        """
        edit = self._edit(token)
        folder = edit.folder / "hints"
        folder.mkdir(exist_ok=True)
        request = replace(edit.request, hints=hints)
        (result,) = self.service.colorize(request, request.photos[0], lambda: folder, edit.check)
        return result.file

    def _edit(self, token: str) -> Edit:
        self.forget_gone()
        edit = self._edits.get(token)
        if edit is None:
            raise LeftError
        return edit

    def _prepare(self, edit: Edit) -> PreparedPhoto:
        prepared, token = edit.prepared, edit.folder.name
        if prepared is None:
            colorizer = self.service.models.load(edit.result.model, edit.request.settings)
            with Image.open(edit.result.preview("gray")) as gray:
                prepared = colorizer.prepare(pil_to_pixels(gray), edit.result.style_1G)
        with self._lock:
            edit.prepared = prepared
            if token in self._edits:
                self._edits.move_to_end(token)
            for other in [one for one in self._edits.values() if one.prepared][:-KEPT]:
                other.prepared = None
        return prepared

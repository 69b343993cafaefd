"""Hints on the page: likely colors, previews, and results at full size."""

import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from irodori.app.demo.service import (
    QUALITY,
    ColorizeRequest,
    ColorizeService,
    Result,
    VisitorLeftError,
)
from irodori.imageio import pil_to_pixels, pixels_to_pil
from irodori.inference.hints import Hint
from irodori.inference.placed_hints import pixel_of
from irodori.inference.prepared_photo import PreparedPhoto
from irodori.utils.errors import IrodoriError

KEPT = 12
"""Largest number of prepared photos in memory; each has the size of a preview."""


@dataclass
class Edit:
    """A result that hints may change. Its request has one photo and one model."""

    request: ColorizeRequest
    result: Result
    prepared: PreparedPhoto | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Protects `prepared`, which only one thread may use at a time."""

    @property
    def folder(self) -> Path:
        """The folder of the result; its name can't be guessed."""
        return self.result.file.parent

    def check(self) -> None:
        """Raise VisitorLeftError once the visitor has left."""
        if not self.folder.is_dir():
            raise VisitorLeftError


class HintEditor:
    """Colorizes visitors' photos again with their hints.

    A result is identified by a token, the name of its folder, and takes hints as long as the folder
    exists. Previews are made from prepared photos, which are kept in a least-recently-used cache.
    Methods raise VisitorLeftError for the token of a result that no longer exists.
    """

    def __init__(self, service: ColorizeService) -> None:
        self.service = service
        self._edits: OrderedDict[str, Edit] = OrderedDict()
        """Edits by token, the most recently used last."""
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

    def as_relative(self, token: str, hints: Sequence[Hint]) -> tuple[Hint, ...]:
        """Return hints with relative positions (shares of the photo's width and height).

        Raises:
            IrodoriError: a hint lies outside the photo.
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
        """Return a JPEG preview of the photo, colorized with hints.

        Raises:
            IrodoriError: a hint lies outside the photo, or colorizing takes too long.
        """
        shares, edit = self.as_relative(token, hints), self._edit(token)
        check = self.service.with_time_limit(edit.check)
        with edit.lock:
            pixels_HW3 = self._prepare(edit).color(shares, check).pixels_HW3
        jpeg = io.BytesIO()
        pixels_to_pil(pixels_HW3).save(jpeg, "JPEG", quality=QUALITY)
        return jpeg.getvalue()

    def likely_colors(self, token: str, x_share: float, y_share: float) -> list[str]:
        """Return likely colors ("#rrggbb") at a position of the photo, as the model predicts them.

        Args:
            token: see the class.
            x_share, y_share: position as shares of width and height, 0 to 1.

        Raises:
            IrodoriError: the position is outside the photo.
        """
        if not (0 <= x_share <= 1 and 0 <= y_share <= 1):
            raise IrodoriError(
                f"x={x_share:g}, y={y_share:g} is outside the photo: give shares, 0 to 1"
            )
        edit = self._edit(token)
        with edit.lock:
            return self._prepare(edit).likely_colors(x_share, y_share)

    def full_size(self, token: str, hints: tuple[Hint, ...]) -> Path:
        """Colorize the photo with hints at its own size, and return the result's file.

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
            raise VisitorLeftError
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

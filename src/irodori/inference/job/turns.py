"""Whose turn it is: so many photos at a time, and so many pixels."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class Stopped(Exception):  # noqa: N818  (no error)
    """Raised in a thread when the work is to end early."""


@dataclass(eq=False)
class Turn:
    """A photo's turn.

    shared: whether another photo had a turn at the same time, at any moment.
    """

    pixels: int
    shared: bool = False


class Turns:
    """Lets threads work in the order in which they ask, within two limits.

    Args:
        photos: at a time.
        pixels: of all photos at a time; a larger photo has its turn alone.
        total: how many photos there are.
    """

    def __init__(self, photos: int, pixels: int, total: int) -> None:
        self.photos = photos
        self.pixels = pixels
        self._left = total
        self._active: set[Turn] = set()
        self._waiting: deque[Turn] = deque()
        self._stopped = False
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, pixels: int, alone: bool = False) -> Iterator[Turn]:
        """Wait for a turn for a photo of so many pixels, and hold it; `alone`: with no other.

        Raises:
            Stopped: see `stop`.
        """
        # None has no pixels at all, so that none stands beside one that is alone.
        turn = Turn(max(pixels, self.pixels if alone else 1))
        with self._changed:
            self._waiting.append(turn)
            self._changed.wait_for(lambda: self._stopped or self._may(turn))
            self._waiting.remove(turn)
            self._changed.notify_all()
            self.check()
            self._active.add(turn)
            if len(self._active) > 1:
                for one in self._active:
                    one.shared = True
        try:
            yield turn
        finally:
            with self._changed:
                self._active.remove(turn)
                self._changed.notify_all()

    def finished(self) -> None:
        """One photo less is left."""
        with self._changed:
            self._left -= 1

    @property
    def sharing(self) -> int:
        """How many photos share the cores, for one that has its turn."""
        with self._changed:
            # Who waits may not work now; who doesn't wait yet will soon.
            return len(self._active) if self._waiting else max(1, min(self.photos, self._left))

    def fewer(self) -> int:
        """Memory ran out in a shared turn: half as many at a time from now on. Returns how many."""
        with self._changed:
            # Those that run now were too many, be they fewer than allowed.
            self.photos = max(1, min(self.photos, max(2, len(self._active))) // 2)
            return self.photos

    def stop(self) -> None:
        """Nobody gets a turn any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def check(self) -> None:
        """Raise Stopped if the work is to end."""
        if self._stopped:
            raise Stopped

    def _may(self, turn: Turn) -> bool:
        taken = sum(one.pixels for one in self._active)
        fits = not self._active or taken + turn.pixels <= self.pixels
        return self._waiting[0] is turn and len(self._active) < self.photos and fits

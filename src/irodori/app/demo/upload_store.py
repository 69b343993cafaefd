"""Storage of visitors' files, deleted when their page is closed and bounded in total size."""

import os
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from irodori.app.demo.service import VisitorLeftError
from irodori.utils.errors import IrodoriError

AGE = 600.0
"""Seconds after which files that no open page holds are deleted: those of API clients, of uploads
whose page was closed before it could claim them, and of pages that lost their connection, which
gradio doesn't reopen."""
ABORTED = 60.0
"""Seconds without new data after which an upload counts as aborted."""
EVERY = 30.0
"""Seconds between two searches for such files."""


class Visit:
    """An open page, with the folders of its uploads and results."""

    def __init__(self, store: "UploadStore") -> None:
        self._store = store
        self.open = True
        self.heard = time.time()
        self.sent: set[Path] = set()
        self.made: set[Path] = set()

    def check(self) -> None:
        """Raise VisitorLeftError if the page is closed."""
        if not self.open:
            self.forget_results()
            raise VisitorLeftError

    def new_folder(self) -> Path:
        """Create a folder for a result, with a name that can't be guessed."""
        folder = self._store.new_folder()
        self.made.add(folder)
        self.check()
        return folder

    def forget_results(self) -> None:
        """Delete the results."""
        folders, self.made = self.made, set()
        self._store.drop(folders)


class UploadStore:
    """All visits of a server, and the folder that holds their files.

    Args:
        root: holds a folder for each upload and each result. Visitors who send the same photo share
            an upload's folder, which is named by its content.
        max_bytes: largest size of all files together.

    Attributes:
        kept: entries of the root that belong to no visitor, such as the examples.
    """

    def __init__(self, root: Path, max_bytes: int) -> None:
        self.root = root
        self.max_bytes = max_bytes
        self.kept: frozenset[Path] = frozenset()
        self._visits: dict[str, Visit] = {}
        self._connected: Counter[str] = Counter()
        self._arriving = 0
        self._lock = threading.RLock()

    def new_folder(self) -> Path:
        """Create a folder that belongs to no visit, with a name that can't be guessed.

        Raises:
            IrodoriError: there is no space.
        """
        with self._lock:
            self._check_space(1)
        folder = self.root / secrets.token_hex(20)
        folder.mkdir(parents=True)
        return folder

    def hold(self, session: str, files: list[Path]) -> Visit:
        """Return the visit of a page (gradio's session) that holds exactly these uploaded files."""
        with self._lock:
            visit = self._visits.setdefault(session, Visit(self))
            visit.heard = time.time()
            before = visit.sent
            visit.sent = {self.root / file.relative_to(self.root).parts[0] for file in files}
            self.drop(before)
            return visit

    def leave(self, session: str) -> None:
        """End a visit and delete the files that no other visit holds."""
        with self._lock:
            visit = self._visits.pop(session, None)
            if visit is not None:
                visit.open = False
                self.drop(visit.sent | visit.made)

    @contextmanager
    def connected(self, session: str) -> Iterator[None]:
        """Mark a page as connected within the block."""
        with self._lock:
            self._connected[session] += 1
        try:
            yield
        finally:
            with self._lock:
                self._connected[session] -= 1
                self._connected += Counter()  # without those that are 0

    @contextmanager
    def receiving(self, size: int) -> Iterator[None]:
        """Reserve space while receiving an upload of `size` bytes; delete an unfinished one.

        Raises:
            IrodoriError: there is not enough space.
        """
        with self._lock:
            self._check_space(size)
            self._arriving += size
        try:
            yield
        finally:
            with self._lock:
                self._arriving -= size
                if not self._arriving:
                    self.sweep(aborted=0)

    def sweep(self, now: float | None = None, aborted: float = ABORTED) -> None:
        """End visits of pages without a connection; delete old files and aborted uploads.

        Args:
            now: current time in seconds since 1970.
            aborted: see ABORTED.
        """
        now = time.time() if now is None else now
        with self._lock:
            for session, visit in list(self._visits.items()):
                if session not in self._connected and now - visit.heard >= AGE:
                    self.leave(session)
            for path in set(self.root.iterdir()) - self._held():
                age = now - _newest(path)
                # Uploads are files before gradio puts them into folders.
                if path.is_dir() and age >= AGE:
                    shutil.rmtree(path, ignore_errors=True)
                elif path.is_file() and age >= aborted:
                    path.unlink(missing_ok=True)

    def start_sweeping(self) -> None:
        """Start a thread that calls `sweep` regularly until the process ends."""

        def sweep() -> None:
            while self.root.exists():
                self.sweep()
                time.sleep(EVERY)

        threading.Thread(target=sweep, daemon=True).start()

    def drop(self, folders: set[Path]) -> None:
        """Delete the folders that no open page holds."""
        with self._lock:
            for folder in folders - self._held():
                shutil.rmtree(folder, ignore_errors=True)

    def _check_space(self, size: int) -> None:
        """Raise IrodoriError unless `size` more bytes fit."""
        used = 0
        for folder, _, names in os.walk(self.root):
            for name in names:
                with suppress(FileNotFoundError):  # moved or deleted meanwhile
                    used += Path(folder, name).stat().st_size
        if used + self._arriving + size > self.max_bytes:
            raise IrodoriError("There is no space for more photos now: try again later.")

    def _held(self) -> frozenset[Path]:
        return self.kept.union(*(visit.sent | visit.made for visit in self._visits.values()))


def _newest(path: Path) -> float:
    """Return when a file, or the newest in a folder, was last written; inf if it is gone."""
    try:
        inside = path.iterdir() if path.is_dir() else iter(())
        return max(found.stat().st_mtime for found in (path, *inside))
    except OSError:
        return float("inf")

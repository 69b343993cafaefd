"""Visitors' files: held while their page is open, gone after it, and bounded together."""

import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from irodori.app.demo.service import LeftError
from irodori.utils.errors import IrodoriError

AGE = 600.0
"""Seconds that files stay which no open page holds: those of the API's callers, and of uploads
whose page was closed before it could say that it has them."""
ABORTED = 60.0
"""Seconds after which an upload to which nothing is added has been aborted."""
EVERY = 30.0
"""Seconds between two looks for such files."""


class Visit:
    """An open page: the folders of what was sent from it and of what was made for it."""

    def __init__(self, store: "UploadStore") -> None:
        self._store = store
        self.open = True
        self.sent: set[Path] = set()
        self.made: set[Path] = set()

    def check(self) -> None:
        """Raise LeftError if the page is closed."""
        if not self.open:
            self.forget_results()
            raise LeftError

    def new_folder(self) -> Path:
        """Make a folder for a result, with a name that nobody can guess."""
        folder = self._store.new_folder()
        self.made.add(folder)
        self.check()
        return folder

    def forget_results(self) -> None:
        """Delete what was made."""
        folders, self.made = self.made, set()
        self._store.drop(folders)


class UploadStore:
    """All visits of a server, and the folder that everything of theirs lies in.

    Args:
        root: in which each upload and each result has a folder. An upload's is known by its
            content, so visitors who send the same photo share it.
        max_bytes: bytes of all files together.

    Attributes:
        kept: what is in it and nobody's, such as the examples.
    """

    def __init__(self, root: Path, max_bytes: int) -> None:
        self.root = root
        self.max_bytes = max_bytes
        self.kept: frozenset[Path] = frozenset()
        self._visits: dict[str, Visit] = {}
        self._arriving = 0
        self._lock = threading.RLock()

    def new_folder(self) -> Path:
        """Make a folder with a name that nobody can guess, of no visit."""
        folder = self.root / secrets.token_hex(20)
        folder.mkdir(parents=True)
        return folder

    def hold(self, session: str, files: list[Path]) -> Visit:
        """Return the visit of a page (gradio's session): it has sent these files and no others."""
        with self._lock:
            visit = self._visits.setdefault(session, Visit(self))
            before = visit.sent
            visit.sent = {self.root / file.relative_to(self.root).parts[0] for file in files}
            self.drop(before)
            return visit

    def leave(self, session: str) -> None:
        """End a visit: delete what is its alone."""
        with self._lock:
            visit = self._visits.pop(session, None)
            if visit is not None:
                visit.open = False
                self.drop(visit.sent | visit.made)

    @contextmanager
    def receiving(self, size: int) -> Iterator[None]:
        """Receive an upload of this many bytes; what it leaves unfinished is deleted.

        Raises:
            IrodoriError: there is no room for it.
        """
        with self._lock:
            files = (path.stat().st_size for path in self.root.rglob("*") if path.is_file())
            if sum(files) + self._arriving + size > self.max_bytes:
                raise IrodoriError("There is no room for more photos now: try again later.")
            self._arriving += size
        try:
            yield
        finally:
            with self._lock:
                self._arriving -= size
                if not self._arriving:
                    self.sweep(aborted=0)

    def sweep(self, now: float | None = None, aborted: float = ABORTED) -> None:
        """Delete what is old and of no open page, and uploads that were aborted.

        Args:
            now: in seconds since 1970.
            aborted: see ABORTED.
        """
        now = time.time() if now is None else now
        with self._lock:
            for path in set(self.root.iterdir()) - self._held():
                age = now - _newest(path)
                # Uploads are files before gradio puts them into folders.
                if path.is_dir() and age >= AGE:
                    shutil.rmtree(path, ignore_errors=True)
                elif path.is_file() and age >= aborted:
                    path.unlink(missing_ok=True)

    def keep_sweeping(self) -> None:
        """Look for old files from now on, until the process ends."""

        def sweep() -> None:
            while self.root.exists():
                self.sweep()
                time.sleep(EVERY)

        threading.Thread(target=sweep, daemon=True).start()

    def drop(self, folders: set[Path]) -> None:
        """Delete those of the folders that no page holds."""
        with self._lock:
            for folder in folders - self._held():
                shutil.rmtree(folder, ignore_errors=True)

    def _held(self) -> frozenset[Path]:
        return self.kept.union(*(visit.sent | visit.made for visit in self._visits.values()))


def _newest(path: Path) -> float:
    """Return when a file, or one in a folder, was written last; inf if it has just gone."""
    try:
        inside = path.iterdir() if path.is_dir() else iter(())
        return max(found.stat().st_mtime for found in (path, *inside))
    except OSError:
        return float("inf")

"""Visitors' files: held while their page is open, and gone after it."""

import secrets
import shutil
import threading
import time
from pathlib import Path

AGE = 600.0
"""Seconds that files stay which no open page holds: those of the API's callers, and of uploads
whose page was closed before it could say that it has them."""
EVERY = 30.0
"""Seconds between two looks for such files."""


class LeftError(Exception):
    """The visitor has gone; nobody waits for the result."""


class Visit:
    """An open page: the folders of what was sent from it and of what was made for it."""

    def __init__(self, visits: "Visits") -> None:
        self._visits = visits
        self.open = True
        self.sent: set[Path] = set()
        self.made: set[Path] = set()

    def new_folder(self) -> Path:
        """A folder for a result, with a name that nobody can guess.

        Raises:
            LeftError: the page is closed.
        """
        folder = self._visits.new_folder()
        self.made.add(folder)
        if not self.open:
            self.forget_results()
            raise LeftError
        return folder

    def forget_results(self) -> None:
        """Delete what was made."""
        folders, self.made = self.made, set()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


class Visits:
    """All visits of a server, and the folder that everything of theirs lies in.

    Args:
        root: in which each upload and each result has a folder; that of an upload is known by its
            content, so visitors who send the same photo have it in common.
        kept: folders in it that are nobody's, such as the examples'.
    """

    def __init__(self, root: Path, kept: frozenset[Path] = frozenset()) -> None:
        self.root = root
        self.kept = kept
        self._visits: dict[str, Visit] = {}
        self._lock = threading.RLock()

    def new_folder(self) -> Path:
        """A folder with a name that nobody can guess, of no visit."""
        folder = self.root / secrets.token_hex(20)
        folder.mkdir(parents=True)
        return folder

    def enter(self, session: str) -> Visit:
        """The visit of a page, known by gradio's name of its session."""
        with self._lock:
            return self._visits.setdefault(session, Visit(self))

    def hold(self, session: str, files: list[Path]) -> Visit:
        """A page has sent these files, and no others any more."""
        with self._lock:
            visit = self.enter(session)
            before = visit.sent
            visit.sent = {self._folder(file) for file in files} - self.kept
            self._drop(before - visit.sent)
            return visit

    def leave(self, session: str) -> None:
        """The page is closed: delete what is its alone."""
        with self._lock:
            visit = self._visits.pop(session, None)
            if visit is not None:
                visit.open = False
                visit.forget_results()
                self._drop(visit.sent)

    def sweep(self, now: float | None = None) -> None:
        """Delete what is old and of no open page.

        Args:
            now: in seconds since 1970.
        """
        oldest = (time.time() if now is None else now) - AGE
        with self._lock:
            held = {folder for visit in self._visits.values() for folder in visit.sent | visit.made}
            for path in self.root.iterdir():
                if path in self.kept or path in held or _newest(path) > oldest:
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def keep_sweeping(self) -> None:
        """Look for old files from now on, until the process ends."""

        def sweep() -> None:
            while self.root.exists():
                self.sweep()
                time.sleep(EVERY)

        threading.Thread(target=sweep, daemon=True).start()

    def _folder(self, file: Path) -> Path:
        """The folder in the root that a file lies in."""
        return self.root / file.relative_to(self.root).parts[0]

    def _drop(self, folders: set[Path]) -> None:
        """Delete uploads that no page has sent."""
        for folder in folders:
            if not any(folder in visit.sent for visit in self._visits.values()):
                shutil.rmtree(folder, ignore_errors=True)


def _newest(path: Path) -> float:
    """When a file, or one in a folder, was written last; inf if it has just gone."""
    try:
        inside = path.iterdir() if path.is_dir() else iter(())
        return max(one.stat().st_mtime for one in (path, *inside))
    except OSError:
        return float("inf")

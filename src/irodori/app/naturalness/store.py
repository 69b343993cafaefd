"""A study in a file of SQLite: its pictures, the people's codes, and every answer at once.

Of a person it holds a random code, the questions and the answers, and neither addresses nor times
of day.
"""

import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from irodori.app.naturalness.study import Kind, Question, Study, study_of
from irodori.utils.errors import IrodoriError

APPLICATION = 0x69726F64
"""Of SQLite's header: "irod"."""
ALPHABET = "23456789ABCDEFGHKMNPRSTVWXYZ"
"""Of codes: without 0 O Q, 1 I J L, and U, which are easily taken for each other or for V."""
CODE = 8
"""Letters of a code: 28⁸ of them can't be guessed through a web page."""
SCHEMA = """
CREATE TABLE study (description TEXT NOT NULL);
CREATE TABLE pictures (
    token TEXT PRIMARY KEY,
    kind TEXT NOT NULL,       -- photograph, hues or card
    photograph INTEGER NOT NULL,
    method INTEGER NOT NULL,  -- of hues: 0 the true picture, 1 the absurd one
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    jpeg BLOB NOT NULL,
    UNIQUE (kind, photograph, method)
) WITHOUT ROWID;
CREATE TABLE people (person INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE);
CREATE TABLE questions (
    person INTEGER NOT NULL REFERENCES people,
    place INTEGER NOT NULL,
    kind TEXT NOT NULL,
    photograph INTEGER NOT NULL,
    method INTEGER NOT NULL,
    first INTEGER NOT NULL,
    showings INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (person, place)
) WITHOUT ROWID;
CREATE TABLE answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    person INTEGER NOT NULL,
    place INTEGER NOT NULL,
    choice INTEGER NOT NULL,   -- of the first (0) or the second (1) button
    viewed INTEGER NOT NULL,   -- milliseconds for which the picture was seen
    latency INTEGER NOT NULL,  -- milliseconds from its appearance to the answer
    UNIQUE (person, place),
    FOREIGN KEY (person, place) REFERENCES questions
);
"""


class UnknownCodeError(Exception):
    """Nobody has this code."""


class OutOfTurnError(Exception):
    """An answer to a question that hasn't been asked."""


@dataclass(frozen=True)
class Picture:
    """A picture to be shown.

    kind, photograph, method: as in the table. size: width and height in pixels.
    """

    kind: Kind
    photograph: int
    method: int
    size: tuple[int, int]
    jpeg: bytes


@dataclass(frozen=True)
class Shown:
    """A picture on the page."""

    token: str
    width: int
    height: int


@dataclass(frozen=True)
class Step:
    """Where a person is: at the place of an open question, or (pictures empty) at the end."""

    place: int
    pictures: tuple[Shown, ...]
    following: tuple[Shown, ...]
    """Pictures of the question after it, which may be fetched already."""


@dataclass(frozen=True)
class Given:
    """An answer as it was given."""

    person: int
    place: int
    question: Question
    choice: int
    viewed: int
    latency: int
    showings: int


def create(path: Path, study: Study, pictures: Iterable[Picture]) -> None:
    """Write a new study; the file appears whole or not at all.

    Raises:
        IrodoriError: the file is there, or can't be written.
    """
    if path.exists():
        raise IrodoriError(f"{path} is there already")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IrodoriError(f"{path.parent}: can't be made ({error.strerror})") from None
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)
        connection = sqlite3.connect(part, isolation_level=None)
        try:
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.executescript(SCHEMA)
            connection.execute("BEGIN")
            connection.execute("INSERT INTO study VALUES (?)", [json.dumps(study.described())])
            connection.executemany(
                "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (secrets.token_urlsafe(16), one.kind, one.photograph, one.method, *one.size,
                     one.jpeg)
                    for one in pictures
                ),
            )  # fmt: skip
            connection.execute("COMMIT")
        finally:
            connection.close()
        _publish(part, path)
    except FileExistsError:
        raise IrodoriError(f"{path} is there already") from None
    except (OSError, sqlite3.Error) as error:
        raise IrodoriError(f"{path}: can't be written ({error})") from None
    finally:
        for left in (part, part.with_name(f"{part.name}-journal")):
            left.unlink(missing_ok=True)


def _publish(part: Path, path: Path) -> None:
    """Give a file its name, which another process may have taken meanwhile.

    Raises:
        FileExistsError: it is taken.
        OSError: the folder can't be written to.
    """
    try:
        os.link(part, path)  # unlike renaming, this never overwrites
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: an empty file takes the name first.
        path.touch(exist_ok=False)
        try:
            part.replace(path)
        except OSError:
            path.unlink()
            raise


class Store:
    """A study's file; several threads may use it.

    Raises:
        IrodoriError: there is no such file, or it holds no study.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise IrodoriError(f"{path}: no such file; `irodori study serve` begins a study")
        self._path = path
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            if application != APPLICATION:
                raise IrodoriError(f"{path}: no study of irodori")
            # Every answer is on the disk before the next picture is shown.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            (description,) = self._connection.execute("SELECT description FROM study").fetchone()
            self.study: Study = study_of(json.loads(description))
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            raise _unreadable(path, error) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise _unreadable(self._path, error) from None

    def begin(self) -> str:
        """Take a new person in, who has the next place in the Latin square. Returns the code.

        Who never answers keeps the place: no times are written down that would tell who has left.
        """
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE))
        with self._transaction() as connection:
            (person,) = connection.execute("SELECT count(*) FROM people").fetchone()
            connection.execute("INSERT INTO people VALUES (?, ?)", [person, code])
            connection.executemany(
                "INSERT INTO questions (person, place, kind, photograph, method, first)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (person, place, one.kind, one.photograph, one.method, one.first)
                    for place, one in enumerate(self.study.questions(person))
                ),
            )
        return code

    def step(self, code: str) -> Step:
        """The first open question of a person, whose showing is noted.

        Raises:
            UnknownCodeError: nobody has this code.
        """
        with self._transaction() as connection:
            person = _person(connection, code)
            place = _open_place(connection, person)
            connection.execute(
                "UPDATE questions SET showings = showings + 1 WHERE person = ? AND place = ?",
                [person, place],
            )
            return Step(
                place,
                self._pictures(connection, person, place),
                self._pictures(connection, person, place + 1),
            )

    def answer(self, code: str, place: int, choice: int, viewed: int, latency: int) -> None:
        """Take an answer down; one to a question that is answered already changes nothing.

        Args:
            code: the person's.
            place: of the question, from 0 on.
            choice: 0 or 1, the first or the second button.
            viewed: milliseconds for which the picture was seen.
            latency: milliseconds from its appearance to the answer.

        Raises:
            UnknownCodeError: nobody has this code.
            OutOfTurnError: questions before it are open, or there is no such question.
        """
        with self._transaction() as connection:
            person = _person(connection, code)
            open_place = _open_place(connection, person)
            if place > open_place or place < 0 or place >= self.study.steps:
                raise OutOfTurnError
            connection.execute(
                "INSERT INTO answers (person, place, choice, viewed, latency)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (person, place) DO NOTHING",
                [person, place, choice, viewed, latency],
            )

    def jpeg(self, token: str) -> bytes | None:
        """A picture's file, None if there is none."""
        with self._lock:
            row = self._connection.execute(
                "SELECT jpeg FROM pictures WHERE token = ?", [token]
            ).fetchone()
        return None if row is None else bytes(row[0])

    def answers(self) -> list[Given]:
        """All answers, those to attention checks too, in the order in which they came.

        Raises:
            IrodoriError: the file is damaged.
        """
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT person, place, kind, photograph, method, first, choice, viewed, latency,"
                " showings FROM answers JOIN questions USING (person, place) ORDER BY number"
            ).fetchall()
        return [
            Given(person, place, Question(kind, photograph, method, bool(first)), *rest)
            for person, place, kind, photograph, method, first, *rest in rows
        ]

    def people(self) -> int:
        """How many have begun.

        Raises:
            IrodoriError: the file is damaged.
        """
        with self._reading() as connection:
            (count,) = connection.execute("SELECT count(*) FROM people").fetchone()
        return int(count)

    def _pictures(
        self, connection: sqlite3.Connection, person: int, place: int
    ) -> tuple[Shown, ...]:
        """The pictures of a question from left to right; none if there is no question."""
        row = connection.execute(
            "SELECT kind, photograph, method, first FROM questions WHERE person = ? AND place = ?",
            [person, place],
        ).fetchone()
        if row is None:
            return ()
        kind, photograph, method, first = row
        asked = 1 if kind == "hues" else method
        methods = [asked]
        if self.study.settings.pairs:
            methods = [asked, 0] if first else [0, asked]
        found = [
            connection.execute(
                "SELECT token, width, height FROM pictures"
                " WHERE kind = ? AND photograph = ? AND method = ?",
                [kind, 0 if kind == "card" else photograph, one],
            ).fetchone()
            for one in methods
        ]
        return tuple(Shown(*one) for one in found)


def _unreadable(path: Path, error: Exception) -> IrodoriError:
    return IrodoriError(f"{path}: can't be read as a study ({error})")


def _person(connection: sqlite3.Connection, code: str) -> int:
    row = connection.execute("SELECT person FROM people WHERE code = ?", [code]).fetchone()
    if row is None:
        raise UnknownCodeError
    return int(row[0])


def _open_place(connection: sqlite3.Connection, person: int) -> int:
    """Answers come in turn, so that their number is the place of the open question."""
    (count,) = connection.execute(
        "SELECT count(*) FROM answers WHERE person = ?", [person]
    ).fetchone()
    return int(count)

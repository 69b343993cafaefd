"""A study in a SQLite file: pictures, people's codes, and answers, stored as they are given.

For each person it stores a random code, the questions and the answers, but neither network
addresses nor times.
"""

import json
import secrets
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from irodori.app.naturalness.study import Kind, Study
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing

ALPHABET = "23456789ABCDEFGHKMNPRSTVWXYZ"
"""Characters of codes, without those that are easily confused: 0 O Q, 1 I J L, and U."""
CODE_LENGTH = 8
"""Characters in a code: 28⁸ codes can't be guessed through a web page."""
MAX_BEGINS = 100
"""Number of people who may begin within a minute."""
MAX_OPEN = 300
"""Number of people who may be at their first question at the same time."""
ABANDONED_AFTER = 1800.0
"""Seconds without a request after which the row of a person without answers is reassigned."""
SCHEMA = """
CREATE TABLE study (description TEXT NOT NULL);
CREATE TABLE pictures (
    token TEXT PRIMARY KEY,
    kind TEXT NOT NULL,       -- photograph, hues or card
    photograph INTEGER NOT NULL,
    method INTEGER NOT NULL,  -- for hues: 0 true colors, 1 absurd ones
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
    choice INTEGER NOT NULL,   -- the first (0) or the second (1) button
    viewed INTEGER NOT NULL,   -- milliseconds for which the picture was seen
    latency INTEGER NOT NULL,  -- milliseconds from its appearance to the answer
    UNIQUE (person, place),
    FOREIGN KEY (person, place) REFERENCES questions
);
"""


class RefusedError(Exception):
    """A refused request, with the HTTP status that explains why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Picture:
    """A picture to show; kind, photograph and method are those of the table."""

    kind: Kind
    photograph: int
    method: int
    size: tuple[int, int]
    """Width and height in pixels."""
    jpeg: bytes


def create(path: Path, study: Study, pictures: Iterable[Picture]) -> None:
    """Write a new study; the file appears whole or not at all.

    Raises:
        IrodoriError: the file exists, or can't be written.
    """
    try:
        with replacing(path) as file, closing(sqlite3.connect(file.name)) as connection:
            connection.executescript(SCHEMA)
            connection.execute("INSERT INTO study VALUES (?)", [json.dumps(asdict(study))])
            rows = (
                (secrets.token_urlsafe(16), p.kind, p.photograph, p.method, *p.size, p.jpeg)
                for p in pictures
            )
            connection.executemany("INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            connection.commit()
            if path.exists():  # it may have been created in the meantime
                raise IrodoriError(f"{path} already exists")
    except (OSError, sqlite3.Error) as error:
        raise IrodoriError(f"{path}: can't be written ({error})") from None


class Store:
    """A study's file, opened by one server process; safe to share among its threads.

    The time of each person's last request is kept in memory only.

    Args:
        path: file of the study.
        clock: returns the time in seconds.

    Raises:
        IrodoriError: the file doesn't exist or isn't a study.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        if not path.is_file():
            raise IrodoriError(f"{path}: no such file; `irodori study serve` creates a study")
        self._path = path
        self._lock = threading.Lock()
        self._clock = clock
        self._opened = clock()
        self._heard: dict[int, float] = {}
        """Time of each person's last request."""
        self._begins: deque[float] = deque(maxlen=MAX_BEGINS)
        try:
            self._connection = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self.study = Study.from_dict(json.loads(self._one("SELECT description FROM study")[0]))
            # Every answer is on disk before the next picture is shown.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            raise IrodoriError(f"{path}: can't be read as a study ({error})") from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _one(self, query: str, *values: object) -> Any:
        """Return the first row of a query; None without rows."""
        return self._connection.execute(query, values).fetchone()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # `with` commits, or rolls back after an exception.
        with self._lock, self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def begin(self) -> str:
        """Admit a new person, assign a row of the Latin square, and return the person's code.

        Rows of people who left without an answer are reassigned first; the old code becomes void.

        Raises:
            RefusedError: too many people began within a minute or haven't answered yet.
        """
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
        with self._transaction() as connection:
            now = self._clock()
            silent = connection.execute(
                "SELECT person FROM people"
                " WHERE NOT EXISTS (SELECT 1 FROM answers WHERE answers.person = people.person)"
                " ORDER BY person"
            ).fetchall()
            abandoned = [
                person
                for (person,) in silent
                if now - self._heard.get(person, self._opened) > ABANDONED_AFTER
            ]
            minute_full = len(self._begins) == MAX_BEGINS and now - self._begins[0] < 60
            if minute_full or len(silent) - len(abandoned) >= MAX_OPEN:
                raise RefusedError(429, "too many people are beginning: try again in a minute")
            if abandoned:
                person = abandoned[0]
                connection.execute("UPDATE people SET code = ? WHERE person = ?", [code, person])
                connection.execute("UPDATE questions SET showings = 0 WHERE person = ?", [person])
            else:
                (person,) = self._one("SELECT count(*) FROM people")
                connection.execute("INSERT INTO people VALUES (?, ?)", [person, code])
                questions = enumerate(self.study.questions(person))
                connection.executemany(
                    "INSERT INTO questions (person, place, kind, photograph, method, first)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    ((person, place, *astuple(question)) for place, question in questions),
                )
            self._heard[person] = now
            self._begins.append(now)
        return code

    def step(self, code: str) -> dict[str, Any]:
        """Return what the page shows a person, and count the showing.

        Returns:
            "place": position of the open question; "pictures": its pictures with "source", "width"
            and "height", empty at the end; "following": sources of the next question's pictures,
            for prefetching.

        Raises:
            RefusedError: nobody has this code.
        """
        with self._transaction() as connection:
            person, place = self._position(code)
            connection.execute(
                "UPDATE questions SET showings = showings + 1 WHERE person = ? AND place = ?",
                [person, place],
            )
            following = [picture["source"] for picture in self._pictures(person, place + 1)]
            pictures = self._pictures(person, place)
        return {"place": place, "pictures": pictures, "following": following}

    def answer(self, code: str, place: int, choice: int, viewed: int, latency: int) -> None:
        """Store an answer; an answer to an already answered question is ignored.

        Args:
            code: code of the person.
            place: 0-based position of the question.
            choice: 0 (first button) or 1 (second button).
            viewed: milliseconds for which the picture was seen.
            latency: milliseconds from its appearance to the answer.

        Raises:
            RefusedError: nobody has this code, an earlier question is open, or the question doesn't
                exist.
        """
        with self._transaction() as connection:
            person, open_place = self._position(code)
            if place not in range(min(open_place + 1, self.study.steps)):
                raise RefusedError(409, "an earlier question is open")
            connection.execute(
                "INSERT INTO answers (person, place, choice, viewed, latency)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (person, place) DO NOTHING",
                [person, place, choice, viewed, latency],
            )

    def jpeg(self, token: str) -> bytes | None:
        """Return the JPEG file of a picture, or None."""
        with self._lock:
            row = self._one("SELECT jpeg FROM pictures WHERE token = ?", token)
        return None if row is None else bytes(row[0])

    def read(self) -> tuple[int, pd.DataFrame]:
        """Return the number of people and all answers, including those to attention checks.

        Returns:
            The number of people who began, and a DataFrame with one row per answer, in order of
            arrival, with the columns of question and answer.

        Raises:
            IrodoriError: the file is damaged.
        """
        try:
            with self._lock:
                (people,) = self._one("SELECT count(*) FROM people")
                found = self._connection.execute(
                    "SELECT person, place, kind, photograph, method, first, choice, viewed,"
                    " latency, showings FROM answers JOIN questions USING (person, place)"
                    " ORDER BY number"
                )
                columns = [column[0] for column in found.description]
                return people, pd.DataFrame(found.fetchall(), columns=columns)
        except sqlite3.Error as error:
            raise IrodoriError(f"{self._path}: can't be read as a study ({error})") from None

    def _position(self, code: str) -> tuple[int, int]:
        """Return the person and the position of the open question (answered in order)."""
        row = self._one(
            "SELECT person, (SELECT count(*) FROM answers WHERE answers.person = people.person)"
            " FROM people WHERE code = ?",
            code,
        )
        if row is None:
            raise RefusedError(404, "unknown code")
        self._heard[row[0]] = self._clock()
        return row[0], row[1]

    def _pictures(self, person: int, place: int) -> list[dict[str, Any]]:
        """Return the pictures of a question from left to right; empty if there is no question."""
        row = self._one(
            "SELECT kind, photograph, method, first FROM questions WHERE person = ? AND place = ?",
            person,
            place,
        )
        if row is None:
            return []
        kind, photograph, method, first = row
        methods = [1 if kind == "hues" else method]
        if self.study.settings.pairs:
            methods.insert(first, 0)
        query = (
            "SELECT 'pictures/' || token, width, height FROM pictures"
            " WHERE kind = ? AND photograph = ? AND method = ?"
        )
        photograph = 0 if kind == "card" else photograph
        found = [self._one(query, kind, photograph, number) for number in methods]
        return [dict(zip(("source", "width", "height"), row, strict=True)) for row in found]

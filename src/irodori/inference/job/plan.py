"""Which photo becomes which file; refused before any work if that can't be."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from irodori.inference.job.inputs import MAGIC, Found, find_photos, is_folder
from irodori.inference.job.names import result_names
from irodori.inference.job.options import Options
from irodori.inference.job.suffixes import FORMATS, READ_ONLY, WRITTEN
from irodori.utils.errors import IrodoriError

STREAM = "-"
"""Standard input or output."""


@dataclass(frozen=True)
class Task:
    """A photo and its result; None is standard input or output."""

    source: Path | None
    target: Path | None

    def __str__(self) -> str:
        return "standard input" if self.source is None else str(self.source)


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    tasks: in order. format: of the results, Pillow's name; None: each photo's own. everything:
    the photos of all tasks, those that are done included. done: how many of them are. skipped,
    unread: see `Found`.
    """

    tasks: list[Task]
    format: str | None
    everything: list[Task]
    skipped: int = 0
    unread: tuple[tuple[Path, str], ...] = ()

    @property
    def done(self) -> int:
        """How many photos have their results already."""
        return len(self.everything) - len(self.tasks)


def make_plan(arguments: Sequence[str], output: str, options: Options) -> Plan:
    """The plan for the arguments of a command; nothing is written.

    Args:
        arguments: files, folders, patterns (see `find_photos`), or "-" alone.
        output: a folder; for one photo named by itself also a file, by its suffix, or "-".
        options: checked.

    Raises:
        IrodoriError: arguments or output don't fit, nothing is found, a result would replace a
            photo, or is there already with neither `overwrite` nor `resume`.
    """
    if STREAM in arguments and len(arguments) > 1:
        raise IrodoriError("- is standard input: give it alone")
    if STREAM in arguments and options.sequence:
        raise IrodoriError("standard input is one photo, and --sequence takes several")
    format = FORMATS[options.format] if options.format is not None else None
    if output == STREAM:
        if not _is_one(arguments):
            raise IrodoriError("--output - takes one photo: give one file, or - for standard input")
        everything = [Task(_path(arguments[0]), None)]
        return Plan(everything, format, everything)
    place = Path(output).expanduser()
    if place.suffix.lower() in WRITTEN.keys() | READ_ONLY.keys() and not place.is_dir():
        if not _is_one(arguments):
            raise IrodoriError(f"--output {output} names one file: give one photo, or a folder")
        everything = [Task(_path(arguments[0]), place)]
        format = _format_of(place, format)
        found = Found()
    else:
        if place.suffix and _is_one(arguments) and not is_folder(place):
            raise IrodoriError(
                f"--output {output}: photos aren't written as {place.suffix} but as"
                f" {', '.join(FORMATS)}; if it is to be a folder, make it first"
            )
        if STREAM in arguments:
            raise IrodoriError("standard input has no name: give --output a file's name, or -")
        found = find_photos(arguments, place)
        names = result_names(found.sources, format)
        everything = [
            Task(source.path, place / name)
            for source, name in zip(found.sources, names, strict=True)
        ]
    _refuse_in_place(everything, options)
    there = [task for task in everything if task.target and os.path.lexists(task.target)]
    for task in there:
        assert task.target is not None
        if task.target.is_dir():
            raise IrodoriError(f"{task.target} is a folder: choose another --output")
    if there and not options.overwrite and not options.resume:
        count = (
            "is there already"
            if len(there) == 1
            else f"and {len(there) - 1} more are there already"
        )
        raise IrodoriError(
            f"{there[0].target} {count}: --resume skips what is done, --overwrite does all again"
        )
    done = {task.target for task in there} if options.resume else set()
    tasks = [task for task in everything if task.target not in done]
    return Plan(tasks, format, everything, found.skipped, tuple(found.unread))


def _is_one(arguments: Sequence[str]) -> bool:
    """Whether that is one photo, named by itself or standard input."""
    if len(arguments) != 1:
        return False
    (argument,) = arguments
    path = Path(argument).expanduser()
    return not is_folder(path) and (MAGIC.isdisjoint(argument) or os.path.lexists(path))


def _path(argument: str) -> Path | None:
    return None if argument == STREAM else Path(argument).expanduser()


def _format_of(target: Path, chosen: str | None) -> str:
    """The format of a result that is named by the user."""
    named = WRITTEN.get(target.suffix.lower())
    if named is None:
        known = ", ".join(dict.fromkeys(FORMATS))
        raise IrodoriError(f"--output {target}: photos are written as {known}")
    if chosen not in (None, named):
        raise IrodoriError(f"--output {target} is {named} by its name, but --format says {chosen}")
    return named


def _refuse_in_place(tasks: Sequence[Task], options: Options) -> None:
    """No result replaces what is read, be it named differently."""
    read = [task.source for task in tasks] + [options.style, options.checkpoint]
    inputs = {identity for path in read if path is not None and (identity := _identity(path))}
    for task in tasks:
        if task.target is not None and _identity(task.target) in inputs:
            raise IrodoriError(
                f"{task.target} is read by this command and would be replaced: choose another "
                "--output"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino

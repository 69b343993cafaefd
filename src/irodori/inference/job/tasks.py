"""Planning a job: assign results to photos, and reject invalid options before any work."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from irodori.imageio import FORMATS, READ, WRITTEN, Encoding, Provenance
from irodori.inference.hints import hint_file_of, is_hint_file, read_hints
from irodori.inference.job.inputs import (
    Found,
    expanded,
    find_photos,
    identity_of,
    is_folder,
    is_pattern,
    result_names,
)
from irodori.inference.settings import ColorizeSettings
from irodori.utils.errors import IrodoriError, check_range

if TYPE_CHECKING:  # its packages belong to an extra
    from irodori.imageio.signing import Signer

STREAM = "-"
"""Argument for standard input or output."""
AUTO = "auto"
"""Value of `JobOptions.hints` for the files beside the photos."""
DEVICES = ("auto", "cpu", "cuda", "mps")
SOURCE_TYPES = (
    *("digitalCapture", "computationalCapture", "negativeFilm", "positiveFilm", "print"),
    *("humanEdits", "algorithmicallyEnhanced", "trainedAlgorithmicMedia", "algorithmicMedia"),
    *("composite", "compositeCapture", "compositeSynthetic", Provenance.source_type),
    *("digitalCreation", "dataDrivenMedia", "virtualRecording", "screenCapture"),
)
"""IPTC digital source types, http://cv.iptc.org/newscodes/digitalsourcetype."""


@dataclass(frozen=True)
class JobOptions:
    """Options of `irodori colorize` other than photos and output.

    Args:
        settings: settings of the colorization.
        checkpoint: run folder or file; None: the bundled model.
        style: image whose scene determines the colors.
        hints: hint file (for a single photo), or `AUTO` for the files beside the photos.
        sequence: use one scene for all photos.
        encoding: format and quality of results.
        page: page to read from files with several pages, counted from 1.
        recolor: also colorize photos that are already in color.
        dates: give each result the modification time of its photo's file.
        provenance: mark results as colorized.
        source_type: IPTC digital source type, one of `SOURCE_TYPES`.
        label: burn a small visible mark into results.
        signer: signs results in formats that support signatures.
        overwrite, resume: replace or skip existing results.
        device: device, one of `DEVICES`.
        jobs: number of photos at a time; None: number of cores, at least two.
        trust: packages besides irodori whose classes the checkpoint may use.

    Raises:
        IrodoriError: an option is invalid.
    """

    settings: ColorizeSettings = field(default_factory=ColorizeSettings)
    checkpoint: Path | None = None
    style: Path | None = None
    hints: str | None = None
    sequence: bool = False
    encoding: Encoding = field(default_factory=Encoding)
    page: int | None = None
    recolor: bool = False
    dates: bool = False
    provenance: bool = True
    source_type: str = Provenance.source_type
    label: bool = False
    signer: "Signer | None" = None
    overwrite: bool = False
    resume: bool = False
    device: str = "auto"
    jobs: int | None = None
    trust: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_range("--jobs", 1 if self.jobs is None else self.jobs, 1, 1024)
        check_range("--page", 1 if self.page is None else self.page, 1, 1_000_000)
        for name, value, choices in (
            ("--device", self.device, DEVICES),
            ("--source-type", self.source_type, SOURCE_TYPES),
        ):
            if value not in choices:
                raise IrodoriError(f"{name} is {value}: give one of {', '.join(choices)}")
        # Methods of Path may raise other errors.
        if self.checkpoint is not None and not os.path.exists(self.checkpoint):  # noqa: PTH110
            raise IrodoriError(f"--checkpoint {self.checkpoint}: no such file or run folder")
        if self.style is not None and not os.path.isfile(self.style):  # noqa: PTH113
            raise IrodoriError(f"--style {self.style}: no such file")
        if self.style is None and self.settings.style_strength != 1:
            raise IrodoriError("--style-strength requires --style")
        for name, given in (
            ("--c2pa", self.signer is not None),
            ("--label", self.label),
            ("--source-type", self.source_type != Provenance.source_type),
        ):
            if given and not self.provenance:
                raise IrodoriError(
                    f"{name} and --no-provenance exclude each other: give one of them"
                )
        if self.overwrite and self.resume:
            raise IrodoriError("--overwrite and --resume exclude each other: give one of them")


@dataclass(frozen=True)
class ColorizeTask:
    """A photo, its result (None: standard input or output) and its hint file."""

    source: Path | None
    target: Path | None
    hints: Path | None = None

    def __str__(self) -> str:
        return "standard input" if self.source is None else str(self.source)


@dataclass(frozen=True)
class Plan:
    """The photos to colorize, and where each result goes.

    tasks: tasks to do, in order. encoding: encoding of the results. everything: all tasks,
    including finished ones. found: all files that were found.
    """

    tasks: list[ColorizeTask]
    encoding: Encoding
    everything: list[ColorizeTask]
    found: Found = field(default_factory=Found)


def make_plan(arguments: Sequence[str], output: str, options: JobOptions) -> Plan:
    """Return the plan for the arguments of a command, without writing anything.

    Args:
        arguments: files, folders and patterns (see `find_photos`), or only "-".
        output: folder; for a single named photo also a file (detected by suffix) or "-".
        options: options of the job.

    Raises:
        IrodoriError: arguments, output or hints are invalid, no photo is found, or a result would
            replace a photo or (without `overwrite` and `resume`) an existing file.
    """
    if STREAM in arguments and len(arguments) > 1:
        raise IrodoriError("- (standard input) can't be combined with other photos")
    if STREAM in arguments and options.sequence:
        raise IrodoriError("--sequence requires several photos, but standard input is one")
    encoding, found = options.encoding, Found()
    alone = len(arguments) == 1 and not is_pattern(arguments[0])
    photo = None if not alone or arguments[0] == STREAM else expanded(arguments[0])
    alone = alone and (photo is None or not is_folder(photo))
    place = expanded(output)
    if output == STREAM:
        if not alone:
            raise IrodoriError("--output - takes one photo: give one file, or - for standard input")
        everything = [ColorizeTask(photo, None)]
    elif place.suffix.lower() in READ and not is_folder(place):
        if not alone:
            raise IrodoriError(f"--output {output} names one file: give one photo, or a folder")
        encoding = _encoding_of(place, encoding)
        everything = [ColorizeTask(photo, place)]
    else:
        if alone and place.suffix and not is_folder(place):
            raise IrodoriError(
                f"--output {output}: {place.suffix} is not an output format; choose one of"
                f" {', '.join(FORMATS)}, or, for a folder, create it first"
            )
        if STREAM in arguments:
            raise IrodoriError("standard input has no name: give --output a file's name, or -")
        found = find_photos(arguments, place)
        names = result_names(found.sources, encoding.format)
        everything = [
            ColorizeTask(source.path, place / name)
            for source, name in zip(found.sources, names, strict=True)
        ]
    everything = _with_hints(everything, found, options.hints)
    done = _refuse_targets(everything, options)
    tasks = [task for task in everything if task not in done]
    return Plan(tasks, encoding, everything, found)


def _encoding_of(target: Path, chosen: Encoding) -> Encoding:
    """Return the encoding of a result whose file name the user gave."""
    format = WRITTEN.get(target.suffix.lower())
    if format is None:
        raise IrodoriError(f"--output {target}: the suffix must be that of {', '.join(FORMATS)}")
    if chosen.format not in (None, format):
        raise IrodoriError(
            f"--output {target} is {format} by its name, but --format is {chosen.format}"
        )
    return Encoding(format, chosen.quality)


def _with_hints(tasks: list[ColorizeTask], found: Found, hints: str | None) -> list[ColorizeTask]:
    """Return the tasks with their hint files, and remove these from the skipped files."""
    if hints is None:
        return tasks
    if hints != AUTO:
        if len(tasks) > 1:
            raise IrodoriError(
                f"--hints {hints} requires a single photo: give one, or use --hints auto for the"
                " hint files beside the photos"
            )
        file = expanded(hints)
        read_hints(file)
        return [replace(task, hints=file) for task in tasks]
    if any(task.source is None for task in tasks):
        raise IrodoriError("--hints auto doesn't apply to standard input: name a hint file")
    tasks = [replace(task, hints=hint_file_of(task.source)) for task in tasks if task.source]
    used = {task.hints for task in tasks}
    found.skipped = [
        (path, "a hint file without its photo" if is_hint_file(path) else reason)
        for path, reason in found.skipped
        if path not in used
    ]
    return tasks


def _refuse_targets(tasks: Sequence[ColorizeTask], options: JobOptions) -> set[ColorizeTask]:
    """Raise IrodoriError if results would replace files; return the finished tasks.

    No result may replace an input file, even under a different name.
    """
    read = [task.source for task in tasks] + [options.style, options.checkpoint]
    inputs = {identity_of(path) for path in read if path is not None} - {None}
    existing = [task for task in tasks if task.target and os.path.lexists(task.target)]
    for task in existing:
        assert task.target is not None
        if task.target.is_dir():
            raise IrodoriError(f"{task.target} is a folder: choose another --output")
        if identity_of(task.target) in inputs:
            raise IrodoriError(
                f"{task.target} is an input and would be replaced: choose another --output"
            )
    if existing and not options.overwrite and not options.resume:
        more = len(existing) - 1
        exist = f"and {more:,} more already exist" if more else "already exists"
        raise IrodoriError(
            f"{existing[0].target} {exist}: --resume skips existing results, --overwrite"
            " replaces them"
        )
    return set(existing) if options.resume else set()

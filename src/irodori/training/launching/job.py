"""A job of a sweep, its record, and the command that runs it as `train.py` runs a single run."""

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf, open_dict

from irodori.metrics.catalog import MAIN
from irodori.training.settings import check_settings
from irodori.training.stopping import REQUEUE
from irodori.utils.errors import IrodoriError
from irodori.utils.files import write_json
from irodori.utils.run_files import CONFIG, JOB, METRICS

OF_THE_SWEEP = ("hydra.mode", "hydra.run", "hydra.sweep", "hydra.launcher", "hydra.job.num")
"""Starts of keys that are the sweep's own matter, or are set for each job."""
SEARCH = "search.json"
"""The file that makes a sweep's folder one of a search: its space, and each job's values."""
Status = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Job:
    """A job: its overrides and what it needs."""

    number: int
    overrides: tuple[str, ...]
    """All of its own, as Hydra's sweeper made them."""
    varied: tuple[str, ...]
    """Those that the sweep varies."""
    folder: Path
    """Its run folder, absolute."""
    devices: int
    nodes: int
    accelerator: str
    """auto, cpu or gpu."""


def make_jobs(
    loader: ConfigLoader, sweep: DictConfig, batch: Sequence[Sequence[str]], first: int
) -> list[Job]:
    """Return a batch's jobs, each composed and checked: mistakes are reported before any starts.

    Args:
        loader: Hydra's.
        sweep: the sweep's configuration.
        batch: the overrides of each job.
        first: the first job's number.

    Raises:
        IrodoriError: a job's configuration is wrong; the message names the job.
    """
    fixed = {
        override.get_key_element()
        for override in OverridesParser.create(config_loader=loader).parse_overrides(
            given(sweep, "task")
        )
        if not override.is_sweep_override()
    }
    jobs = []
    for number, overrides in enumerate(batch, first):
        varied = tuple(text for text in overrides if text.partition("=")[0] not in fixed)
        composed = loader.load_sweep_config(sweep, list(overrides))
        with open_dict(composed):
            composed.hydra.job.num = number
            composed.hydra.job.id = str(number)
        HydraConfig.instance().set_config(composed)
        folder = Path(sweep.hydra.sweep.dir, str(composed.hydra.sweep.subdir)).resolve()
        with open_dict(composed):
            del composed["hydra"]
        try:
            check_settings(composed)
        except IrodoriError as error:
            raise IrodoriError(f"job {number} ({' '.join(varied)}): {error}") from None
        finally:
            HydraConfig.instance().cfg = None
        trainer = composed.trainer
        machine = _devices(trainer), trainer.num_nodes, trainer.accelerator
        jobs.append(Job(number, tuple(overrides), varied, folder, *machine))
    return jobs


def _devices(trainer: DictConfig) -> int:
    """Return the number of devices that a job has on a node, counted as the job itself does."""
    if isinstance(trainer.devices, int) and trainer.devices > 0:
        return trainer.devices
    # "auto", -1 or a list: counting GPUs imports torch.
    from irodori.training.hardware import devices_per_node

    return devices_per_node(trainer)


def program(sweep: DictConfig) -> list[str]:
    """Return the script, and the arguments that find the sweep's configuration again.

    Args:
        sweep: the sweep's configuration.
    """
    arguments = [str(Path(sys.argv[0]).resolve()), "--config-name", sweep.hydra.job.config_name]
    for option, provider in (("--config-path", "main"), ("--config-dir", "command-line")):
        for source in sweep.hydra.runtime.config_sources:
            if source.provider == provider:
                scheme = "" if source.schema == "file" else f"{source.schema}://"
                arguments += [option, scheme + source.path]
    for text in given(sweep, "hydra"):
        (override,) = OverridesParser.create().parse_overrides([text])
        key = override.key_or_group.replace("/", ".")
        if not key.startswith(OF_THE_SWEEP):
            arguments.append(text)
    return [*arguments, f"hydra.sweep.dir={quoted(sweep.hydra.sweep.dir)}"]


def given(sweep: DictConfig, kind: str) -> list[str]:
    """Return the overrides of the sweep's command line, word for word; kind: hydra or task."""
    texts = OmegaConf.to_container(sweep.hydra.overrides[kind], resolve=False)
    assert isinstance(texts, list)
    return texts


def command(program: Sequence[str], job: Job) -> list[str]:
    """Return a job's command line; a run that was started is resumed."""
    if (job.folder / CONFIG).exists():
        return [sys.executable, program[0], f"resume={quoted(str(job.folder))}"]
    return [
        sys.executable,
        *program,
        f"hydra.job.num={job.number}",
        f"hydra.run.dir={quoted(str(job.folder))}",
        *job.overrides,
    ]


def quoted(text: str) -> str:
    """Return a value that Hydra's grammar reads as this text, whatever stands in it."""
    return QuotedString(text, Quote.double).with_quotes()


@dataclass(frozen=True)
class Record:
    """The content of job.json."""

    job: int
    status: Status
    overrides: list[str]
    varied: list[str]
    exit_status: int | None = None
    """Negative: the signal that ended the job."""
    error: str | None = None
    """The last line that says what went wrong."""

    def __str__(self) -> str:
        """Return how the job ended, in a few words."""
        if self.status == "failed":
            return f"job {self.job} failed: {self.error} (exit status {self.exit_status})"
        return f"job {self.job} {self.status}"


def last_error(lines: Sequence[str]) -> str:
    """Return the last of these lines that names an error, or else the last one."""
    for line in reversed(lines):
        name = line.split(":")[0]
        if name == "error" or (name.isprintable() and name.endswith(("Error", "Exception"))):
            return line.removeprefix("error: ")
    return next((line for line in reversed(lines) if line.strip()), "no output")


def note(
    job: Job, status: Status = "waiting", exit_status: int | None = None, error: str | None = None
) -> Record:
    """Write a job's job.json, whole or not at all, and return its content."""
    overrides, varied = list(job.overrides), list(job.varied)
    record = Record(job.number, status, overrides, varied, exit_status, error)
    write_json(job.folder / JOB, asdict(record))
    return record


def note_end(job: Job, exit_status: int, lines: Sequence[str], told_to_stop: bool) -> Record:
    """Write how a job ended, by its exit status and its last lines of output."""
    if exit_status == 0:
        return note(job, "done", exit_status)
    if exit_status == REQUEUE or told_to_stop:
        return note(job, "stopped", exit_status)
    error = last_error(lines)
    if -exit_status in set(signal.Signals):
        error = f"killed by {signal.Signals(-exit_status).name}"
        if exit_status == -signal.SIGKILL:
            error += ", as the system does when memory runs out"
            # Which has printed why; Lightning then kills the first one.
            error += ", or because another rank failed" if job.devices > 1 else ""
    return note(job, "failed", exit_status, error)


def read_record(folder: Path) -> Record | None:
    """Return the record in a job's folder, if there is one."""
    path = folder / JOB
    return Record(**json.loads(path.read_text())) if path.exists() else None


def read_records(sweep: Path) -> list[tuple[Path, Record]]:
    """Return folders and records of a sweep's jobs, by number."""
    found = [(path.parent, Record(**json.loads(path.read_text()))) for path in sweep.rglob(JOB)]
    return sorted(found, key=lambda pair: pair[1].job)


def score_of(folder: Path) -> float | None:
    """Return the main metric of a done job's best checkpoint; None of any other."""
    known = read_record(folder)
    best = rows_of(folder).get("best") if known and known.status == "done" else None
    return float(best[MAIN]) if best else None


def rows_of(folder: Path) -> dict[str, Any]:
    """Return the rows of a job's metrics.json; none if it hasn't come so far."""
    path = folder / METRICS
    found: dict[str, Any] = json.loads(path.read_text())["rows"] if path.exists() else {}
    return found

"""Jobs of a sweep, their records, and the commands that run them like single runs."""

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
from omegaconf import DictConfig, OmegaConf, open_dict

from irodori.config.overrides import quoted
from irodori.metrics.catalog import MAIN
from irodori.training.settings import check_settings
from irodori.training.stopping import REQUEUE
from irodori.utils.errors import IrodoriError
from irodori.utils.files import write_json
from irodori.utils.run_files import CONFIG, JOB, METRICS

OF_THE_SWEEP = ("hydra.mode", "hydra.run", "hydra.sweep", "hydra.launcher", "hydra.job.num")
"""Prefixes of keys that concern the sweep, or are set for each job."""
SEARCH = "search.json"
"""File of a search in the sweep's folder: its space, and the values of each job."""
Status = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Job:
    """A job: overrides and required resources."""

    number: int
    overrides: tuple[str, ...]
    """All overrides of the job, from Hydra's sweeper."""
    varied: tuple[str, ...]
    """Overrides that the sweep varies."""
    folder: Path
    """Absolute path of the run folder."""
    devices: int
    nodes: int
    accelerator: str
    """Accelerator: auto, cpu or gpu."""


def make_jobs(
    loader: ConfigLoader, sweep: DictConfig, batch: Sequence[Sequence[str]], first: int
) -> list[Job]:
    """Compose and check the jobs of a batch, so that errors are reported before any starts.

    Args:
        loader: Hydra's configuration loader.
        sweep: the sweep's configuration.
        batch: overrides of each job.
        first: number of the first job.

    Raises:
        IrodoriError: a job's configuration is invalid; the message names the job.
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
    """Return the number of devices per node of a job, counted as in the job itself.

    Raises:
        IrodoriError: particular GPUs are requested.
    """
    if isinstance(trainer.devices, int) and trainer.devices > 0:
        return trainer.devices
    if trainer.accelerator != "cpu" and (
        OmegaConf.is_list(trainer.devices) or "," in str(trainer.devices)
    ):
        raise IrodoriError(
            f"trainer.devices={trainer.devices}: in a sweep, the launcher chooses each job's GPUs;"
            " give their number, and restrict the sweep to some by CUDA_VISIBLE_DEVICES"
        )
    # For "auto", -1 or a list, since counting GPUs imports torch.
    from irodori.training.hardware import devices_per_node

    return devices_per_node(trainer)


def program(sweep: DictConfig) -> list[str]:
    """Return the script, and the arguments that locate the sweep's configuration.

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
    """Return the overrides of the sweep's command line, unchanged; kind: hydra or task."""
    texts = OmegaConf.to_container(sweep.hydra.overrides[kind], resolve=False)
    assert isinstance(texts, list)
    return texts


def command(program: Sequence[str], job: Job) -> list[str]:
    """Return a job's command line, which resumes a started run."""
    if (job.folder / CONFIG).exists():
        # A run folder can't say itself whom to trust.
        trust = [text for text in job.overrides if text.partition("=")[0] == "trust"]
        return [sys.executable, program[0], f"resume={quoted(str(job.folder))}", *trust]
    return [
        sys.executable,
        *program,
        f"hydra.job.num={job.number}",
        f"hydra.run.dir={quoted(str(job.folder))}",
        *job.overrides,
    ]


@dataclass(frozen=True)
class Record:
    """The content of job.json."""

    job: int
    status: Status
    overrides: list[str]
    varied: list[str]
    exit_status: int | None = None
    """Exit status; negative for the signal that ended the job."""
    error: str | None = None
    """Last error line in the output."""

    def __str__(self) -> str:
        """Return a short description of how the job ended."""
        if self.status == "failed":
            return f"job {self.job} failed: {self.error} (exit status {self.exit_status})"
        return f"job {self.job} {self.status}"


def last_error(lines: Sequence[str]) -> str:
    """Return the last line that names an error, or else the last line."""
    for line in reversed(lines):
        name = line.split(":")[0]
        if name == "error" or (name.isprintable() and name.endswith(("Error", "Exception"))):
            return line.removeprefix("error: ")
    return next((line for line in reversed(lines) if line.strip()), "no output")


def note(
    job: Job, status: Status = "waiting", exit_status: int | None = None, error: str | None = None
) -> Record:
    """Write a job's job.json atomically, and return its content."""
    overrides, varied = list(job.overrides), list(job.varied)
    record = Record(job.number, status, overrides, varied, exit_status, error)
    write_json(job.folder / JOB, asdict(record))
    return record


def note_end(job: Job, exit_status: int, lines: Sequence[str], was_stopped: bool) -> Record:
    """Record how a job ended, by its exit status and last lines of output."""
    if exit_status == 0:
        return note(job, "done", exit_status)
    if exit_status == REQUEUE or was_stopped:
        return note(job, "stopped", exit_status)
    error = last_error(lines)
    if -exit_status in set(signal.Signals):
        error = f"killed by {signal.Signals(-exit_status).name}"
        if exit_status == -signal.SIGKILL:
            error += ", as the system does when memory runs out"
            # That rank has printed the error; Lightning then kills the first one.
            error += ", or because another rank failed" if job.devices > 1 else ""
    return note(job, "failed", exit_status, error)


def read_record(folder: Path) -> Record | None:
    """Return the record in a job's folder, if any."""
    path = folder / JOB
    return Record(**json.loads(path.read_text())) if path.exists() else None


def read_records(sweep: Path) -> list[tuple[Path, Record]]:
    """Return folders and records of a sweep's jobs, ordered by number."""
    found = [(path.parent, Record(**json.loads(path.read_text()))) for path in sweep.rglob(JOB)]
    return sorted(found, key=lambda pair: pair[1].job)


def score_of(folder: Path) -> float | None:
    """Return the main metric of a finished job's best checkpoint; None for other jobs."""
    known = read_record(folder)
    best = rows_of(folder).get("best") if known and known.status == "done" else None
    return float(best[MAIN]) if best else None


def rows_of(folder: Path) -> dict[str, Any]:
    """Return the rows of a job's metrics.json; empty if it doesn't exist yet."""
    path = folder / METRICS
    found: dict[str, Any] = json.loads(path.read_text())["rows"] if path.exists() else {}
    return found

"""Jobs of a sweep, and the commands that run them like single runs."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from irodori.config.overrides import quoted
from irodori.training.settings import check_settings
from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import CONFIG


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
    """Return the number of devices per node of a job, counted as in the job itself."""
    if isinstance(trainer.devices, int) and trainer.devices > 0:
        return trainer.devices
    # For "auto", -1 or a list, since counting GPUs imports torch.
    from irodori.training.hardware import devices_per_node

    return devices_per_node(trainer)


OF_THE_SWEEP = ("hydra.mode", "hydra.run", "hydra.sweep", "hydra.launcher", "hydra.job.num")
"""Prefixes of keys that concern the sweep, or are set for each job."""


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
        return [sys.executable, program[0], f"resume={quoted(str(job.folder))}"]
    return [
        sys.executable,
        *program,
        f"hydra.job.num={job.number}",
        f"hydra.run.dir={quoted(str(job.folder))}",
        *job.overrides,
    ]

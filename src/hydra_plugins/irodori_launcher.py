"""Hydra's launchers of irodori. Hydra imports this at every start: it must stay cheap."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from irodori.training.launching.job import Job


class SweepLauncher(Launcher):
    """Gives the sweep a folder, composes its jobs, and says how each ended."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Create the sweep's folder.

        Raises:
            IrodoriError: another sweep is running there.
        """
        from irodori.training.launching.sweep import begin

        self.loader = hydra_context.config_loader
        self.config = config
        begin(config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        """Run a batch of jobs; each one's return value is its best chroma RMSE, None if it failed.

        Raises:
            IrodoriError: a job can't be run as configured; none was started.
        """
        from irodori.training.launching.job import make_jobs
        from irodori.training.launching.sweep import prepare, result

        jobs = make_jobs(self.loader, self.config, job_overrides, initial_job_idx)
        self.check(jobs)
        if missing := prepare(jobs):
            self.run(missing)
        return [result(job) for job in jobs]

    @abstractmethod
    def check(self, jobs: "list[Job]") -> None:
        """Refuse what can't be run here."""

    @abstractmethod
    def run(self, jobs: "list[Job]") -> None:
        """Run the jobs and write how each ended into its folder."""


class ProcessLauncher(SweepLauncher):
    """Runs each job of a sweep on this machine as a process tree of its own."""

    def __init__(self, jobs: int | None, grace: float) -> None:
        self.jobs = jobs
        self.grace = grace
        self.stop_signal: int | None = None

    def check(self, jobs: "list[Job]") -> None:
        """Refuse several nodes, and more GPUs than there are."""
        from irodori.training.launching.pool import Pool, visible_gpus

        # Asking for GPUs imports torch.
        gpus = [] if all(job.accelerator == "cpu" for job in jobs) else visible_gpus()
        self.pool = Pool(gpus, self.jobs, self.grace, self.stop_signal)
        self.pool.check(jobs)

    def run(self, jobs: "list[Job]") -> None:
        """Run the jobs side by side as far as there is room."""
        from irodori.training.launching.job import arguments, program
        from irodori.training.launching.processes import local_command
        from irodori.training.launching.sweep import variables

        script = program(self.config)
        self.pool.run(
            jobs,
            lambda job: local_command(arguments(script, job), job.devices),
            variables(self.config),
        )
        # A sweeper may come with another batch.
        self.stop_signal = self.pool.stop_signal


class SlurmLauncher(SweepLauncher):
    """Submits each job of a sweep to SLURM by submitit, and waits for them all."""

    def __init__(
        self,
        cluster: str,
        timeout_min: int,
        grace: int,
        requeues: int,
        slurm: dict[str, Any],
    ) -> None:
        self.cluster = cluster
        self.timeout_min = timeout_min
        self.grace = grace
        self.requeues = requeues
        self.slurm = slurm

    def check(self, jobs: "list[Job]") -> None:
        """Refuse a machine without submitit or SLURM."""
        from shutil import which

        from irodori.utils.errors import IrodoriError

        try:
            import submitit  # noqa: F401
        except ImportError:
            raise IrodoriError(
                "hydra/launcher=slurm needs submitit: pip install 'irodori[slurm]'"
            ) from None
        if self.cluster == "slurm" and which("srun") is None:
            raise IrodoriError("hydra/launcher=slurm: there is no srun on this machine")

    def run(self, jobs: "list[Job]") -> None:
        """Submit the jobs and wait for them."""
        from irodori.training.launching.job import program
        from irodori.training.launching.slurm import submit, wait
        from irodori.training.launching.sweep import variables

        submitted = submit(
            jobs,
            program(self.config),
            variables(self.config),
            folder=Path(self.config.hydra.sweep.dir, "slurm"),
            cluster=self.cluster,
            timeout_min=self.timeout_min,
            grace=self.grace,
            requeues=self.requeues,
            slurm=self.slurm,
        )
        wait(jobs, submitted)


@dataclass
class ProcessConfig:
    """hydra/launcher=processes."""

    _target_: str = "hydra_plugins.irodori_launcher.ProcessLauncher"
    jobs: int | None = None
    """Jobs side by side; null: as many as the GPUs allow, and one without GPUs."""
    grace: float = 60.0
    """Seconds that jobs get to write their checkpoints when the sweep is stopped."""


ConfigStore.instance().store(
    group="hydra/launcher", name="processes", node=ProcessConfig, provider="irodori"
)


@dataclass
class SlurmConfig:
    """hydra/launcher=slurm."""

    _target_: str = "hydra_plugins.irodori_launcher.SlurmLauncher"
    cluster: str = "slurm"
    """slurm; local runs submitit's processes on this machine."""
    timeout_min: int = 1440
    """Minutes after which SLURM stops a job, which is then requeued."""
    grace: int = 120
    """Seconds before that in which the job writes its checkpoint."""
    requeues: int = 100
    """Number of times that a job is requeued."""
    slurm: dict[str, Any] = field(default_factory=dict)
    """Any other option of sbatch that submitit takes: partition, account, cpus_per_task, mem, …"""


ConfigStore.instance().store(
    group="hydra/launcher", name="slurm", node=SlurmConfig, provider="irodori"
)

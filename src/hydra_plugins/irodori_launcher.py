"""Hydra's launchers of irodori. Hydra imports this at every start: it must stay cheap."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from irodori.training.launching.job import Job
    from irodori.training.launching.pool import Pool


class SweepLauncher(Launcher):
    """Gives the sweep a folder, composes its jobs, and says how each ended."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Claim the sweep's folder.

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
        prepare(jobs)
        self.run(jobs)
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
        self.made: Pool | None = None

    @property
    def pool(self) -> "Pool":
        """This machine's GPUs; made late, since finding them takes seconds."""
        from irodori.training.launching.pool import Pool, visible_gpus

        if self.made is None:
            self.made = Pool(visible_gpus(), self.jobs, self.grace)
        return self.made

    def check(self, jobs: "list[Job]") -> None:
        """Refuse several nodes, and more GPUs than there are."""
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


@dataclass
class ProcessConfig:
    """hydra/launcher=processes."""

    _target_: str = "hydra_plugins.irodori_launcher.ProcessLauncher"
    jobs: int | None = None
    """Jobs side by side; null: as many as the GPUs allow, and one without GPUs."""
    grace: float = 60.0
    """Seconds that jobs get to write their checkpoints when the sweep is told to stop."""


ConfigStore.instance().store(
    group="hydra/launcher", name="processes", node=ProcessConfig, provider="irodori"
)

"""Hydra launchers and sweeper of irodori. Hydra imports this module at every start."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from irodori.training.launching.pool import Pool
    from irodori.training.launching.slurm import SlurmQueue


class SweepLauncher(Launcher):
    """Creates the sweep's folder, composes its jobs, runs them, and returns their results.

    A subclass's `runner` rejects invalid jobs in `check`, and runs jobs in `run`, which records how
    each one ended in its folder.
    """

    runner: Any

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Create the sweep's folder.

        Raises:
            IrodoriError: another sweep is running in the folder.
        """
        from irodori.training.launching.sweep import begin

        self.loader = hydra_context.config_loader
        self.config = config
        self.lock = begin(config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> list[JobReturn]:
        """Run a batch of jobs; each returns its best chrominance RMSE, or None if it failed.

        Raises:
            IrodoriError: a job can't be run as configured; no job was started.
        """
        from irodori.utils.progress import waiting

        with waiting(f"checking the settings of {len(job_overrides)} jobs", log=True):
            from irodori.training.launching.job import make_jobs, program
            from irodori.training.launching.sweep import prepare, result, variables

            jobs = make_jobs(self.loader, self.config, job_overrides, initial_job_idx)
            self.runner.check(jobs)
        if missing := prepare(jobs):
            self.runner.run(missing, program(self.config), variables(self.config))
        return [result(job) for job in jobs]


@dataclass
class ProcessLauncher(SweepLauncher):
    """hydra/launcher=processes: runs each job of a sweep in separate processes on this machine.

    Attributes:
        jobs: number of concurrent jobs; null: as many as the GPUs allow, and one without GPUs.
        grace: seconds for jobs to write checkpoints when the sweep is stopped.
    """

    _target_: str = "hydra_plugins.irodori_sweeps.ProcessLauncher"
    jobs: int | None = None
    grace: float = 60.0

    @cached_property
    def runner(self) -> "Pool":
        """The pool that runs the jobs."""
        from irodori.training.launching.pool import Pool

        return Pool(self.jobs, self.grace)


@dataclass
class SlurmLauncher(SweepLauncher):
    """hydra/launcher=slurm: submits each job of a sweep to SLURM with submitit.

    Attributes:
        cluster: slurm, or local for submitit's processes on this machine.
        timeout_min: minutes after which SLURM stops a job, which is then requeued.
        grace: seconds before the time limit for writing a checkpoint.
        requeues: largest number of times that a job is requeued.
        slurm: any other option of sbatch that submitit supports: partition, account, mem, …
    """

    _target_: str = "hydra_plugins.irodori_sweeps.SlurmLauncher"
    cluster: str = "slurm"
    timeout_min: int = 1440
    grace: int = 120
    requeues: int = 100
    slurm: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def runner(self) -> "SlurmQueue":
        """The queue that submits the jobs; raises IrodoriError without submitit or SLURM."""
        from irodori.utils.errors import IrodoriError

        try:
            from irodori.training.launching.slurm import SlurmQueue
        except ImportError:
            raise IrodoriError(
                "hydra/launcher=slurm needs submitit: pip install 'irodori[slurm]'"
            ) from None
        return SlurmQueue(self, Path(self.config.hydra.sweep.dir, "slurm"))


for name, launcher in (("processes", ProcessLauncher), ("slurm", SlurmLauncher)):
    ConfigStore.instance().store(
        group="hydra/launcher", name=name, node=launcher, provider="irodori"
    )


@dataclass
class OptunaSweeper(Sweeper):
    """hydra/sweeper=optuna: searches for the lowest chrominance RMSE; can be resumed after a crash.

    Attributes:
        n_trials: total number of trials.
        batch: number of trials that are sampled and launched together.
        seed: seed of the sampler.
        params: the search space, or a part of it, in addition to that on the command line.
    """

    _target_: str = "hydra_plugins.irodori_sweeps.OptunaSweeper"
    n_trials: int = 20
    batch: int = 1
    seed: int = 0
    params: dict[str, str] = field(default_factory=dict)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Create the launcher, which creates the sweep's folder.

        Raises:
            IrodoriError: Optuna isn't installed, or a number is out of range.
        """
        # Not at import time, since Hydra's scan of plugins must be fast.
        from hydra.core.plugins import Plugins

        from irodori.utils.errors import IrodoriError

        try:
            import optuna  # noqa: F401
        except ImportError:
            raise IrodoriError(
                "hydra/sweeper=optuna needs Optuna: pip install 'irodori[search]'"
            ) from None
        for key in ("n_trials", "batch"):
            if getattr(self, key) < 1:
                raise IrodoriError(f"hydra.sweeper.{key}={getattr(self, key)} must be at least 1")
        self.sweep_config = config
        self.loader = hydra_context.config_loader
        self.jobs = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Sample and launch trials until there are `n_trials`.

        Raises:
            IrodoriError: the space can't be searched, or the folder contains another search.
        """
        from irodori.training.launching.search import Search

        params = [f"{key}={value}" for key, value in self.params.items()]
        overrides = OverridesParser.create(config_loader=self.loader).parse_overrides(
            [*params, *arguments]
        )
        folder = Path(self.sweep_config.hydra.sweep.dir)
        search = Search(folder, overrides, self.seed, self.n_trials)
        OmegaConf.save(self.sweep_config, folder / "multirun.yaml")
        while jobs := search.ask(self.batch):
            self.jobs.launch([search.overrides(job) for job in jobs], initial_job_idx=jobs[0])
            if not search.ended(jobs):
                break
        search.report()


ConfigStore.instance().store(
    group="hydra/sweeper", name="optuna", node=OptunaSweeper, provider="irodori"
)

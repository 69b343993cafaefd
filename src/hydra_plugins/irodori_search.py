"""Hydra sweeper of irodori: search with Optuna. Hydra imports this module at every start."""

from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class OptunaSweeper(Sweeper):
    """hydra/sweeper=optuna: searches for the lowest chrominance RMSE; can be resumed after a crash.

    Attributes:
        n_trials: total number of trials.
        batch: number of trials that are sampled and launched together.
        seed: seed of the sampler.
        params: the search space, or a part of it, in addition to that on the command line.
    """

    _target_: str = "hydra_plugins.irodori_search.OptunaSweeper"
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

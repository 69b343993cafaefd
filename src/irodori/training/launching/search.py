"""A search with Optuna whose journal lies in the sweep's folder and outlives a crash."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from irodori.training.launching import record
from irodori.utils.errors import IrodoriError


@dataclass(frozen=True)
class Asked:
    """A trial whose result isn't known yet."""

    number: int
    """Optuna's."""
    params: dict[str, Any]
    job: int


class Search:
    """The trials of a search: asked for in batches, and their results."""

    def __init__(
        self,
        folder: Path,
        overrides: Sequence[Override],
        seed: int,
        n_trials: int,
        together: bool,
    ) -> None:
        """Begin the search, or resume the one that lies in the folder.

        Args:
            folder: the sweep's folder, which nobody else writes to.
            overrides: parsed; those that are sweeps are the space.
            seed: of the sampler.
            n_trials: trials that end, all in all.
            together: whether trials are asked for before the results of the ones before are known.

        Raises:
            IrodoriError: the space can't be searched, or the folder holds another or a finished
                search.
        """
        self.folder = folder
        self.n_trials = n_trials
        self.space = {
            override.get_key_element(): distribution(override)
            for override in overrides
            if override.is_sweep_override()
        }
        if not self.space:
            raise IrodoriError(
                "nothing to search: give a space, for example"
                " 'optimizer.lr=tag(log,interval(1e-4,1e-2))'"
            )
        self.fixed = [
            f"{override.get_key_element()}={override.get_value_element_as_str()}"
            for override in overrides
            if not override.is_sweep_override()
        ]
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self.study = optuna.create_study(
            storage=journal(folder / "search.journal"), study_name="search", load_if_exists=True
        )
        self.refuse_another_search()
        self.started = self.take_up()
        if self.missing() < 1 and not self.started:
            raise IrodoriError(
                f"the search in {folder} has its {n_trials} trials: raise hydra.sweeper.n_trials to"
                " resume it, or give another hydra.sweep.dir"
            )
        # Else a resumed search would draw its first random values again.
        seed += len(self.study.trials)
        self.study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=together)

    def refuse_another_search(self) -> None:
        """Raise IrodoriError if the journal's search isn't this one."""
        about = {
            "space": {key: repr(values) for key, values in self.space.items()},
            "fixed": self.fixed,
        }
        for key, value in about.items():
            before = self.study.user_attrs.setdefault(key, value)
            if before != value:
                raise IrodoriError(
                    f"{self.folder} holds a search with other settings ({before} where now stands"
                    f" {value}): give another hydra.sweep.dir"
                )
            self.study.set_user_attr(key, value)

    def take_up(self) -> list[Asked]:
        """Return the trials that ran when the search was stopped: their jobs are resumed."""
        known = {job.job: (folder, job) for folder, job in record.read_all(self.folder)}
        started = []
        for trial in self.study.get_trials(states=[TrialState.RUNNING]):
            job = trial.user_attrs.get("job")
            if job is None:
                # It was asked for and never launched.
                self.study.tell(trial.number, state=TrialState.FAIL)
            elif job in known and known[job][1].status == "done":
                # Its result came when nobody was there any more.
                asked = Asked(trial.number, trial.params, job)
                self.tell([asked], [record.score(known[job][0])])
            else:
                started.append(Asked(trial.number, trial.params, job))
        return sorted(started, key=lambda trial: trial.job)

    def missing(self) -> int:
        """Return the number of trials that are still to be asked for."""
        trials = self.study.get_trials(deepcopy=False)
        return self.n_trials - sum("job" in trial.user_attrs for trial in trials)

    def ask(self, batch: int) -> list[Asked]:
        """Return the next trials, at most `batch`, for successive jobs; [] at the end."""
        if self.started:
            asked = [self.started.pop(0)]
            while self.started and len(asked) < batch and self.started[0].job == asked[-1].job + 1:
                asked.append(self.started.pop(0))
            return asked
        asked = []
        first = max((job.job for _, job in record.read_all(self.folder)), default=-1) + 1
        for job in range(first, first + min(batch, self.missing())):
            trial = self.study.ask(self.space)
            trial.set_user_attr("job", job)
            asked.append(Asked(trial.number, trial.params, job))
        return asked

    def overrides(self, trial: Asked) -> list[str]:
        """Return all overrides of a trial's job."""
        return [*self.fixed, *(f"{key}={value!s}" for key, value in trial.params.items())]

    def tell(self, trials: Sequence[Asked], values: Sequence[float | None]) -> bool:
        """Note how trials came out; return whether the search continues.

        A trial whose job was stopped stays open: it is resumed with the search.
        """
        jobs = {job.job: job.status for _, job in record.read_all(self.folder)}
        going = True
        for trial, value in zip(trials, values, strict=True):
            if jobs[trial.job] in ("waiting", "running", "stopped"):
                going = False
            elif value is None or not math.isfinite(value):
                self.study.tell(trial.number, state=TrialState.FAIL)
            else:
                self.study.tell(trial.number, value)
        return going

    def report(self) -> None:
        """Print the best trial."""
        done = self.study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        if done:
            best = self.study.best_trial
            values = " ".join(f"{key}={value}" for key, value in best.params.items())
            print(
                f"best of {len(done)} trials: job {best.user_attrs['job']} ({values}):"
                f" {best.value:.2f}",
                flush=True,
            )


def journal(path: Path) -> JournalStorage:
    """Return the journal, mended after a crash while writing; nobody else may have it open."""
    path = path.resolve()
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("rb+") as file:
                file.truncate(whole)
    return JournalStorage(JournalFileBackend(str(path)))


def distribution(override: Override) -> BaseDistribution:
    """Return an override's Optuna distribution: choice(…) and a,b; range(…); interval(…).

    `tag(log, …)` draws numbers evenly on a logarithmic scale.

    Raises:
        IrodoriError: the space is empty or can't be logarithmic, or a tag is unknown.
    """
    sweep = override.value()
    tags: set[str] = getattr(sweep, "tags", set())
    if tags - {"log"}:
        raise IrodoriError(
            f"{override.input_line}: the only tag is log, not {', '.join(sorted(tags - {'log'}))}"
        )
    log = "log" in tags
    try:
        if isinstance(sweep, IntervalSweep):
            low, high = sweep.start, sweep.end
            assert low is not None
            assert high is not None
            if isinstance(low, int) and isinstance(high, int):
                return IntDistribution(low, high, log=log)
            return FloatDistribution(low, high, log=log)
        if isinstance(sweep, RangeSweep):
            values = sorted(sweep.range())
            if not values:
                raise ValueError("it is empty")
            step = abs(sweep.step)
            if all(isinstance(value, int) for value in values):
                return IntDistribution(int(values[0]), int(values[-1]), step=int(step), log=log)
            if log:
                raise ValueError("steps of floats can't be logarithmic; use interval")
            return FloatDistribution(float(values[0]), float(values[-1]), step=float(step))
        assert isinstance(sweep, ChoiceSweep) or override.is_discrete_sweep()
        if log:
            raise ValueError("a choice can't be logarithmic")
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    except ValueError as error:
        raise IrodoriError(f"{override.input_line}: {error}") from None

"""Search with Optuna, which can be resumed from the sweep's folder after a crash."""

import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from irodori.training.launching.job import SEARCH, read_records, score_of
from irodori.utils.errors import IrodoriError
from irodori.utils.files import write_json


class Search:
    """The jobs of a search. Values are stored in search.json, outcomes in each job.json."""

    def __init__(
        self, folder: Path, overrides: Sequence[Override], seed: int, n_trials: int
    ) -> None:
        """Start a search, or resume the one in the folder.

        Args:
            folder: folder of the sweep, locked by the caller.
            overrides: parsed overrides; those that are sweeps define the space.
            seed: seed of the sampler.
            n_trials: total number of jobs.

        Raises:
            IrodoriError: the space can't be searched, or the folder contains another or a finished
                search.
        """
        self.folder, self.n_trials, self.seed = folder, n_trials, seed
        # As in Hydra, the last one of a key counts.
        overrides = list({override.get_key_element(): override for override in overrides}.values())
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
        self.about = {key: repr(values) for key, values in self.space.items()}
        self.params: list[dict[str, Any]] = []
        """Values of each job, by number."""
        if (path := folder / SEARCH).exists():
            stored = json.loads(path.read_text())
            self.params = stored.pop("params")
            if stored != (now := {"space": self.about, "fixed": self.fixed}):
                raise IrodoriError(
                    f"{folder} contains a search with other settings ({stored} instead of"
                    f" {now}): give another hydra.sweep.dir"
                )
        self.open = [
            job for job, (state, _) in enumerate(self.results()) if not state.is_finished()
        ]
        """Jobs that were running when the search was stopped, to be resumed."""
        if len(self.params) >= n_trials and not self.open:
            raise IrodoriError(
                f"the search in {folder} has its {n_trials} trials: raise hydra.sweeper.n_trials to"
                " resume it, or give another hydra.sweep.dir"
            )
        self.save()

    def save(self) -> None:
        """Write search.json."""
        content = {"space": self.about, "fixed": self.fixed, "params": self.params}
        write_json(self.folder / SEARCH, content)

    def results(self) -> list[tuple[TrialState, float | None]]:
        """Return the state of each job, and the score of finished ones."""
        known = {job.job: (folder, job.status) for folder, job in read_records(self.folder)}
        found: list[tuple[TrialState, float | None]] = []
        for job in range(len(self.params)):
            folder, status = known.get(job, (self.folder, "waiting"))
            score = score_of(folder) if status == "done" else None
            if status not in ("done", "failed"):
                found.append((TrialState.RUNNING, None))
            elif score is None or not math.isfinite(score):
                found.append((TrialState.FAIL, None))
            else:
                found.append((TrialState.COMPLETE, score))
        return found

    def ask(self, batch: int) -> list[int]:
        """Return the numbers of at most `batch` next jobs; [] at the end."""
        if self.open:
            asked = [self.open.pop(0)]
            while self.open and len(asked) < batch and self.open[0] == asked[-1] + 1:
                asked.append(self.open.pop(0))
            return asked
        first = len(self.params)
        count = min(batch, self.n_trials - first)
        # A seed per draw, so that a resumed search doesn't repeat its first values.
        (seed,) = np.random.SeedSequence([self.seed, first]).generate_state(1)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(seed=int(seed), constant_liar=batch > 1)
        study = optuna.create_study(sampler=sampler)
        for params, (state, value) in zip(self.params, self.results(), strict=True):
            known = create_trial(state=state, value=value, params=params, distributions=self.space)
            study.add_trial(known)
        for _ in range(count):
            self.params.append(study.ask(self.space).params)
        self.save()
        return list(range(first, first + count))

    def overrides(self, job: int) -> list[str]:
        """Return all overrides of a job."""
        return [*self.fixed, *(f"{key}={value!s}" for key, value in self.params[job].items())]

    def ended(self, jobs: Sequence[int]) -> bool:
        """Return whether these jobs have ended; a stopped job is resumed with the search."""
        results = self.results()
        return all(results[job][0].is_finished() for job in jobs)

    def report(self) -> None:
        """Print the best trial."""
        scores = {job: value for job, (_, value) in enumerate(self.results()) if value is not None}
        if scores:
            best = min(scores, key=scores.__getitem__)
            values = " ".join(f"{key}={value}" for key, value in self.params[best].items())
            print(
                f"best of {len(scores)} trials: job {best} ({values}): {scores[best]:.2f}",
                flush=True,
            )


def distribution(override: Override) -> BaseDistribution:
    """Convert an override to an Optuna distribution: choice(…) or a,b; range(…); interval(…).

    `tag(log, …)` selects a logarithmic scale.

    Raises:
        IrodoriError: the space is empty or can't be logarithmic, or a tag is unknown.
    """
    sweep = override.value()
    tags: set[str] = getattr(sweep, "tags", set())
    log = "log" in tags
    try:
        if tags - {"log"}:
            raise ValueError(f"the only tag is log, not {', '.join(sorted(tags - {'log'}))}")
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

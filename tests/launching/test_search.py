"""The search: its space, its journal, and what becomes of it when it is killed."""

import csv
import json
import math
import sys

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from sweeps import seen

from irodori.training.launching.job import Job, note
from irodori.training.launching.search import Search, distribution
from irodori.utils.errors import IrodoriError

parse = OverridesParser.create().parse_overrides


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=interval(0,1)", FloatDistribution(0.0, 1.0)),
        ("a=tag(log,interval(1e-4,1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("a=int(interval(1,8))", IntDistribution(1, 8)),
        ("a=tag(log,int(interval(1,8)))", IntDistribution(1, 8, log=True)),
        ("a=range(1,10,4)", IntDistribution(1, 9, step=4)),
        ("a=range(10,1,-3)", IntDistribution(4, 10, step=3)),
        ("a=range(0,1,0.25)", FloatDistribution(0.0, 0.75, step=0.25)),
        ("a=choice(lab,yuv)", CategoricalDistribution(["lab", "yuv"])),
        ("a=1,2.5,null", CategoricalDistribution(["1", "2.5", "null"])),
        ("a='x, y',[1,2]", CategoricalDistribution(["'x, y'", "[1,2]"])),
    ],
)
def test_hydras_grammar_is_the_space(text, expected):
    assert distribution(parse([text])[0]) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a=tag(lgo,interval(1,2))", "the only tag is log, not lgo"),
        ("a=tag(log,interval(0,1))", "low"),
        ("a=tag(log,choice(1,2))", "a choice can't be logarithmic"),
        ("a=tag(log,range(0.1,1,0.1))", "use interval"),
        ("a=interval(2,1)", "low"),
        ("a=range(2,2)", "empty"),
    ],
)
def test_a_space_that_cannot_be_is_refused_by_name(text, part):
    with pytest.raises(IrodoriError) as error:
        distribution(parse([text])[0])
    assert str(error.value).startswith(f"{text}: ")
    assert part in str(error.value)


SPACE = ["seed=3", "lr=tag(log,interval(1e-4,1e-2))", "space=lab,yuv"]


def make(folder, n_trials=6, space=SPACE, seed=0):
    return Search(folder, parse(space), seed, n_trials)


def end(folder, number, status, score):
    """What a launcher leaves of a trial's job."""
    job = folder / str(number)
    job.mkdir(exist_ok=True)
    note(Job(number, (), (), job, 1, 1, "cpu"), status)
    if score is not None:
        (job / "metrics.json").write_text(json.dumps({"rows": {"best": {"chroma_rmse": score}}}))


def test_a_search_that_was_killed_goes_on_where_it_was(tmp_path):
    search = make(tmp_path)
    for number, score in enumerate((3.0, 1.0)):
        assert search.ask(1) == [number]
        end(tmp_path, number, "done", score)
        assert search.ended([number])
    # One that was done when the search was killed, one that ran, and one that failed.
    assert [search.ask(1) for _ in range(3)] == [[2], [3], [4]]
    end(tmp_path, 2, "done", 0.5)
    end(tmp_path, 3, "running", None)
    end(tmp_path, 4, "failed", None)
    asked = [search.overrides(number) for number in range(5)]
    assert {values[0] for values in asked} == {"seed=3"}

    search = make(tmp_path)
    assert search.ask(1) == [3]
    assert [search.overrides(number) for number in range(5)] == asked
    end(tmp_path, 3, "done", 2.0)
    assert search.ask(5) == [5]
    assert search.overrides(5) not in asked
    end(tmp_path, 5, "done", 4.0)
    assert search.ended([5])
    assert search.ask(1) == []

    done, failed = TrialState.COMPLETE, TrialState.FAIL
    results = [(done, 3.0), (done, 1.0), (done, 0.5), (done, 2.0), (failed, None), (done, 4.0)]
    assert search.results() == results
    with pytest.raises(IrodoriError, match=r"has its 6 trials: raise hydra\.sweeper\.n_trials"):
        make(tmp_path)
    assert make(tmp_path, 8).ask(5) == [6, 7]


@pytest.mark.parametrize(
    "space", [["seed=4", *SPACE[1:]], [*SPACE[:2], "space=lab,rgb"], [*SPACE, "more=1"]]
)
def test_another_search_in_the_folder_is_refused(tmp_path, space):
    make(tmp_path)
    with pytest.raises(IrodoriError, match="contains a search with other settings"):
        make(tmp_path, space=space)


def test_the_last_value_of_a_key_counts(tmp_path):
    search = make(tmp_path, space=[*SPACE, "lr=0.5"])
    (job,) = search.ask(1)
    assert [text for text in search.overrides(job) if text.startswith("lr=")] == ["lr=0.5"]


def test_the_same_seed_asks_the_same(tmp_path):
    asked = []
    for name, seed in [("a", 0), ("b", 0), ("c", 1)]:
        (tmp_path / name).mkdir()
        search = make(tmp_path / name, seed=seed)
        asked.append([search.overrides(job) for job in search.ask(4)])
    assert asked[0] == asked[1] != asked[2]


def test_what_is_asked_for_depends_on_the_results(tmp_path):
    """After its random start the search samples near the best learning rates: chance gives 1."""
    search = make(tmp_path, 40, ["lr=tag(log,interval(1e-5,1e-1))"])
    while numbers := search.ask(1):
        distance = abs(math.log10(search.params[numbers[0]]["lr"]) + 3)
        end(tmp_path, numbers[0], "done", distance)
    scores = [score for _, score in search.results()]
    assert np.mean(scores[-20:]) < 0.6


def test_a_stopped_job_ends_the_search_for_now(tmp_path):
    search = make(tmp_path)
    assert search.ask(2) == [0, 1]
    end(tmp_path, 0, "stopped", None)
    end(tmp_path, 1, "waiting", None)
    assert not search.ended([0, 1])
    assert make(tmp_path).ask(4) == [0, 1]


SWEEP = [
    "hydra/sweeper=optuna",
    "hydra.sweeper.n_trials=5",
    "optimizer.lr=tag(log,interval(1e-5,1e-1))",
]


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_search_goes_on_from_the_command_line(start, tmp_path):
    options = [*SWEEP, f"hydra.sweep.dir={tmp_path}/search", "seed=choice(1,2)"]
    first = start(*options, behavior={"2": "hang"})
    while not (hanging := [x for x in first.until("search/*/rank-0.json") if alone(x)]):
        pass
    first.process.kill()
    first.process.wait()
    before = {path: seen(path.parent) for path in tmp_path.glob("search/*/rank-0.json")}
    second = start(*options, behavior={})
    assert second.wait() == 0, second.lines
    # The job that the killed search had left to itself is ended before it is begun again.
    assert second.lines[0].startswith("ending 1 processes that an earlier sweep in ")
    after = {path: seen(path.parent) for path in tmp_path.glob("search/*/rank-0.json")}
    assert sorted(path.parent.name for path in after) == list("01234")
    for path, job in before.items():
        assert after[path]["config"] == job["config"]
        assert (after[path]["pid"] != job["pid"]) == (path in hanging)
    rows = list(csv.DictReader((tmp_path / "search" / "summary.csv").open()))
    assert [row["status"] for row in rows] == ["done"] * 5
    best = min(rows, key=lambda row: float(row["best"]))
    assert f"best of 5 trials: job {best['job']} (" in "\n".join(second.lines)


def alone(path):
    """Whether this job has begun and not ended."""
    job = json.loads((path.parent / "job.json").read_text())
    return job["status"] == "running" and seen(path.parent)["config"]["seed"] == 2


@pytest.mark.long
def test_without_optuna_it_is_one_line_and_only_when_chosen(start, tmp_path):
    # Python finds no module of this name there.
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['optuna'] = None\n")
    assert "optuna" in sys.modules
    sweep = start(*SWEEP, behavior={}, path=hidden)
    assert sweep.wait() == 1
    assert sweep.lines == [
        "error: hydra/sweeper=optuna needs Optuna: pip install 'irodori[search]'"
    ]
    sweep = start("seed=1", behavior={}, path=hidden)
    assert sweep.wait() == 0, sweep.lines

"""The search: its space, its journal, and what becomes of it when it is killed."""

import csv
import json
import sys

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from sweeps import seen

from irodori.training.launching import record
from irodori.training.launching.search import Search, distribution, journal
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
    return Search(folder, parse(space), seed, n_trials, together=False)


def end(folder, trial, status, score):
    """What a launcher leaves of a trial's job."""
    job = folder / str(trial.job)
    job.mkdir(exist_ok=True)
    record.write(job, record.Record(trial.job, status, [], []))
    if score is not None:
        (job / "metrics.json").write_text(json.dumps({"rows": {"best": {"chroma_rmse": score}}}))


def test_a_search_that_was_killed_goes_on_where_it_was(tmp_path):
    search = make(tmp_path)
    values = []
    for score in (3.0, 1.0):
        (trial,) = search.ask(1)
        values.append(trial.params)
        end(tmp_path, trial, "done", score)
        assert search.tell([trial], [score])
    # One that was done when the search was killed, one that ran, and one that failed.
    (late,) = search.ask(1)
    end(tmp_path, late, "done", 0.5)
    (running,) = search.ask(1)
    end(tmp_path, running, "running", None)
    (failed,) = search.ask(1)
    end(tmp_path, failed, "failed", None)
    assert search.tell([failed], [None])
    # Killed while it wrote to the journal, which it had locked.
    with (tmp_path / "search.journal").open("ab") as file:
        file.write(b'{"op_code": 5, "worker')
    (tmp_path / "search.journal.lock").symlink_to("search.journal")

    search = make(tmp_path)
    (again,) = search.ask(1)
    assert again == running
    assert search.overrides(again)[0] == "seed=3"
    end(tmp_path, again, "done", 2.0)
    assert search.tell([again], [2.0])
    (last,) = search.ask(5)
    assert last.job == 5
    assert last.params not in values
    end(tmp_path, last, "done", 4.0)
    assert search.tell([last], [4.0])
    assert search.ask(1) == []

    study = optuna.load_study(study_name="search", storage=journal(tmp_path / "search.journal"))
    assert [trial.value for trial in study.trials] == [3.0, 1.0, 0.5, 2.0, None, 4.0]
    assert study.trials[4].state == TrialState.FAIL
    with pytest.raises(IrodoriError, match=r"has its 6 trials: raise hydra\.sweeper\.n_trials"):
        make(tmp_path)
    assert len(make(tmp_path, 8).ask(5)) == 2


@pytest.mark.parametrize(
    "space", [["seed=4", *SPACE[1:]], [*SPACE[:2], "space=lab,rgb"], [*SPACE, "more=1"]]
)
def test_another_search_in_the_folder_is_refused(tmp_path, space):
    make(tmp_path)
    with pytest.raises(IrodoriError, match="holds a search with other settings"):
        make(tmp_path, space=space)


def test_the_same_seed_asks_the_same(tmp_path):
    asked = []
    for name, seed in [("a", 0), ("b", 0), ("c", 1)]:
        (tmp_path / name).mkdir()
        asked.append([trial.params for trial in make(tmp_path / name, seed=seed).ask(4)])
    assert asked[0] == asked[1] != asked[2]


def test_a_stopped_job_ends_the_search_for_now(tmp_path):
    search = make(tmp_path)
    trials = search.ask(2)
    assert [trial.job for trial in trials] == [0, 1]
    end(tmp_path, trials[0], "stopped", None)
    end(tmp_path, trials[1], "waiting", None)
    assert not search.tell(trials, [None, None])
    assert make(tmp_path).ask(4) == trials


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
    first.until("search/*/rank-0.json")
    while not (hanging := [x for x in first.until("search/*/rank-0.json") if alone(x)]):
        pass
    first.process.kill()
    first.process.wait()
    before = {path.parent.name: seen(path.parent) for path in tmp_path.glob("search/*/rank-0.json")}
    second = start(*options, behavior={})
    assert second.wait() == 0, second.lines
    # The job that the killed search had left to itself is ended before it is begun again.
    assert second.lines[0].startswith("ending 1 processes that an earlier sweep in ")
    after = {path.parent.name: seen(path.parent) for path in tmp_path.glob("search/*/rank-0.json")}
    assert sorted(after) == list("01234")
    (number,) = [path.parent.name for path in hanging]
    for name, job in before.items():
        assert after[name]["config"] == job["config"]
        assert (after[name]["pid"] != job["pid"]) == (name == number)
    rows = list(csv.DictReader((tmp_path / "search" / "summary.csv").open()))
    assert [row["status"] for row in rows] == ["done"] * 5
    best = min(rows, key=lambda row: float(row["best"]))
    assert f"best of 5 trials: job {best['job']} (" in "\n".join(second.lines)
    study = optuna.load_study(
        study_name="search", storage=journal(tmp_path / "search" / "search.journal")
    )
    assert [trial.value for trial in study.trials] == [float(row["best"]) for row in rows]
    # A sweep folder may be searched on.
    more = [option.replace("n_trials=5", "n_trials=6") for option in options]
    third = start(*more, "hydra.sweeper.batch=4", behavior={})
    assert third.wait() == 0, third.lines
    assert (tmp_path / "search" / "5" / "metrics.json").exists()


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

"""From a file of answers to shares, what was dropped, and the report."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from irodori.app.naturalness.report import answers_csv, shares_plot, show, write_report
from irodori.app.naturalness.results import Criteria, evaluate
from irodori.app.naturalness.study import Settings, Study, meaning

METHODS = ("ground truth", "good", "poor")
SHARES = {"ground truth": 0.95, "good": 0.85, "poor": 0.35}


def made(photographs=24, pairs=False, methods=METHODS, checks=0.15):
    settings = Settings(pairs=pairs, checks=checks)
    hues, cards = settings.checks_of(photographs)
    names = tuple(f"p{number}" for number in range(photographs))
    return Study("s", 3, settings, methods, names, photographs, hues, cards)


def answered(study, people, natural, until=None, viewed=800, careful=True):
    """What people answer; `natural(person, question)` says what they think of a photograph."""
    rows = [
        {"person": person, "place": place, **vars(question)}
        | {"thought": natural(person, question) if question.kind == "photograph" else careful}
        for person in people
        for place, question in enumerate(study.questions(person)[:until])
    ]
    given = pd.DataFrame(rows).assign(viewed=viewed, latency=viewed + 300, showings=1)
    # The second button, but where that doesn't mean what was thought.
    second = meaning(pd.Series(1, given.index), given.kind, given["first"], study.settings.pairs)
    thought = given.pop("thought")
    return given.assign(choice=(second == thought).astype(int))


def by_chance(study, seed=0, shares=SHARES):
    random = np.random.default_rng(seed)
    return lambda person, question: random.random() < shares[study.methods[question.method]]


def outcome_of(study, given, **criteria):
    return evaluate(study, given.person.nunique(), given, Criteria(**{"minimum": 0.4, **criteria}))


def test_shares_are_those_of_the_answers():
    study = made()
    given = answered(study, range(6), by_chance(study))
    outcome = outcome_of(study, given)
    for number, share in enumerate(outcome.shares):
        own = given[(given.kind == "photograph") & (given.method == number)].choice
        assert (share.answers, share.natural) == (len(own), own.sum()) == (48, own.sum())
        theirs = scipy.stats.binomtest(own.sum(), 48).proportion_ci(method="wilson")
        assert share.wilson == pytest.approx((theirs.low, theirs.high))
    assert outcome.counts["counted"] == outcome.counts["given"] == 144
    assert outcome.people == {"began": 6, "answered": 6, "finished": 6, "failed_checks": 0}
    checks = 6 * (study.hues + study.cards)
    assert outcome.checks == {"answered": checks, "passed": checks}
    # Six people in blocks of three: each picture is judged by two.
    assert (outcome.agreement.pictures, outcome.agreement.answers) == (72, 144)


def test_differences_that_are_there_are_found_and_others_are_not():
    study = made(40)
    shares = {"ground truth": 0.9, "good": 0.9, "poor": 0.3}
    outcome = outcome_of(study, answered(study, range(12), by_chance(study, 1, shares)))
    verdicts = {(one.one, one.other): one.verdict for one in outcome.differences}
    assert verdicts == {
        ("ground truth", "good"): "not distinguishable",
        ("ground truth", "poor"): "higher",
        ("good", "poor"): "higher",
    }
    few = outcome_of(study, answered(study, range(5), by_chance(study)))
    assert {one.verdict for one in few.differences} == {"too few people"}
    small = made(5, checks=0)
    small = outcome_of(small, answered(small, range(12), by_chance(small)))
    assert {one.verdict for one in small.differences} == {"too few photographs"}


def test_each_dropped_answer_has_a_reason_and_is_counted_once():
    study = made(24)
    fine = answered(study, range(3), by_chance(study))
    careless = answered(study, [3], by_chance(study), careful=False, viewed=100)
    early = answered(study, [4], by_chance(study), until=10)
    quick = answered(study, [5], by_chance(study), viewed=399)
    given = pd.concat([fine, careless, early, quick])

    def photographs(answers):
        return (answers.kind == "photograph").sum()

    outcome = outcome_of(study, given)
    assert outcome.counts["dropped"] == {
        "failed attention checks": photographs(careless),
        "left before the end": 0,
        "viewed too briefly": photographs(quick),
    }
    assert outcome.counts["counted"] == photographs(fine) + photographs(early)
    assert (outcome.people["finished"], outcome.people["failed_checks"]) == (5, 1)
    strict = outcome_of(study, given, complete=True)
    assert strict.counts["dropped"]["left before the end"] == photographs(early)
    assert strict.counts["counted"] == photographs(fine)
    lax = outcome_of(study, given, passed=0.0, minimum=0.0)
    assert lax.counts["counted"] == photographs(given)


def test_names_are_neither_markup_nor_formulas(capsys):
    names = ("ground truth", "a[/b] :cat:", r"$\frac$")
    study = made(methods=names)
    shares = dict(zip(names, SHARES.values(), strict=True))
    outcome = outcome_of(study, answered(study, range(6), by_chance(study, 0, shares)))
    show(outcome)
    said = capsys.readouterr().out
    for name in names:
        assert name in said
    assert names[2] in shares_plot(outcome).alt


def test_in_pairs_the_share_is_how_often_the_method_is_taken_for_real():
    study = made(20, pairs=True, checks=0.1)
    outcome = outcome_of(study, answered(study, range(8), lambda person, one: one.method == 1))
    assert {one.method: one.share for one in outcome.shares} == {"good": 1.0, "poor": 0.0}
    assert outcome.people["failed_checks"] == 0


def test_a_study_without_answers_has_results_too(tmp_path):
    study = made()
    nothing = answered(study, [0], by_chance(study)).head(0).astype(object)
    outcome = evaluate(study, 0, nothing, Criteria(0.4))
    assert [one.answers for one in outcome.shares] == [0, 0, 0]
    assert write_report(outcome, tmp_path).read_text()
    assert "No answer counts yet." in (tmp_path / "report.md").read_text()
    json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("pairs", [False, True])
def test_the_report_has_all_that_was_asked_for(tmp_path, pairs):
    study = made(24, pairs=pairs)
    given = answered(study, range(9), by_chance(study))
    careless = answered(study, [9], by_chance(study), careful=False)
    outcome = outcome_of(study, pd.concat([given, careless]))
    assert write_report(outcome, tmp_path) == tmp_path / "report.html"
    names = {"report.html", "report.md", "naturalness.png", "results.json", "answers.csv"}
    assert {path.name for path in tmp_path.iterdir()} == names
    text = (tmp_path / "report.md").read_text()
    for name in METHODS[pairs:]:
        assert name in text
    assert ("taken for real" if pairs else "judged natural") in text
    assert "24 failed attention checks" in text
    assert ("97.2 %" in text) != pairs
    assert "Krippendorff" in text
    data = json.loads((tmp_path / "results.json").read_text())
    assert [one["method"] for one in data["shares"]] == list(METHODS[pairs:])
    assert data["answers"]["dropped"]["failed attention checks"] == 24
    rows = list(csv.DictReader(io.StringIO((tmp_path / "answers.csv").read_text())))
    assert len(rows) == 240
    assert {row["dropped"] for row in rows} == {"", "failed attention checks"}
    key = "taken_for_real" if pairs else "natural"
    for share in outcome.shares:
        own = [row for row in rows if row["method"] == share.method and not row["dropped"]]
        assert sum(int(row[key]) for row in own) == share.natural
    assert answers_csv(outcome) == (tmp_path / "answers.csv").read_bytes()


def test_the_answer_names_the_best_method_and_what_it_differs_from(tmp_path):
    study = made(40)
    shares = {"ground truth": 0.95, "good": 0.93, "poor": 0.3}
    outcome = outcome_of(study, answered(study, range(12), by_chance(study, 2, shares)))
    write_report(outcome, tmp_path)
    said = (tmp_path / "report.md").read_text().splitlines()[2]
    assert "Among the colorized pictures, those of good were most often judged natural in 9" in said
    assert "The difference from poor is significant." in said
    assert "It can't be distinguished from ground truth." in said

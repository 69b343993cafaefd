"""Validations in training: which they are, and what they say at equal steps and equal time."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irodori.studies.comparison import compare
from irodori.studies.curves import Curve, Validation, curves, together, validations
from irodori.studies.document import Picture, Text
from irodori.studies.equal import equal_steps, equal_time
from irodori.studies.runs import read_run
from irodori.studies.tables import as_csv, training_table
from irodori.studies.training import equal_table, training_section
from irodori.utils.errors import IrodoriError
from made_runs import TIMM, keys_of, run

# As older versions wrote it: neither seconds nor evaluations at the end.
OLD = """epoch,train/loss_epoch,train/loss_step,val/chroma_rmse,step
0,,0.01,,9
0,0.02,,,9
1,,0.01,,19
1,,,13.5,19
1,0.02,,,19
2,,0.01,,29
2,0.02,,,29
3,,0.01,,39
3,,,12.5,39
3,0.02,,,39
"""
EVALUATION = "4,,,{},40\n"


@pytest.mark.parametrize("errors", [(), (12.5,), (12.5, 12.25), (12.5, 12.5, 12.25)])
def test_evaluations_at_the_end_are_no_validations_however_many(tmp_path, errors):
    folder = run(tmp_path / "run")
    (folder / "metrics.csv").write_text(OLD + "".join(EVALUATION.format(e) for e in errors))
    assert validations(read_run(folder, "last")) == {
        2: Validation(20, None, 13.5),
        4: Validation(40, None, 12.5),
    }


def test_a_run_that_was_never_validated_in_training_has_no_curve(tmp_path):
    rows = ["epoch,train/loss_epoch,val/chroma_rmse,step", "0,0.5,,2", "1,,12.5,3"]
    folder = run(tmp_path / "run")
    (folder / "metrics.csv").write_text("\n".join(rows) + "\n")
    assert validations(read_run(folder, "last")) == {}
    comparison = compare([folder])
    assert curves(comparison.variants) == {}
    files = {}
    assert len(training_section(comparison, {}, files)) == 2
    assert files == {}


@pytest.mark.parametrize("cell", ["epoch", "step"])
def test_a_damaged_file_is_one_line(tmp_path, cell):
    folder = run(tmp_path / "run")
    (folder / "metrics.csv").write_text(OLD.replace(cell, "other"))
    with pytest.raises(IrodoriError, match=r"metrics\.csv is damaged: .*; restore or remove it"):
        validations(read_run(folder, "last"))


def test_runs_of_a_variant_are_averaged_epoch_by_epoch():
    one = {1: Validation(10, 5.0, 14.0), 2: Validation(20, 10.0, 13.0), 3: Validation(30, 15, 12.0)}
    other = {1: Validation(12, 7.0, 15.0), 3: Validation(36, 21.0, 11.0)}
    curve = together([one, other])
    assert curve.epochs_E.tolist() == [1, 3]
    assert curve.steps_E.tolist() == [11, 33]
    assert curve.seconds_E.tolist() == [6, 18]
    assert curve.runs == 2
    assert (curve.mean_E.tolist(), curve.low_E.tolist()) == ([14.5, 11.5], [14, 11])
    assert curve.high_E.tolist() == [15, 12]
    untimed = together([one, {**other, 3: Validation(36, None, 11.0)}])
    assert untimed.seconds_E is None
    assert untimed.steps_E.tolist() == [11, 33]
    assert together([one, {4: Validation(40, 1.0, 1.0)}]) is None
    assert together([]) is None


def study(root, **slow):
    """Two folds of a variant of 20 epochs, and two of one that is slower."""
    for fold in (0, 1):
        common = {"keys": keys_of(fold, 8), "data__fold": fold}
        quick = {"seconds": 5.0 + fold}
        run(root / f"a{fold}", 1.0, curve_options=quick, **common)
        options = {"seconds": 9.0 + fold, **slow}
        run(root / f"b{fold}", 1.5, curve_options=options, backbone=TIMM, **common)
    return compare([root])


def test_at_equal_time_the_slower_variant_has_done_fewer_steps(tmp_path):
    found = curves(study(tmp_path).variants)
    assert list(found) == ["paper", "resnet18"]
    steps, time = equal_steps(found), equal_time(found)
    assert (steps.limit, dict(steps.places)) == (400, {"paper": 3, "resnet18": 3})
    # 5.5 s an epoch, 20 epochs; of the other 9.5 s, and 10 of its epochs take 95 s.
    assert (time.limit, dict(time.places)) == (110, {"paper": 3, "resnet18": 1})

    table = equal_table(found, steps, time)
    assert table.header == ["", "after 400 steps", "steps done", "after 1.83 minutes", "steps done"]
    fast, slow = table.rows
    assert [cell.text for cell in slow][2::2] == ["400", "200"]
    assert fast[1] == fast[3]
    own = [validations(read_run(tmp_path / f"b{fold}", "last"))[10].rmse for fold in (0, 1)]
    assert slow[3].text == f"{np.mean(own):.2f}"
    assert slow[3].note == f"{min(own):.2f} … {max(own):.2f}"


def test_the_file_holds_all_points_and_which_are_taken(tmp_path):
    found = curves(study(tmp_path).variants)
    rows = list(csv.DictReader(as_csv(training_table(found)).decode().splitlines()))
    assert [(row["variant"], row["epochs"]) for row in rows] == [
        (name, epochs) for name in ("paper", "resnet18") for epochs in ("5", "10", "15", "20")
    ]
    for row, at in zip(rows[4:], range(4), strict=True):
        curve = found["resnet18"]
        assert row["runs"] == "2"
        for name in ("steps", "seconds", "mean", "low", "high"):
            assert float(row[name]) == getattr(curve, f"{name}_E")[at]
    assert [row["equal_steps"] for row in rows] == ["", "", "", "400.0"] * 2
    assert [row["equal_seconds"] for row in rows] == ["", "", "", "110.0", "", "110.0", "", ""]


def test_without_seconds_only_steps_are_compared_and_it_is_said(tmp_path):
    comparison = study(tmp_path, seconds=None, evaluations=0)
    found = curves(comparison.variants)
    assert equal_time(found) is None
    blocks = training_section(comparison, found, {})
    said = " ".join(block.text for block in blocks if isinstance(block, Text))
    assert "No figures over time: the runs of resnet18 have not noted train/seconds" in said
    assert "Minutes are of training" not in said
    (picture,) = [block for block in blocks if isinstance(block, Picture)]
    assert "minutes" not in equal_table(found, equal_steps(found), None).header
    assert "resnet18 from" in picture.alt
    assert training_table(found)["data"][4][4] is None


def test_limits_and_the_schedule_are_told_in_words(tmp_path):
    comparison = study(tmp_path)
    blocks = training_section(comparison, curves(comparison.variants), {})
    said = " ".join(block.text for block in blocks if isinstance(block, Text))
    for words in (
        "400 steps: the most that every variant has been validated after",
        "1.83 minutes: what the fastest variant took",
        "range over seeds and folds",
        "no confidence interval",
        "falls to 0 at the end flatters",
    ):
        assert words in said


def test_a_variant_that_isnt_validated_by_then_has_no_figure(tmp_path):
    found = curves(study(tmp_path, seconds=99.0).variants)
    time = equal_time(found)
    assert time.places["resnet18"] is None
    table = equal_table(found, equal_steps(found), time)
    assert [cell.text for cell in table.rows[1]][3:] == ["–", "–"]
    assert table.rows[1][3].note == "not validated by then"
    assert [row[9] for row in training_table(found)["data"]][4:] == [None] * 4


rises = st.lists(st.integers(1, 1000), min_size=1, max_size=8, unique=True).map(sorted)


@given(st.lists(rises, min_size=1, max_size=5))
def test_limits_are_those_of_the_definition(all_steps):
    found = {}
    for number, steps in enumerate(all_steps):
        steps_E = np.array(steps, np.float64)
        found[str(number)] = Curve(steps_E, steps_E, 0.3 * steps_E, *[steps_E] * 3, runs=1)
    # The most steps of any validation that every variant has one at or beyond.
    limit = max(s for steps in all_steps for s in steps if all(s <= x[-1] for x in all_steps))
    for equal, factor in ((equal_steps(found), 1.0), (equal_time(found), 0.3)):
        assert equal.limit == factor * limit
        for name, steps in zip(found, all_steps, strict=True):
            before = [n for n, s in enumerate(steps) if s <= limit]
            assert equal.places[name] == (before[-1] if before else None)

"""Validations in training: which they are, and what they say after equal steps and equal time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irodori.evaluation.comparison.compare import compare
from irodori.evaluation.comparison.runs import read_run
from irodori.evaluation.comparison.training import (
    average,
    curves,
    equal_table,
    training_section,
    training_table,
    validations,
)
from irodori.evaluation.document import Picture, Text
from irodori.metrics.catalog import MAIN, METRICS
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


def validated(text, folder):
    (run(folder) / "metrics.csv").write_text(text)
    return validations(read_run(folder, "last"))


@pytest.mark.parametrize("errors", [(), (12.5,), (12.5, 12.25), (12.5, 12.5, 12.25)])
def test_evaluations_at_the_end_are_no_validations_however_many(tmp_path, errors):
    found = validated(OLD + "".join(EVALUATION.format(e) for e in errors), tmp_path / "run")
    assert found.index.tolist() == [2, 4]
    assert found["steps"].tolist() == [20, 40]
    assert found["value"].tolist() == [13.5, 12.5]
    assert found["seconds"].isna().all()


def test_several_validations_in_an_epoch(tmp_path):
    found = validated(OLD.replace("1,,0.01,,19", "1,,,14.5,14\n1,,0.01,,19"), tmp_path / "run")
    assert found.index.tolist() == [1.5, 2, 4]
    assert (found["value"].tolist(), found["steps"].tolist()) == ([14.5, 13.5, 12.5], [15, 20, 40])


def test_a_run_that_was_never_validated_in_training_has_no_curve(tmp_path):
    text = "epoch,train/loss_epoch,val/chroma_rmse,step\n0,0.5,,2\n1,,12.5,3\n"
    assert validated(text, tmp_path / "run").empty
    comparison = compare([tmp_path / "run"])
    assert curves(comparison.variants) == {}
    assert training_section(comparison, {}) == []


@pytest.mark.parametrize("cell", ["epoch", "step"])
def test_a_damaged_file_is_one_line(tmp_path, cell):
    with pytest.raises(IrodoriError, match=r"metrics\.csv is damaged: .*; restore or remove it"):
        validated(OLD.replace(cell, "other"), tmp_path / "run")


def table(epochs, steps, seconds, values):
    return pd.DataFrame({"steps": steps, "seconds": seconds, "value": values}, index=epochs)


def test_runs_of_a_variant_are_averaged_epoch_by_epoch():
    first = table([1, 2, 3], [10, 20, 30], [5.0, 10.0, 15.0], [14.0, 13.0, 12.0])
    second = table([1, 3], [12, 36], [7.0, 21.0], [15.0, 11.0])
    curve = average([first, second])
    assert curve.index.tolist() == [1, 3]
    expected = {
        "runs": [2, 2], "steps": [11, 33], "seconds": [6, 18],
        "mean": [14.5, 11.5], "low": [14, 11], "high": [15, 12],
    }  # fmt: skip
    assert curve.to_dict("list") == expected
    untimed = average([first, table([1, 3], [12, 36], [7.0, np.nan], [15.0, 11.0])])
    assert untimed["seconds"].isna().all()
    assert untimed["steps"].tolist() == [11, 33]
    assert average([first, table([4], [40], [1.0], [1.0])]).empty
    assert average([]).empty


def study(root, **slow):
    """Two folds of a variant of 20 epochs, and two of one that is slower."""
    for fold in (0, 1):
        common = {"keys": keys_of(fold, 8), "data__fold": fold}
        quick = {"seconds": 5.0 + fold}
        run(root / f"a{fold}", 1.0, curve_options=quick, **common)
        options = {"seconds": 9.0 + fold, **slow}
        run(root / f"b{fold}", 1.5, curve_options=options, backbone=TIMM, **common)
    return compare([root])


def test_after_equal_time_the_slower_variant_has_done_fewer_steps(tmp_path):
    found = training_table(curves(study(tmp_path).variants))
    assert found.index.tolist() == [
        (name, epochs) for name in ("paper", "resnet18") for epochs in (5, 10, 15, 20)
    ]
    last = [np.nan, np.nan, np.nan, 400]
    np.testing.assert_equal(found["equal_steps"].to_numpy(), [*last, *last])
    # 5.5 s an epoch, 20 epochs; of the other 9.5 s, and 10 of its epochs take 95 s.
    expected = [np.nan] * 3 + [110, np.nan, 110, np.nan, np.nan]
    np.testing.assert_equal(found["equal_seconds"].to_numpy(), expected)

    shown = equal_table(METRICS[MAIN], found)
    assert shown.header == ["", "after 400 steps", "steps done", "after 1.83 minutes", "steps done"]
    fast, slow = shown.rows
    assert [cell.text for cell in slow][2::2] == ["400", "200"]
    assert fast[1] == fast[3]
    runs = [read_run(tmp_path / f"b{fold}", "last") for fold in (0, 1)]
    own = [validations(each)["value"][10] for each in runs]
    assert slow[3].text == f"{np.mean(own):.2f}"
    assert slow[3].note == f"{min(own):.2f} … {max(own):.2f}"


def texts(blocks):
    return " ".join(block.text for block in blocks if isinstance(block, Text))


def test_without_seconds_only_steps_are_compared_and_the_report_says_so(tmp_path):
    comparison = study(tmp_path, seconds=None, evaluations=0)
    found = curves(comparison.variants)
    blocks = training_section(comparison, found)
    assert "the runs of resnet18 lack train/seconds" in texts(blocks)
    assert any(isinstance(block, Picture) and "resnet18 from" in block.alt for block in blocks)
    table = training_table(found)
    assert len(equal_table(comparison.main, table).header) == 3
    assert table["seconds"][4:].isna().all()
    assert table["equal_seconds"].isna().all()


def test_limits_and_the_schedule_are_explained(tmp_path):
    comparison = study(tmp_path)
    said = texts(training_section(comparison, curves(comparison.variants)))
    for words in ("400 steps: ", "1.83 minutes: ", "not a confidence interval", "schedule"):
        assert words in said


def test_a_variant_that_isnt_validated_by_then_has_no_metric(tmp_path):
    found = training_table(curves(study(tmp_path, seconds=99.0).variants))
    shown = equal_table(METRICS[MAIN], found)
    assert [cell.text for cell in shown.rows[1]][3:] == ["–", "–"]
    assert shown.rows[1][3].note == "not validated by then"
    assert found["equal_seconds"][4:].isna().all()


rises = st.lists(st.integers(1, 1000), min_size=1, max_size=8, unique=True).map(sorted)


@given(st.lists(rises, min_size=1, max_size=5))
def test_limits_are_those_of_the_definition(all_steps):
    found = training_table(
        {
            str(number): pd.DataFrame({"steps": steps, "seconds": np.nan}, index=range(len(steps)))
            for number, steps in enumerate(all_steps)
        }
    )
    # The most steps of any validation that every variant has one at or beyond.
    most = max(s for steps in all_steps for s in steps if all(s <= x[-1] for x in all_steps))
    last = [max((s for s in steps if s <= most), default=None) for steps in all_steps]
    taken = found["equal_steps"].dropna()
    assert set(taken) == {most}
    assert found["steps"][taken.index].tolist() == [steps for steps in last if steps is not None]
    assert found["equal_seconds"].isna().all()

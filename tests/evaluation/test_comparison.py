"""From run folders to estimates, differences and an answer."""

import json
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from irodori.evaluation.comparison.compare import compare
from irodori.evaluation.comparison.comparison import answer
from irodori.evaluation.comparison.runs import TRUE
from irodori.metrics.catalog import METRICS
from irodori.utils.errors import IrodoriError
from made_runs import MEASURED, PROTOCOL, SPACES, job, keys_of, run, study


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return compare([study(tmp_path_factory.mktemp("study") / "sweep", seeds=2)])


def cells(folder, row="last"):
    """A row's photographs by key."""
    table = pd.read_csv(folder / "per_image.csv")
    return table[table["row"] == row].set_index("key")


def test_folds_are_pooled_and_seeds_averaged(comparison):
    assert comparison.names == ("lab", "yuv", "luv", "rgb")
    assert len(comparison.keys) == 36
    runs = comparison.variants[0].runs
    assert Counter(run.fold for run in runs) == {0: 2, 1: 2, 2: 2}
    values = pd.concat(cells(run.folder) for run in runs).groupby("key").mean(numeric_only=True)
    for name in MEASURED:
        weights = values["auc_balanced_weight"] if name == "auc_balanced" else None
        own = np.average(values[name], weights=weights)
        assert comparison.estimates.loc[("lab", name), "mean"] == pytest.approx(own)
    true = (values["colorfulness"] - values["colorfulness_difference"]).mean()
    assert comparison.estimates.loc[(TRUE, "colorfulness"), "mean"] == pytest.approx(true)


def test_true_colorfulness_is_of_one_runs_values(tmp_path):
    """A run without the difference isn't mixed with another one's."""
    one, two = run(tmp_path / "one"), run(tmp_path / "two", 2.0, alpha=0.0)
    table = pd.read_csv(one / "per_image.csv").drop(columns="colorfulness_difference")
    table.to_csv(one / "per_image.csv", index=False)
    own = cells(two)
    true = (own["colorfulness"] - own["colorfulness_difference"]).mean()
    comparison = compare([one, two])
    assert comparison.estimates.loc[(TRUE, "colorfulness"), "mean"] == pytest.approx(true)


def test_scenes_have_the_means_of_their_photographs(comparison, tmp_path):
    runs = comparison.variants[0].runs
    photographs = pd.concat(cells(run.folder) for run in runs)
    own = photographs.groupby("scene")["chroma_rmse"].mean()
    assert list(own.index) == ["beach", "forest"]
    for scene, mean in own.items():
        found = comparison.scenes.loc[(scene, "lab")]
        assert found["mean"] == pytest.approx(mean)
        assert found["low"] < mean < found["high"]
        assert (
            found["photographs"]
            == photographs["scene"].eq(scene).sum() / comparison.variants[0].seeds
        )
    assert {name for _, name in comparison.scenes.index} == set(comparison.rows)
    # A single scene says what all photographs do.
    folder = run(tmp_path / "beaches")
    table = pd.read_csv(folder / "per_image.csv")
    table[table["scene"] == "beach"].to_csv(folder / "per_image.csv", index=False)
    assert compare([folder]).scenes.empty


def test_one_fold_and_seed_gives_what_metrics_json_says(tmp_path):
    folder = run(tmp_path / "run")
    comparison = compare([folder])
    rows = json.loads((folder / "metrics.json").read_text())["rows"]
    for row, name in (("last", "made"), ("gray", "gray"), ("mean_color", "mean color")):
        for metric in ("chroma_rmse", "ssim", "colorfulness_difference"):
            found = comparison.estimates.loc[(name, metric), "mean"]
            assert found == pytest.approx(rows[row][metric])
    assert ("gray", "accuracy") not in comparison.estimates.index
    assert comparison.verdict("made", "gray", "chroma_rmse") == "better"


def test_differences_and_intervals_are_those_of_the_definitions(tmp_path):
    folders = [run(tmp_path / "a"), run(tmp_path / "b", 0.3, color_space=SPACES["yuv"])]
    comparison = compare(folders)
    one, other = map(cells, folders)
    near = comparison.differences.loc[("lab", "yuv", "colorfulness_difference")]
    distances = one["colorfulness_difference"].abs() - other["colorfulness_difference"].abs()
    assert near.difference == pytest.approx(distances.mean())
    found = comparison.differences.loc[("lab", "yuv", "chroma_rmse")]
    errors = (one["chroma_rmse"] - other["chroma_rmse"]).to_numpy()
    theirs = scipy.stats.permutation_test(
        (errors,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.low < found.difference < found.high
    # Five pairs: with gray and mean color, each of both.
    assert found.p <= found.p_corrected <= 5 * found.p
    other = comparison.differences.loc[("yuv", "lab", "chroma_rmse")]
    assert (other.difference, other.low, other.high) == (-found.difference, -found.high, -found.low)


def test_verdicts_and_words(comparison):
    assert comparison.verdict("rgb", "lab", "chroma_rmse") == "worse"
    assert comparison.verdict("lab", "rgb", "chroma_rmse") == "better"
    assert comparison.verdict("lab", "yuv", "chroma_rmse") == "not distinguishable"
    assert comparison.best(METRICS["chroma_rmse"]) == "lab"
    assert comparison.best(METRICS["colorfulness"]) is None
    assert not comparison.stands_out("lab", METRICS["chroma_rmse"])
    said = " ".join(answer(comparison))
    assert said.startswith("lab has the lowest chrominance RMSE: ")
    assert "better than luv and rgb" in said
    assert "can't be distinguished from yuv:" in said
    assert "All of them are better than the mean color and all gray." in said


def test_names_that_hold_commas_are_quoted(tmp_path):
    for alpha in (0.0, 1.0):
        for space in ("lab", "yuv"):
            run(tmp_path / f"{space}{alpha:g}", alpha=alpha, color_space=SPACES[space])
    assert re.match("“(lab|yuv), α = [01]” has the lowest", answer(compare([tmp_path]))[0])


@pytest.mark.parametrize(
    ("better", "relation"),
    [(-9.0, "Both are worse than"), (-5.6, "Neither can be distinguished from")],
)
def test_no_variant_wins_that_is_no_better_than_the_mean_color(tmp_path, better, relation):
    """And the words are those of the table, also where a difference is for the worse."""
    # On half of the photographs as far above the mean color as below it on the others.
    for name, more in (("lab", 0.0), ("yuv", 0.1)):
        folder = run(tmp_path / name, better - more, color_space=SPACES[name], noise=0.1)
        if better != -9.0:
            balance(folder)
    comparison = compare([tmp_path])
    said = answer(comparison)
    assert said[0].startswith("No variant wins.")
    assert not any("has the lowest" in sentence for sentence in said)
    assert f"{relation} the mean color" in said[-1]
    for name in comparison.names:
        verdict = comparison.verdict(name, "mean color", "chroma_rmse")
        assert verdict == ("worse" if better == -9.0 else "not distinguishable")
        assert not comparison.stands_out(name, METRICS["chroma_rmse"])


def balance(folder):
    """Set errors to those of the mean color, and some more or less."""
    table = pd.read_csv(folder / "per_image.csv")
    last = table["row"] == "last"
    errors = table["key"].map(cells(folder, "mean_color")["chroma_rmse"])
    table.loc[last, "chroma_rmse"] = errors[last] + (-1.0) ** np.arange(last.sum())
    table.to_csv(folder / "per_image.csv", index=False)


def test_another_metric_may_decide(tmp_path):
    for name, better in (("lab", 2.0), ("yuv", 0.0)):
        run(tmp_path / name, better, color_space=SPACES[name])
    said = answer(compare([tmp_path], metric="ssim"))
    assert re.match(r"lab has the highest SSIM: 0\.\d{4} \(95 % interval", said[0])
    for name in ("colorfulness", "warmth"):
        with pytest.raises(IrodoriError, match=f"--metric {name} can't rank variants"):
            compare([tmp_path], metric=name)


def test_the_result_doesnt_depend_on_the_order_of_photographs(tmp_path):
    keys = keys_of(0, 9)
    there = compare([run(tmp_path / "a", keys=keys)])
    path = tmp_path / "a" / "per_image.csv"
    pd.read_csv(path)[::-1].to_csv(path, index=False)
    assert compare([tmp_path / "a"]).estimates.equals(there.estimates)


def test_only_common_photographs_are_compared_and_it_is_said(tmp_path):
    keys = keys_of(0, 12)
    run(tmp_path / "a", keys=keys)
    run(tmp_path / "b", keys=keys[3:] + keys_of(5, 4), color_space=SPACES["yuv"])
    comparison = compare([tmp_path])
    assert comparison.keys == tuple(keys[3:])
    (warning,) = comparison.warnings
    assert warning == (
        "Runs have different photographs: compared on the 9 common ones (measured: lab 12, yuv 13)."
    )
    assert comparison.estimates.loc[("lab", "chroma_rmse"), "photographs"] == 9


def test_few_photographs_tell_nothing(tmp_path):
    for name, better in (("lab", 5.0), ("yuv", 0.0)):
        run(tmp_path / name, better, keys=keys_of(0, 5), color_space=SPACES[name])
    comparison = compare([tmp_path])
    assert comparison.verdict("lab", "yuv", "chroma_rmse") == "too few photographs"
    assert "5 photographs are too few to test" in " ".join(answer(comparison))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": {**PROTOCOL, "short_side_at_most": 128}}, "short_side_at_most is 256 in .*a"),
        ({"size": (32, 40)}, "is another photograph in .*40×32 and 32×40 pixels"),
        ({"keys": ["x", "y"]}, "lab and yuv have no photograph in common"),
    ],
)
def test_what_cant_be_compared_is_refused(tmp_path, changes, said):
    run(tmp_path / "a")
    run(tmp_path / "b", color_space=SPACES["yuv"], **changes)
    with pytest.raises(IrodoriError, match=said) as error:
        compare([tmp_path])
    assert "\n" not in str(error.value)


def test_another_photograph_of_the_same_size_is_noticed_by_its_gray_version(tmp_path):
    run(tmp_path / "a")
    run(tmp_path / "b", color_space=SPACES["yuv"])
    path = tmp_path / "b" / "per_image.csv"
    table = pd.read_csv(path)
    table.loc[(table["row"] == "gray").idxmax(), "chroma_rmse"] += 1
    table.to_csv(path, index=False)
    with pytest.raises(IrodoriError, match=r"photo0-000 is another photograph .*gray version"):
        compare([tmp_path])


def test_a_photograph_measured_in_two_folds_is_refused(tmp_path):
    keys = keys_of(0, 6)
    run(tmp_path / "a", keys=keys, data__fold=0)
    run(tmp_path / "b", keys=keys, data__fold=1)
    with pytest.raises(IrodoriError, match="was measured by folds 0 and 1 of made"):
        compare([tmp_path])


def test_unfinished_runs_are_left_out_and_named(tmp_path):
    run(tmp_path / "0")
    job(tmp_path / "1", 1, "running")
    run(tmp_path / "2", seed=1)
    (tmp_path / "2" / "per_image.csv").unlink()
    (run(tmp_path / "3", seed=2) / "metrics.json").write_text('{"rows": {}, "metrics": {}}')
    comparison = compare([tmp_path])
    assert [(left.folder.name, left.reason) for left in comparison.left_out] == [
        ("1", "job 1: running"),
        ("2", "no per_image.csv: written by an older version"),
        ("3", "trained without validation"),
    ]
    with pytest.raises(IrodoriError, match=r"nothing to compare: .*job 1: running"):
        compare([tmp_path / "1"])


def test_the_best_row_is_marked_and_others_refused(tmp_path):
    run(tmp_path / "0")
    (warning,) = compare([tmp_path], "best").warnings
    assert "chosen on the photographs that they are evaluated on" in warning
    with pytest.raises(IrodoriError, match="--row first is unknown: give last or best"):
        compare([tmp_path], "first")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("metrics.json", "{", "metrics.json can't be read"),
        ("metrics.json", "{}", "has no rows"),
        ("metrics.json", "[]", "has unexpected content"),
        ("config.yaml", "a: [", "config.yaml can't be read"),
        ("config.yaml", "a: &a [x]\nb: [*a, *a]\n", "YAML aliases"),
        ("per_image.csv", "", "per_image.csv is damaged"),
        ("per_image.csv", "row,key\nlast,a\n", "per_image.csv is damaged"),
        ("per_image.csv", "row,key,width,height\nlast,a,1\n", "per_image.csv is damaged"),
        ("per_image.csv", "row,key,width,height,psnr\nlast,a,1,1", "last line is cut off"),
        ("per_image.csv", "row,key,width,height\ngray,a,1,1\n", "has no row last"),
        (
            "per_image.csv",
            "row,key,width,height\nlast,a,1,1\nlast,a,1,1\n",
            "a appears twice in row last",
        ),
    ],
)
def test_damaged_files_are_one_line(tmp_path, file, content, said):
    folder = run(tmp_path / "run")
    (folder / file).write_text(content)
    with pytest.raises(IrodoriError, match=said) as error:
        compare([folder])
    assert "\n" not in str(error.value)


def test_metrics_of_the_whole_set_have_no_interval(tmp_path):
    folder = run(tmp_path / "run")
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["rows"]["last"]["kid"] = 12.5
    (folder / "metrics.json").write_text(json.dumps(metrics))
    kid = compare([folder]).estimates.loc[("made", "kid"), ["mean", "low"]]
    assert kid["mean"] == 12.5
    assert np.isnan(kid["low"])


def test_tables_have_each_pair_once_variants_first(comparison):
    tables = comparison.tables()
    assert list(tables["estimates"])[:3] == ["variant", "metric", "mean"]
    estimates = comparison.estimates
    assert estimates.loc[("lab", "ssim"), ["photographs", "seeds"]].tolist() == [36, 2]
    pairs = tables["differences"].query("metric == 'ssim'")[["variant", "other"]]
    names = comparison.rows
    expected = [[one, other] for n, one in enumerate(names[:4]) for other in names[n + 1 :]]
    assert pairs.to_numpy().tolist() == expected

"""A user's metrics: one class and one YAML each, seen in every table, file and comparison."""

import csv
import json
from functools import partial

import hydra
import pandas as pd
import pytest
import torch
from pairs import DEFAULT, default_metrics, smooth
from rich.console import Console

from irodori.evaluation.comparison.compare import compare
from irodori.evaluation.comparison.comparison import show
from irodori.evaluation.comparison.report import metrics_table
from irodori.metrics import MetricInfo, PairMetric, SceneMetric, SetDistance
from irodori.metrics.catalog import MAIN, METRICS, stored_metrics
from irodori.metrics.chrominance import ChrominanceRMSE
from irodori.metrics.evaluation import Evaluation
from irodori.metrics.factories import left_out, make_metrics
from irodori.metrics.fidelity import PSNR
from irodori.metrics.prior import AbPrior
from irodori.metrics.results import EvaluationResult, document, table, write_per_image
from irodori.utils.errors import IrodoriError
from made_runs import SPACES, run

PRIOR = AbPrior.of([smooth(0)], "a picture of a test")
CPU = torch.device("cpu")


class Warmth(PairMetric):
    """The mean of b*, scaled; only of pictures that are wider than high."""

    info = MetricInfo("warmth", "own warmth", "higher", "mean b*, scaled", "ab units", digits=1)

    def __init__(self, num_classes, scale=1.0):
        super().__init__(num_classes)
        self.scale = scale

    def measure(self, pair):
        _, height, width = pair.true_3HW.shape
        return self.scale * pair.predicted_lab[2].mean() if width > height else None


class Certainty(SceneMetric):
    """The likeliest scene's probability, weighted by the label."""

    info = MetricInfo("certainty", "own certainty", "higher", "probability of the likeliest scene")
    weighted = True

    def measure(self, logits_C, label):
        return torch.stack([logits_C.softmax(0).max(), torch.tensor(label + 1.0)])


class Brightness(SetDistance):
    """How much brighter one set is than the other."""

    info = MetricInfo(
        "brightness", "own brightness", "near zero", "mean difference", per_photograph=False
    )
    slow = True

    def __init__(self):
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predicted_3HW, true_3HW):
        self.total += predicted_3HW.float().mean() - true_3HW.float().mean()
        self.count += 1

    def compute(self):
        return self.total / self.count


OWN = {
    MAIN: ChrominanceRMSE,
    "psnr": None,
    "warmth": partial(Warmth, scale=2.0),
    "certainty": Certainty,
    "brightness": Brightness,
}
LABELS = (0, 1, 1, -1)
SIZES = ((20, 30), (20, 31), (20, 20), (20, 33))


def evaluated(metrics=OWN, perceptual=True):
    evaluation = Evaluation(
        ["model", "gray"], ["sea", "hill"], metrics, CPU, PRIOR, perceptual=perceptual
    )
    for number, (label, size) in enumerate(zip(LABELS, SIZES, strict=True)):
        true, predicted = smooth(number, *size), smooth(number + 9, *size)
        evaluation.add("model", f"photo{number}", label, predicted, true, torch.tensor([1.0, 0]))
        evaluation.add("gray", f"photo{number}", label, true, true)
    return evaluation


def blue_to_yellow(number):
    """b* of a prediction, not by the class."""
    metric = Warmth(1)
    metric.update(smooth(number + 9, *SIZES[number]), smooth(number, *SIZES[number]))
    return metric.compute().item()


def test_own_metrics_are_measured_as_those_of_irodori():
    evaluation = evaluated()
    overall, scenes = evaluation.overall(), evaluation.scenes()
    warmth = [2 * blue_to_yellow(number) for number in (0, 1, 3)]
    assert overall["model"]["warmth"] == pytest.approx(sum(warmth) / 3)
    assert scenes["sea"]["model"]["warmth"] == pytest.approx(warmth[0])
    # The third photograph's isn't defined, and still it is one of its scene.
    assert scenes["hill"]["samples"] == 2
    assert scenes["hill"]["model"]["warmth"] == pytest.approx(warmth[1])
    likeliest = torch.tensor([1.0, 0]).softmax(0)[0].item()
    assert overall["model"]["certainty"] == pytest.approx(likeliest)
    assert overall["gray"].keys() == {MAIN, "warmth", "brightness"}
    assert overall["gray"]["brightness"] == 0
    assert "psnr" not in overall["model"]
    records = [record for record in evaluation.ordered() if record["row"] == "model"]
    found = [record.get("warmth") for record in records]
    assert found == pytest.approx([*warmth[:2], None, warmth[2]])
    assert [record["certainty_weight"] for record in records] == [1, 2, 2, 0]
    assert not any("brightness" in record for record in records)
    assert "brightness" not in evaluated(perceptual=False).overall()["model"]


def test_files_and_tables_describe_them(tmp_path):
    evaluation = evaluated()
    result = EvaluationResult(
        evaluation.overall(), evaluation.scenes(), evaluation.ordered(), evaluation.infos
    ).renamed("model", "last")
    assert result.metrics == evaluation.infos
    write_per_image(tmp_path, result.records)
    with (tmp_path / "per_image.csv").open() as file:
        header, first, *_ = csv.reader(file)
    own = ["warmth", "certainty", "certainty_weight"]
    assert header == ["row", "key", "scene", "width", "height", MAIN, *own]
    assert float(first[header.index("warmth")]) == pytest.approx(2 * blue_to_yellow(0))

    stored = json.loads(json.dumps(document(result, {"name": "a test"})))
    assert stored["protocol"]["definitions"]["warmth"] == "mean b*, scaled"
    assert stored["protocol"]["definitions"][MAIN] == METRICS[MAIN].definition
    read = stored_metrics(stored)
    assert list(read)[: len(METRICS)] == list(METRICS)
    for metric in (Warmth, Certainty, Brightness):
        assert read[metric.info.name] == metric.info
    console = Console(width=120)
    with console.capture() as captured:
        console.print(table("made", result.rows, result.scenes, read))
    lines = captured.get().splitlines()
    value = f"{result.rows['last']['warmth']:.1f}"
    assert any("↑" in line and "own warmth" in line and value in line for line in lines)
    assert any("→0" in line and "own brightness" in line for line in lines)


def with_own(folder, warmth, described=True, **changes):
    """Add to a made run the own metrics as this evaluation stores them."""
    path = folder / "per_image.csv"
    table = pd.read_csv(path)
    table["warmth"] = (warmth + table.index % 7 / 10).where(table["row"] == "last", 0.0)
    table.to_csv(path, index=False)
    metrics = json.loads((folder / "metrics.json").read_text())
    for name, row in metrics["rows"].items():
        row |= {"warmth": warmth if name == "last" else 0.0, "brightness": -warmth}
    if described:
        infos = (METRICS[MAIN], Warmth.info, Brightness.info)
        metrics["metrics"] = {info.name: info.to_json() for info in infos}
        metrics["metrics"]["warmth"] |= changes
        metrics["protocol"]["definitions"] = {info.name: info.definition for info in infos}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def test_comparisons_label_and_judge_them(tmp_path, capsys):
    folders = [
        with_own(run(tmp_path / "a"), 3.0),
        with_own(run(tmp_path / "b", color_space=SPACES["yuv"]), 8.0),
        # Of a version that described no metrics, and had none of these.
        run(tmp_path / "c", alpha=0.0),
    ]
    comparison = compare(folders[:2])
    assert comparison.metrics[-2:] == (Warmth.info, Brightness.info)
    own = comparison.estimates.loc["yuv", "mean"]
    assert own["warmth"] == pytest.approx(8.3, abs=0.1)
    assert own["brightness"] == -8
    assert comparison.best(Warmth.info) == "yuv"
    assert comparison.verdict("yuv", "lab", "warmth") == "better"
    assert comparison.best(Brightness.info) == "lab"
    rows = {row[0].text: row for row in metrics_table(comparison).rows}
    assert rows["own warmth\u00a0↑"][0].note == "ab units"
    assert rows["own warmth\u00a0↑"][2].strong
    assert "own brightness\u00a0→\u00a00" in rows
    show(comparison)
    assert "warmth" in capsys.readouterr().out
    assert Warmth.info in compare(folders).metrics


def test_runs_that_describe_no_metrics_or_wrong_ones(tmp_path):
    without = with_own(run(tmp_path / "without"), 3.0, described=False)
    assert {info.name for info in compare([without]).metrics} <= METRICS.keys()
    for number, changes in enumerate(({"better": "warmer"}, {"digits": "2"}, {"title": None})):
        wrong = with_own(run(tmp_path / f"wrong{number}"), 3.0, **changes)
        with pytest.raises(IrodoriError, match=r"wrong\d/metrics.json: .*warmth") as caught:
            compare([wrong])
        assert "\n" not in str(caught.value)
    one = with_own(run(tmp_path / "one"), 3.0)
    other = with_own(run(tmp_path / "other", alpha=0.0), 3.0, better="lower")
    with pytest.raises(IrodoriError, match="warmth is another metric"):
        compare([one, other])


def test_a_yaml_of_ones_own_adds_a_metric(tmp_path, monkeypatch):
    package = tmp_path / "warm.py"
    package.write_text(
        "from irodori.metrics import MetricInfo, PairMetric\n"
        "class Warm(PairMetric):\n"
        "    info = MetricInfo('warm', 'warm', 'neither', 'mean b*')\n"
        "    def __init__(self, num_classes, channel):\n"
        "        super().__init__(num_classes)\n"
        "        self.channel = channel\n"
        "    def measure(self, pair):\n"
        "        return float(pair.predicted_lab[self.channel].mean())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = tmp_path / "conf" / "metrics" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(
        "defaults: [default]\nwarm:\n  _target_: warm.Warm\n  _partial_: true\n  channel: 2\n"
    )
    (tmp_path / "conf" / "root.yaml").write_text(
        f"defaults: [metrics: mine, _self_]\nhydra:\n  searchpath: ['file://{DEFAULT.parents[1]}']\n"
    )
    with hydra.initialize_config_dir(str(tmp_path / "conf"), version_base="1.3"):
        composed = hydra.compose("root", overrides=["metrics.psnr=null", "metrics.lpips_alex=null"])
    metrics = hydra.utils.instantiate(composed.metrics)
    assert list(metrics) == [*default_metrics(), "warm"]
    assert "lpips_alex" not in {info.name for info in left_out(metrics)}
    overall = evaluated(metrics, perceptual=False).overall()["model"]
    assert list(overall)[-1] == "warm"
    assert "ssim" in overall
    assert "psnr" not in overall


class Undescribed(PairMetric):
    def measure(self, pair):
        return 0.0


class OfTheSet(PairMetric):
    info = MetricInfo("of_the_set", "of the set", "lower", "", per_photograph=False)

    def measure(self, pair):
        return 0.0


class Twice(Warmth):
    pass


class Taken(Warmth):
    info = MetricInfo("psnr", "another PSNR", "lower", "")


class Missing(Warmth):
    info = MetricInfo("missing_network", "missing network", "lower", "")

    @classmethod
    def missing(cls):
        return "install it"


@pytest.mark.parametrize(
    ("mine", "message"),
    [
        (Undescribed, "Undescribed lacks its description"),
        (OfTheSet, "must have per_photograph=True"),
        (Twice, "the name warmth is already used by metrics.warmth"),
        (Taken, "the name psnr is already used by irodori"),
        (torch.nn.Identity, "is not a metric"),
        (PSNR(2), "is not a metric"),
    ],
)
def test_mistakes_are_one_line_that_names_the_entry(mine, message):
    with pytest.raises(IrodoriError, match=rf"^metrics\.mine: .*{message}") as caught:
        make_metrics({**OWN, "mine": mine}, 2, PRIOR)
    assert "\n" not in str(caught.value)


def test_metrics_that_cannot_be_measured_are_left_out_and_named():
    metrics = {**OWN, "mine": Missing}
    assert left_out(metrics) == {Missing.info: "install it"}
    assert "missing_network" not in evaluated(metrics).overall()["model"]
    with pytest.raises(IrodoriError, match=r"^missing_network .*: install it$"):
        Missing(2)


def test_the_main_metric_cannot_be_left_out():
    with pytest.raises(IrodoriError, match=f"{MAIN} can't be omitted"):
        evaluated({**OWN, MAIN: None})


def test_what_measure_gives_in_another_shape_is_refused():
    class Many(Warmth):
        def measure(self, pair):
            return pair.predicted_lab[0]

    with pytest.raises(ValueError, match="warmth: measure gave 600 numbers"):
        Many(1).update(smooth(0, 20, 30), smooth(1, 20, 30))


@pytest.mark.parametrize("name", ["key", "samples", "two words", ""])
def test_names_that_tables_cannot_hold_are_refused(name):
    with pytest.raises(ValueError, match="can't be named"):
        MetricInfo(name, "title", "lower", "")

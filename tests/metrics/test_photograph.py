"""What all metrics of a photograph share: sums, scenes, refusals; and two real ranks."""

import copy
import importlib.util
import math
import pickle
import subprocess
import sys
import warnings

import pytest
import torch
from pairs import default_metrics, missing_steps, on_two_ranks, picture, smooth

import irodori.metrics
from irodori.metrics.accuracy import Accuracy, AccuracyTop5
from irodori.metrics.auc import BalancedAuC
from irodori.metrics.base import PairMetric
from irodori.metrics.catalog import METRICS
from irodori.metrics.factories import make_metrics, metric_classes
from irodori.metrics.fidelity import PSNR
from irodori.metrics.pair import Pair
from irodori.metrics.prior import AbPrior

PRIOR = AbPrior.of([smooth(0), smooth(1)], "two pictures of a test")
LABELS = [2, 0, 2, -1, 2, 1]


def example(number):
    """Of different sizes, some of them too small for SSIM."""
    return smooth(number, 9 + number, 14), smooth(50 + number, 9 + number, 14)


@pytest.fixture(autouse=True)
def _no_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def pair_metrics(num_classes):
    """All that irodori brings and can measure here, of pairs."""
    made = make_metrics(default_metrics(), num_classes, PRIOR)
    return [metric for metric in made if isinstance(metric, PairMetric)]


def test_each_metric_of_the_catalog_has_a_class_in_the_order_of_tables():
    classes = metric_classes(default_metrics()).values()
    infos = [info for metric in classes for info in metric.infos()]
    assert infos == list(METRICS.values())


def test_what_cannot_be_measured_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    missing = missing_steps()
    perceptual = ["lpips_alex", "lpips_vgg", "fid", "kid", "lite0_frechet", "lite0_kernel"]
    assert list(missing) == perceptual
    assert missing["lpips_alex"].startswith("put https://")
    assert all("\n" not in step for step in missing.values())
    made = make_metrics(default_metrics(), 3, PRIOR)
    assert [metric.info.name for metric in made] == [n for n in METRICS if n not in missing]


def test_the_mean_is_over_photographs_in_all_and_per_scene():
    for metric in pair_metrics(3):
        pairs = [Pair(*example(number)) for number in range(6)]
        values = [metric.measure(pair) for pair in pairs]
        for value, label in zip(values, LABELS, strict=True):
            if value is not None:
                metric.add(value, label)
        known = [
            (*[*value.flatten().tolist(), 1.0][:2], label)
            for value, label in zip(values, LABELS, strict=True)
            if value is not None
        ]
        weight = sum(w for _, w, _ in known)
        expected = sum(value * w for value, w, _ in known) / weight
        assert metric.compute().item() == pytest.approx(expected, rel=1e-9), metric.info.name
        means, counts = metric.per_scene()
        for scene in range(3):
            own = [(value, w) for value, w, label in known if label == scene]
            assert counts[scene] == len(own)
            if not own:
                assert math.isnan(means[scene])
                continue
            expected = sum(v * w for v, w in own) / sum(w for _, w in own)
            assert means[scene].item() == pytest.approx(expected, rel=1e-9)


def test_balanced_auc_is_a_ratio_of_sums():
    metric = BalancedAuC(1, PRIOR)
    assert metric.columns == ("auc_balanced", "auc_balanced_weight")
    scores, weights = [], []
    for number in range(4):
        pair = Pair(*example(number))
        # Zhang's curve of the weighted pixels.
        distance = pair.ab_error.double().norm(dim=0)
        weights_HW = PRIOR.weights(pair.true_lab[1:])
        shares = torch.stack([(weights_HW * (distance <= t)).mean() for t in range(151)])
        scores.append((shares.sum() - (shares[0] + shares[-1]) / 2) / 1.5)
        weights.append(weights_HW.mean())
        own, weight = metric.measure(pair)
        assert own.item() == pytest.approx((scores[-1] / weights[-1]).item(), rel=1e-6)
        assert weight.item() == pytest.approx(weights[-1].item(), rel=1e-9)
        metric.update(*example(number))
    expected = (sum(scores) / sum(weights)).item()
    assert metric.compute().item() == pytest.approx(expected, rel=1e-6)


def test_metrics_stay_up_to_date_without_warnings():
    metric = PSNR(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric.add(torch.tensor(3.0), 1)
        assert metric.compute() == 3
        metric.add(torch.tensor(4.0))
        assert metric.compute() == 3.5
    for twin in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        twin.add(torch.tensor(8.0), 0)
        assert twin.compute() == 5
    assert metric.compute() == 3.5
    metric.reset()
    assert metric.counts.sum() == 0


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_without_photographs_a_metric_is_not_a_number():
    for metric in [*pair_metrics(2), Accuracy(2)]:
        assert math.isnan(metric.compute())
        assert metric.per_scene()[0].isnan().all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_refused(value):
    for metric in pair_metrics(2):
        values = torch.full((len(metric.columns),), value).squeeze()
        with pytest.raises(ValueError, match=f"{metric.info.name} is not a finite number"):
            metric.add(values, 0)
        assert metric.counts.sum() == 0


@pytest.mark.parametrize("label", [2, -2, 7])
def test_scenes_that_do_not_exist_are_refused(label):
    with pytest.raises(ValueError, match=f"no scene {label}"):
        PSNR(2).add(torch.tensor(1.0), label)
    with pytest.raises(ValueError, match=f"no scene {label}"):
        Accuracy(2).update(torch.zeros(2), label)


@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [
        (picture(0, 4, 5), picture(0, 5, 4), "against"),
        (picture(0, 4, 5), picture(0, 4, 5).float(), "true picture is of torch.float32"),
        (picture(0, 4, 5).int(), picture(0, 4, 5), "predicted picture is of torch.int32"),
        (picture(0, 4, 5)[None], picture(0, 4, 5), "1×3×4×5, not 3×H×W"),
        (picture(0, 4, 5), picture(0, 4, 5)[:1], "1×4×5, not 3×H×W"),
        (picture(0, 0, 5), picture(0, 0, 5), "no pixels"),
        (picture(0, 4, 5), picture(0, 4, 5).to("meta"), "one on meta"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(predicted, true, message):
    with pytest.raises(ValueError, match=message):
        Pair(predicted, true)
    for metric in pair_metrics(2):
        with pytest.raises(ValueError, match=message):
            metric.update(predicted, true, 0)


def test_each_conversion_is_made_once(monkeypatch):
    calls = []
    convert = irodori.metrics.pair.rgb_to_lab
    monkeypatch.setattr(
        irodori.metrics.pair, "rgb_to_lab", lambda rgb: calls.append(1) or convert(rgb)
    )
    pair = Pair(*example(3))
    for metric in pair_metrics(2):
        metric.measure(pair)
    assert len(calls) == 2


@pytest.mark.parametrize("scenes", [1, 3, 5, 8])
def test_accuracy(scenes):
    logits = torch.arange(scenes, 0, -1).float()  # the first is the likeliest
    one, five = Accuracy(scenes), AccuracyTop5(scenes)
    for label in range(scenes):
        assert one.measure(logits, label) == (100 if label == 0 else 0)
        assert five.measure(logits, label) == (100 if label < 5 else 0)
        one.update(logits, label)
        five.update(logits, label)
    one.update(logits, -1)
    assert one.measure(logits, -1) is None
    assert one.counts.sum() == scenes
    assert one.compute().item() == pytest.approx(100 / scenes)
    assert five.compute().item() == pytest.approx(100 * min(5, scenes) / scenes)


def test_logits_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        Accuracy(2).update(torch.tensor([0.0, math.nan]), 0)
    with pytest.raises(ValueError, match=r"\(3,\) for 2 scenes"):
        Accuracy(2).update(torch.zeros(3), 0)


def measured(numbers):
    """What metrics are after seeing these photographs, synchronized where there are ranks."""
    values = {}
    for metric in [*pair_metrics(3), Accuracy(3)]:
        for number in numbers:
            if isinstance(metric, Accuracy):
                metric.update(example(number)[0].float().mean((1, 2)), LABELS[number])
            else:
                metric.update(*example(number), LABELS[number])
        with metric.sync_context():
            scenes = [values.nan_to_num(-1).tolist() for values in metric.per_scene()]
        values[metric.info.name] = (metric.compute().item(), scenes)
    return values


@pytest.mark.parametrize("numbers", [([0, 1, 2, 3], [4, 5]), ([], range(6))])
def test_two_ranks_tell_what_one_would(tmp_path, numbers):
    received = on_two_ranks(measured, numbers, tmp_path)
    assert received[0] == received[1]
    for name, (overall, scenes) in measured(range(6)).items():
        assert received[0][name][0] == pytest.approx(overall, rel=1e-12), name
        for ours, expected in zip(received[0][name][1], scenes, strict=True):
            assert ours == pytest.approx(expected, rel=1e-12), name


def test_the_catalog_needs_no_torch():
    code = "import sys, irodori.metrics.catalog; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"

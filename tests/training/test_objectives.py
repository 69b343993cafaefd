import numpy as np
import pytest
import torch

import tiny
from irodori.color import Lab, to_float
from irodori.color.ab_bins import bins_of, centers, in_gamut
from irodori.config import ClassesConfig, HuberConfig, ObjectiveConfig
from irodori.errors import IrodoriError
from irodori.metrics.prior import AbPrior
from irodori.model import load_model
from irodori.network.joint import reduce_chroma
from irodori.network.output import AbClassesOutput, ChromaOutput
from irodori.training.losses import ab_cross_entropy, chroma_huber, chroma_mse
from irodori.training.objectives import make_objective, rebalanced

VALID = torch.tensor([True, False, True])


def photographs():
    return [torch.tensor(np.array(tiny.photo(number))).movedim(-1, 0) for number in range(6)]


@pytest.fixture(scope="module")
def prior():
    return AbPrior.of(photographs(), "tests")


def refused():
    raise AssertionError("no prior is needed")


def test_each_name_is_its_loss(prior):
    prediction, chroma = torch.randn(3, 2, 6, 5), torch.rand(3, 2, 6, 5)
    output = ChromaOutput(2)
    mse = make_objective(ObjectiveConfig("mse"), output, refused)
    assert mse(prediction, chroma, VALID) == chroma_mse(prediction.sigmoid(), chroma, VALID)
    huber = make_objective(HuberConfig(delta=0.1), output, refused)
    expected = chroma_huber(prediction.sigmoid(), chroma, VALID, 0.1)
    assert huber(prediction, chroma, VALID) == expected
    output = AbClassesOutput()
    prediction = torch.randn(3, output.channels, 3, 3)
    classes = make_objective(ClassesConfig(rebalance=0.25), output, lambda: prior)
    # Of the 4×4 means of the photo's a*b*.
    ab = (reduce_chroma(chroma) - 0.5) * torch.tensor([200.0, 220.0])[:, None, None]
    expected = ab_cross_entropy(
        prediction, ab, centers().float(), rebalanced(prior, 0.25).float(), VALID
    )
    torch.testing.assert_close(classes(prediction, chroma, VALID), expected)
    assert [o.name for o in (mse, huber, classes)] == ["mse", "huber", "classes"]


@pytest.mark.parametrize(
    "config",
    [ObjectiveConfig("l1"), ObjectiveConfig("huber"), HuberConfig("classes"), HuberConfig("l1")],
)
def test_a_name_that_is_not_the_options_is_refused(config):
    with pytest.raises(IrodoriError, match=rf"^objective.name={config.name} can't .*objective="):
        make_objective(config, ChromaOutput(2), refused)


@pytest.mark.parametrize("rebalance", [0.0, 0.5, 0.9])
def test_weights_are_a_float64_transcription(prior, rebalance):
    shares = prior.shares_AB.numpy()
    # Smoothed by a Gaussian with σ = 5 ab units over the bins, each of which spreads its whole.
    step = np.arange(23) * 10.0
    kernel = np.exp(-((step[:, None] - step) ** 2) / (2 * 5.0**2))
    kernel /= kernel.sum(0)
    p = (kernel @ shares @ kernel.T).flatten()[in_gamut().numpy()]
    p /= p.sum()
    weights = 1 / ((rebalance * p) + (1 - rebalance) / len(p))
    weights /= (p * weights).sum()
    np.testing.assert_allclose(rebalanced(prior, rebalance), weights, rtol=1e-9)
    if rebalance == 0:
        np.testing.assert_allclose(weights, 1)
    else:
        assert weights[p.argmax()] == weights.min() < 1


def test_bins_and_centers_belong_together():
    ab = centers().T.reshape(2, 1, -1)
    assert torch.equal(bins_of(ab).flatten(), in_gamut())


@pytest.mark.parametrize(
    "config", [ObjectiveConfig("mse"), HuberConfig(delta=0.02), ClassesConfig(rebalance=0.0)]
)
def test_the_least_loss_is_at_the_true_colors(config, prior):
    _, chroma = Lab().encode(to_float(photographs()[0][None]))
    half = reduce_chroma(chroma)
    # Of a 4×4 block one colour, so that predictions at any stride can be right.
    half = reduce_chroma(half).repeat_interleave(2, 2).repeat_interleave(2, 3)
    output = AbClassesOutput() if config.name == "classes" else ChromaOutput(2)
    sides = [side // output.stride for side in half.shape[2:]]
    prediction = torch.zeros(1, output.channels, *sides, requires_grad=True)
    objective = make_objective(config, output, lambda: prior)
    optimizer = torch.optim.Adam([prediction], lr=0.3)
    valid = torch.ones(1, dtype=torch.bool)
    for _ in range(150):
        optimizer.zero_grad()
        objective(prediction, half, valid).backward()
        optimizer.step()
    with torch.no_grad():
        error = (output(prediction, *half.shape[2:]) - half).abs().mean()
    before = (0.5 - half).abs().mean()
    # Bins are coarse, and enlargement is bilinear.
    assert error < (0.3 if config.name == "classes" else 0.02) * before


@pytest.mark.parametrize("objective", ["huber", "classes"])
def test_a_run_has_its_figure_and_its_checkpoint_its_output(objective, tmp_path, capsys):
    data = tiny.on(tiny.shards(tmp_path), tiny.shards(tmp_path / "val", first=40))
    tiny.run(tmp_path / "run", *data, f"objective={objective}", "callbacks.pictures=null")
    assert f"{'Huber' if objective == 'huber' else 'classes'} " in capsys.readouterr().out
    header = (tmp_path / "run/metrics.csv").read_text().splitlines()[0].split(",")
    assert f"train/{objective}_epoch" in header
    assert "train/mse_epoch" not in header
    network = load_model(tmp_path / "run/checkpoints/last.ckpt").network
    assert network.arguments["output"] == ("chroma" if objective == "huber" else "ab_classes")
    chroma, _ = network(torch.rand(1, 1, 33, 20))
    assert chroma.shape == (1, 2, 17, 10)


def test_classes_need_lab(tmp_path):
    data = tiny.on(tiny.shards(tmp_path), tiny.shards(tmp_path / "val"))
    with pytest.raises(IrodoriError, match=r"objective=classes .* color_space=lab, not yuv"):
        tiny.run(tmp_path / "run", *data, "objective=classes", "color_space=yuv")
    assert not (tmp_path / "run").exists()

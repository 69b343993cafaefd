import numpy as np
import pytest
import torch

import tiny
from irodori.color import Lab, to_float
from irodori.color.ab_bins import bins_of, centers, in_gamut
from irodori.metrics.prior import AbPrior
from irodori.model import load_model
from irodori.network import JointNetwork
from irodori.network.joint import reduce_chroma, upsample_chroma
from irodori.network.output import AbClassesOutput, ChromaOutput
from irodori.pretrained import lite
from irodori.training.losses import ab_cross_entropy, chroma_huber, chroma_mse
from irodori.training.objectives import (
    AbClasses,
    Huber,
    MeanSquaredError,
    ObjectiveInput,
    rebalanced,
)
from irodori.utils.errors import IrodoriError

VALID = torch.tensor([True, False, True])


def photographs():
    return [torch.tensor(np.array(tiny.photo(number))).movedim(-1, 0) for number in range(6)]


@pytest.fixture(scope="module")
def prior():
    return AbPrior.of(photographs(), "tests")


def network_with(output):
    return JointNetwork(3, width=1 / 16, output=output)


def refused():
    raise AssertionError("no prior is needed")


def prepared(objective, output=ChromaOutput, training_prior=refused):
    """The objective as a run sets it up, and a function of prediction, chroma and valid."""
    network = network_with(output)
    objective.setup(network, Lab(), training_prior)

    def loss(prediction, chroma, valid, luminance=None):
        if luminance is None:
            luminance = torch.zeros(len(chroma), 1, *chroma.shape[-2:])
        labels = torch.zeros(len(chroma), dtype=torch.long)
        seen = ObjectiveInput(
            prediction, chroma, luminance, None, labels, valid, network.output, Lab()
        )
        return objective(seen)

    return network.output, loss


def test_each_class_is_its_loss(prior):
    prediction, chroma = torch.randn(3, 2, 6, 5), torch.rand(3, 2, 12, 9)
    target = reduce_chroma(chroma)
    _, mse = prepared(MeanSquaredError())
    assert mse(prediction, chroma, VALID) == chroma_mse(prediction.sigmoid(), target, VALID)
    _, huber = prepared(Huber(delta=0.1))
    expected = chroma_huber(prediction.sigmoid(), target, VALID, 0.1)
    assert huber(prediction, chroma, VALID) == expected
    output, classes = prepared(AbClasses(rebalance=0.25), AbClassesOutput, lambda: prior)
    prediction = torch.randn(3, output.channels, 3, 3)
    # Of the 4×4 means of the photo's a*b*.
    ab = (reduce_chroma(target) - 0.5) * torch.tensor([200.0, 220.0])[:, None, None]
    expected = ab_cross_entropy(
        prediction, ab, centers().float(), rebalanced(prior, 0.25).float(), VALID
    )
    torch.testing.assert_close(classes(prediction, chroma, VALID), expected)
    assert [o.name for o in (MeanSquaredError, Huber, AbClasses)] == ["mse", "huber", "classes"]


@pytest.mark.skipif(lite.PACKAGES[lite.LITE0].missing() is not None, reason="no extra lite0")
def test_the_perceptual_loss_is_colors_and_features_of_pictures():
    perceptual = pytest.importorskip("irodori.training.perceptual").Perceptual(weight=0.3)
    photos = to_float(torch.stack([part[:, :32, :32] for part in photographs()[:3]]))
    luminance, chroma = Lab().encode(photos)
    prediction = torch.randn(3, 2, 16, 16, requires_grad=True)
    _, loss = prepared(perceptual)
    value = loss(prediction, chroma, VALID, luminance)

    predicted = prediction.sigmoid()
    colored = Lab().decode(luminance, upsample_chroma(predicted, 32, 32))
    encoder = lite.lite0_features()
    expected = 0.0
    for number in (0, 2):
        expected += (predicted[number] - reduce_chroma(chroma)[number]).abs().mean() / 3
        pairs = zip(
            encoder(colored[number : number + 1] * 2 - 1),
            encoder(photos[number : number + 1] * 2 - 1),
            strict=True,
        )
        # Strides 4, 8 and 16 of 2 to 32.
        for level, (one, other) in enumerate(pairs):
            if level in (1, 2, 3):
                units = [x / x.norm(dim=1, keepdim=True) for x in (one, other)]
                distance = ((units[0] - units[1]) ** 2).sum(1).mean()
                expected += 0.3 * distance / 3 / 3
    torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-5)
    # Its encoder is no part of checkpoints and of the optimizer.
    assert list(perceptual.parameters()) == []
    assert perceptual.state_dict() == {}
    (gradient,) = torch.autograd.grad(value, prediction)
    assert gradient[0].abs().sum() > 0
    assert gradient[1].abs().sum() == 0


@pytest.mark.skipif(lite.PACKAGES[lite.LITE0].missing() is not None, reason="no extra lite0")
def test_a_run_trains_on_the_perceptual_objective(data, tmp_path):
    overrides = ["objective=perceptual", "callbacks.pictures=null", "trainer.max_steps=1"]
    result = tiny.run(tmp_path / "run", *data.on, *overrides)
    assert result["training"]["steps"] == 1
    header = (tmp_path / "run/metrics.csv").read_text().splitlines()[0].split(",")
    assert "train/perceptual_step" in header


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
    "objective", [MeanSquaredError(), Huber(delta=0.02), AbClasses(rebalance=0.0)]
)
def test_the_least_loss_is_at_the_true_colors(objective, prior):
    _, chroma = Lab().encode(to_float(photographs()[0][None]))
    half = reduce_chroma(chroma)
    # Of a 4×4 block one color, so that predictions at any stride can be right.
    half = reduce_chroma(half).repeat_interleave(2, 2).repeat_interleave(2, 3)
    whole = half.repeat_interleave(2, 2).repeat_interleave(2, 3)
    classes = objective.name == "classes"
    output, loss = prepared(objective, AbClassesOutput if classes else ChromaOutput, lambda: prior)
    sides = [side // output.stride for side in half.shape[2:]]
    prediction = torch.zeros(1, output.channels, *sides, requires_grad=True)
    optimizer = torch.optim.Adam([prediction], lr=0.3)
    valid = torch.ones(1, dtype=torch.bool)
    for _ in range(150):
        optimizer.zero_grad()
        loss(prediction, whole, valid).backward()
        optimizer.step()
    with torch.no_grad():
        error = (output(prediction, *half.shape[2:]) - half).abs().mean()
    before = (0.5 - half).abs().mean()
    # Bins are coarse, and enlargement is bilinear.
    assert error < (0.3 if classes else 0.02) * before


@pytest.mark.parametrize("objective", ["huber", "classes"])
def test_a_run_has_its_figure_and_its_checkpoint_its_output(objective, tmp_path, capsys):
    data = tiny.on(tiny.shards(tmp_path), tiny.shards(tmp_path / "val", first=40))
    tiny.run(tmp_path / "run", *data, f"objective={objective}", "callbacks.pictures=null")
    assert f" · {objective} " in capsys.readouterr().out
    header = (tmp_path / "run/metrics.csv").read_text().splitlines()[0].split(",")
    assert f"train/{objective}_epoch" in header
    assert "train/mse_epoch" not in header
    network = load_model(tmp_path / "run/checkpoints/last.ckpt").network
    assert isinstance(network.output, ChromaOutput if objective == "huber" else AbClassesOutput)
    chroma, _ = network(torch.rand(1, 1, 33, 20))
    assert chroma.shape == (1, 2, 17, 10)


def test_classes_need_lab(tmp_path):
    data = tiny.on(tiny.shards(tmp_path), tiny.shards(tmp_path / "val"))
    with pytest.raises(IrodoriError, match=r"objective=classes .* color_space=lab .*Yuv"):
        tiny.run(tmp_path / "run", *data, "objective=classes", "color_space=yuv")
    assert not (tmp_path / "run").exists()

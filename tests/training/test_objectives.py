import numpy as np
import pytest
import torch

import tiny
from irodori.color import Lab, to_float
from irodori.color.ab_bins import centers, in_gamut
from irodori.metrics.prior import AbPrior
from irodori.model import load_model
from irodori.network import JointNetwork
from irodori.network.joint import reduce_chroma, upsample_chroma
from irodori.network.output import AbClassesOutput, ChromaOutput
from irodori.pretrained import imagenet
from irodori.training.objectives import (
    AbClasses,
    Colorful,
    Huber,
    MeanSquaredError,
    ObjectiveInput,
    rebalanced,
    scene_cross_entropy,
)
from irodori.utils.errors import IrodoriError

VALID = np.array([True, False, True, True, True])
LABELS = np.array([2, 1, -1, 0, 2])
LITE0 = pytest.mark.skipif(
    imagenet.PACKAGES[imagenet.LITE0].missing() is not None, reason="no extra lite0"
)


def photographs():
    return [torch.tensor(np.array(tiny.photo(number))).movedim(-1, 0) for number in range(6)]


@pytest.fixture(scope="module")
def prior():
    return AbPrior.of(photographs(), "tests")


def doubled(target_BCHW):
    """A chrominance of twice the size, whose reduction is the target exactly."""
    return target_BCHW.repeat_interleave(2, -2).repeat_interleave(2, -1)


def identity(prediction, height, width):
    return prediction


def loss_of(objective, prediction, chroma, valid=VALID, output=identity, luminance=None):
    valid = torch.as_tensor(valid)
    if luminance is None:
        luminance = torch.zeros(len(chroma), 1, *chroma.shape[-2:])
    labels = torch.zeros(len(chroma), dtype=torch.long)
    return objective(
        ObjectiveInput(prediction, chroma, luminance, None, labels, valid, output, Lab())
    )


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    return random.random((5, 2, 6, 4)), random.random((5, 2, 6, 4)), random.normal(0, 3, (5, 4))


def colors64(predicted, target, valid, delta=np.inf):
    """Squared error, from `delta` on linear, in float64."""
    total = 0.0
    for i in range(len(valid)):
        error = np.abs(predicted[i] - target[i])
        linear = 2 * delta * error - delta**2 if np.isfinite(delta) else error
        total += np.where(error <= delta, error**2, linear).mean() * valid[i]
    return total / len(valid)


def scenes64(logits, labels, valid):
    total = 0.0
    for i in range(len(valid)):
        if valid[i] and labels[i] >= 0:
            shares = np.exp(logits[i]) / np.exp(logits[i]).sum()
            total -= np.log(shares[labels[i]])
    return total / len(valid)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_are_those_of_a_float64_transcription(batch, dtype):
    # bf16, as autocast gives them: the sums are taken in fp32 all the same.
    predicted, logits = (torch.tensor(batch[part]).to(dtype) for part in (0, 2))
    target = torch.tensor(batch[1]).float()
    in64 = predicted.double().numpy(), target.double().numpy(), VALID
    for objective, expected in (
        (MeanSquaredError(), colors64(*in64)),
        *((Huber(delta), colors64(*in64, delta)) for delta in (0.01, 0.3, 1.0)),
    ):
        found = loss_of(objective, predicted, doubled(target))
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(expected, rel=2e-6)
    found = scene_cross_entropy(logits, torch.tensor(LABELS), torch.tensor(VALID))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(scenes64(logits.double().numpy(), LABELS, VALID), rel=2e-6)


def test_the_penalty_on_pale_photographs_is_its_formula(batch):
    predicted, target = (torch.tensor(part).float() for part in batch[:2])
    paler = 0.0
    for number in np.flatnonzero(VALID):
        distances = [
            np.sqrt(((part[number].double().numpy() - 0.5) ** 2).sum(0)).mean()
            for part in (predicted, target)
        ]
        paler += max(distances[1] - distances[0], 0) / len(VALID)
    assert paler > 0
    huber = loss_of(Huber(0.1), predicted, doubled(target)).item()
    found = loss_of(Colorful(0.1, weight=3.0), predicted, doubled(target)).item()
    assert found == pytest.approx(huber + 3 * paler, rel=1e-5)


def test_invalid_samples_and_those_without_class_get_no_gradient(batch):
    predicted, target, logits = (torch.tensor(part).float() for part in batch)
    predicted.requires_grad_()
    logits.requires_grad_()
    loss = loss_of(MeanSquaredError(), predicted, doubled(target))
    loss = loss + scene_cross_entropy(logits, torch.tensor(LABELS), torch.tensor(VALID))
    loss.backward()
    assert predicted.grad.abs().sum((1, 2, 3)).gt(0).tolist() == VALID.tolist()
    assert logits.grad.abs().sum(1).gt(0).tolist() == (VALID & (LABELS >= 0)).tolist()


def test_a_batch_of_nothing_valid_gives_zero_and_no_nan(batch):
    predicted, target, logits = (torch.tensor(part).float() for part in batch)
    nothing = torch.zeros(5, dtype=torch.bool)
    assert loss_of(MeanSquaredError(), predicted, doubled(target), nothing) == 0
    assert scene_cross_entropy(logits, torch.tensor(LABELS), nothing) == 0
    assert scene_cross_entropy(logits, torch.full((5,), -1), torch.ones(5, dtype=torch.bool)) == 0


def test_halves_of_a_batch_average_to_the_whole_wherever_the_damaged_images_are(batch):
    predicted, target, logits = (torch.tensor(part)[:4].float() for part in batch)
    labels, valid = torch.tensor(LABELS)[:4], torch.tensor(VALID)[:4]

    def loss(part):
        colors = loss_of(MeanSquaredError(), predicted[part], doubled(target[part]), valid[part])
        return colors + scene_cross_entropy(logits[part], labels[part], valid[part])

    halves = (loss(slice(0, 2)) + loss(slice(2, 4))) / 2
    torch.testing.assert_close(halves, loss(slice(0, 4)))


def classes64(logits, ab, weights, valid):
    """Cross-entropy over the nearest bins of a*b*, in float64."""
    bins, total = centers().double().numpy(), 0.0
    for i in range(len(valid)):
        entropies = []
        for y in range(ab.shape[2]):
            for x in range(ab.shape[3]):
                square = ((bins - ab[i, :, y, x]) ** 2).sum(1)
                near = np.argsort(square)[:5]
                share = np.exp(-square[near] / (2 * 5.0**2))
                share /= share.sum()
                logs = logits[i, :, y, x] - np.log(np.exp(logits[i, :, y, x]).sum())
                entropies.append(-weights[near[0]] * (share * logs[near]).sum())
        total += np.mean(entropies) * valid[i]
    return total / len(valid)


def classes_of(prior, rebalance):
    """The objective as a run sets it up."""
    objective = AbClasses(rebalance)
    network = JointNetwork(3, width=1 / 16, output=AbClassesOutput)
    objective.setup(network, Lab(), lambda: prior)
    return objective, network.output


def test_classification_of_colors_is_a_float64_transcription(prior):
    objective, output = classes_of(prior, 0.25)
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, (5, output.channels, 3, 4))
    # Of a 4×4 block one color, since bins are predicted at a quarter of the size.
    quarter = random.uniform(0.2, 0.8, (5, 2, 3, 4))
    chroma = doubled(doubled(torch.tensor(quarter).float()))
    found = loss_of(objective, torch.tensor(logits).float(), chroma)
    ab = (quarter - 0.5) * np.array([200.0, 220.0])[:, None, None]
    expected = classes64(logits, ab, rebalanced(prior, 0.25).numpy(), VALID)
    assert found.item() == pytest.approx(expected, rel=1e-4)


@LITE0
def test_the_perceptual_loss_is_colors_and_features_of_pictures():
    perceptual = pytest.importorskip("irodori.training.perceptual").Perceptual(weight=0.3)
    photos = to_float(torch.stack([part[:, :32, :32] for part in photographs()[:3]]))
    luminance, chroma = Lab().encode(photos)
    prediction = torch.rand(3, 2, 16, 16, requires_grad=True)
    value = loss_of(perceptual, prediction, chroma, [True, False, True], luminance=luminance)

    colored = Lab().decode(luminance, upsample_chroma(prediction, 32, 32))
    encoder = imagenet.lite0_features()
    expected = 0.0
    for number in (0, 2):
        expected += (prediction[number] - reduce_chroma(chroma)[number]).abs().mean() / 3
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


@pytest.mark.parametrize("objective", [MeanSquaredError(), Huber(delta=0.02), "classes"])
def test_the_least_loss_is_at_the_true_colors(objective, prior):
    output, share = ChromaOutput(2), 0.02
    if objective == "classes":
        # Bins are coarse, and enlargement is bilinear.
        (objective, output), share = classes_of(prior, 0.0), 0.3
    _, chroma = Lab().encode(to_float(photographs()[0][None]))
    half = doubled(reduce_chroma(reduce_chroma(chroma)))
    sides = [side // output.stride for side in half.shape[2:]]
    prediction = torch.zeros(1, output.channels, *sides, requires_grad=True)
    optimizer = torch.optim.Adam([prediction], lr=0.3)
    for _ in range(150):
        optimizer.zero_grad()
        loss_of(objective, prediction, doubled(half), [True], output).backward()
        optimizer.step()
    with torch.no_grad():
        error = (output(prediction, *half.shape[2:]) - half).abs().mean()
    assert error < share * (0.5 - half).abs().mean()


@pytest.mark.parametrize("objective", ["classes", pytest.param("perceptual", marks=LITE0)])
def test_a_run_logs_its_loss_and_its_checkpoint_has_its_output(objective, data, tmp_path, capsys):
    tiny.run(tmp_path / "run", *data.on, f"objective={objective}", "callbacks.pictures=null")
    assert f" · {objective} " in capsys.readouterr().out
    header = (tmp_path / "run/metrics.csv").read_text().splitlines()[0].split(",")
    assert f"train/{objective}_epoch" in header
    assert "train/mse_epoch" not in header
    network = load_model(tmp_path / "run/checkpoints/last.ckpt").network
    assert isinstance(network.output, AbClassesOutput if objective == "classes" else ChromaOutput)
    chroma, _ = network(torch.rand(1, 1, 33, 20))
    assert chroma.shape == (1, 2, 17, 10)


def test_classes_need_lab(data, tmp_path):
    with pytest.raises(IrodoriError, match=r"objective=classes .* color_space=lab .*Yuv"):
        tiny.run(tmp_path / "run", *data.on, "objective=classes", "color_space=yuv")
    assert not (tmp_path / "run").exists()

import numpy as np
import pytest
import torch

from irodori.training.losses import (
    ab_cross_entropy,
    chroma_huber,
    chroma_mse,
    scene_cross_entropy,
)

VALID = np.array([True, False, True, True, True])
LABELS = np.array([2, 1, -1, 0, 2])


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    return random.random((5, 2, 6, 4)), random.random((5, 2, 6, 4)), random.normal(0, 3, (5, 4))


def mse64(predicted, target, valid):
    total = 0.0
    for i in range(len(valid)):
        if valid[i]:
            total += ((predicted[i] - target[i]) ** 2).sum() / predicted[i].size
    return total / len(valid)


def cross_entropy64(logits, labels, valid):
    total = 0.0
    for i in range(len(valid)):
        if valid[i] and labels[i] >= 0:
            shares = np.exp(logits[i]) / np.exp(logits[i]).sum()
            total -= np.log(shares[labels[i]])
    return total / len(valid)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_losses_are_those_of_a_float64_transcription(batch, dtype):
    predicted, target, logits = batch
    # bf16, as autocast gives them: the sums are taken in fp32 all the same.
    predicted_t, logits_t = torch.tensor(predicted).to(dtype), torch.tensor(logits).to(dtype)
    valid = torch.tensor(VALID)
    mse = chroma_mse(predicted_t, torch.tensor(target).float(), valid)
    entropy = scene_cross_entropy(logits_t, torch.tensor(LABELS), valid)
    assert mse.dtype == entropy.dtype == torch.float32
    assert mse.item() == pytest.approx(mse64(predicted_t.double().numpy(), target, VALID), rel=2e-6)
    assert entropy.item() == pytest.approx(
        cross_entropy64(logits_t.double().numpy(), LABELS, VALID), rel=2e-6
    )


def test_invalid_samples_and_those_without_class_get_no_gradient(batch):
    predicted, target, logits = (torch.tensor(part).float() for part in batch)
    predicted.requires_grad_()
    logits.requires_grad_()
    valid = torch.tensor(VALID)
    loss = chroma_mse(predicted, target, valid)
    loss = loss + scene_cross_entropy(logits, torch.tensor(LABELS), valid)
    loss.backward()
    assert predicted.grad.abs().sum((1, 2, 3)).gt(0).tolist() == VALID.tolist()
    assert logits.grad.abs().sum(1).gt(0).tolist() == (VALID & (LABELS >= 0)).tolist()


def test_a_batch_of_nothing_valid_gives_zero_and_no_nan(batch):
    predicted, target, logits = (torch.tensor(part).float() for part in batch)
    nothing = torch.zeros(5, dtype=torch.bool)
    assert chroma_mse(predicted, target, nothing) == 0
    assert scene_cross_entropy(logits, torch.tensor(LABELS), nothing) == 0
    assert scene_cross_entropy(logits, torch.full((5,), -1), torch.ones(5, dtype=torch.bool)) == 0


def test_halves_of_a_batch_average_to_the_whole_wherever_the_damaged_images_are(batch):
    predicted, target, logits = (torch.tensor(part)[:4].float() for part in batch)
    labels, valid = torch.tensor(LABELS)[:4], torch.tensor(VALID)[:4]

    def loss(part):
        return chroma_mse(predicted[part], target[part], valid[part]) + scene_cross_entropy(
            logits[part], labels[part], valid[part]
        )

    halves = (loss(slice(0, 2)) + loss(slice(2, 4))) / 2
    torch.testing.assert_close(halves, loss(slice(0, 4)))


def huber64(predicted, target, valid, delta):
    total = 0.0
    for i in range(len(valid)):
        error = np.abs(predicted[i] - target[i])
        counted = np.where(error <= delta, error**2, 2 * delta * error - delta**2)
        total += counted.mean() * valid[i]
    return total / len(valid)


@pytest.mark.parametrize("delta", [0.01, 0.3, 1.0])
def test_huber_is_a_float64_transcription(batch, delta):
    predicted, target, _ = batch
    found = chroma_huber(torch.tensor(predicted), torch.tensor(target), torch.tensor(VALID), delta)
    assert found.item() == pytest.approx(huber64(predicted, target, VALID, delta), rel=2e-6)
    if delta == 1.0:
        # No error is larger: it is the mean squared error.
        mse = chroma_mse(torch.tensor(predicted), torch.tensor(target), torch.tensor(VALID))
        assert found.item() == pytest.approx(mse.item(), rel=1e-6)


def ab_cross_entropy64(logits, ab, centers, weights, valid):
    total = 0.0
    for i in range(len(valid)):
        entropies = []
        for y in range(ab.shape[2]):
            for x in range(ab.shape[3]):
                square = ((centers - ab[i, :, y, x]) ** 2).sum(1)
                near = np.argsort(square)[:5]
                share = np.exp(-square[near] / (2 * 5.0**2))
                share /= share.sum()
                logs = logits[i, :, y, x] - np.log(np.exp(logits[i, :, y, x]).sum())
                entropies.append(-weights[near[0]] * (share * logs[near]).sum())
        total += np.mean(entropies) * valid[i]
    return total / len(valid)


def test_classification_of_colors_is_a_float64_transcription():
    random = np.random.default_rng(1)
    centers = np.stack(np.meshgrid(np.arange(-3, 4), np.arange(-2, 3)), -1).reshape(-1, 2) * 10.0
    logits = random.normal(0, 2, (5, len(centers), 3, 4))
    ab = random.uniform(-35, 35, (5, 2, 3, 4))
    weights = random.uniform(0.2, 3, len(centers))
    found = ab_cross_entropy(
        *(torch.tensor(part).float() for part in (logits, ab, centers, weights)),
        torch.tensor(VALID),
    )
    expected = ab_cross_entropy64(logits, ab, centers, weights, VALID)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_the_right_bin_costs_least():
    centers = torch.tensor([[0.0, 0.0], [50.0, 0.0], [-50.0, 0.0], [0, 50.0], [0, -50.0], [99, 0]])
    ab = torch.tensor([50.0, 0.0]).reshape(1, 2, 1, 1)
    valid = torch.ones(1, dtype=torch.bool)
    losses = [
        ab_cross_entropy(
            9 * torch.eye(6)[number].reshape(1, 6, 1, 1), ab, centers, torch.ones(6), valid
        )
        for number in range(6)
    ]
    assert min(range(6), key=lambda number: losses[number]) == 1
    # A weight is that of the bin that is nearest.
    weights = torch.tensor([1.0, 7, 1, 1, 1, 1])
    logits = torch.zeros(1, 6, 1, 1)
    heavy = ab_cross_entropy(logits, ab, centers, weights, valid)
    assert heavy.item() == pytest.approx(7 * np.log(6), rel=1e-6)
    assert ab_cross_entropy(logits, ab, centers, weights, ~valid) == 0

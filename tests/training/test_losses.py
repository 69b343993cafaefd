import numpy as np
import pytest
import torch

from irodori.training.losses import chroma_mse, scene_cross_entropy

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

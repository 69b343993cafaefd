import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from irodori.color import Lab
from irodori.color.ab_bins import centers
from irodori.network.output import AbClassesOutput, ChromaOutput
from networks import joint


def annealed_mean64(logits, temperature):
    """Zhang 2016, equation 5, of logits Q×H×W: a* and b*."""
    share = np.exp(logits - logits.max(0))
    share /= share.sum(0)
    sharp = np.exp(np.log(share) / temperature)
    sharp /= sharp.sum(0)
    return np.einsum("qhw,qc->chw", sharp, centers().numpy())


@pytest.mark.parametrize("temperature", [0.1, 0.38, 1.0])
def test_the_annealed_mean_is_a_float64_transcription(temperature):
    output = AbClassesOutput(temperature=temperature)
    logits = np.random.default_rng(0).normal(0, 3, (output.channels, 4, 5))
    chroma = output(torch.tensor(logits)[None].float(), 8, 10)[0]
    ab = (chroma - 0.5) * 2 * torch.tensor(Lab.chroma_range)[:, None, None]
    # Enlarged bilinearly: the mean of 2×2 places in the middle of four is that of the four.
    small = annealed_mean64(logits, temperature)
    middle = (small[:, :-1, :-1] + small[:, 1:, :-1] + small[:, :-1, 1:] + small[:, 1:, 1:]) / 4
    inner = ab[:, 1:-1, 1:-1].reshape(2, 3, 2, 4, 2).mean((2, 4))
    np.testing.assert_allclose(inner.numpy(), middle, atol=1e-3)


def test_temperature_goes_from_the_mode_to_the_mean():
    cold, warm = AbClassesOutput(temperature=0.01), AbClassesOutput(temperature=1.0)
    logits = torch.randn(1, cold.channels, 1, 1, generator=torch.Generator().manual_seed(3))
    logits[0, 99] = logits.max() + 0.5
    mean = logits.flatten().softmax(0) @ warm.chroma_QC
    torch.testing.assert_close(cold(logits, 1, 1).flatten(), cold.chroma_QC[99])
    torch.testing.assert_close(warm(logits, 1, 1).flatten(), mean)


@given(st.integers(1, 40), st.integers(1, 40))
def test_outputs_cut_to_the_size_asked_for(height, width):
    prediction = torch.zeros(2, 2, height + 1, width + 1)
    assert ChromaOutput(2)(prediction, height, width).shape == (2, 2, height, width)
    output = AbClassesOutput()
    prediction = torch.zeros(1, output.channels, -(-height // 2), -(-width // 2))
    chroma = output(prediction, height, width)
    assert chroma.shape == (1, 2, height, width)
    assert 0 <= chroma.min() <= chroma.max() <= 1


@pytest.mark.parametrize(
    ("decoder", "size"), [("paper", (9, 31)), ("skips", (1, 1)), ("skips", (35, 37))]
)
def test_a_network_of_classes_takes_any_size(decoder, size):
    torch.manual_seed(0)
    network = joint(3, width=1 / 32, decoder=decoder, output="ab_classes", temperature=0.38).eval()
    with torch.no_grad():
        prediction, _ = network.predict(torch.rand(2, 1, *size))
        chroma, _ = network(torch.rand(2, 1, *size))
    quarter, half = ([-(-side // step) for side in size] for step in (4, 2))
    assert prediction.shape == (2, network.output.channels, *quarter)
    assert chroma.shape == (2, 2, *half)


@pytest.mark.parametrize("output", [ChromaOutput(2), AbClassesOutput()])
def test_bf16_predictions_are_finished_in_fp32(output):
    prediction = torch.randn(1, output.channels, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        chroma = output(prediction, 4, 4)
    assert chroma.dtype == torch.float32
    assert torch.equal(chroma, output(prediction.float(), 4, 4))

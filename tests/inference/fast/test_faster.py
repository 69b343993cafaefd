import pytest
import torch
from torch import nn
from torch.nn import functional

from irodori.color import Lab
from irodori.color.difference import ciede2000
from irodori.color.lab import rgb_to_lab
from irodori.inference.fast_network import faster
from irodori.network.joint import reduce_chroma, upsample_chroma
from irodori.utils.errors import IrodoriError

KINDS = ({}, {"backbone": "tf_efficientnet_lite0", "decoder": "skips"})


def photos(size=(50, 67), seed=99):
    torch.manual_seed(seed)
    small = torch.rand(2, 1, 9, 12)
    return functional.interpolate(small, size, mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("arguments", KINDS)
@torch.no_grad()
def test_the_given_network_stays_and_the_copy_is_for_use(make_network, arguments):
    network = make_network(**arguments).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fast = faster(network, "fp32")
    assert network.training
    assert all(weight.requires_grad for weight in network.parameters())
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module.training for module in fast.modules())
    assert not any(weight.requires_grad for weight in fast.parameters())
    for module in fast.modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)
    chroma, logits = fast(photos())
    for expected, got in zip(network.eval()(photos()), (chroma, logits), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def trained(network):
    """The network after it has learned simple colors; at random it would enlarge any rounding."""
    for norm in network.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.momentum = 0.2
    optimizer = torch.optim.Adam(network.train().parameters(), 3e-3)
    for step in range(30):
        luminance = photos((64, 64), seed=step)
        half = reduce_chroma(luminance)
        chroma, _ = network(luminance)
        error = functional.mse_loss(chroma, torch.cat([half, 1 - half], 1) / 2 + 0.25)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return network.eval()


@pytest.mark.parametrize("arguments", [*KINDS, {"output": "ab_classes", "temperature": 0.38}])
def test_bf16_is_within_one_step_of_color(make_network, arguments):
    network = trained(make_network(**arguments))
    fast = faster(network, "bf16")
    luminance = photos()
    space = Lab()
    pictures = []
    for one in (network, fast):
        with torch.no_grad():
            chroma, logits = one(luminance)
        assert chroma.dtype == logits.dtype == torch.float32
        enlarged = upsample_chroma(chroma, *luminance.shape[-2:])
        pictures.append(rgb_to_lab(space.decode(luminance, enlarged)))
    mean = pictures[0].mean((2, 3), keepdim=True).expand_as(pictures[0])
    colorful = torch.cat([pictures[0][:, :1], mean[:, 1:]], 1)
    assert ciede2000(pictures[0], colorful).mean() > 3
    assert 0 < ciede2000(*pictures).mean() < 1


@pytest.mark.parametrize("arguments", KINDS)
@torch.no_grad()
def test_bf16_is_used_like_fp32(make_network, arguments):
    fast = faster(make_network(**arguments), "bf16")
    luminance, style = photos(), photos((20, 31))
    together, logits = fast(luminance, style)
    global_BC, of_style = fast.global_features(style)
    assert torch.equal(of_style, logits)
    assert torch.equal(fast.color(luminance, global_BC), together)
    assert torch.equal(fast.color(luminance, global_BC.float()), together)


@torch.no_grad()
def test_luminance_loses_nothing_before_its_mean_is_subtracted(make_network):
    fast = faster(make_network(**KINDS[1]), "bf16")
    backbone = fast.backbone
    seen = []
    backbone.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    luminance = photos((64, 64))
    fast(luminance)
    (got,) = seen
    assert torch.equal(got, ((luminance - backbone.info.mean) / backbone.info.std).bfloat16())


@torch.no_grad()
def test_the_output_keeps_its_precision(make_network):
    network = make_network(output="ab_classes", temperature=0.38)
    fast = faster(network, "bf16")
    assert torch.equal(fast.output.chroma_QC, network.output.chroma_QC)
    weights = dict(fast.named_parameters())
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("precision", "hardware", "dtype"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
        ("fp32", True, torch.float32),
        ("bf16", False, torch.bfloat16),
    ],
)
def test_auto_is_what_the_hardware_is_fast_at(
    make_network, monkeypatch, precision, hardware, dtype
):
    monkeypatch.setattr("irodori.inference.fast_network.bf16_is_fast_on_cpu", lambda: hardware)
    fast = faster(make_network(), precision)
    assert {weight.dtype for weight in fast.parameters()} == {dtype}


def test_an_unknown_precision_is_refused(make_network):
    with pytest.raises(IrodoriError, match=r"^precision=fp16 is unknown: choose one of auto, fp32"):
        faster(make_network(), "fp16")

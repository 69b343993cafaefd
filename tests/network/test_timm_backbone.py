import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from irodori.config.describable import build, describe
from irodori.network import freeze_unused
from irodori.network.backbone import scaled_to
from irodori.network.timm_backbone import Pyramid, SimplePyramid, TimmBackbone
from networks import joint

PRESETS = (
    "resnet18",
    pytest.param("resnet50", marks=pytest.mark.long),
    pytest.param("convnext_tiny", marks=pytest.mark.long),
    "tf_efficientnet_lite0",
    pytest.param("mobilenetv4_conv_small", marks=pytest.mark.long),
    "pvt_v2_b0",
)
SIZES = ((1, 1), (33, 47), (64, 96))


@pytest.fixture(scope="module", params=PRESETS)
def network(request):
    torch.manual_seed(0)
    return joint(5, width=1 / 16, backbone=request.param, decoder="skips").eval()


@torch.no_grad()
def test_any_size_goes_in_and_comes_out(network):
    for size in SIZES:
        chroma, logits = network(torch.rand(2, 1, *size))
        assert chroma.shape == (2, 2, *(-(-side // 2) for side in size))
        assert logits.shape == (2, 5)
        assert chroma.isfinite().all()
        local, seen = network.backbone(torch.rand(2, 1, *size))
        for stride, part in {8: local.features_BCHW, **local.skips}.items():
            assert part.shape[2:] == tuple(-(-side // stride) for side in size)
        assert local.features_BCHW.shape[1] == network.backbone.local_channels
        assert seen.features_BC.shape == (2, network.backbone.global_channels)
        assert seen.scene_BC.shape == (2, network.backbone.scene_channels)


@torch.no_grad()
def test_the_style_image_gives_the_global_features_and_the_scene(network):
    photo, style = torch.rand(1, 1, 40, 64), torch.rand(1, 1, 100, 33)
    (local, own), (styled_local, styled) = network.backbone(photo), network.backbone(photo, style)
    _, of_style = network.backbone(style)
    assert torch.equal(local.features_BCHW, styled_local.features_BCHW)
    assert torch.equal(styled.features_BC, of_style.features_BC)
    assert torch.equal(styled.scene_BC, of_style.scene_BC)
    assert not torch.equal(own.scene_BC, styled.scene_BC)
    chroma, logits = network(photo, style)
    assert torch.equal(logits, network(style)[1])
    assert not torch.equal(chroma, network(photo)[0])


@torch.no_grad()
def test_at_its_own_size_the_encoder_runs_once(network):
    calls = []
    hook = network.backbone.encoder.register_forward_hook(lambda *_: calls.append(1))
    photo = torch.rand(1, 1, *network.backbone.input_size)
    _, once = network.backbone(photo)
    assert len(calls) == 1
    # As if it had been scaled to that size, which it needn't be.
    _, other = network.backbone(torch.rand(1, 1, 32, 32), photo)
    hook.remove()
    assert len(calls) == 3
    torch.testing.assert_close(once.scene_BC, other.scene_BC)


def test_its_description_builds_it_again_and_gradients_reach_every_parameter(network):
    trained = build(describe(network))
    trained.load_state_dict(network.state_dict())
    luminance = torch.rand(1, 1, 50, 30)
    with torch.no_grad():
        assert torch.equal(network(luminance)[0], trained.eval()(luminance)[0])
    trained.backbone.input_size = (64, 64)
    chroma, logits = trained.train()(torch.rand(4, 1, 64, 64))
    (chroma.square().mean() + logits.square().mean()).backward()
    missing = [name for name, p in trained.named_parameters() if p.grad is None]
    assert not missing


@pytest.mark.parametrize(
    ("name", "decoder"),
    [("resnet18", "paper"), ("hrnet_w18_small", "paper")],
)
def test_what_no_gradient_reaches_asks_for_none(name, decoder):
    trained = joint(5, width=1 / 16, backbone=name, decoder=decoder)
    trained.backbone.input_size = (64, 64)
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    freeze_unused(trained)
    assert trained.training
    assert all(weight.grad is None for weight in trained.parameters())
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())
    chroma, logits = trained(torch.rand(4, 1, 64, 64))
    (chroma.square().mean() + logits.square().mean()).backward()
    for key, weight in trained.named_parameters():
        assert weight.requires_grad == (weight.grad is not None), key
    left_out = sum(not weight.requires_grad for weight in trained.parameters())
    # A high-resolution network has layers that make its finest levels and nothing else.
    assert (left_out > 0) == (name == "hrnet_w18_small")


def test_a_checkpoint_names_the_weights_that_say_how_the_input_is_scaled():
    network = joint(5, width=1 / 16, backbone="mobilenetv4_conv_small.e3600_r256_in1k")
    assert network.backbone.input_size == (256, 256)
    name = joint(5, width=1 / 16, backbone="mobilenetv4_conv_small").backbone.name
    assert name.startswith("mobilenetv4_conv_small.")
    assert joint(5, width=1 / 16, backbone=name).backbone.name == name


@torch.no_grad()
def test_the_encoder_sees_luminance_less_its_mean_over_its_deviation(network):
    backbone = network.backbone
    config = timm.get_pretrained_cfg(backbone.name).to_dict()
    seen = []
    hook = backbone.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    photo = torch.rand(1, 1, 31, 70)
    backbone(photo)
    hook.remove()
    mean, deviation = sum(config["mean"]) / 3, sum(config["std"]) / 3
    enlarged, scaled = seen
    assert enlarged.shape == (1, 1, 32, 96)
    torch.testing.assert_close(enlarged[..., :31, :70], (photo - mean) / deviation)
    # Borders are repeated.
    assert torch.equal(enlarged[..., 70:], enlarged[..., 69:70].expand(-1, -1, -1, 26))
    size = config["input_size"][1:]
    torch.testing.assert_close(scaled, (scaled_to(photo, *size) - mean) / deviation)


def test_the_pyramid_is_its_formula():
    torch.manual_seed(0)
    pyramid = Pyramid([3, 5, 7], 4).double()
    for module in pyramid.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    pyramid.eval()
    levels = [torch.randn(2, c, 8 // 2**i, 12 // 2**i).double() for i, c in enumerate((3, 5, 7))]
    expected = 0
    for i, (lateral, level) in enumerate(zip(pyramid.laterals, levels, strict=True)):
        weight, norm = lateral[0].weight[:, :, 0, 0], lateral[1]
        mixed = torch.einsum("oi,bihw->bohw", weight, level)
        mixed = functional.batch_norm(
            mixed, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
        expected = expected + mixed.repeat_interleave(2**i, 2).repeat_interleave(2**i, 3)
    torch.testing.assert_close(pyramid(levels), pyramid.output(expected))


def test_frozen_batch_norms_keep_their_statistics_and_the_others_do_not():
    backbone = TimmBackbone("resnet18", 1 / 16)
    backbone.freeze_batch_norm(True)
    before = {name: value.clone() for name, value in backbone.named_buffers()}
    backbone.eval()
    backbone.train()
    backbone(torch.rand(2, 1, 64, 64))
    for name, value in backbone.named_buffers():
        assert torch.equal(value, before[name]) == name.startswith("encoder."), name
    backbone.freeze_batch_norm(False)
    backbone(torch.rand(2, 1, 64, 64))
    moved = [name for name, value in backbone.named_buffers() if name.startswith("encoder.")]
    assert not any(torch.equal(backbone.get_buffer(name), before[name]) for name in moved)


SINGLE = (
    ("test_vit", 16),
    ("vit_tiny_patch16_224", 16),
    ("vit_small_patch14_dinov2", 16),
    ("vit_base_patch32_224", 32),
    ("vit_small_patch8_224", 8),
)
"""Encoders whose levels all have one stride, and what it is of the photo."""


@pytest.mark.parametrize(
    ("name", "stride"),
    [
        pytest.param(*one, marks=[pytest.mark.long] if one[0] != "test_vit" else [])
        for one in SINGLE
    ],
)
@torch.no_grad()
def test_encoders_of_one_stride_get_others(name, stride):
    torch.manual_seed(0)
    network = joint(5, backbone=name, decoder="skips").eval()
    backbone = network.backbone
    assert (backbone.strides, backbone.skip_channels, backbone.step) == ([8, 16, 32], {}, 32)
    made = []
    backbone.pyramid.register_forward_pre_hook(lambda _, inputs: made.extend(inputs[0]))
    for size in ((1, 1), (33, 47), (64, 96)):
        made.clear()
        chroma, logits = network(torch.rand(1, 1, *size), torch.rand(1, 1, 64, 32))
        assert chroma.shape == (1, 2, *(-(-side // 2) for side in size))
        assert logits.isfinite().all()
        height, width = (-(-side // 32) * 32 for side in size)
        assert [level.shape[2:] for level in made] == [
            (height // s, width // s) for s in (8, 16, 32)
        ]
    ((own, channels),) = zip(backbone.info.strides, backbone.info.channels, strict=True)
    assert own == stride
    assert backbone.simple_pyramid.channels[own] == channels


def test_the_simple_pyramid_keeps_its_own_level():
    pyramid = SimplePyramid(16, 6).eval()
    level = torch.rand(1, 6, 4, 6)
    levels = pyramid(level)
    assert {s: tuple(part.shape[1:]) for s, part in levels.items()} == {
        8: (3, 8, 12),
        16: (6, 4, 6),
        32: (6, 2, 3),
    }
    assert list(levels) == [8, 16, 32]
    assert torch.equal(levels[16], level)
    assert torch.equal(levels[32], level.unflatten(3, (3, 2)).unflatten(2, (2, 2)).amax((3, 5)))


@pytest.mark.long
@torch.no_grad()
def test_an_encoder_of_a_fixed_size_takes_any():
    network = joint(5, backbone="swin_tiny_patch4_window7_224", decoder="skips").eval()
    assert set(network.backbone.skip_channels) == {4}
    for size in ((1, 1), (45, 100)):
        chroma, _ = network(torch.rand(1, 1, *size))
        assert chroma.shape == (1, 2, *(-(-side // 2) for side in size))
        assert chroma.isfinite().all()


@pytest.mark.parametrize("name", ["test_vit", "resnet18", "tf_efficientnet_lite0"])
def test_a_frozen_encoder_computes_no_gradients(name):
    torch.manual_seed(0)
    network = joint(3, backbone=name, decoder="skips")
    network.backbone.input_size = (32, 32)
    network.backbone.encoder_frozen = True
    graphs = []
    network.backbone.encoder.register_forward_hook(
        lambda *arguments: graphs.extend(level.requires_grad for level in arguments[2])
    )
    chroma, logits = network(torch.rand(2, 1, 32, 32))
    (chroma.mean() + logits.mean()).backward()
    assert graphs
    assert not any(graphs)
    encoder = {id(weight) for weight in network.backbone.encoder.parameters()}
    for key, weight in network.named_parameters():
        assert (weight.grad is None) == (id(weight) in encoder), key
    network.backbone.encoder_frozen = False
    network(torch.rand(2, 1, 32, 32))[0].mean().backward()
    assert any(weight.grad is not None for weight in network.backbone.encoder.parameters())


@pytest.mark.parametrize(
    ("name", "frozen", "dtype"),
    [
        ("tf_efficientnet_lite0", False, torch.float32),
        ("tf_efficientnet_lite0", True, torch.bfloat16),
        ("resnet18", False, torch.bfloat16),
    ],
)
def test_on_cpus_depthwise_encoders_are_trained_in_fp32(name, frozen, dtype):
    network = joint(3, backbone=name, decoder="skips")
    network.backbone.input_size = (32, 32)
    network.backbone.encoder_frozen = frozen
    seen = []
    network.backbone.encoder.register_forward_hook(lambda *arguments: seen.append(arguments[2][0]))
    with torch.autocast("cpu", torch.bfloat16):
        network.predict(torch.rand(2, 1, 32, 32))
        assert {level.dtype for level in seen} == {dtype}
        seen.clear()
        with torch.no_grad():
            network.eval().predict(torch.rand(2, 1, 32, 32))
    assert {level.dtype for level in seen} == {torch.bfloat16}


def test_layers_of_an_encoder_hold_all_its_parameters_once():
    for name in ("resnet18", "tf_efficientnet_lite0", "test_vit"):
        backbone = TimmBackbone(name, 1 / 16)
        layers = backbone.encoder_layers()
        found = [id(weight) for layer in layers for weight in layer]
        assert len(layers) > 4
        assert len(found) == len(set(found))
        assert set(found) == {id(weight) for weight in backbone.encoder.parameters()}


def test_nothing_is_fetched(monkeypatch):
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: pytest.fail("asked timm"))
    for name in ("hf-hub:someone/model", "hf_hub:someone/model", "local-dir:/tmp", "someone/model"):
        with pytest.raises(ValueError, match=name):
            TimmBackbone(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet19", r"timm has no model 'resnet19' \(near: .*resnet18"),
        # Its table of positions ends at the size that it was trained with.
        ("mvitv2_tiny", r"mvitv2_tiny.* of timm can't be a backbone: "),
        pytest.param(
            *("maxvit_tiny_tf_224", "can't be a backbone: .*divisible by window"),
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_cannot_be_a_backbone_is_said(name, reason):
    with pytest.raises(ValueError, match=reason):
        TimmBackbone(name)

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from irodori.network import JointNetwork
from irodori.network.backbone import scaled_to
from irodori.network.timm_backbone import Pyramid, TimmBackbone

PRESETS = (
    "resnet18",
    pytest.param("resnet50", marks=pytest.mark.long),
    "convnext_tiny",
    "tf_efficientnet_lite0",
    "mobilenetv4_conv_small",
    "pvt_v2_b0",
)
SIZES = ((1, 1), (2, 45), (33, 47), (64, 96))


@pytest.fixture(scope="module", params=PRESETS)
def network(request):
    torch.manual_seed(0)
    return JointNetwork(5, width=1 / 16, backbone=request.param, decoder="skips").eval()


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
    photo = torch.rand(1, 1, *network.backbone.size)
    _, once = network.backbone(photo)
    assert len(calls) == 1
    # As if it had been scaled to that size, which it needn't be.
    _, other = network.backbone(torch.rand(1, 1, 32, 32), photo)
    hook.remove()
    assert len(calls) == 3
    torch.testing.assert_close(once.scene_BC, other.scene_BC)


def test_gradients_reach_every_parameter(network):
    trained = JointNetwork(**network.arguments)
    chroma, logits = trained(torch.rand(4, 1, 64, 64))
    (chroma.square().mean() + logits.square().mean()).backward()
    missing = [name for name, p in trained.named_parameters() if p.grad is None]
    assert not missing


@pytest.mark.parametrize("name", ["resnet18", "hrnet_w18_small"])
@pytest.mark.parametrize("decoder", ["paper", "skips"])
def test_what_no_gradient_reaches_asks_for_none(name, decoder):
    trained = JointNetwork(5, width=1 / 16, backbone=name, decoder=decoder)
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    trained.backbone.leave_out_unused()
    assert trained.training
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())
    chroma, logits = trained(torch.rand(4, 1, 64, 64))
    (chroma.square().mean() + logits.square().mean()).backward()
    for key, weight in trained.named_parameters():
        assert weight.requires_grad == (weight.grad is not None), key
    left_out = sum(not weight.requires_grad for weight in trained.parameters())
    # A high-resolution network has layers that make its finest levels and nothing else.
    assert (left_out > 0) == (name == "hrnet_w18_small" and decoder == "paper")


def test_a_checkpoint_names_the_weights_that_say_how_the_input_is_scaled():
    network = JointNetwork(5, width=1 / 16, backbone="mobilenetv4_conv_small.e3600_r256_in1k")
    assert network.backbone.size == (256, 256)
    name = JointNetwork(5, width=1 / 16, backbone="mobilenetv4_conv_small").arguments["backbone"]
    assert name.startswith("mobilenetv4_conv_small.")
    assert JointNetwork(5, width=1 / 16, backbone=name).arguments["backbone"] == name


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


def test_a_checkpoints_arguments_build_the_same_network_again(network):
    again = JointNetwork(**network.arguments).eval()
    again.load_state_dict(network.state_dict())
    luminance = torch.rand(1, 1, 50, 30)
    with torch.no_grad():
        assert torch.equal(network(luminance)[0], again(luminance)[0])


def test_without_global_features_nothing_global_is_there():
    network = JointNetwork(5, width=1 / 16, backbone="resnet18", global_features=False).eval()
    names = " ".join(name for name, _ in network.named_parameters())
    assert not any(part in names for part in ("global", "fusion", "classification"))
    chroma, logits = network(torch.rand(1, 1, 30, 50))
    assert (chroma.shape, logits) == ((1, 2, 15, 25), None)


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
    encoder.freeze_batch_norm(True)
    before = {name: value.clone() for name, value in backbone.named_buffers()}
    backbone.eval()
    backbone.train()
    backbone(torch.rand(2, 1, 64, 64))
    for name, value in backbone.named_buffers():
        assert torch.equal(value, before[name]) == name.startswith("encoder."), name
    encoder.freeze_batch_norm(False)
    backbone(torch.rand(2, 1, 64, 64))
    moved = [name for name, value in backbone.named_buffers() if name.startswith("encoder.")]
    assert not any(torch.equal(backbone.get_buffer(name), before[name]) for name in moved)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet19", r"paper or a model of timm, and 'resnet19' is neither \(near: .*resnet18"),
        ("swin_tiny_patch4_window7_224", "can't be a backbone: .*doesn't match"),
        # Its table of positions ends at the size that it was trained with.
        ("mvitv2_tiny", "can't be a backbone: "),
        ("vit_tiny_patch16_224", r"at strides \[16, 16, 16\], and one at stride 8 is needed"),
    ],
)
def test_what_cannot_be_a_backbone_is_said(name, reason):
    with pytest.raises(ValueError, match=reason):
        JointNetwork(3, backbone=name)

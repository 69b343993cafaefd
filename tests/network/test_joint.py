import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from irodori.network import JointNetwork
from irodori.network.backbone import scaled_to
from irodori.network.joint import Fusion, reduce_chroma, upsample_chroma
from irodori.network.output import AbClassesOutput
from networks import joint

PAPER = {
    "backbone.low": 2_287_488,
    "backbone.mid": 3_539_712,
    "backbone.global_convolutions": 9_439_232,
    ("backbone.global_linear", "backbone.global_output"): 26_347_264,
    "fusion": 131_328,
    "colorization": 424_802,
    "classification": 184_013,
}

LAYERS = {  # (in, out, kernel, stride)
    "backbone.low": [
        (1, 64, 3, 2),
        (64, 128, 3, 1),
        (128, 128, 3, 2),
        (128, 256, 3, 1),
        (256, 256, 3, 2),
        (256, 512, 3, 1),
    ],
    "backbone.mid": [(512, 512, 3, 1), (512, 256, 3, 1)],
    "backbone.global_convolutions": [
        (512, 512, 3, 2),
        (512, 512, 3, 1),
        (512, 512, 3, 2),
        (512, 512, 3, 1),
    ],
    "backbone.global_linear": [(7 * 7 * 512, 1024), (1024, 512)],
    "backbone.global_output": [(512, 256)],
    "fusion": [(512, 256, 1, 1)],
    "colorization": [
        (256, 128, 3, 1),
        "×2",
        (128, 64, 3, 1),
        (64, 64, 3, 1),
        "×2",
        (64, 32, 3, 1),
        (32, 2, 3, 1),
    ],
    "classification": [(512, 256), (256, 205)],
}


def count(network, *parts):
    """Parameters of the convolutions and fully connected layers, with their biases."""
    return sum(
        layer.weight.numel() + layer.bias.numel()
        for part in parts
        for layer in network.get_submodule(part).modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    )


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return JointNetwork(205, 2)


@pytest.fixture(scope="module")
def tiny():
    return small()


def small(seed=0, **arguments):
    """A narrow network in evaluation mode, whose norms have seen something."""
    torch.manual_seed(seed)
    arguments = {"num_classes": 5, "width": 1 / 32} | arguments
    network = joint(**arguments)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            nn.init.uniform_(layer.running_var, 0.05, 0.2)
            nn.init.uniform_(layer.bias, -0.2, 0.5)
    return network.eval()


def scaled_to_224(luminance):
    return scaled_to(luminance, 224, 224)


def low_calls(network, *inputs):
    """How often the low-level network is called, and the output."""
    calls = []
    hook = network.backbone.low[0].register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        output = network(*inputs)
    hook.remove()
    return len(calls), output


def test_parameters_are_those_of_the_paper(paper):
    for parts, number in PAPER.items():
        parts = (parts,) if isinstance(parts, str) else parts
        assert count(paper, *parts) == number, parts
    assert count(paper, "") == sum(PAPER.values()) == 42_353_839


def test_layers_are_those_of_the_table(paper):
    for part, expected in LAYERS.items():
        found = []
        for layer in paper.get_submodule(part).modules():
            if isinstance(layer, nn.Conv2d):
                kernel, stride = layer.kernel_size[0], layer.stride[0]
                assert layer.kernel_size == (kernel, kernel)
                assert layer.stride == (stride, stride)
                assert layer.padding == (kernel // 2, kernel // 2)
                assert layer.dilation == (1, 1)
                assert layer.groups == 1
                found.append((layer.in_channels, layer.out_channels, kernel, stride))
            elif isinstance(layer, nn.Linear):
                found.append((layer.in_features, layer.out_features))
            elif isinstance(layer, nn.Upsample):
                assert layer.mode == "nearest"
                found.append(f"×{int(layer.scale_factor)}")
        assert found == expected, part
    assert not any(isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) for layer in paper.modules())


def test_every_layer_but_the_two_outputs_has_batch_norm_and_relu(paper):
    kinds = nn.Conv2d | nn.Linear | nn.BatchNorm1d | nn.BatchNorm2d | nn.ReLU | nn.Upsample
    layers = [layer for layer in paper.modules() if isinstance(layer, kinds)]
    plain = []
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            following = layers[place + 1 : place + 3]
            whole = (
                len(following) == 2
                and isinstance(following[0], nn.BatchNorm1d | nn.BatchNorm2d)
                and isinstance(following[1], nn.ReLU)
            )
            if not whole:
                plain.append(layer)
    assert plain == [paper.classification.layers[-1], paper.colorization.layers[-1]]


@pytest.mark.parametrize(("num_classes", "chroma_channels"), [(1, 2), (205, 3)])
def test_any_class_count_and_two_or_three_channels(num_classes, chroma_channels):
    network = small(num_classes=num_classes, chroma_channels=chroma_channels)
    chroma, logits = network(torch.rand(2, 1, 16, 24))
    assert chroma.shape == (2, chroma_channels, 8, 12)
    assert logits.shape == (2, num_classes)


def test_the_baseline_has_nothing_global():
    with torch.device("meta"):
        network = JointNetwork(205, 2, global_features=False)
    assert count(network, "") == sum(
        PAPER[part] for part in ("backbone.low", "backbone.mid", "colorization")
    )
    network = small(global_features=False)
    names = " ".join(name for name, _ in network.named_parameters())
    assert not any(part in names for part in ("global", "fusion", "classification"))
    calls, (chroma, logits) = low_calls(network, torch.rand(1, 1, 30, 30))
    assert (calls, logits) == (1, None)
    assert chroma.shape == (1, 2, 15, 15)


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize("training", [False, True])
def test_fusion_is_a_1x1_convolution_over_the_concatenation(activation, training):
    torch.manual_seed(1)
    fusion = Fusion(5, 7, activation).double().train(training)
    nn.init.uniform_(fusion.norm.running_mean)
    nn.init.uniform_(fusion.norm.weight, 0.5, 2)
    nn.init.normal_(fusion.norm.bias)
    shared, local = torch.randn(3, 5).double(), torch.randn(3, 7, 4, 6).double()
    spread = shared[:, :, None, None].expand(-1, -1, 4, 6)
    plain = fusion.mix(torch.cat([spread, local], dim=1))
    expected = {"relu": torch.relu, "sigmoid": torch.sigmoid}[activation](fusion.norm(plain))
    torch.testing.assert_close(fusion(shared, local), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "arguments",
    [
        {"chroma_channels": 0},
        {"chroma_channels": 17},
        {"num_classes": -1},
        {"num_classes": 1_000_000_000},
        {"width": 0},
        {"width": -1.0},
        {"width": 1e6},
        {"width": float("nan")},
        {"fusion": "tanh"},
        {"backbone": "none"},
        {"backbone": nn.Conv2d(1, 3, 3)},
        {"chroma_channels": 3, "output": AbClassesOutput},
    ],
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        JointNetwork(**arguments)


@settings(max_examples=25)
@given(st.integers(1, 70), st.integers(1, 70))
@example(1, 1)
@example(1, 300)
@example(300, 1)
@example(223, 225)
@example(224, 224)
def test_any_size_goes_in_and_comes_out(tiny, height, width):
    luminance = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        chroma, logits = tiny(luminance)
    assert chroma.shape == (1, 2, -(-height // 2), -(-width // 2))
    assert logits.shape == (1, 5)
    assert 0 <= chroma.min() <= chroma.max() <= 1
    assert torch.isfinite(logits).all()
    full = upsample_chroma(chroma, height, width)
    assert full.shape == (1, 2, height, width)
    assert 0 <= full.min() <= full.max() <= 1


@pytest.mark.parametrize(
    ("size", "style", "calls"),
    [
        ((224, 224), None, 1),
        ((223, 224), None, 2),
        ((224, 225), None, 2),
        ((32, 40), None, 2),
        ((224, 224), (224, 224), 2),
        ((64, 48), (30, 90), 2),
    ],
)
def test_low_level_features_are_computed_once_at_224_and_else_twice(tiny, size, style, calls):
    inputs = [torch.rand(1, 1, *size)] + ([] if style is None else [torch.rand(1, 1, *style)])
    assert low_calls(tiny, *inputs)[0] == calls


@torch.no_grad()
def test_the_global_path_sees_the_image_scaled_to_224(tiny):
    luminance = torch.rand(2, 1, 500, 60)  # one side is scaled down, the other up
    scaled = torch.nn.functional.interpolate(
        luminance, (224, 224), mode="bilinear", antialias=True, align_corners=False
    )
    torch.testing.assert_close(scaled_to_224(luminance), scaled)
    own, at_224 = tiny(luminance), tiny(scaled)
    torch.testing.assert_close(own[1], at_224[1])
    torch.testing.assert_close(tiny(luminance, scaled)[0], own[0])


@torch.no_grad()
def test_a_style_image_gives_the_global_features(tiny):
    luminance, style = torch.rand(2, 1, 40, 56), torch.rand(2, 1, 31, 77) ** 3
    plain, styled = tiny(luminance), tiny(luminance, style)
    assert (plain[0] - styled[0]).abs().max() > 1e-4
    torch.testing.assert_close(styled[1], tiny(style)[1])
    assert styled[0].shape == plain[0].shape


@torch.no_grad()
def test_images_of_a_batch_do_not_mix(tiny):
    luminance, style = torch.rand(3, 1, 26, 18), torch.rand(3, 1, 20, 20)
    for whole, one in zip(tiny(luminance, style), tiny(luminance[1:2], style[1:2]), strict=True):
        torch.testing.assert_close(whole[1:2], one)


@torch.no_grad()
def test_the_global_path_works_under_bf16_autocast(tiny):
    luminance = torch.rand(1, 1, 60, 44)
    exact = tiny(luminance)
    with torch.autocast("cpu", torch.bfloat16):
        chroma, logits = tiny(luminance)
    torch.testing.assert_close(chroma.float(), exact[0], rtol=0, atol=0.05)
    torch.testing.assert_close(logits.float(), exact[1], rtol=0.1, atol=0.1)


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 11), (1, 1), (1, 5)])
def test_reduced_chroma_is_the_mean_of_2x2_pixels(height, width):
    chroma = torch.rand(2, 2, height, width)
    reduced = reduce_chroma(chroma)
    assert reduced.shape == (2, 2, -(-height // 2), -(-width // 2))
    for y in range(reduced.shape[2]):
        for x in range(reduced.shape[3]):
            block = chroma[..., 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((2, 3))
            torch.testing.assert_close(reduced[..., y, x], block)


@pytest.mark.parametrize("size", [(40, 60), (41, 61)])
def test_a_ramp_does_not_shift(size):
    height, width = size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    ramps = torch.stack([0.01 * x, 0.01 * y])[None].float()
    again = upsample_chroma(reduce_chroma(ramps), height, width)
    inside = (again - ramps)[..., 3:-3, 3:-3]
    assert inside.abs().max() < 1e-5


def test_chroma_of_another_size_is_not_enlarged():
    for size in ((4, 5), (5, 4)):
        with pytest.raises(ValueError, match="not half of 8×8"):
            upsample_chroma(torch.rand(1, 2, *size), 8, 8)

from functools import partial

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

import tiny
from irodori.color import Lab, Rgb, Yuv
from irodori.model import Model, load_model
from irodori.network import JointNetwork
from irodori.network.decoders import QueryDecoder, SkipDecoder
from irodori.network.timm_backbone import TimmBackbone
from irodori.pretrained import imagenet
from irodori.training.initialization import load_matching_weights
from irodori.utils.errors import IrodoriError
from networks import save_checkpoint

CLASSES = ("beach", "forest", "street")


def model(space=Lab, classes=CLASSES, seed=1, backbone=None, decoder=None, width=1 / 16):
    torch.manual_seed(seed)
    if backbone is not None:
        backbone = TimmBackbone(backbone, width)
    if decoder is not None:
        decoder = partial(decoder, width=width)
    chosen = space()
    network = JointNetwork(
        len(classes), chosen.chroma_channels, width=width, backbone=backbone, decoder=decoder
    )
    return Model(network, chosen, classes, 1.0, (0.0, 0.0), ({"name": "shard"},))


def load_into(new, path):
    """Load what matches, and return the line that says what."""
    line, trained_on = load_matching_weights(new, path)
    assert trained_on == ({"name": "shard"},)
    return line


def same(one, other):
    """Names of the tensors that are equal."""
    pairs = one.network.state_dict().items()
    others = other.network.state_dict()
    return {name for name, value in pairs if name in others and torch.equal(value, others[name])}


HEAD = {"classification.layers.1.weight", "classification.layers.1.bias"}
LAST = {"colorization.layers.6.weight", "colorization.layers.6.bias"}


def test_all_is_taken_where_all_fits(tmp_path):
    old, new = model(), model(seed=2)
    line = load_into(new, save_checkpoint(old, tmp_path / "a.ckpt"))
    number = len(old.network.state_dict())
    assert same(old, new) == set(old.network.state_dict())
    assert line == f"init: {number} of {number} tensors from {tmp_path / 'a.ckpt'}"


@pytest.mark.parametrize(
    ("changes", "new_parts"),
    [
        ({"classes": ("cat", "dog")}, HEAD),
        ({"classes": ("forest", "beach", "street")}, HEAD),  # the same number, another meaning
        ({"space": Yuv}, LAST),
        ({"space": Rgb, "classes": ("cat", "dog")}, HEAD | LAST),
    ],
)
def test_what_means_something_else_is_new_and_said(tmp_path, changes, new_parts):
    old, new = model(), model(seed=2, **changes)
    fresh = {name: new.network.state_dict()[name].clone() for name in new_parts}
    line = load_into(new, save_checkpoint(old, tmp_path / "a.ckpt"))
    assert same(old, new) == set(old.network.state_dict()) - new_parts
    for name, value in fresh.items():
        assert torch.equal(new.network.state_dict()[name], value)
    for part in {name.rpartition(".")[0] for name in new_parts}:
        assert f"{part} (2)" in line.partition("· new: ")[2].partition("·")[0]
        assert f"{part} (2)" in line.partition("· left out: ")[2]


@pytest.mark.parametrize("decoder", [SkipDecoder, QueryDecoder])
def test_of_another_color_space_the_layer_is_new_that_predicts_colors(tmp_path, decoder):
    # With queries, the layer that is called last isn't the last of the weights.
    old, new = model(decoder=decoder), model(decoder=decoder, seed=2, space=Yuv)
    load_into(new, save_checkpoint(old, tmp_path / "a.ckpt"))
    output = {"colorization.output.weight", "colorization.output.bias"}
    assert same(old, new) == set(old.network.state_dict()) - output
    assert new.network.training


def test_another_decoder_or_encoder_takes_what_is_left(tmp_path):
    path = save_checkpoint(model(backbone="resnet18"), tmp_path / "a.ckpt")
    new = model(backbone="resnet18", decoder=SkipDecoder, seed=2)
    line = load_into(new, path)
    assert "colorization.layers.0" in line.partition("left out: ")[2]
    taken = same(model(backbone="resnet18"), new)
    assert all(name in taken for name in new.network.state_dict() if name.startswith("backbone."))
    # Of another encoder nothing is taken, though many of its layers have the same names and shapes.
    for backbone in (None, "resnet50"):
        other = model(seed=2, backbone=backbone)
        before = {name: value.clone() for name, value in other.network.state_dict().items()}
        assert "backbone.encoder (" in load_into(other, path).partition("left out: ")[2]
        for name, value in other.network.state_dict().items():
            if name.startswith("backbone."):
                assert torch.equal(value, before[name]), name
        assert "fusion.mix.weight" in same(model(backbone="resnet18"), other)


def test_layers_are_taken_whole_or_not_at_all(tmp_path):
    path = save_checkpoint(model(), tmp_path / "a.ckpt")
    content = torch.load(path, weights_only=True)
    key = "network.colorization.layers.0.0.weight"
    content["state_dict"][key] = content["state_dict"][key][:, :-1]
    torch.save(content, path)
    new = model(seed=2)
    line = load_into(new, path)
    assert "· new: colorization.layers.0 (2) · left out: colorization.layers.0 (2)" in line
    layer = {"colorization.layers.0.0.weight", "colorization.layers.0.0.bias"}
    assert same(model(), new) == set(model().network.state_dict()) - layer


def test_nothing_that_fits_is_refused(tmp_path):
    path = save_checkpoint(model(width=1 / 8), tmp_path / "a.ckpt")
    with pytest.raises(IrodoriError, match=r"^init=.*a\.ckpt: no layer matches this network$"):
        load_into(model(), path)
    with pytest.raises(IrodoriError, match="no such checkpoint"):
        load_into(model(), tmp_path / "gone.ckpt")


def test_a_run_is_initialized_with_another_ones_weights_and_resumed_without(data, tmp_path, capsys):
    data = data.on
    tiny.run(tmp_path / "first", *data, "callbacks.pictures=null")
    start = tmp_path / "first/checkpoints/last.ckpt"
    still = [*data, f"init={start}", "callbacks.pictures=null", "optimizer.lr=0", "seed=7"]
    result = tiny.run(tmp_path / "second", *still)
    assert "init: " in capsys.readouterr().out
    number = len(load_model(start).network.state_dict())
    line = f"init: {number} of {number} tensors from {start}"
    assert result["training"]["initialized_from"] == [line]
    one, other = (load_model(tmp_path / n / "checkpoints/last.ckpt") for n in ("first", "second"))
    weights = {name for name, _ in one.network.named_parameters()}
    assert weights <= same(one, other)
    assert other.trained_on == one.trained_on  # the same shards, once
    # A resumed run has its own weights: the checkpoint isn't asked for again.
    (tmp_path / "second/metrics.json").unlink()
    start.unlink()
    result = tiny.resume(tmp_path / "second")
    assert "init: " not in capsys.readouterr().out
    assert result["training"]["initialized_from"] == [line]


needs_lite0 = pytest.mark.skipif(
    imagenet.PACKAGES[imagenet.LITE0].missing() is not None, reason="no extra lite0"
)


@needs_lite0
@pytest.mark.parametrize(("freeze_steps", "accumulate"), [(0, 1), (2, 2)])
@pytest.mark.long
def test_a_frozen_encoder_stays_as_it_was_trained(tmp_path, capsys, freeze_steps, accumulate):
    data = tiny.on(tiny.shards(tmp_path), tiny.shards(tmp_path / "val", first=40))
    settings = ["backbone=tf_efficientnet_lite0", f"encoder.freeze_steps={freeze_steps}"]
    settings += [f"trainer.accumulate_grad_batches={accumulate}", "encoder.freeze_batch_norm=false"]
    settings += ["optimizer=adamw", "trainer.max_epochs=-1", "callbacks.pictures=null"]
    tiny.run(
        tmp_path / "run", *data, *settings, "trainer.max_steps=2", "trainer.gradient_clip_val=1"
    )
    source = imagenet.PACKAGES[imagenet.LITE0].source
    assert f"encoder: tf_efficientnet_lite0.in1k · {source}" in capsys.readouterr().out
    weights, _ = imagenet.encoder_weights("tf_efficientnet_lite0")

    def moved():
        network = load_model(tmp_path / "run/checkpoints/last.ckpt").network
        found = network.backbone.encoder.state_dict()
        return {name for name, value in found.items() if not torch.equal(value, weights[name])}

    assert bool(moved()) == (freeze_steps == 0)
    # One step more, and what was frozen moves.
    (tmp_path / "run/metrics.json").unlink()
    tiny.resume(tmp_path / "run", "trainer.max_steps=3", "allow_changes=true")
    assert {"conv_stem.weight", "bn1.running_mean"} <= moved()


def test_no_network_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(imagenet, "answers", lambda url: False)
    with pytest.raises(IrodoriError) as caught:
        imagenet.encoder_weights("resnet18")
    message = str(caught.value)
    assert message.startswith(
        "the weights of resnet18 are unavailable (https://huggingface.co can't"
    )
    assert message.endswith("encoder.pretrained=false")
    assert "\n" not in message


def test_without_a_network_weights_come_from_the_hubs_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(imagenet, "answers", lambda url: False)
    torch.manual_seed(0)
    colored = timm.create_model("resnet18")
    place = tmp_path / "models--timm--resnet18.a1_in1k"
    commit = "0" * 40
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(commit)
    (place / "snapshots" / commit).mkdir(parents=True)
    save_file(colored.state_dict(), place / "snapshots" / commit / "model.safetensors")
    weights, source = imagenet.encoder_weights("resnet18.a1_in1k")
    assert source == "timm/resnet18.a1_in1k (timm)"
    assert torch.equal(
        weights["layer3.0.conv2.weight"], colored.state_dict()["layer3.0.conv2.weight"]
    )


def test_a_server_that_is_not_there_does_not_answer():
    assert not imagenet.answers("http://127.0.0.1:1")


def test_weights_from_the_hub_are_for_one_channel(monkeypatch, tmp_path):
    torch.manual_seed(0)
    colored = timm.create_model("resnet18", features_only=False)
    path = tmp_path / "resnet18.pth"
    torch.save(colored.state_dict(), path)
    create = timm.create_model

    def from_file(name, **arguments):
        return create(name, **arguments | {"pretrained_cfg_overlay": {"file": str(path)}})

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(timm, "create_model", from_file)
    monkeypatch.setattr(imagenet, "answers", lambda url: True)
    weights, source = imagenet.encoder_weights("resnet18")
    assert source.endswith("(timm)")
    monkeypatch.undo()
    network = JointNetwork(3, width=1 / 16, backbone=TimmBackbone("resnet18", 1 / 16))
    network.backbone.encoder.load_state_dict(weights)
    expected = colored.state_dict()["conv1.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(weights["conv1.weight"], expected)
    assert torch.equal(weights["layer4.1.bn2.weight"], colored.state_dict()["layer4.1.bn2.weight"])


@needs_lite0
def test_the_package_needs_no_hub(monkeypatch):
    monkeypatch.setattr(imagenet, "answers", lambda url: pytest.fail("asked"))
    weights, _ = imagenet.encoder_weights("tf_efficientnet_lite0")
    network = JointNetwork(3, width=1 / 16, backbone=TimmBackbone("tf_efficientnet_lite0", 1 / 16))
    network.backbone.encoder.load_state_dict(weights)


@pytest.mark.parametrize("setting", ["pretrained=true", "lr_scale=0.5"])
def test_the_papers_backbone_has_no_encoder_to_set(data, tmp_path, setting):
    with pytest.raises(IrodoriError, match=rf"(?i)^encoder\.{setting} needs a pretrained encoder"):
        tiny.run(tmp_path / "run", *data.on, f"encoder.{setting}")
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_bf16_averaged_weights_and_an_encoder_go_together(data, tmp_path):
    data = [setting for setting in data.on if "precision" not in setting]
    settings = ["backbone=mobilenetv4_conv_small", "encoder.pretrained=false", "decoder=skips"]
    settings += ["trainer.precision=bf16-mixed", "callbacks=[default,ema]", "objective=classes"]
    settings += ["trainer.max_steps=1", "trainer.max_epochs=-1"]
    result = tiny.run(tmp_path / "run", *data, *settings, "callbacks.pictures=null")
    assert 0 < result["rows"]["last"]["chroma_rmse"] < 60

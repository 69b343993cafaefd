"""Parts of a run, put together as a run does it."""

import copy

import pytest
import torch
from lightning import Callback
from torch import nn

import tiny
from irodori import Colorizer
from irodori.training import launch
from irodori.training.callbacks.pictures import Pictures


class FrozenNorms(Callback):
    """Batch norm that neither looks at the batch nor remembers it."""

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()


class Watch(Callback):
    """Keeps the weights after each step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step > len(self.weights):
            self.weights.append(copy.deepcopy(module.network.state_dict()))


@pytest.fixture
def fit(data, tmp_path):
    """A function that trains without validation, and returns the weights before and after steps."""

    def train(*overrides, callbacks=()):
        watch = Watch()
        limits = ["trainer.limit_val_batches=0"]
        made = tiny.parts(tmp_path, *data.on, *limits, *overrides, callbacks=[*callbacks, watch])
        start = copy.deepcopy(made.module.network.state_dict())
        made.trainer.fit(made.module, made.data)
        return start, watch

    return train


def distance(one, other):
    return max((one[name].double() - other[name].double()).abs().max().item() for name in one)


def test_accumulated_micro_batches_are_the_global_batch(fit):
    # With a large eps a step follows the gradient's size, and rounding stays rounding.
    settings = ["trainer.max_epochs=3", "data.batch_size=12", "optimizer.eps=1e-2"]
    once = fit(*settings, callbacks=[FrozenNorms()])[1].weights
    for pieces in (2, 3):
        more = [*settings, f"trainer.accumulate_grad_batches={pieces}"]
        parts = fit(*more, callbacks=[FrozenNorms()])[1].weights
        assert len(once) == len(parts) == 3
        for one, other in zip(once, parts, strict=True):
            assert distance(one, other) < 1e-6
    # And the steps are no trifle beside that.
    assert distance(once[0], once[2]) > 1e-3


def test_the_average_of_the_weights_is_what_is_validated_and_kept(data, tmp_path, monkeypatch):
    decay = 0.6
    on = [*data.on, "trainer.max_epochs=2", "optimizer=adamw"]
    kept = {}

    build_trainer = launch.build_trainer

    def watching(*args, **kwargs):
        trainer = build_trainer(*args, **kwargs)
        kept["watch"] = Watch()
        trainer.callbacks.append(kept["watch"])
        return trainer

    written = {}
    write = Pictures.write

    def remember(self, trainer, module, name):
        if trainer.is_global_zero:
            written[name] = copy.deepcopy(module.network.state_dict())
        write(self, trainer, module, name)

    monkeypatch.setattr(launch, "build_trainer", watching)
    monkeypatch.setattr(Pictures, "write", remember)
    plain = tiny.run(tmp_path / "plain", *on)
    trained = kept["watch"].weights
    metrics = tiny.run(
        tmp_path / "average", *on, "callbacks=[default,ema]", f"callbacks.ema.decay={decay}"
    )
    # The average changes nothing of the training itself.
    steps = kept["watch"].weights
    assert len(steps) == 6
    assert distance(steps[-1], trained[-1]) == 0

    average = None
    for step in steps:
        # The first step's weights start the average.
        average = {
            name: value.double()
            if average is None
            else decay * average[name] + (1 - decay) * value.double()
            for name, value in step.items()
            if value.is_floating_point()
        }
    last = torch.load(tmp_path / "average" / "checkpoints" / "last.ckpt", weights_only=True)
    for name, value in average.items():
        torch.testing.assert_close(
            last["state_dict"][f"network.{name}"].double(), value, rtol=1e-4, atol=1e-6
        )
    assert distance(average, {name: steps[-1][name] for name in average}) > 1e-3
    # What was validated, and drawn at the end, is what the checkpoint colors with.
    model = Colorizer.load(tmp_path / "average" / "checkpoints" / "best.ckpt").model
    assert distance(written["best.png"], model.network.state_dict()) == 0
    for row in ("best", "last"):
        assert metrics["rows"][row]["chroma_rmse"] != plain["rows"][row]["chroma_rmse"]

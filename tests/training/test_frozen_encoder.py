"""An encoder that is frozen costs no gradients and stays as it is."""

import copy

import pytest
import torch
from lightning import Callback

import tiny

ENCODER = [
    "backbone=resnet18",
    "encoder.pretrained=false",
    "encoder.freeze_batch_norm=false",
    "optimizer=adamw",
]


class Watch(Callback):
    """Notes in each step whether the encoder has gradients, and after it the encoder's state."""

    def __init__(self):
        self.gradients, self.graphs, self.states = [], [], []

    def on_train_start(self, trainer, module):
        backbone = module.network.backbone
        encode = backbone._encode

        def watched(*args):
            levels = encode(*args)
            self.graphs.append(any(level.requires_grad for level in levels))
            return levels

        backbone._encode = watched
        self.states.append(copy.deepcopy(backbone.encoder.state_dict()))

    def on_before_optimizer_step(self, trainer, module, optimizer):
        weights = module.network.backbone.encoder.parameters()
        self.gradients.append(any(weight.grad is not None for weight in weights))

    def on_train_batch_end(self, trainer, module, *args):
        self.states.append(copy.deepcopy(module.network.backbone.encoder.state_dict()))


@pytest.mark.parametrize(
    ("freeze_steps", "frozen"),
    [pytest.param(-1, [True] * 3, marks=pytest.mark.long), (2, [True, True, False])],
)
def test_gradients_weights_and_statistics(data, tmp_path, freeze_steps, frozen):
    watch = Watch()
    settings = [*ENCODER, f"encoder.freeze_steps={freeze_steps}", "trainer.limit_val_batches=0"]
    made = tiny.parts(tmp_path, *data.on, *settings, callbacks=[watch])
    # Where it stays frozen, DDP waits for none of its gradients.
    encoder = made.module.network.backbone.encoder
    assert {weight.requires_grad for weight in encoder.parameters()} == {freeze_steps > 0}
    made.trainer.fit(made.module, made.data)
    assert watch.gradients == [not step for step in frozen]
    # Once for each of the two paths.
    assert watch.graphs == [not step for step in frozen for _ in range(2)]
    for before, after, step in zip(watch.states, watch.states[1:], frozen, strict=False):
        same = {name for name, value in before.items() if torch.equal(value, after[name])}
        assert (same == set(before)) == step
        if not step:
            assert {"conv1.weight", "bn1.running_mean"}.isdisjoint(same)


def test_statistics_alone_can_be_frozen(data, tmp_path):
    watch = Watch()
    settings = [*ENCODER, "encoder.freeze_batch_norm=true", "trainer.limit_val_batches=0"]
    made = tiny.parts(tmp_path, *data.on, *settings, callbacks=[watch])
    made.trainer.fit(made.module, made.data)
    first, last = watch.states[0], watch.states[-1]
    assert torch.equal(first["bn1.running_mean"], last["bn1.running_mean"])
    assert not torch.equal(first["conv1.weight"], last["conv1.weight"])

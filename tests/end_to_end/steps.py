"""Three training steps with frozen batch norm on as many processes as asked for; used by a test.

`python steps.py <file> <overrides…>` writes the weights to <file>, and for each rank the draws that
its samples were augmented by to <file>.<rank>.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from hydra.core.hydra_config import HydraConfig
from lightning import Callback
from torch import nn

import tiny


class FrozenNorms(Callback):
    """Batch norm that doesn't look at the batch; and the keys that this rank trained on."""

    def __init__(self):
        self.keys = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.keys += batch["keys"]
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()


def main(file, *overrides):
    torch.set_num_threads(1)
    norms = FrozenNorms()
    made = tiny.parts(Path(file).parent, *overrides, callbacks=[norms])
    HydraConfig.instance().cfg = None
    draws = []
    augment = made.data.augmentation.on_rgb

    def noted(rgb_B3HW, draws_BD):
        draws.append(draws_BD)
        return augment(rgb_B3HW, draws_BD)

    made.data.augmentation.on_rgb = noted
    made.trainer.fit(made.module, made.data)
    rank = {"draws": torch.cat(draws), "keys": norms.keys}
    torch.save(rank, f"{file}.{made.trainer.global_rank}")
    if made.trainer.is_global_zero:
        torch.save(made.module.network.state_dict(), file)


if __name__ == "__main__":
    main(*sys.argv[1:])

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
from irodori.training.building import build, make_trainer
from irodori.training.checkpoint_files import WholeFiles
from irodori.training.hardware import choose


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
    config = tiny.config(*overrides)
    HydraConfig.instance().cfg = None
    torch.manual_seed(0)
    hardware = choose(config.trainer)
    data, module = build(config, hardware)
    draws = []
    on_rgb = data.augmentation.on_rgb
    data.augmentation.on_rgb = lambda x, d: (draws.append(d[:, :5]), on_rgb(x, d))[1]
    norms = FrozenNorms()
    trainer = make_trainer(config, hardware, [norms], WholeFiles())
    trainer.limit_val_batches = 0
    trainer.fit(module, data)
    rank = {"draws": torch.cat(draws), "keys": norms.keys}
    torch.save(rank, f"{file}.{trainer.global_rank}")
    if trainer.is_global_zero:
        torch.save(module.network.state_dict(), file)


if __name__ == "__main__":
    main(*sys.argv[1:])

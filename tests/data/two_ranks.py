"""Two gloo ranks train on shards under Lightning and write down what each of them saw."""

import json
import sys
from pathlib import Path

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy

from irodori.color import Lab
from irodori.data.augment import Augmentation
from irodori.data.config import DataConfig
from irodori.data.module import ShardData


class Watch(LightningModule):
    """Learns nothing and takes notes."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.train_seen, self.val_seen = {}, {}

    def training_step(self, batch, _):
        """Note keys and draws."""
        seen = self.train_seen.setdefault(self.current_epoch, [])
        seen.append({"keys": batch["keys"], "draws": batch["draws"].tolist()})
        return self.weight * batch["luminance"].mean()

    def validation_step(self, batch, _):
        """Note keys."""
        self.val_seen.setdefault(self.current_epoch, []).append(batch["keys"])

    def configure_optimizers(self):
        """Whatever."""
        return torch.optim.SGD(self.parameters(), 0.1)


class Data(ShardData):
    """Keeps the draws of each batch."""

    def on_after_batch_transfer(self, batch, index):
        """As before, but `draws` stays."""
        draws = batch.get("draws")
        batch = super().on_after_batch_transfer(batch, index)
        return batch if draws is None else {**batch, "draws": draws}


def main(shards, output):
    """Two epochs."""
    pattern = f"{shards}/s-*.tar"
    val = str(Path(shards).with_name("val") / "s-*.tar")
    config = DataConfig(train=pattern, val=val, batch_size=4, val_batch_size=3, workers=2, size=16)
    module = Watch()
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy=DDPStrategy(process_group_backend="gloo"),
        max_epochs=2,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, Data(config, Lab(), Augmentation(crop=8), seed=1))
    notes = {"train": module.train_seen, "val": module.val_seen}
    (output / f"rank-{trainer.global_rank}.json").write_text(json.dumps(notes))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

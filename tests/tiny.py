"""Tiny shards of made-up photographs, and training runs on them within the test's process."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hydra
import numpy as np
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from PIL import Image

from irodori.config import PROJECT
from irodori.data.writer import write_shards
from irodori.runs.program import register

CLASSES = ("beach", "forest", "street")
SIZES = ((40, 32), (32, 40), (39, 33))


def photo(number: int) -> Image.Image:
    """A smooth picture with colors of its own, width×height by the number."""
    random = np.random.default_rng(number)
    width, height = SIZES[number % len(SIZES)]
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    color, slope = random.uniform(40, 215, 3), random.uniform(-70, 70, (2, 3))
    pixels = color + slope[0] * (x[..., None] - 0.5) + slope[1] * (y[..., None] - 0.5)
    pixels += random.normal(0, 4, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def shards(
    folder: Path,
    count: int = 12,
    first: int = 0,
    per_shard: int = 6,
    labels: list[int] | None = None,
    damaged: tuple[int, ...] = (),
) -> str:
    """Write `count` photographs as shards and return their pattern.

    Labels go round the three classes unless given; numbers in `damaged` are no images at all.
    """
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    samples = []
    for i in range(count):
        path = pictures / f"photo{first + i}.png"
        photo(first + i).save(path)
        if i in damaged:
            path.write_bytes(b"\x89PNG, but nothing that a decoder could read")
        samples.append((path.stem, path, i % len(CLASSES) if labels is None else labels[i]))
    parts = [samples[start : start + per_shard] for start in range(0, count, per_shard)]
    names = CLASSES if labels is None or max(labels) >= 0 else ()
    write_shards(parts, folder / "shards", "part", names, {})
    return f"{folder}/shards/part-*.tar"


def on(train: str, val: str) -> list[str]:
    """Overrides for a run in seconds on these shards, on the CPU, logging nothing elsewhere."""
    return [
        "data=shards",
        f'data.train="{train}"',
        f'data.val="{val}"',
        "data.batch_size=4",
        "data.val_batch_size=2",
        "data.workers=0",
        "data.size=32",
        "augmentation.crop=28",
        "data.val_size=256",
        "network.width=0.0625",
        "trainer.accelerator=cpu",
        "trainer.precision=32-true",
        "trainer.max_epochs=1",
        "trainer.check_val_every_n_epoch=1",
        "trainer.log_every_n_steps=1",
        "callbacks.pictures.count=2",
        "logger=csv",
    ]


def compose(*overrides: str) -> DictConfig:
    """The configuration as `train.py` composes it."""
    register()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        composed = hydra.compose("train", overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(composed)
    with open_dict(composed):
        del composed["hydra"]
    return composed


def compose_evaluation(*overrides: str) -> DictConfig:
    """The configuration as `evaluate.py` composes it."""
    register()
    with initialize_config_dir(str(PROJECT / "conf" / "evaluate"), version_base="1.3"):
        return hydra.compose("evaluate", overrides=list(overrides))


def config(*overrides: str) -> DictConfig:
    """The same, checked as `train.py` does."""
    from irodori.training.settings import check_settings

    composed = compose(*overrides)
    check_settings(composed)
    return composed


def run(folder: Path, *overrides: str) -> dict:
    """Train within this process, and return metrics.json."""
    from irodori.runs.run import Run
    from irodori.training.launch import train

    train(Run(config(*overrides), folder, overrides))
    return json.loads((folder / "metrics.json").read_text())


def resume(folder: Path, *overrides: str) -> dict:
    """Resume a run within this process, and return metrics.json."""
    from irodori.runs.resume import resume_config
    from irodori.runs.run import Run
    from irodori.training.launch import train
    from irodori.training.settings import check_settings

    composed, changes = resume_config(compose(f'resume="{folder}"', *overrides), list(overrides))
    check_settings(composed)
    train(Run(composed, folder, overrides, changes=changes))
    return json.loads((folder / "metrics.json").read_text())


def parts(folder: Path, *overrides: str, callbacks: Sequence[Any] = ()) -> SimpleNamespace:
    """Build what a run trains with, as it does, and Lightning's trainer with these callbacks."""
    from irodori.runs.run import Run
    from irodori.training.building import build_trainer
    from irodori.training.launch import prepare

    run = Run(config(*overrides), folder, overrides)
    hardware, data, module = prepare(run)
    trainer = build_trainer(run.config.trainer, hardware, list(callbacks), folder)
    return SimpleNamespace(run=run, hardware=hardware, data=data, module=module, trainer=trainer)

"""Run folders as training leaves them, with made-up figures."""

import csv
import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from irodori.metrics.catalog import METRICS

MEASURED = (
    *("chroma_rmse", "ciede2000", "psnr", "ssim", "auc", "auc_balanced"),
    *("colorfulness", "colorfulness_difference", "accuracy"),
)
GRAY = 14.0
PAPER = {
    "_target_": "irodori.network.paper_backbone.PaperBackbone",
    "width": 0.125,
    "global_features": True,
    "input_mean": 0.0,
}
TIMM = {
    "_target_": "irodori.network.timm_backbone.TimmBackbone",
    "name": "resnet18",
    "width": 0.125,
    "global_features": True,
}
DECODERS = {
    name: {"_target_": f"irodori.network.decoders.{name}", "_partial_": True, "width": 0.125}
    for name in ("ColorizationDecoder", "SkipDecoder")
}
OBJECTIVES = {
    "mse": {"_target_": "irodori.training.objectives.MeanSquaredError"},
    "huber": {"_target_": "irodori.training.objectives.Huber", "delta": 0.05},
    "classes": {"_target_": "irodori.training.objectives.AbClasses", "rebalance": 0.5},
}
ADAMW = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.001, "weight_decay": 0.05}
ADADELTA = {"_target_": "torch.optim.Adadelta", "_partial_": True, "lr": 1.0, "rho": 0.95}
EMA = {"_target_": "lightning.pytorch.callbacks.EMAWeightAveraging", "decay": 0.95}
SPACES = {
    "lab": {"_target_": "irodori.color.lab.Lab"},
    "luv": {"_target_": "irodori.color.luv.Luv"},
    "yuv": {"_target_": "irodori.color.luma.Yuv"},
    "rgb": {"_target_": "irodori.color.rgb.Rgb"},
}
OUTPUT = {"_target_": "irodori.network.output.ChromaOutput", "_partial_": True}
CONFIG = {
    "experiment_name": "made",
    "alpha": 1.0,
    "seed": 0,
    "resume": None,
    "allow_changes": False,
    "init": None,
    "trust": [],
    "compile": None,
    "network": {
        "_target_": "irodori.network.joint.JointNetwork",
        "width": 0.125,
        "fusion": "relu",
        "global_features": True,
    },
    "output": OUTPUT,
    "encoder": {
        "_target_": "irodori.training.settings.EncoderTraining",
        "pretrained": False,
        "freeze_steps": 0,
        "lr_scale": 1.0,
        "layer_decay": 1.0,
        "freeze_batch_norm": False,
    },
    "color_space": SPACES["lab"],
    "backbone": PAPER,
    "decoder": DECODERS["ColorizationDecoder"],
    "objective": OBJECTIVES["mse"],
    "optimizer": ADAMW,
    "scheduler": {"_target_": "irodori.training.schedules.constant", "_partial_": True},
    "augmentation": {"_target_": "irodori.data.augment.Augmentation", "crop": 224, "flip": True},
    "data": {
        "_target_": "irodori.data.config.DataConfig",
        "train": "/shards/*.tar",
        "val": "/shards/*.tar",
        "fold": 0,
        "workers": 4,
        "stages": [],
    },
    "trainer": {
        "_target_": "lightning.pytorch.Trainer",
        "accelerator": "auto",
        "max_epochs": 20,
        "check_val_every_n_epoch": 5,
        "log_every_n_steps": 50,
    },
    "callbacks": {
        "checkpoints": {
            "_target_": "irodori.training.callbacks.checkpoints.Checkpoints",
            "every_steps": 1000,
        },
        "pictures": {"_target_": "irodori.training.callbacks.pictures.Pictures", "count": 8},
    },
    "metrics": {"psnr": {"_target_": "irodori.metrics.fidelity.PSNR", "_partial_": True}},
    "logger": {},
}
"""The parts of a config.yaml that matter here; `config` adds that the network repeats its parts."""
PROTOCOL = {"definition": "as in the catalog", "short_side_at_most": 256}


def config(**changes):
    """The configuration with dotted keys changed, dots written as two underscores."""
    made = deepcopy(CONFIG)
    for dotted, value in changes.items():
        *path, last = dotted.split("__")
        node = made
        for name in path:
            node = node.setdefault(name, {})
        node[last] = deepcopy(value)
    made["network"] |= {part: deepcopy(made[part]) for part in ("backbone", "decoder", "output")}
    return made


def figures(error, key, accuracy):
    """Plausible figures of a photograph whose chrominance RMSE is `error`."""
    vivid = 20 + 30 * np.random.default_rng(hash_of(key)).random()
    difference = -vivid * error / 30
    return {
        "chroma_rmse": error,
        "ciede2000": error * 0.8,
        "psnr": 40 - 20 * np.log10(max(error, 0.1) / 2),
        "ssim": 1 - error / 100,
        "auc": 100 - error * 0.6,
        "auc_balanced": 100 - error * 0.9,
        "colorfulness": vivid + difference,
        "colorfulness_difference": difference,
        "accuracy": accuracy,
    }


def hash_of(text):
    """A number that is the same in every process."""
    return sum((place + 1) * ord(letter) for place, letter in enumerate(text))


def keys_of(fold, count):
    """Keys of a fold's photographs."""
    return [f"photo{fold}-{number:03d}" for number in range(count)]


def base_error(key):
    """How hard a photograph is, in ab units."""
    return 6 + 8 * np.random.default_rng(hash_of(key) + 1).random()


def run(
    folder: Path,
    better=0.0,
    keys=None,
    training=True,
    protocol=PROTOCOL,
    size=(40, 32),
    extra_rows=None,
    noise=0.5,
    curve=True,
    curve_options=None,
    **changes,
):
    """Write a run folder, and return it.

    better: ab units by which its error is below the others'. keys: of its photographs.
    changes: of the configuration. extra_rows: more rows, with the ab units they are better by.
    curve_options: see `write_curve`.
    """
    folder.mkdir(parents=True)
    made = config(**changes)
    fold, seed = made["data"]["fold"], made["seed"]
    keys = keys_of(fold, 12) if keys is None else keys
    random = np.random.default_rng([seed, hash_of(str(changes)), len(keys)])
    gray = {key: GRAY + base_error(key) / 4 for key in keys}
    own = {key: base_error(key) - better + noise * random.normal() for key in keys}
    names = ("best", "last") if training else ("model",)
    errors = {
        **dict.fromkeys(names, own),
        **{
            name: {key: error - more for key, error in own.items()}
            for name, more in (extra_rows or {}).items()
        },
        "mean_color": {key: error - 0.2 for key, error in gray.items()},
        "gray": gray,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(made, sort_keys=False))
    references = ("gray", "mean_color")
    table = pd.DataFrame(
        {
            "row": row,
            "key": key,
            "scene": ("beach", "forest")[number % 2],
            "width": size[0],
            "height": size[1],
            **figures(error, key, np.nan if row in references else 100.0 * (random.random() < 0.6)),
            "auc_balanced_weight": 0.5 + number % 3,
        }
        for row, of_keys in errors.items()
        for number, (key, error) in enumerate(of_keys.items())
    )
    table.to_csv(folder / "per_image.csv", index=False)
    means = table.groupby("row")[list(MEASURED)].mean()
    if not training and "checkpoint" in changes:
        protocol = {"checkpoint": changes["checkpoint"], **protocol}
    metrics = {
        "protocol": {**protocol, "shards": [f"sample-{fold}.tar"], "samples": len(keys)},
        "rows": {row: means.loc[row].dropna().to_dict() for row in errors},
        "scenes": {},
    }
    if training:
        metrics["training"] = {
            "seconds": 100.0,
            "epochs": 20,
            "steps": 400,
            "images_per_second": 32.0,
            "parameters": 1_000_000,
            "hardware": "a machine",
        }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    if curve:
        final = float(np.mean(list(own.values())))
        write_curve(folder / "metrics.csv", final, **(curve_options or {}))
    return folder


def write_curve(path, final, epochs=(5, 10, 15, 20), steps=20, seconds=5.0, evaluations=2):
    """metrics.csv: validations that come closer to `final`, and evaluations at the end.

    epochs: after which it was validated. steps: of each epoch. seconds: of each epoch; None for a
    run that has not noted them. evaluations: of the last and of the best checkpoint, which old
    versions didn't log.
    """
    columns = ["epoch", "train/loss_epoch", "train/loss_step"]
    columns += [] if seconds is None else ["train/seconds"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*columns, "val/accuracy", "val/chroma_rmse", "step"])
        writer.writeheader()
        for epoch in range(epochs[-1]):
            place = {"epoch": epoch, "step": (epoch + 1) * steps - 1}
            writer.writerow({**place, "train/loss_step": 0.1, "step": place["step"] - steps // 2})
            if epoch + 1 in epochs:
                row = {**place, "val/chroma_rmse": final + 15 / (epoch + 1), "val/accuracy": 0.5}
                if seconds is not None:
                    row["train/seconds"] = seconds * (epoch + 1)
                writer.writerow(row)
            writer.writerow({**place, "train/loss_epoch": 0.1})
        end = {"epoch": epochs[-1], "step": epochs[-1] * steps}
        for error in (final, final + 100)[:evaluations]:
            writer.writerow({**end, "val/chroma_rmse": error})


def job(folder: Path, number, status, error=None):
    """Write job.json."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"job": number, "status": status, "overrides": [], "varied": [], "error": error}
    (folder / "job.json").write_text(json.dumps(record))


def study(root: Path, folds=3, seeds=1, count=12):
    """A sweep of four variants: lab a little better than yuv, rgb far worse."""
    number = 0
    for name, better in (("lab", 1.0), ("yuv", 0.9), ("luv", 0.4), ("rgb", -2.0)):
        for fold in range(folds):
            for seed in range(seeds):
                folder = run(
                    root / str(number),
                    better + 0.1 * seed,
                    keys_of(fold, count),
                    color_space=SPACES[name],
                    data__fold=fold,
                    seed=seed,
                )
                job(folder, number, "done")
                number += 1
    return root


assert set(MEASURED) <= set(METRICS)

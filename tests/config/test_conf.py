"""What stands in conf/, and mistakes of a user who composes it."""

import copy
import inspect
import subprocess
import sys

import lightning
import pytest
import yaml
from omegaconf import OmegaConf

import tiny
from irodori.config import PROJECT
from irodori.config.check import check
from irodori.evaluation.settings import EvaluateSettings
from irodori.runs.program import report_errors
from irodori.training.settings import check_settings
from irodori.utils.errors import IrodoriError

CONF = PROJECT / "conf"
OPTIONS = sorted(path for path in CONF.glob("*/*.yaml") if path.parent.name != "evaluate")
EVALUATED = sorted((CONF / "evaluate").glob("*/*.yaml"))
OWN = ["data=shards", "data.train=t.tar", "data.val=v.tar"]
NEEDED = {"data=shards": OWN[1:], "backbone=timm": ["backbone.name=resnet18"]}


def option(path):
    return f"{path.parent.name}={path.stem}"


@pytest.fixture(autouse=True)
def _places(monkeypatch):
    monkeypatch.setenv("PLACES205", "/places 205")
    monkeypatch.setenv("PLACES365", "/places 365")
    monkeypatch.setenv("PHOTOGRAPHS", "/photographs")


def flat(node, path=""):
    """Every leaf of a configuration by its dotted key."""
    leaves = {}
    for name, value in node.items():
        key = f"{path}{name}"
        leaves |= flat(value, f"{key}.") if isinstance(value, dict) else {key: value}
    return leaves


def values(*overrides):
    """The leaves of a configuration that passes all checks."""
    return flat(OmegaConf.to_container(tiny.config(*overrides), resolve=True))


@pytest.mark.parametrize("path", OPTIONS, ids=option)
def test_every_option_composes_and_fits_what_it_names(path):
    chosen = option(path)
    if path.parent.name == "callbacks" and path.stem != "default":
        chosen = f"callbacks=[default,{path.stem}]"
    tiny.config(chosen, *NEEDED.get(chosen, []))


@pytest.mark.parametrize("path", EVALUATED, ids=option)
def test_every_option_of_an_evaluation_composes_and_fits_what_it_names(path):
    own = ["data.val=v.tar"] if path.name == "shards.yaml" else []
    check(tiny.compose_evaluation(option(path), *own), EvaluateSettings)


def test_wandbs_sweep_varies_keys_that_exist():
    keys = flat(tiny.compose()) | dict.fromkeys(path.parent.name for path in OPTIONS)
    assert set(yaml.safe_load((CONF / "wandb_sweep.yaml").read_text())["parameters"]) <= set(keys)


def test_the_trainer_lists_lightnings_arguments():
    node = yaml.safe_load((CONF / "trainer/default.yaml").read_text())
    del node["_target_"]
    # What a run gives by itself; Lightning's own checkpoints are on where a callback makes them.
    given = {"logger", "callbacks", "plugins", "default_root_dir", "enable_checkpointing"}
    assert set(node) == set(inspect.signature(lightning.Trainer).parameters) - given


SAMPLE = {
    "network.width": 0.25,
    "optimizer._target_": "torch.optim.AdamW",
    "data.fold": 0,
    "data.batch_size": 16,
    "augmentation.crop_scale": [0.5, 1.0],
    "trainer.max_epochs": 30,
}
PAPER = {
    "network.width": 1.0,
    "optimizer._target_": "torch.optim.Adadelta",
    "optimizer.lr": 1.0,
    "data.fold": None,
    "data.batch_size": 128,
    "data.size": 256,
    "augmentation.crop": 224,
    "trainer.max_epochs": 11,
}
LAB, YUV, RGB = (f"irodori.color.{name}" for name in ("lab.Lab", "luma.Yuv", "rgb.Rgb"))
DELTAS = {
    "lab_alpha1": {"color_space._target_": LAB, "alpha": 1.0, "network.global_features": True},
    "lab_alpha0": {"color_space._target_": LAB, "alpha": 0.0, "network.global_features": True},
    "lab_baseline": {"color_space._target_": LAB, "alpha": 0.0, "network.global_features": False},
    "yuv_alpha1": {"color_space._target_": YUV, "alpha": 1.0},
    "rgb_alpha1": {"color_space._target_": RGB, "alpha": 1.0},
}


@pytest.mark.parametrize("name", DELTAS)
@pytest.mark.parametrize("own", [False, True])
def test_experiments_are_deltas_and_the_samples_settings_stand_with_the_sample_only(name, own):
    composed = values(f"experiment={name}", *(OWN if own else []))
    expected = {"experiment_name": name, **(PAPER if own else SAMPLE), **DELTAS[name]}
    assert {key: composed[key] for key in expected} == expected
    # Beside them nothing differs from a run without an experiment; network has copies of nodes.
    plain = values(*(OWN if own else []))
    differing = {key for key in plain if plain[key] != composed.get(key)}
    assert differing <= {"experiment_name", "backbone.global_features"} | set(DELTAS[name]) | {
        key for key in differing if key.startswith("network.backbone.")
    }


def test_the_papers_experiment():
    composed = values("experiment=lab_paper")
    expected = PAPER | {
        "color_space._target_": LAB,
        "trainer.max_steps": 200_000,
        "trainer.max_epochs": -1,
        "data.train": "/places 205/train-*.tar",
        "data.val": "/places 205/val-*.tar",
        "network.global_features": True,
        "network.fusion": "relu",
        "optimizer.rho": 0.95,
        "optimizer.eps": 1e-6,
    }
    assert {key: composed[key] for key in expected} == expected
    assert composed["alpha"] == pytest.approx(1 / 300, rel=1e-6)


def test_the_command_line_wins_over_experiment_and_data():
    composed = values(
        "experiment=lab_paper",
        "data=sample",
        "color_space=yuv",
        "optimizer=adamw",
        "optimizer.betas=[0.8,0.9]",
        "alpha=0.5",
        "network.width=0.125",
        "trainer=ddp",
        "trainer.max_steps=7",
        "data.batch_size=4",
        "experiment_name=mine",
    )
    expected = {
        "color_space._target_": YUV,
        "optimizer._target_": "torch.optim.AdamW",
        "optimizer.betas": [0.8, 0.9],
        "alpha": 0.5,
        "network.width": 0.125,
        "backbone.width": 0.125,
        "trainer.devices": 2,
        "trainer.max_steps": 7,
        "data.batch_size": 4,
        "data.fold": 0,
        "experiment_name": "mine",
    }
    assert {key: composed[key] for key in expected} == expected


def test_patterns_with_braces_and_spaces_pass():
    composed = values("data=shards", 'data.train="my t-{000..003}.tar"', "data.val=v-*.tar")
    assert composed["data.train"] == "my t-{000..003}.tar"
    assert composed["data.val"] == "v-*.tar"


@pytest.mark.parametrize(
    "overrides",
    [
        # Ends of ranges.
        "seed=0 alpha=0 data.workers=0 data.max_bad_share=1 encoder.lr_scale=0",
        "seed=4294967295 data.max_bad_share=0 callbacks.pictures.count=1",
        "trainer.gradient_clip_val=null trainer.max_steps=-1 callbacks.pictures=null",
        # Lightning's own.
        "trainer.limit_train_batches=10 trainer.fast_dev_run=true trainer.profiler=simple",
        "trainer.strategy=fsdp",
        "+trainer.strategy={_target_:lightning.pytorch.strategies.FSDPStrategy}",
    ],
)
def test_what_is_right_is_not_refused(overrides):
    tiny.config(*overrides.split())


MISTAKES = [
    # Keys and group members: when Hydra composes.
    (["trainer.max_epoch=3"], ["trainer", "max_epochs"]),
    (["optimizer.weight_decai=3"], ["optimizer", "weight_decay"]),
    (["optimiser=adamw"], ["optimiser", "optimizer"]),
    (["nonsense=1"], ["nonsense"]),
    (["optimizer=sgd"], ["optimizer=sgd", "adadelta, adamw"]),
    (["experiment=lab_alpha2"], ["experiment=lab_alpha2", "lab_alpha1"]),
    (["scheduler=constant", "scheduler.warmup=0.1"], ["scheduler.warmup"]),
    (["backbone=paper", "backbone.name=resnet18"], ["backbone.name"]),
    (["alpha"], ["alpha", "alpha=…"]),
    (["data.train=t-{000..003}.tar"], ["data.train", "'data.train=\"t-{000..003}.tar\"'"]),
    (["data.train=a.tar,b.tar"], ["data.train=a.tar,b.tar", "-m"]),
    # Keys that were added: by the signatures.
    (["+optimizer.nesterov=true"], ["optimizer.nesterov", "torch.optim"]),
    (["+optimizer.weight_decai=3"], ["optimizer.weight_decai", "weight_decay"]),
    (["+network.widht=1"], ["network.widht", "width"]),
    (["+foo=1"], ["foo"]),
    (["+seeds=1"], ["seeds", "seed"]),
    (["+data.val_crop=1"], ["data.val_crop"]),
    (["+callbacks.mine={_target_: my_package.Mine}"], ["callbacks.mine", "my_package"]),
    (["objective._target_=irodori.training.objectives.Hubber"], ["objective._target_", "Huber"]),
    (["callbacks.pictures={count: 3, size: 2}"], ["callbacks.pictures", "no size", "count"]),
    # Types.
    (["trainer.max_epochs=many"], ["trainer.max_epochs=many", "integer"]),
    (["trainer.precision=fp8"], ["trainer.precision=fp8", "bf16-mixed"]),
    (["optimizer.lr=fast"], ["optimizer.lr=fast", "number"]),
    (["optimizer.betas=[0.5]"], ["optimizer.betas=[0.5]"]),
    (["network.global_features=2.5"], ["global_features=2.5", "true or false"]),
    (["network.fusion=tanh"], ["network.fusion=tanh", "relu, sigmoid"]),
    (["augmentation.crop_scale=[0.5,0.6,0.7]"], ["augmentation.crop_scale=[0.5, 0.6, 0.7]"]),
    (["compile=fast"], ["compile=fast", "max-autotune"]),
    (["experiment_name=3"], ["experiment_name=3"]),
    (["network.backbone=3"], ["network.backbone=3"]),
    # Values that are missing.
    (["data=shards"], ["data.train"]),
    (["data=shards", "data.train=t.tar"], ["data.val"]),
    (["backbone=timm"], ["backbone.name"]),
    (["data=shards", "data.val=v.tar", "data.train=${oc.env:NOT_SET}"], ["data.train", "NOT_SET"]),
]


@pytest.mark.parametrize(("overrides", "parts"), MISTAKES, ids=str)
def test_a_mistake_is_one_line_that_names_key_and_what_is_valid(capsys, overrides, parts):
    with pytest.raises(SystemExit) as exit, report_errors():
        tiny.config(*overrides)
    assert exit.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert all(part in line for part in parts), line
    # Hydra advises to add what it doesn't know, which would hide a misspelling.
    asked = {part for override in overrides for part in override.split() if part.startswith("+")}
    assert {word for word in line.split() if word.startswith("+")} <= asked
    assert len(line) < 400


BEYOND = """
    seed=-1 seed=4294967296 alpha=-1 alpha=.nan alpha=.inf network.width=500 network.width=0
    data.workers=-1 data.size=0 data.val_size=0 data.batch_size=0 data.val_batch_size=0
    data.max_bad_share=1.5 augmentation.crop=0 augmentation.crop_scale=[0.5,2]
    augmentation.crop_aspect=0.5 scheduler.warmup=2 encoder.layer_decay=0
    callbacks.pictures.count=-1 callbacks.checkpoints.every_steps=0
"""


@pytest.fixture(scope="module")
def composed():
    return tiny.compose("scheduler=warmup_cosine")


@pytest.mark.parametrize("setting", BEYOND.split())
def test_values_out_of_range_are_named(composed, setting):
    key, value = setting.split("=")
    config = copy.deepcopy(composed)
    OmegaConf.update(config, key, yaml.safe_load(value))
    with pytest.raises(IrodoriError) as error:
        check_settings(config)
    assert str(error.value).startswith(f"{key}=")
    assert "\n" not in str(error.value)


# Runs a program as a shell does, and says what it has imported.
PROGRAM = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print(sorted({"torch", "lightning", "kornia", "numpy", "wandb"} & sys.modules.keys()))
"""


@pytest.mark.parametrize(
    ("program", "override", "part"),
    [
        ("train.py", "trainer.max_epoch=3", "max_epochs"),
        ("train.py", "network.width=500", "network.width=500"),
        ("evaluate.py", "+data.val_sise=1", "data.val_sise"),
    ],
)
def test_a_mistake_is_told_before_anything_heavy_is_imported(tmp_path, program, override, part):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(PROJECT / program), override],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert part in line
    assert done.stdout.splitlines()[-1] == "[]"
    assert not list(tmp_path.glob("runs/*/*"))

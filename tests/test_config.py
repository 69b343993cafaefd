import dataclasses

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import tiny
from irodori import checks
from irodori.config import PROJECT, AdadeltaConfig, AdamWConfig, EvaluateConfig, WandbConfig
from irodori.errors import IrodoriError

CONF = PROJECT / "conf"
GROUPS = sorted({path.parent.name for path in CONF.glob("*/*.yaml")} - {"evaluate"})
OPTIONS = sorted(path for group in GROUPS for path in (CONF / group).glob("*.yaml"))
OWN = ["data=shards", "data.train=t.tar", "data.val=v.tar"]


@pytest.fixture(autouse=True)
def places(monkeypatch):
    monkeypatch.setenv("PLACES205", "/places 205")
    monkeypatch.setenv("PLACES365", "/places 365")


def flat(node, path=""):
    """Every leaf of a configuration by its dotted key."""
    leaves = {}
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            leaves |= flat(value, f"{path}{field.name}.")
        else:
            leaves[f"{path}{field.name}"] = value
    return leaves


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_option_composes(path):
    asked = {"shards": OWN[1:], "timm": ["backbone.name=resnet18"]}
    own = asked.get(path.stem, [])
    config = tiny.config(f"{path.parent.name}={path.stem}", *own)
    assert all(value != "???" for value in flat(config).values())
    chosen = getattr(config, path.parent.name, None)
    if hasattr(chosen, "name"):
        assert chosen.name == ("resnet18" if path.stem == "timm" else path.stem)


EVALUATED = sorted((CONF / "evaluate").glob("*/*.yaml"))


@pytest.mark.parametrize("path", EVALUATED, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_option_of_an_evaluation_composes(path):
    own = ["data.val=v.tar"] if path.name == "shards.yaml" else []
    config = checks.checked(
        tiny.compose_evaluation(f"{path.parent.name}={path.stem}", *own), EvaluateConfig
    )
    assert all(value != "???" for value in flat(config).values())
    if path.parent.name == "protocol":
        assert config.protocol.name == path.stem


def test_there_are_the_promised_groups():
    groups = "backbone color_space data decoder experiment logger objective optimizer trainer"
    assert set(GROUPS) >= set(groups.split())
    names = {path.stem for path in (CONF / "experiment").glob("*.yaml")}
    promised = (
        "lite0_pretrained lab_alpha1 lab_alpha0 lab_paper lab_baseline yuv_alpha1 rgb_alpha1 quick"
    )
    assert names >= set(promised.split())


SAMPLE = {
    "network.width": 0.25,
    "optimizer.name": "adamw",
    "data.fold": 0,
    "data.batch_size": 16,
    "augmentation.crop_scale": [0.5, 1.0],
    "trainer.max_epochs": 30,
}
PAPER = {
    "network.width": 1.0,
    "optimizer.name": "adadelta",
    "optimizer.lr": 1.0,
    "data.fold": None,
    "data.batch_size": 128,
    "data.size": 256,
    "augmentation.crop": 224,
    "trainer.max_epochs": 11,
}
DELTAS = {
    "lab_alpha1": {"color_space.name": "lab", "alpha": 1.0, "network.global_features": True},
    "lab_alpha0": {"color_space.name": "lab", "alpha": 0.0, "network.global_features": True},
    "lab_baseline": {"color_space.name": "lab", "alpha": 0.0, "network.global_features": False},
    "yuv_alpha1": {"color_space.name": "yuv", "alpha": 1.0},
    "rgb_alpha1": {"color_space.name": "rgb", "alpha": 1.0},
}


@pytest.mark.parametrize("name", DELTAS)
@pytest.mark.parametrize("own", [False, True])
def test_experiments_are_deltas_and_the_samples_settings_stand_with_the_sample_only(name, own):
    values = flat(tiny.config(f"experiment={name}", *(OWN if own else [])))
    expected = {"experiment_name": name, **(PAPER if own else SAMPLE), **DELTAS[name]}
    assert {key: values[key] for key in expected} == expected
    # Beside them nothing differs from a run without an experiment.
    plain = flat(tiny.config(*(OWN if own else [])))
    differing = {key for key in plain if plain[key] != values.get(key)}
    assert differing <= {"experiment_name", *DELTAS[name]}


def test_the_papers_experiment():
    config = tiny.config("experiment=lab_paper")
    values = flat(config)
    expected = PAPER | {
        "color_space.name": "lab",
        "trainer.max_steps": 200_000,
        "trainer.max_epochs": -1,
        "data.train": "/places 205/train-*.tar",
        "data.val": "/places 205/val-*.tar",
        "network.global_features": True,
        "network.fusion": "relu",
        "optimizer.rho": 0.95,
        "optimizer.eps": 1e-6,
    }
    assert {key: values[key] for key in expected} == expected
    assert config.alpha == pytest.approx(1 / 300, rel=1e-6)


def test_the_quick_experiment_is_narrower_and_shorter_than_the_sample():
    config = tiny.config("experiment=quick")
    assert (config.network.width, config.trainer.max_steps, config.data.workers) == (0.0625, 2, 0)
    assert config.data.fold == 0
    assert config.data.train == f"{PROJECT}/data/sample/sample-*.tar"


def test_the_command_line_wins_over_experiment_and_data():
    config = tiny.config(
        "experiment=lab_paper",
        "data=sample",
        "color_space=oklab",
        "optimizer=adamw",
        "optimizer.betas=[0.8,0.9]",
        "alpha=0.5",
        "network.width=0.125",
        "trainer=ddp",
        "trainer.max_steps=7",
        "data.batch_size=4",
        "experiment_name=mine",
    )
    values = flat(config)
    expected = {
        "color_space.name": "oklab",
        "optimizer.name": "adamw",
        "optimizer.betas": [0.8, 0.9],
        "alpha": 0.5,
        "network.width": 0.125,
        "trainer.devices": 2,
        "trainer.max_steps": 7,
        "data.batch_size": 4,
        "data.fold": 0,
        "experiment_name": "mine",
    }
    assert {key: values[key] for key in expected} == expected
    assert isinstance(config.optimizer, AdamWConfig)
    assert isinstance(tiny.config("optimizer=adadelta").optimizer, AdadeltaConfig)


def test_defaults_without_anything():
    config = tiny.config()
    assert (config.experiment_name, config.seed, config.alpha) == ("default", 0, 1.0)
    assert isinstance(config.logger, WandbConfig)
    assert (config.logger.mode, config.color_space.name) == ("auto", "lab")


def test_patterns_with_braces_and_spaces_pass():
    config = tiny.config("data=shards", 'data.train="my t-{000..003}.tar"', "data.val=v-*.tar")
    assert config.data.train == "my t-{000..003}.tar"
    assert config.data.val == "v-*.tar"


MISTAKES = [
    (["trainer.max_epoch=3"], "max_epoch"),
    (["optimiser=adamw"], "optimiser"),
    (["optimizer=sgd"], "sgd"),
    (["experiment=lab_alpha2"], "lab_alpha2"),
    (["trainer.max_epochs=many"], "max_epochs"),
    (["optimizer.lr=fast"], "lr"),
    (["network.global_features=2.5"], "global_features"),
    (["augmentation.crop_scale=[0.5,0.6,0.7]"], "augmentation.crop_scale=[0.5, 0.6, 0.7]"),
    (["optimizer.betas=[0.5]"], "optimizer.betas=[0.5]"),
    (["scheduler.warmup=0.1", "optimizer=adadelta"], "warmup"),
    (["+optimizer.nesterov=true"], "optimizer.nesterov"),
    (["+optimizer.nesterov={a: 1}"], "optimizer.nesterov"),
    (["+foo=1"], "foo"),
    (["+data.val_crop=1"], "data.val_crop"),
    (["data=shards"], "data.train"),
    (["data=shards", "data.train=t.tar"], "data.val"),
    (["seed=-1"], "seed=-1"),
    (["seed=4294967296"], "seed=4294967296"),
    (["data.workers=-1"], "data.workers=-1"),
    (["data.size=0"], "data.size=0"),
    (["data.val_size=0"], "data.val_size=0"),
    (["data.max_bad_share=1.5"], "data.max_bad_share=1.5"),
    (["optimizer.lr=-1"], "optimizer.lr=-1"),
    (["optimizer.lr=nan"], "optimizer.lr=nan"),
    (["optimizer.betas=[0.9,1]"], "optimizer.betas=1"),
    (["scheduler.warmup=2"], "scheduler.warmup=2"),
    (["optimizer=adadelta", "optimizer.rho=2"], "optimizer.rho=2"),
    (["trainer.accumulate_grad_batches=0"], "trainer.accumulate_grad_batches=0"),
    (["trainer.gradient_clip_val=0"], "trainer.gradient_clip_val=0"),
    (["trainer.check_val_every_n_epoch=0"], "trainer.check_val_every_n_epoch=0"),
    (["trainer.log_every_n_steps=0"], "trainer.log_every_n_steps=0"),
    (["callbacks.pictures.count=-1"], "callbacks.pictures.count=-1"),
    (["trainer.max_steps=0"], "trainer.max_steps=0"),
    (["trainer.max_epochs=-2"], "trainer.max_epochs=-2"),
]


@pytest.mark.parametrize(("overrides", "named"), MISTAKES, ids=lambda x: str(x))
def test_a_mistake_is_one_line_that_names_it(capsys, overrides, named):
    from irodori.entry import told

    with pytest.raises(SystemExit) as exit, told():
        tiny.config(*overrides)
    assert exit.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert named in line
    assert "Traceback" not in line
    assert len(line) < 400


def test_a_missing_places_folder_is_named(monkeypatch, capsys):
    from irodori.entry import told

    monkeypatch.delenv("PLACES205")
    with pytest.raises(SystemExit), told():
        tiny.config("data=places205")
    (line,) = capsys.readouterr().err.splitlines()
    assert "PLACES205" in line


def test_every_range_belongs_to_a_key_and_its_ends_are_allowed():
    keys = set()
    groups = ("optimizer=adadelta", "optimizer=adamw", "objective=huber", "objective=classes")
    for choice in groups:
        keys |= set(flat(tiny.config(choice)))
    keys |= set(flat(checks.checked(tiny.compose_evaluation(), EvaluateConfig)))
    assert set(checks.RANGES) <= keys
    for seed in (0, 2**32 - 1):
        assert tiny.config(f"seed={seed}").seed == seed
    config = tiny.config("trainer.gradient_clip_val=null", "trainer.max_steps=-1", "callbacks.pictures=null")
    assert config.trainer.gradient_clip_val is None


def test_the_schema_refuses_a_yaml_with_a_key_too_many():
    composed = tiny.compose()
    with pytest.raises(OmegaConfBaseException):
        OmegaConf.merge(composed, {"optimizer": {"learning_rate": 1.0}})
    node = AdamWConfig()
    node.b = 1
    with pytest.raises(IrodoriError, match=r"^unknown key a\.b: nothing would read it"):
        checks.refuse_unknown(node, "a.")

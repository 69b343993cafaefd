"""Which runs belong together, and what they are called."""

from dataclasses import asdict

import pytest

from irodori.config import Config
from irodori.errors import IrodoriError
from irodori.studies.folders import run_folders
from irodori.studies.runs import FOREIGN, LeftOut, read_run
from irodori.studies.variants import LATER, UNRELATED, flat, group, learnt_from, name_all
from made_runs import config, job, run


def named(*changes):
    return name_all([flat(config(**change)) for change in changes])


def later(*changes):
    """The same of whole configurations, with the settings that old runs lack."""
    return name_all([learnt_from(config(**change), "last") for change in changes])


def test_a_name_is_what_differs_and_nothing_else():
    assert named({}, {"color_space__name": "rgb"}) == ["lab", "rgb"]
    assert named({}, {"alpha": 0.0}) == ["α = 1", "α = 0"]
    both = [{"color_space__name": s, "alpha": a} for s in ("lab", "yuv") for a in (0.03, 1.0)]
    assert named(*both) == ["lab, α = 0.03", "lab, α = 1", "yuv, α = 0.03", "yuv, α = 1"]
    assert named({}, {"network__global_features": False}) == [
        "with global features",
        "without global features",
    ]
    assert named({}, {"trainer__max_epochs": 5}) == ["20 epochs", "5 epochs"]
    assert named({"network__dropout": 0.1}, {"network__dropout": 0.2}) == [
        "dropout=0.1",
        "dropout=0.2",
    ]


def test_backbones_decoders_and_objectives_have_words():
    timm = {"backbone": {"name": "resnet18", "pretrained": True}, "init": None}
    assert later({}, timm) == ["paper, not pretrained", "resnet18, pretrained"]
    assert later(timm, {**timm, "backbone__pretrained": False}) == ["pretrained", "not pretrained"]
    assert later({}, {"decoder__name": "skips"}) == ["paper decoder", "skip decoder"]
    huber = {"objective": {"name": "huber", "delta": 0.1}}
    assert later({}, huber, {"objective__name": "classes"}) == ["mse", "huber", "classes"]
    assert later(huber, {**huber, "objective__delta": 0.2}) == ["delta=0.1", "delta=0.2"]
    # What does nothing to the paper's backbone isn't named beside it.
    scaled = {"backbone": {"name": "resnet18", "pretrained": True, "lr_scale": 0.3}}
    assert later({}, scaled) == later({}, timm)
    timm["backbone"]["pretrained"] = False
    assert later(
        timm,
        {**timm, "backbone__freeze_steps": 50, "backbone__freeze_batch_norm": True},
        {**timm, "backbone__lr_scale": 0.1, "backbone__layer_decay": 0.7},
    ) == [
        "backbone never frozen, backbone lr × 1, layer decay 1, without frozen batch norm",
        "backbone frozen for 50 steps, backbone lr × 1, layer decay 1, with frozen batch norm",
        "backbone never frozen, backbone lr × 0.1, layer decay 0.7, without frozen batch norm",
    ]
    begun = {"init": "/runs/places/checkpoints/best.ckpt"}
    assert later({}, begun) == ["no init", "init places/best.ckpt"]


def test_a_run_from_before_a_setting_is_one_with_its_default(tmp_path):
    now = {
        "init": None,
        "backbone__pretrained": False,
        "backbone__freeze_steps": 0,
        "backbone__lr_scale": 1.0,
        "backbone__layer_decay": 1.0,
        "backbone__freeze_batch_norm": False,
        "decoder": {"name": "paper"},
        "objective": {"name": "mse"},
    }
    folders = [
        run(tmp_path / "before"),
        run(tmp_path / "now", seed=1, **now),
        run(tmp_path / "other", seed=1, **now, decoder__name="skips"),
    ]
    same, other = group([read_run(folder, "last") for folder in folders], "last")
    assert (same.name, other.name) == ("paper decoder", "skip decoder")
    assert (len(same.runs), len(other.runs)) == (2, 1)
    assert same.settings["encoder.pretrained"] is False
    # Nothing is made up of pictures from elsewhere.
    assert learnt_from({FOREIGN: "x"}, "last") == {FOREIGN: "x"}


def test_defaults_of_later_settings_are_those_of_the_schema():
    assert flat(asdict(Config())).items() >= LATER.items()


def test_settings_that_only_one_optimizer_has_are_not_named():
    adadelta = {"optimizer": {"name": "adadelta", "rho": 0.9}}
    assert named({}, adadelta) == ["adamw", "adadelta"]
    assert named(adadelta, {"optimizer": {"name": "adadelta"}}) == ["rho=0.9", ""]


def test_names_are_unique():
    assert named({"alpha": 0.1234567}, {"alpha": 0.12345671}) == [
        "α = 0.123457",
        "α = 0.123457 (2)",
    ]


def test_seeds_folds_paths_and_loggers_make_no_variant(tmp_path):
    changes = [
        {},
        {"seed": 1},
        {"data__fold": 1},
        {"seed": 2, "data__train": "/elsewhere/*.tar", "data__val": "/elsewhere/*.tar"},
        {"seed": 3, "logger": {"name": "wandb", "mode": "offline"}, "data__workers": 0},
        {"seed": 4, "experiment_name": "other", "trainer__pictures": 0},
        {"seed": 5, "trainer__validate_every": 1},
    ]
    folders = [run(tmp_path / str(n), **change) for n, change in enumerate(changes)]
    (variant,) = group([read_run(folder, "last") for folder in folders], "last")
    assert (variant.name, variant.seeds) == ("made", 6)
    assert {fold: len(runs) for fold, runs in variant.folds().items()} == {0: 6, 1: 1}
    # How often the best was looked for does change it.
    assert len(group([read_run(folder, "best") for folder in folders], "best")) == 2


def test_unrelated_keys_are_keys_of_the_schema():
    assert set(flat(asdict(Config()))) >= UNRELATED


def test_the_same_twice_is_refused_and_both_are_named(tmp_path):
    one, two = run(tmp_path / "one"), run(tmp_path / "two")
    with pytest.raises(IrodoriError, match=rf"{one} and {two} .*fold \(0\) and seed \(0\)"):
        group([read_run(one, "last"), read_run(two, "last")], "last")


def test_predicted_luminance_is_a_variant(tmp_path):
    rows = {"last_predicted_luminance": -3, "best_predicted_luminance": -3}
    folder = run(tmp_path / "rgb", color_space__name="rgb", extra_rows=rows)
    other = run(tmp_path / "lab")
    variants = group([read_run(folder, "last"), read_run(other, "last")], "last")
    assert [v.name for v in variants] == ["rgb", "rgb, predicted luminance", "lab"]
    assert variants[1].row(variants[1].runs[0]) == "last_predicted_luminance"


def test_evaluations_of_a_known_run_are_seeds_of_its_variant(tmp_path):
    runs, evaluations = [], []
    for seed in (0, 1):
        runs.append(run(tmp_path / f"run{seed}", seed=seed, color_space__name="yuv"))
        checkpoint = str(runs[-1] / "checkpoints" / "last.ckpt")
        evaluations.append(
            run(tmp_path / f"eval{seed}", training=False, checkpoint=checkpoint, keys=["a", "b"])
        )
    foreign = run(tmp_path / "paper", training=False, predictions="/pictures/x", keys=["a", "b"])
    read = [read_run(folder, "last") for folder in (*evaluations, foreign)]
    variants = group(read, "last")
    assert [(v.name, v.seeds) for v in variants] == [("made", 2), ("pictures/x", 1)]


def test_folders_of_sweeps_runs_and_anything_above_them(tmp_path):
    for number in (0, 2, 10):
        job(run(tmp_path / "sweep" / str(number), seed=number), number, "done")
    (tmp_path / "sweep" / "0" / "wandb" / "files").mkdir(parents=True)
    (tmp_path / "sweep" / "0" / "wandb" / "files" / "config.yaml").write_text("{}")
    job(tmp_path / "sweep" / "11", 11, "failed", "no memory")
    found = run_folders([tmp_path / "sweep", tmp_path / "sweep" / "2"])
    assert [folder.name for folder in found] == ["0", "2", "10", "11"]
    assert run_folders([tmp_path]) == found
    left = read_run(found[-1], "last")
    assert isinstance(left, LeftOut)
    assert left.reason == "job 11: failed (no memory)"
    (tmp_path / "empty").mkdir()
    for folder, said in ((tmp_path / "empty", "holds no run"), (tmp_path / "no", "is no folder")):
        with pytest.raises(IrodoriError, match=said):
            run_folders([folder])

"""Runs that belong together, and what they are called."""

import pytest
from omegaconf import OmegaConf

import tiny
from irodori.config.labels import Label
from irodori.evaluation.comparison.runs import FOREIGN, LeftOut, read_run, run_folders
from irodori.evaluation.comparison.variants import (
    BEST_ONLY,
    LABELS,
    NO_EFFECT,
    group,
    learned_from,
    name_all,
)
from irodori.runs.resume import flattened
from irodori.utils.errors import IrodoriError
from made_runs import ADADELTA, DECODERS, EMA, OBJECTIVES, SPACES, TIMM, config, job, run


def named(*changes):
    """Names of variants whose configurations have these changes."""
    return name_all([learned_from(config(**change), "last") for change in changes])


def test_a_name_is_what_differs_and_nothing_else():
    assert named({}, {"color_space": SPACES["rgb"]}) == ["lab", "rgb"]
    assert named({}, {"alpha": 0.0}) == ["α = 1", "α = 0"]
    both = [{"color_space": SPACES[s], "alpha": a} for s in ("lab", "yuv") for a in (0.03, 1.0)]
    assert named(*both) == ["lab, α = 0.03", "lab, α = 1", "yuv, α = 0.03", "yuv, α = 1"]
    assert named({}, {"network__global_features": False}) == [
        "with global features",
        "without global features",
    ]
    assert named({}, {"trainer__max_epochs": 5}) == ["max_epochs=20", "max_epochs=5"]
    assert named({"network__dropout": 0.1}, {"network__dropout": 0.2}) == [
        "dropout=0.1",
        "dropout=0.2",
    ]


def test_classes_go_by_the_names_that_conf_has():
    timm = {"backbone": TIMM, "encoder__pretrained": True}
    assert named({}, timm) == ["paper", "resnet18"]
    other = {**timm, "backbone": {**TIMM, "name": "resnet50"}}
    assert named(timm, other) == ["resnet18", "resnet50"]
    assert named(timm, {**timm, "encoder__pretrained": False}) == ["pretrained", "not pretrained"]
    assert named({}, {"decoder": DECODERS["SkipDecoder"]}) == ["paper decoder", "skips decoder"]
    objectives = [{"objective": objective} for objective in OBJECTIVES.values()]
    assert named({}, *objectives[1:]) == ["mse", "huber", "classes"]
    huber = objectives[1]
    assert named(huber, {**huber, "objective__delta": 0.2}) == ["delta=0.05", "delta=0.2"]
    # What does nothing to the paper's backbone isn't named beside it.
    assert named({}, {**timm, "encoder__lr_scale": 0.3}) == named({}, timm)
    assert named(
        timm,
        {**timm, "encoder__freeze_steps": 50, "encoder__freeze_batch_norm": True},
        {**timm, "encoder__lr_scale": 0.1},
    ) == [
        "freeze_steps=0, lr_scale=1, without freeze batch norm",
        "freeze_steps=50, lr_scale=1, with freeze batch norm",
        "freeze_steps=0, lr_scale=0.1, without freeze batch norm",
    ]
    pretrained = {"init": "/runs/places/checkpoints/best.ckpt"}
    assert named({}, pretrained) == ["no init", "init places/best.ckpt"]


def test_own_classes_go_by_their_names():
    own = [{"objective": {"_target_": f"mine.losses.{name}"}} for name in ("Charbonnier", "Other")]
    assert named({}, *own) == ["mse", "Charbonnier", "Other"]
    stopping = {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "patience": 3}
    assert named({}, {"callbacks__early_stopping": stopping}) == [
        "without early stopping",
        "with early stopping",
    ]


def test_averaged_weights_are_another_variant():
    assert named({}, {"callbacks__ema": EMA}) == [
        "without ema",
        "with ema",
    ]
    assert named({"callbacks__ema": EMA}, {"callbacks__ema": {**EMA, "decay": 0.9}}) == [
        "decay=0.95",
        "decay=0.9",
    ]
    left_out = learned_from(config(callbacks__ema=None, callbacks__pictures=None), "last")
    assert left_out == learned_from(config(), "last")


def test_the_network_repeats_its_parts_and_a_part_may_differ_in_width():
    wide = {
        "network__width": 0.5,
        "backbone__width": 0.5,
        "decoder": {**DECODERS["ColorizationDecoder"], "width": 0.5},
    }
    assert named({}, wide) == ["width=0.125", "width=0.5"]
    assert len(set(named({}, {"backbone__width": 0.5}))) == 2
    # Pictures from elsewhere have no settings.
    assert learned_from({FOREIGN: "x"}, "last") == {FOREIGN: "x"}


def test_variants_of_real_configurations():
    overrides = ["", "backbone=resnet18", "decoder=skips", "objective=classes", "callbacks=ema"]
    composed = [tiny.compose(*filter(None, [override])) for override in overrides]
    plain = [OmegaConf.to_container(each, resolve=True) for each in composed]
    settings = [learned_from(each, "last") for each in plain]
    for other, words in zip(
        settings[1:],
        (
            ["paper", "resnet18"],
            ["paper decoder", "skips decoder"],
            ["mse", "classes"],
            ["without ema", "with ema"],
        ),
        strict=True,
    ):
        assert name_all([settings[0], other]) == words
    # Keys with notes are those of configurations.
    keys = list(flattened(plain[0]))
    nodes = {".".join(key.split(".")[:n]) for key in keys for n in (1, 2)}
    own = {key for key in NO_EFFECT if key.partition(".")[0] != "callbacks"}
    assert nodes >= own | BEST_ONLY | LABELS.keys()
    assert set(config()) <= set(plain[0])


def test_settings_that_only_one_optimizer_has_are_not_named():
    assert named({}, {"optimizer": ADADELTA}) == ["AdamW", "Adadelta"]
    without = {name: value for name, value in ADADELTA.items() if name != "rho"}
    assert named({"optimizer": ADADELTA}, {"optimizer": without}) == ["rho=0.95", ""]


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
        {"seed": 3, "logger": {"_target_": "mine.Logger", "mode": "off"}, "data__workers": 0},
        {"seed": 4, "experiment_name": "other", "callbacks__pictures": None},
        {"seed": 5, "trainer__check_val_every_n_epoch": 1},
    ]
    folders = [run(tmp_path / str(n), **change) for n, change in enumerate(changes)]
    (variant,) = group([read_run(folder, "last") for folder in folders], "last")
    # One network measured the photographs of fold 1.
    assert (variant.name, variant.seeds) == ("made", 1)
    assert {fold: len(runs) for fold, runs in variant.folds().items()} == {0: 6, 1: 1}
    # How often the best was looked for does change it.
    assert len(group([read_run(folder, "best") for folder in folders], "best")) == 2


def test_the_same_twice_is_refused_and_both_are_named(tmp_path):
    one, two = run(tmp_path / "one"), run(tmp_path / "two")
    with pytest.raises(IrodoriError, match=rf"{one} and {two} .*fold \(0\) and seed \(0\)"):
        group([read_run(one, "last"), read_run(two, "last")], "last")


def test_predicted_luminance_is_a_variant(tmp_path):
    rows = {"last_predicted_luminance": -3, "best_predicted_luminance": -3}
    folder = run(tmp_path / "rgb", color_space=SPACES["rgb"], extra_rows=rows)
    other = run(tmp_path / "lab")
    variants = group([read_run(folder, "last"), read_run(other, "last")], "last")
    assert [v.name for v in variants] == ["rgb", "rgb, predicted luminance", "lab"]
    assert variants[1].row(variants[1].runs[0]) == "last_predicted_luminance"


def test_evaluations_of_a_known_run_are_seeds_of_its_variant(tmp_path):
    runs, evaluations = [], []
    for seed in (0, 1):
        runs.append(run(tmp_path / f"run{seed}", seed=seed, color_space=SPACES["yuv"]))
        checkpoint = str(runs[-1] / "checkpoints" / "last.ckpt")
        evaluations.append(
            run(tmp_path / f"eval{seed}", training=False, checkpoint=checkpoint, keys=["a", "b"])
        )
    foreign = run(tmp_path / "paper", training=False, predictions="/pictures/x", keys=["a", "b"])
    read = [read_run(folder, "last") for folder in (*evaluations, foreign)]
    variants = group(read, "last")
    assert [(v.name, v.seeds) for v in variants] == [("made", 2), ("pictures/x", 1)]


def test_an_evaluation_is_of_the_checkpoint_that_it_measured(tmp_path):
    old, new = (tmp_path / "runs" / name for name in ("old", "new"))
    run(old, color_space=SPACES["yuv"])
    run(new)
    # It was given the folder, in which another run is the newest by now.
    measured = {"checkpoint": str(old / "checkpoints" / "last.ckpt")}
    folder = run(tmp_path / "e", training=False, checkpoint=str(old.parent), protocol=measured)
    read = read_run(folder, "last")
    assert read.checkpoint == old / "checkpoints" / "last.ckpt"
    assert read.config["color_space"] == SPACES["yuv"]


def test_equal_names_are_numbered(tmp_path):
    folders = [
        run(tmp_path / name, training=False, predictions=f"/{name}/val/256", keys=["a"])
        for name in ("one", "two")
    ]
    variants = group([read_run(folder, "last") for folder in folders], "last")
    assert [variant.name for variant in variants] == ["val/256", "val/256 (2)"]


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
    for folder, said in (
        (tmp_path / "empty", "contains no run"),
        (tmp_path / "no", "not a folder"),
    ):
        with pytest.raises(IrodoriError, match=said):
            run_folders([folder])


def test_a_label_has_words_for_values_and_for_false():
    assert Label("α = {}")(0.1) == "α = 0.1"
    pretrained = Label("pretrained", false="not pretrained")
    assert (pretrained(True), pretrained(False)) == ("pretrained", "not pretrained")

"""Whole runs on tiny shards, within the test's process."""

import copy
import csv
import io
import json
import tarfile

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

import tiny
from irodori import Colorizer
from irodori.config import PROJECT
from irodori.data.images import from_pil
from irodori.model import color_pictures, load_model
from irodori.utils.errors import IrodoriError


def weights(folder, name="last"):
    checkpoint = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return checkpoint["state_dict"]


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def photographs(pattern):
    """Pictures and labels of all shards, read with nothing of the project."""
    folder, glob = pattern.rsplit("/", 1)
    found = []
    for path in sorted(tiny.Path(folder).glob(glob)):
        with tarfile.open(path) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar}
        for name, content in members.items():
            if name.endswith(".png"):
                picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
                found.append((picture, int(members.get(name.replace(".png", ".cls"), b"-1"))))
    return found


def ab(picture):
    return rgb2lab(picture / 255.0)[..., 1:]


def rmse(predicted, true):
    return np.sqrt(np.square(ab(predicted) - ab(true)).mean())


def constant(picture, value):
    """The picture's own L* and one a*b* everywhere, as an 8-bit picture, in float64."""
    lab = rgb2lab(picture / 255.0)
    lab[..., 1:] = value
    return (lab2rgb(lab).clip(0, 1) * 255).round().astype(np.uint8)


@pytest.mark.filterwarnings("ignore:.*negative Z values:UserWarning")
def as_validated(checkpoint, photos):
    """H×W×3 each; a `Colorizer` does more for what is to be looked at, at a photo's borders."""
    model = load_model(checkpoint)
    images = [from_pil(photo) for photo in photos]
    colored, _ = color_pictures(model.network, model.space, images)
    return [picture.permute(1, 2, 0).numpy() for picture in colored]


def test_a_run_folder_holds_figures_that_anyone_can_recompute(data, tmp_path, capsys):
    folder = tmp_path / "run"
    overrides = [*data.on, "trainer.max_epochs=2", "callbacks.pictures.count=3"]
    metrics = tiny.run(folder, "experiment=lab_alpha1", *overrides)
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == f"run: {folder}"
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        ".lock",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "config.yaml",
        "metrics.csv",
        "metrics.json",
        "per_image.csv",
        "pictures/best.png",
        "pictures/epoch-0001.png",
        "pictures/epoch-0002.png",
    ]

    # The configuration is resolved and composes to the same again.
    written = yaml.safe_load((folder / "config.yaml").read_text())
    assert "${" not in (folder / "config.yaml").read_text()
    assert written["experiment_name"] == "lab_alpha1"
    assert written["data"]["train"] == data.train
    assert written["trainer"]["max_epochs"] == 2

    # metrics.csv: each of the six steps, and a validation an epoch.
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    steps = [row for row in rows if row["train/loss_step"]]
    assert [int(row["step"]) for row in steps] == list(range(6))
    for row in steps:
        parts = float(row["train/mse_step"]) + float(row["train/cross_entropy_step"])
        assert float(row["train/loss_step"]) == pytest.approx(parts, rel=1e-5)
    epochs = [float(row["val/chroma_rmse"]) for row in rows if row["val/chroma_rmse"]]
    assert metrics["rows"]["best"]["chroma_rmse"] == pytest.approx(min(epochs[:2]), abs=1e-4)
    assert metrics["rows"]["last"]["chroma_rmse"] == pytest.approx(epochs[1], abs=1e-4)
    assert metrics["training"]["steps"] == 6
    assert metrics["training"]["epochs"] == 2

    # metrics.json against float64 and scikit-image.
    truth = photographs(data.val)
    assert metrics["protocol"]["samples"] == len(truth) == 7
    assert metrics["protocol"]["shards"] == ["part-0.tar", "part-1.tar"]
    mean = np.mean([ab(picture).mean((0, 1)) for picture, _ in photographs(data.train)], axis=0)
    assert metrics["protocol"]["mean_color"]["ab"] == pytest.approx(mean.tolist(), abs=0.01)
    errors = {
        "gray": [rmse(constant(picture, 0), picture) for picture, _ in truth],
        "mean_color": [rmse(constant(picture, mean), picture) for picture, _ in truth],
    }
    for name in ("best", "last"):
        checkpoint = folder / "checkpoints" / f"{name}.ckpt"
        colorizer = Colorizer.load(checkpoint)
        colored = as_validated(checkpoint, [Image.fromarray(picture) for picture, _ in truth])
        errors[name] = [rmse(mine, true) for mine, (true, _) in zip(colored, truth, strict=True)]
        scenes = [colorizer.scenes(Image.fromarray(picture)) for picture, _ in truth]
        right = [
            next(iter(names)) == tiny.CLASSES[label]
            for names, (_, label) in zip(scenes, truth, strict=True)
        ]
        assert metrics["rows"][name]["accuracy"] == pytest.approx(100 * np.mean(right), abs=1e-4)
    assert list(metrics["rows"]) == ["best", "last", "mean_color", "gray"]
    labels = np.array([label for _, label in truth])
    for name, values in errors.items():
        values = np.array(values)
        assert metrics["rows"][name]["chroma_rmse"] == pytest.approx(values.mean(), abs=0.02)
        for label, scene in enumerate(tiny.CLASSES):
            figures = metrics["scenes"][scene]
            assert figures["samples"] == (labels == label).sum()
            mean = values[labels == label].mean()
            assert figures[name]["chroma_rmse"] == pytest.approx(mean, abs=0.02)

    # Three rows of pictures: color on the right, none on the left.
    picture = np.asarray(Image.open(folder / "pictures" / "best.png")).astype(int)
    chroma = picture.max(2) - picture.min(2)
    assert chroma[:, :200].max() <= 2
    assert chroma.max() > 30

    # What was printed names the figures.
    text = "\n".join(out)
    assert "32-true" in text
    assert "12 training and 7 validation photographs · 3 scenes · 3 steps per epoch" in text
    assert f"{metrics['rows']['best']['chroma_rmse']:.2f}" in text
    assert f"{metrics['rows']['gray']['chroma_rmse']:.2f}" in text


EXPERIMENTS = sorted(path.stem for path in (PROJECT / "conf/experiment").glob("*.yaml"))


FEW = ("lite0_pretrained", "starter")
"""With lab_alpha1 above, of each kind one; the others differ from these in a setting."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in FEW else pytest.mark.long) for name in EXPERIMENTS],
)
def test_every_experiment_trains(data, tmp_path, name):
    once = ["trainer.max_steps=1", "encoder.pretrained=false"]
    metrics = tiny.run(tmp_path, f"experiment={name}", *data.on, *once)
    assert metrics["training"]["steps"] == 1
    assert np.isfinite(metrics["rows"]["best"]["chroma_rmse"])
    model = Colorizer.load(tmp_path / "checkpoints" / "best.ckpt").model
    space = name.partition("_")[0] if name.startswith(("yuv", "rgb")) else "lab"
    assert type(model.space).__name__.lower() == space
    assert ("accuracy" in metrics["rows"]["best"]) == (name != "lab_baseline")
    assert model.classes == tiny.CLASSES


def fitted(folder, *overrides):
    """Weights before and after training, without validation."""
    made = tiny.parts(folder, *overrides, "trainer.limit_val_batches=0")
    before = copy.deepcopy(made.module.network.state_dict())
    made.trainer.fit(made.module, made.data)
    return before, made.module.network.state_dict()


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(data, tmp_path):
    on = [*data.on, "optimizer=adamw", "trainer.max_steps=2"]
    starts, ends = [], []
    for number, seed in enumerate((0, 0, 3)):
        torch.manual_seed(number)
        np.random.seed(number)
        before, after = fitted(tmp_path / str(number), *on, f"seed={seed}")
        starts.append(before)
        ends.append(after)
    assert same(starts[0], starts[1])
    assert same(ends[0], ends[1])
    assert not same(starts[0], starts[2])


def test_with_alpha_0_the_scenes_are_not_learned_and_with_alpha_1_they_are(data, tmp_path):
    for alpha in (0, 1):
        on = [*data.on, "optimizer=adadelta", "trainer.max_steps=1", f"alpha={alpha}"]
        before, after = fitted(tmp_path / str(alpha), *on)
        moved = {name: not torch.equal(after[name], value) for name, value in before.items()}
        scenes = [name for name in moved if name.startswith("classification.") and "weight" in name]
        assert scenes
        assert all(moved[name] == bool(alpha) for name in scenes)
        assert moved["colorization.layers.6.weight"]
        assert moved["fusion.mix.weight"]


def refuse(folder, *overrides):
    """The one line that a run ends with."""
    with pytest.raises(IrodoriError) as error:
        tiny.run(folder, *overrides)
    line = str(error.value)
    assert line
    assert "\n" not in line
    assert not (folder / "metrics.json").exists()
    return line


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["network.global_features=false"], ["network.global_features=false", "alpha=0"]),
        (["trainer.accelerator=gpu", "trainer.devices=999"], ["accelerator=gpu", "CUDA"]),
        (["trainer.max_steps=0"], ["trainer.max_epochs=0", "trains nothing"]),
        (["callbacks.checkpoints=null"], ["callbacks.checkpoints", "nothing is saved"]),
        (["trainer.max_epochs=-1"], ["trainer.max_epochs", "trainer.max_steps"]),
        (["trainer.gradient_clip_algorithm=median"], ["gradient_clip_algorithm"]),
        (["callbacks=[default,ema]", "callbacks.ema.decay=1.5"], ["callbacks.ema", "decay"]),
        (["data.fold=2", "data.val=${data.train}"], ["data.fold=2", "0 to 1"]),
        (["data.val=${data.train}"], ["data.train and in data.val", ".tar"]),
        (
            ["data.batch_size=4", "trainer.accumulate_grad_batches=4"],
            ["data.batch_size=4", "one image"],
        ),
        (["optimizer.lr=-1"], ["optimizer", "-1"]),
        (["ab_prior=/no/such.json"], ["/no/such.json"]),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_one_line_and_leaves_no_folder(
    data, tmp_path, overrides, parts
):
    line = refuse(tmp_path / "run", *data.on, *overrides)
    assert all(part in line for part in parts), line
    assert not (tmp_path / "run").exists()


def test_photographs_without_classes_train_the_network_without_classification(tmp_path):
    train = tiny.shards(tmp_path / "train", 6, labels=[-1] * 6)
    val = tiny.shards(tmp_path / "val", 3, labels=[-1] * 3, first=100)
    on = [*tiny.on(train, val), "trainer.max_steps=1"]
    assert "has no class" in refuse(tmp_path / "run", *on, "alpha=1")
    metrics = tiny.run(tmp_path / "run", *on, "alpha=0")
    names = set(weights(tmp_path / "run"))
    assert "network.fusion.mix.weight" in names
    assert not any("classification" in name for name in names)
    assert metrics["scenes"] == {}
    assert "accuracy" not in metrics["rows"]["best"]


def test_validation_photographs_without_classes_leave_no_nan_behind(data, tmp_path):
    pattern = tiny.shards(tmp_path / "plain", 4, labels=[-1] * 4)
    tiny.run(tmp_path / "run", *tiny.on(data.train, pattern), "alpha=0", "trainer.max_steps=1")
    text = (tmp_path / "run" / "metrics.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in metrics.json"))
    assert "accuracy" not in json.loads(text)["rows"]["best"]


@pytest.mark.slow
def test_damaged_images_are_reported_and_left_out(tmp_path, capsys):
    train = tiny.shards(tmp_path / "train", 12, damaged=(4,))
    val = tiny.shards(tmp_path / "val", 7, first=100, damaged=(1, 5))
    on = [*tiny.on(train, val), "trainer.max_epochs=2", "data.max_bad_share=0.5"]
    metrics = tiny.run(tmp_path / "run", *on)
    out = capsys.readouterr().out
    for line in ("part-0.tar: photo4: ", "part-0.tar: photo101: ", "part-0.tar: photo105: "):
        assert out.count(f"damaged image, left out: {line}") == 1, "once, not every epoch"
    assert "3 of 19 images (15.8%) were damaged (epoch 1)" in out
    assert "2 of 7 images (28.6%) were damaged (validation)" in out

    # The figures are those of the same checkpoint on the photographs that are whole.
    good = [i for i in range(7) if i not in (1, 5)]
    photos = [tiny.photo(100 + i) for i in good]
    colored = as_validated(tmp_path / "run" / "checkpoints" / "best.ckpt", photos)
    errors, grays = [], []
    for photo, mine in zip(photos, colored, strict=True):
        true = np.asarray(photo)
        errors.append(rmse(mine, true))
        grays.append(rmse(constant(true, 0), true))
    assert metrics["rows"]["best"]["chroma_rmse"] == pytest.approx(np.mean(errors), abs=0.02)
    assert metrics["rows"]["gray"]["chroma_rmse"] == pytest.approx(np.mean(grays), abs=0.02)
    assert sum(scene["samples"] for scene in metrics["scenes"].values()) == len(good)
    assert metrics["protocol"]["samples"] == len(good)

    on[-1] = "data.max_bad_share=0.1"
    line = refuse(tmp_path / "stopped", *on)
    # One of 12 and one of the first validation batch: the run does not wait for the rest.
    assert "2 of 14 images (14.3%) can't be read or decoded" in line
    assert "data.max_bad_share=10.0%" in line


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_step_on_the_gpu(data, tmp_path):
    settings = ["trainer.accelerator=gpu", "trainer.precision=auto", "trainer.max_steps=1"]
    metrics = tiny.run(tmp_path, *data.on, *settings)
    assert np.isfinite(metrics["rows"]["best"]["chroma_rmse"])


@pytest.mark.slow
def test_the_best_is_never_worse_than_the_last(data, tmp_path, capsys):
    # Three steps an epoch: the last two steps are not validated while training.
    on = [*data.on, "optimizer=adamw", "optimizer.lr=0.02", "trainer.max_epochs=-1"]
    metrics = tiny.run(tmp_path / "run", *on, "trainer.max_steps=5")
    rows = metrics["rows"]
    assert rows["best"]["chroma_rmse"] <= rows["last"]["chroma_rmse"]
    assert sum(line.startswith("epoch ") for line in capsys.readouterr().out.splitlines()) == 1
    best, last = (
        torch.load(tmp_path / "run" / "checkpoints" / f"{name}.ckpt", weights_only=True)
        for name in ("best", "last")
    )
    validated = best["callbacks"]["Checkpoints"]["best"]
    assert (best["global_step"] == 5) == (rows["last"]["chroma_rmse"] < validated - 1e-6)
    assert last["global_step"] == 5

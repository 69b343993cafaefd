"""evaluate.py: a checkpoint as its run measured it, and any method's pictures."""

import csv
import io
import json
import os
import shutil

import imagecodecs
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image, ImageCms
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio
from torchvision.transforms.v2 import functional

import tiny
from irodori.config import PROJECT
from irodori.config.check import check
from irodori.data.config import DataConfig
from irodori.data.images import from_pil, to_square
from irodori.evaluation.checkpoint import data_config
from irodori.evaluation.launch import evaluate
from irodori.evaluation.settings import EvaluatedData, EvaluateSettings
from irodori.inference.colorizer import STARTER
from irodori.model import color_pictures, load_model
from irodori.runs.run import Run
from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import checkpoint_file


def run(folder, *overrides):
    """Evaluate within this process; returns metrics.json and the rows of per_image.csv."""
    own = ("trainer.accelerator=cpu", "perceptual=false")
    composed = tiny.compose_evaluation(*own, *overrides)
    check(composed, EvaluateSettings)
    evaluate(Run(composed, folder, named=True))
    rows = list(csv.DictReader((folder / "per_image.csv").open()))
    return json.loads((folder / "metrics.json").read_text()), rows


def refuse(folder, *overrides):
    with pytest.raises(IrodoriError) as error:
        run(folder, *overrides)
    line = str(error.value)
    assert "\n" not in line
    assert not (folder / "metrics.json").exists()
    return line


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A run in RGB, whose pictures can keep the luminance that the network says."""
    folder = tmp_path_factory.mktemp("run") / "run"
    metrics = tiny.run(folder, *data.on, "color_space=rgb", "trainer.max_epochs=2")
    return folder, metrics


@pytest.fixture(scope="module")
def last(trained):
    """The override that names the last checkpoint of the run."""
    return f'checkpoint="{trained[0]}/checkpoints/last.ckpt"'


def saved(folder, change=lambda photo: photo, suffix=".png"):
    """Save the run's validation photographs, changed, in two scenes; return their folder."""
    for number in range(100, 107):
        path = folder / ("odd" if number % 2 else "even") / f"photo{number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        change(tiny.photo(number)).save(path)
    return folder


def gray(photo):
    return photo.convert("L")


def test_a_checkpoint_gets_its_runs_own_metrics_bit_for_bit(trained, last, tmp_path, capsys):
    folder, metrics = trained
    capsys.readouterr()
    again, rows = run(tmp_path / "out", last)
    assert again["rows"] == {
        "model": metrics["rows"]["last"],
        "model_predicted_luminance": metrics["rows"]["last_predicted_luminance"],
        "mean_color": metrics["rows"]["mean_color"],
        "gray": metrics["rows"]["gray"],
    }
    for scene, figures in metrics["scenes"].items():
        assert again["scenes"][scene]["model"] == figures["last"]
    stored = list(csv.DictReader((folder / "per_image.csv").open()))
    of_last = [dict(row, row="model") for row in stored if row["row"] == "last"]
    assert [row for row in rows if row["row"] == "model"] == of_last
    # The luminance that the network says is no better than the photograph's own.
    assert again["rows"]["model"]["psnr"] > again["rows"]["model_predicted_luminance"]["psnr"]

    printed = capsys.readouterr()
    assert printed.err == ""
    out = printed.out.splitlines()
    assert out[-1] == f"evaluation: {tmp_path / 'out'}"
    assert any(line.startswith("mean color: a* = ") for line in out)
    assert any(line.startswith("class-balanced AuC: prior ab_prior.json (sha256 ") for line in out)
    # Gray on the left of each triple, and color on the right.
    picture = np.asarray(Image.open(tmp_path / "out" / "extremes.png")).astype(int)
    chroma = picture.max(2) - picture.min(2)
    assert chroma[30:, :200].max() <= 2
    assert chroma[30:, 440:640].max() > 30


def test_other_shards_and_other_batches(data, trained, last, tmp_path):
    folder, metrics = trained
    shards = ["data=shards", f'data.val="{data.val}"', "data.val_batch_size=5"]
    again, _ = run(tmp_path / "out", last, *shards)
    for row, figures in again["rows"].items():
        expected = metrics["rows"][row.replace("model", "last")]
        assert figures == pytest.approx(expected, abs=1e-4)

    # Fewer scenes, in another order, are told apart by their names.
    names = tmp_path / "names.txt"
    names.write_text("street\nbeach\nmeadow\n")
    again, _ = run(tmp_path / "named", last, *shards, f'data.classes="{names}"')
    assert again["scenes"].keys() == {"street", "beach"}
    assert again["rows"]["gray"] == pytest.approx(metrics["rows"]["gray"])
    assert again["rows"]["model"]["accuracy"] != pytest.approx(
        metrics["rows"]["last"]["accuracy"], abs=1e-9
    )

    # Without its run the checkpoint has no photographs.
    alone = tmp_path / "alone.ckpt"
    alone.write_bytes((folder / "checkpoints" / "last.ckpt").read_bytes())
    assert "data=shards" in refuse(tmp_path / "refused", f'checkpoint="{alone}"')
    assert "data=shards needs data.val=" in refuse(tmp_path / "refused", last, "data=shards")
    again, _ = run(tmp_path / "moved", f'checkpoint="{alone}"', *shards, "data.workers=0")
    assert again["rows"]["gray"] == pytest.approx(metrics["rows"]["gray"])


def test_a_folder_stands_for_a_runs_best_checkpoint_and_a_metric_can_be_left_out(trained, tmp_path):
    folder, metrics = trained
    # Of a folder of runs it is the newest one's.
    old = tmp_path / "experiment" / "old" / "checkpoints" / "last.ckpt"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    new = tmp_path / "experiment" / "new"
    new.symlink_to(folder)
    assert checkpoint_file(folder) == folder / "checkpoints" / "best.ckpt"
    again, _ = run(tmp_path / "out", f'checkpoint="{new.parent}"', "metrics.psnr=null")
    assert again["protocol"]["checkpoint"] == str(new / "checkpoints" / "best.ckpt")
    best = {name: value for name, value in metrics["rows"]["best"].items() if name != "psnr"}
    assert again["rows"]["model"] == best


def test_of_a_run_only_classes_that_are_built_have_to_be_trusted(trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained[0], copy)
    stored = OmegaConf.load(copy / "config.yaml")
    stored.objective = {"_target_": "mine.Loss"}
    OmegaConf.save(stored, copy / "config.yaml")
    again, _ = run(tmp_path / "out", f'checkpoint="{copy}/checkpoints/last.ckpt"')
    assert again["rows"]["model"] == trained[1]["rows"]["last"]
    stored.data.stages = [{"_target_": "os.system", "command": "true"}]
    OmegaConf.save(stored, copy / "config.yaml")
    assert "os.system" in refuse(tmp_path / "refused", f'checkpoint="{copy}"')


def test_what_is_null_is_as_in_the_run_where_null_has_no_meaning_of_its_own():
    run = DataConfig(train="t.tar", val="v.tar", val_size=99, cache="kept", cache_gb=2.0)
    chosen = data_config(EvaluatedData(name="run", cache=None), run)
    assert (chosen.val, chosen.val_size) == ("v.tar", 99)
    assert (chosen.cache, chosen.cache_gb) == (None, None)
    chosen = data_config(EvaluatedData(name="run", val="o.tar", val_size=7), run)
    assert (chosen.train, chosen.val, chosen.val_size, chosen.fold) == ("o.tar", "o.tar", 7, None)


def test_a_protocol_names_what_it_took(last, tmp_path):
    line = refuse(tmp_path / "few", last, "protocol=imagenet_val5k")
    assert "first 5000 photographs, and there are 7" in line
    squares = ["protocol=imagenet_val5k", "protocol.first=3", "protocol.square=24"]
    metrics, rows = run(tmp_path / "out", last, *squares)
    assert {(row["width"], row["height"]) for row in rows} == {("24", "24")}
    assert {row["key"] for row in rows} == {"photo100", "photo101", "photo102"}
    assert metrics["protocol"]["photographs"].startswith("the first 3 by name, the middle square")

    # The same of pictures: the truth is cut, and so are predictions that aren't yet.
    truth = f"truth={saved(tmp_path / 'truth')}"
    both = [f"predictions={saved(tmp_path / 'gray', gray)}", truth]
    pictures, _ = run(tmp_path / "pictures", *both, *squares)
    assert pictures["rows"]["gray"] == pytest.approx(metrics["rows"]["gray"], rel=1e-6)
    line = refuse(tmp_path / "few", *both, "protocol=imagenet_val5k")
    assert f"first 5000 photographs, and {tmp_path / 'truth'} holds 7" in line


def test_whole_pictures_can_be_stretched(last, tmp_path):
    stretched = ["protocol=stretch256", "protocol.stretch=24"]
    metrics, rows = run(tmp_path / "out", last, *stretched)
    assert {(row["width"], row["height"]) for row in rows} == {("24", "24")}
    assert "the whole picture, stretched to 24×24 pixels" in metrics["protocol"]["photographs"]

    # Pictures of that size are taken as they are, others are stretched like the truth.
    def stretch(photo):
        return functional.to_pil_image(to_square(from_pil(photo), 24))

    truth = f"truth={saved(tmp_path / 'truth')}"
    small = f"predictions={saved(tmp_path / 'small', stretch)}"
    exact, _ = run(tmp_path / "exact", small, truth, *stretched)
    assert exact["rows"]["model"]["chroma_rmse"] == 0
    assert exact["rows"]["gray"] == pytest.approx(metrics["rows"]["gray"], rel=1e-6)
    large = f"predictions={saved(tmp_path / 'gray', gray)}"
    near, _ = run(tmp_path / "near", large, truth, *stretched)
    assert near["rows"]["model"]["chroma_rmse"] == pytest.approx(
        near["rows"]["gray"]["chroma_rmse"], rel=0.01
    )
    line = refuse(tmp_path / "refused", last, *stretched, "protocol.square=24")
    assert "square or stretch" in line


@pytest.fixture
def pictures(trained, tmp_path):
    """Folders of true photographs in scenes, and of another method's pictures of them."""
    model = load_model(trained[0] / "checkpoints" / "last.ckpt")

    def colored(photo):
        # As a run is validated: for people to look at, more is done for a photo's borders.
        (picture,), _ = color_pictures(model.network, model.space, [from_pil(photo)])
        return functional.to_pil_image(picture)

    return saved(tmp_path / "mine", colored, ".bmp"), saved(tmp_path / "truth")


@pytest.mark.filterwarnings("ignore:.*negative Z values:UserWarning")
def test_any_methods_pictures_get_the_same_metrics(pictures, trained, tmp_path):
    mine, truth = pictures
    metrics, rows = run(tmp_path / "out", f"predictions={mine}", f"truth={truth}")
    expected = {
        name: value
        for name, value in trained[1]["rows"]["last"].items()
        if not name.startswith("accuracy")
    }
    assert metrics["rows"]["model"] == pytest.approx(expected, abs=1e-4)
    assert metrics["rows"]["gray"] == pytest.approx(trained[1]["rows"]["gray"], abs=1e-4)
    assert metrics["scenes"]["odd"]["samples"] == 3
    assert metrics["protocol"]["mean_color"]["ab"] == [-1.6385, 2.0858]

    # Each photograph, against scikit-image.
    for row in rows[:7]:
        true = np.asarray(Image.open(truth / f"{row['key']}.png"))
        colored = np.asarray(Image.open(mine / f"{row['key']}.bmp"))
        error = np.sqrt(np.mean((rgb2lab(colored) - rgb2lab(true))[..., 1:] ** 2))
        assert float(row["chroma_rmse"]) == pytest.approx(error, abs=1e-3)
        assert float(row["psnr"]) == pytest.approx(peak_signal_noise_ratio(true, colored))


def test_mistakes_in_pictures_are_one_line(pictures, tmp_path, capsys):
    mine, truth = pictures
    both = [f"predictions={mine}", f"truth={truth}"]
    assert "give checkpoint=" in refuse(tmp_path / "out")
    assert "give checkpoint=" in refuse(tmp_path / "out", both[0])
    assert "not a folder" in refuse(tmp_path / "out", both[0], f"truth={truth}/no")
    assert "no prior" in refuse(tmp_path / "out", *both, f"ab_prior={mine}/no.json")

    (mine / "more.png").write_bytes((truth / "odd" / "photo101.png").read_bytes())
    run(tmp_path / "more", *both)
    assert f"1 pictures of {mine} have no photograph in {truth}" in capsys.readouterr().out

    place = mine / "odd" / "photo103.bmp"
    content = place.read_bytes()
    tiny.photo(103).resize((8, 9)).save(place)
    assert f"{place} is 8×9 pixels, the photograph 32×40" in refuse(tmp_path / "out", *both)
    place.write_bytes(b"nothing")
    assert f"{place} can't be read: " in refuse(tmp_path / "out", *both)
    place.unlink()
    assert "lacks 1 of 7 pictures, the first is odd/photo103" in refuse(tmp_path / "out", *both)
    place.write_bytes(content)
    (mine / "odd" / "photo103.png").write_bytes(b"")
    assert "have the same name" in refuse(tmp_path / "out", *both)


@pytest.mark.long
def test_pictures_are_compared_in_srgb(tmp_path):
    """A photograph in Adobe RGB equals its own conversion to sRGB, not its bare levels."""
    profile = bytes(
        imagecodecs.cms_profile(
            "rgb",
            whitepoint=[0.3127, 0.329, 1.0],
            primaries=[0.64, 0.33, 1.0, 0.21, 0.71, 1.0, 0.15, 0.06, 1.0],
            gamma=2.2,
        )
    )
    for name in ("truth", "converted", "bare"):
        (tmp_path / name).mkdir()
    for number in range(2):
        photo, file = tiny.photo(number), f"{number}.png"
        photo.save(tmp_path / "truth" / file, icc_profile=profile)
        photo.save(tmp_path / "bare" / file)
        converted = ImageCms.profileToProfile(
            photo, io.BytesIO(profile), ImageCms.createProfile("sRGB")
        )
        converted.save(tmp_path / "converted" / file)
    errors = {}
    for name in ("converted", "bare"):
        both = (f"predictions={tmp_path / name}", f"truth={tmp_path / 'truth'}")
        metrics, _ = run(tmp_path / f"of_{name}", *both)
        errors[name] = metrics["rows"]["model"]["chroma_rmse"]
    assert errors["converted"] < 1 < errors["bare"]


def test_shards_tell_their_prior(tmp_path):
    from irodori.data.prior import prior_of_shards

    sample = prior_of_shards(str(PROJECT / "data" / "sample" / "sample-*.tar"))
    stored = json.loads((PROJECT / "data" / "sample" / "ab_prior.json").read_text())
    assert stored["photographs"] == sample.photographs == 206
    assert torch.allclose(torch.tensor(stored["shares"]).double(), sample.shares_AB, atol=1e-6)


def test_the_bundled_model_by_its_name(data, tmp_path):
    measured, _ = run(tmp_path, "checkpoint=starter", "data=shards", f'data.val="{data.val}"')
    assert measured["protocol"]["checkpoint"] == str(STARTER)
    assert measured["rows"]["model"]["chroma_rmse"] > 0

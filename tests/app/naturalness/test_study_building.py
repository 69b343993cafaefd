"""From folders to a study's file: what is matched, what is left out, what pictures tell."""

import io
import sqlite3

import numpy as np
import pytest
from made_study import folders, photograph, study
from PIL import Image

from irodori.app.naturalness.building import build, find_methods
from irodori.app.naturalness.store import Store
from irodori.app.naturalness.study import Settings
from irodori.inference.colorizer import STARTER, Colorizer
from irodori.utils.errors import IrodoriError
from irodori.utils.run_files import BEST, LAST


def pictures(path):
    """Kind, photograph, method and picture of all that a file holds."""
    rows = sqlite3.connect(path).execute(
        "SELECT kind, photograph, method, width, height, jpeg, token FROM pictures"
    )
    return [(*row[:5], Image.open(io.BytesIO(row[5])), row[6]) for row in rows]


def built(root, results, settings=None):
    lines = []
    path = root / "study.db"
    build(path, root / "truth", [*map(str, results)], settings or Settings(), lines.append, seed=1)
    return Store(path).study, lines


def test_a_study_holds_every_photograph_in_every_method(tmp_path):
    path = study(tmp_path, Settings(checks=0.4))
    store = Store(path)
    assert store.study.methods == ("ground truth", "plain", "warm")
    # One of six serves the check in absurd hues, and is judged by nobody.
    assert (store.study.count, store.study.hues, store.study.cards) == (5, 1, 1)
    found = pictures(path)
    kinds = [(kind, number, method) for kind, number, method, *_ in found]
    assert sorted(kinds) == sorted(
        [
            *(("photograph", number, method) for number in range(5) for method in range(3)),
            *(("hues", 0, 0), ("hues", 0, 1), ("card", 0, 0)),
        ]
    )


def test_pictures_are_of_one_size_and_dont_tell_their_method(tmp_path):
    path = study(tmp_path)
    found = [row for row in pictures(path) if row[0] == "photograph"]
    tables = set()
    for _, number, method, width, height, picture, token in found:
        assert picture.format == "JPEG"
        assert (width, height) == picture.size == (60, 40)
        assert not picture.getexif()
        assert "exif" not in picture.info
        tables.add(str(picture.quantization))
        assert len(token) > 20
        assert str(number) != token
        truth = np.asarray(photograph(int(Store(path).study.photographs[number][-1]), hue=method))
        assert np.abs(np.asarray(picture, float) - truth).mean() < 6
    assert len(tables) == 1
    assert len({token for *_, token in found}) == len(found)
    again = study(tmp_path / "again")
    assert {row[-1] for row in pictures(again)}.isdisjoint(token for *_, token in found)


@pytest.mark.parametrize(("small", "shown"), [((60, 40), (60, 40)), ((150, 100), (90, 60))])
def test_pictures_are_reduced_and_none_is_enlarged_beside_a_sharper_one(tmp_path, small, shown):
    folders(tmp_path, 3, size=(300, 200))
    folder = tmp_path / "small" / "town"
    folder.mkdir(parents=True)
    for number in range(3):
        photograph(number, small, 5).save(folder / f"p{number}.png")
    built(tmp_path, [folder.parent, tmp_path / "warm"], Settings(size=90))
    found = {row[3:5] for row in pictures(tmp_path / "study.db") if row[0] == "photograph"}
    assert found == {shown}


def test_what_a_method_lacks_is_told_in_a_line_and_serves_the_checks(tmp_path):
    folders(tmp_path)
    (tmp_path / "warm" / "town" / "p4.png").unlink()
    photograph(9).save(tmp_path / "plain" / "extra.png")
    results = [tmp_path / "plain", f"hot={tmp_path / 'warm'}"]
    made, lines = built(tmp_path, results, Settings(checks=0.2))
    assert lines[:2] == [
        "plain has 1 photograph (extra) that ground truth lacks",
        "hot lacks 1 photograph (town/p4): left out",
    ]
    assert made.methods == ("ground truth", "plain", "hot")
    assert sorted(made.photographs) == [f"town/p{number}" for number in (0, 1, 2, 3, 5)]
    hues = [row for row in pictures(tmp_path / "study.db") if row[0] == "hues" and row[2] == 0]
    ((*_, picture, _),) = hues
    truth = np.asarray(photograph(4, hue=0), float)
    assert np.abs(np.asarray(picture) - truth).mean() < 6


def test_absurd_hues_are_absurd_even_of_a_gray_photograph(tmp_path):
    folders(tmp_path)
    built(tmp_path, [tmp_path / "plain"])
    (absurd,) = (row[5] for row in pictures(tmp_path / "study.db") if row[:3] == ("hues", 0, 1))
    hue, saturation, _ = absurd.convert("HSV").split()
    assert np.asarray(saturation).mean() > 120
    assert np.unique(np.asarray(hue) // 32).size == 8


def test_a_checkpoint_colorizes_the_truths_gray(tmp_path):
    truth, _, _ = folders(tmp_path)
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    methods = find_methods(truth, [str(tmp_path / "plain"), f"starter={STARTER}"])
    assert [method.name for method in methods] == ["ground truth", "plain", "starter"]
    built(tmp_path, [f"starter={STARTER}"])
    made = Store(tmp_path / "study.db").study
    with Image.open(truth / f"{made.photographs[0]}.jpg") as image:
        expected = Colorizer.load()(image)
    (got,) = (row[5] for row in pictures(tmp_path / "study.db") if row[:3] == ("photograph", 0, 1))
    assert np.abs(np.asarray(got, float) - np.asarray(expected, float)).mean() < 3
    with pytest.raises(IrodoriError, match=r"no checkpoints/best.ckpt or last.ckpt"):
        find_methods(truth, [str(run)])
    for name in (LAST, BEST):
        (run / "checkpoints" / name).touch()
        assert find_methods(truth, [str(run)])[1].source.name == name


def test_mistakes_are_one_line_and_leave_nothing(tmp_path):
    truth, plain, warm = folders(tmp_path)
    photograph(0, (40, 40)).save(warm / "town" / "p0.png")
    (tmp_path / "two" / "town").mkdir(parents=True)
    for suffix in ("png", "jpg"):
        photograph(0).save(tmp_path / "two" / "town" / f"p0.{suffix}")
    other = tmp_path / "other"
    other.mkdir()
    photograph(1).save(other / "another.png")
    (tmp_path / "broken" / "town").mkdir(parents=True)
    (tmp_path / "broken" / "town" / "p0.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    for results, settings, said in (
        ([warm], Settings(), r"warm: town/p0 is 40×40, and the true photograph 60×40"),
        ([tmp_path / "none"], Settings(), "not a folder"),
        ([plain, f"plain={warm}"], Settings(), "already a method plain"),
        ([f"ground truth={warm}"], Settings(), "already a method ground truth"),
        ([tmp_path / "two"], Settings(), "have the same name"),
        ([other], Settings(), "no photograph of .* is in all methods"),
        ([truth / "town" / "p0.jpg"], Settings(), "neither a folder nor a checkpoint"),
        ([tmp_path / "broken"], Settings(checks=0), "p0.png: "),
        ([plain], Settings(photographs=6), "--photographs is 6, but there are 5"),
        ([], Settings(pairs=True), "name a method"),
    ):
        with pytest.raises(IrodoriError, match=said) as raised:
            built(tmp_path, results, settings)
        assert "\n" not in str(raised.value)
        assert not list(tmp_path.glob("*study.db*"))
        assert not list(tmp_path.glob(".study.db*"))


def test_settings_out_of_range_are_told():
    for name, value in (
        ("seconds", 0), ("minimum", -1), ("checks", 0.6), ("size", 10), ("photographs", 0)
    ):  # fmt: skip
        with pytest.raises(IrodoriError, match=f"--{name} is {value:g}"):
            Settings(**{name: value})
    with pytest.raises(IrodoriError, match="nobody could answer"):
        Settings(seconds=1, minimum=2)

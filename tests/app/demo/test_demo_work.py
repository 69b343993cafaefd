import re

import pytest
from small_checkpoints import write_checkpoint

import tiny
from irodori.app.demo.limits import Limits
from irodori.app.demo.models import Models
from irodori.app.demo.studio import Studio
from irodori.app.demo.visits import LeftError
from irodori.app.demo.work import Order, fulfil


@pytest.fixture
def studio(demo_checkpoint, demo_run):
    return Studio(Models([demo_checkpoint, demo_run]), Limits(photos=3))


@pytest.fixture
def photos(tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for number, path in enumerate(paths):
        tiny.photo(number).save(path)
    return paths


@pytest.fixture
def new_folder(tmp_path):
    made = []

    def make():
        made.append(tmp_path / f"result{len(made)}")
        made[-1].mkdir()
        return made[-1]

    return make


def steps(order, studio, new_folder):
    """What is told, as text, and what stands at which place."""
    told, places = [], {}
    for status, place, photo in fulfil(order, studio, new_folder):
        if status is not None:
            value = re.search('value="(\\d)"', status)
            told.append((re.sub("<.*?>", "", status), value and int(value[1])))
        if photo is not None:
            places[place] = photo
    return told, places


def test_progress_photo_by_photo(studio, photos, new_folder):
    photos[1].write_bytes(b"no photo")
    told, places = steps(Order(photos, ["small"]), studio, new_folder)
    assert told == [
        ("Colouring a.png (1 of 3) …", 0),
        ("Colouring b.png (2 of 3) …", 1),
        ("Colouring c.png (3 of 3) …", 2),
        ("Done: 2 of 3 photos are coloured.", None),
    ]
    assert ["refused" in places[place] for place in range(3)] == [False, True, False]


def test_one_photo_by_two_models(studio, photos, new_folder):
    order = Order(photos[:1], ["small", "lab_alpha1/2026-11-23"], 1.2, photos[2], 0.5)
    told, places = steps(order, studio, new_folder)
    assert [line for line, _ in told] == ["Colouring a.png …", "Done."]
    assert places[0].count('class="full-size"') == 2


def test_what_cannot_be_done(studio, photos, new_folder):
    told, places = steps(Order([], ["small"]), studio, new_folder)
    assert (told[0][0], places) == ("Choose a photo or an example first.", {})
    told, places = steps(Order(photos + photos[:1], ["small"]), studio, new_folder)
    assert (told[0][0], places) == ("4 photos are too many: up to 3 at a time.", {})
    photos[2].write_bytes(b"")
    told, places = steps(Order(photos[:1], ["small"], style=photos[2]), studio, new_folder)
    assert told[-1][0] == "Nothing was coloured: style photo c.png: empty file"
    assert places == {}


def test_a_style_for_a_model_that_takes_none(photos, new_folder, tmp_path):
    path = write_checkpoint(tmp_path / "plain.ckpt", 0, global_features=False)
    studio = Studio(Models([path]), Limits())
    order = Order(photos[:1], ["plain"], style=photos[1])
    _, places = steps(order, studio, new_folder)
    assert "this model has no global features" in places[0]


def test_nobody_waits_any_more(studio, photos):
    def left():
        raise LeftError

    told, places = steps(Order(photos, ["small"]), studio, left)
    assert len(told) == 1
    assert places == {}

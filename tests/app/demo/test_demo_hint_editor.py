"""Hints of the page: previews, likely colors and files at full size, and what is kept for them."""

import io
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import tiny
from irodori import Colorizer
from irodori.app.demo import hint_editor as module
from irodori.app.demo.hint_editor import HintEditor
from irodori.app.demo.service import (
    ColorizeRequest,
    ColorizeService,
    Limits,
    Models,
    VisitorLeftError,
)
from irodori.imageio import read_photo
from irodori.inference.hints import Hint
from irodori.inference.settings import ColorizeSettings
from irodori.utils.errors import IrodoriError

RED = Hint(0.5, 0.5, "#b03020", relative=True)


@pytest.fixture
def editor(hint_checkpoint, demo_checkpoint):
    return HintEditor(ColorizeService(Models([hint_checkpoint, demo_checkpoint]), Limits()))


@pytest.fixture
def colorized(editor, tmp_path, visit):
    """Colorize a photo as the page does; returns its result's token."""

    def colorize(number=0, size=(160, 120), **request):
        path = tmp_path / f"photo{number}.png"
        tiny.photo(number).resize(size).save(path)
        request = ColorizeRequest([path], **{"models": ["hinted"], **request})
        results = editor.service.colorize(request, path, visit.new_folder)
        editor.offer(request, path, results)
        return results[0].file.parent.name

    return colorize


def prepared(editor):
    """The tokens of photos that are prepared."""
    return [token for token, edit in editor._edits.items() if edit.prepared]


def opened(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg))).astype(int)


def test_previews_and_files_have_the_hints(editor, colorized, hint_checkpoint, tmp_path):
    style = tmp_path / "style.png"
    tiny.photo(4).save(style)
    settings = ColorizeSettings(saturation=1.2, style_strength=0.5)
    token = colorized(settings=settings, style=style)
    colorizer = Colorizer.load(hint_checkpoint, settings)
    photo = read_photo(tmp_path / "photo0.png").pixels
    vector = colorizer.global_features([read_photo(style).pixels])
    around, seen = np.s_[50:70, 70:90], []
    for hints in ((RED,), ()):
        wanted = colorizer.color(photo, vector, hints=hints).pixels_HW3
        file = editor.full_size(token, hints)
        assert np.array_equal(read_photo(file).pixels, wanted)
        assert (b"hints=1" in file.read_bytes()) == bool(hints)
        preview = opened(editor.preview(token, hints))
        assert np.abs(preview - wanted).mean() < 6  # two JPEGs'
        seen.append(wanted[around].mean((0, 1)))
        assert preview[around].mean((0, 1)) == pytest.approx(seen[-1], abs=6)
    assert np.abs(seen[0] - seen[1]).max() > 15


def test_previews_of_large_photos_are_small_and_pixels_count_in_the_photo(
    editor, colorized, monkeypatch
):
    monkeypatch.setattr("irodori.app.demo.service.SHOWN", 160)
    token = colorized(size=(320, 80))
    preview = opened(editor.preview(token, [RED]))
    assert preview.shape == (40, 160, 3)
    same = editor.preview(token, [Hint(160, 40, RED.color)])
    assert np.array_equal(opened(same), preview)
    (shares,) = editor.as_relative(token, [Hint(80, 60, "#aabbcc")])
    assert shares == Hint(0.25, 0.75, "#aabbcc", relative=True)
    with pytest.raises(IrodoriError, match=r"hints\[1\].*320×80"):
        editor.as_relative(token, [RED, Hint(321, 5, RED.color)])


def test_likely_colors(editor, colorized):
    token = colorized()
    colors = editor.likely_colors(token, 0.2, 1)
    assert 1 <= len(colors) <= 8
    assert all(Hint(0, 0, color) for color in colors)
    for place in ((-0.1, 0), (0, 1.1), (float("nan"), 0)):
        with pytest.raises(IrodoriError, match="outside the photo"):
            editor.likely_colors(token, *place)


def test_a_model_without_hints_takes_none(editor, colorized):
    token = colorized(models=["small"])
    with pytest.raises(VisitorLeftError):
        editor.preview(token, [RED])


def test_prepared_photos_are_few_and_the_least_recently_used_goes(editor, colorized, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 2)
    calls = []

    def prepare(colorizer, *arguments, real=Colorizer.prepare):
        calls.append(colorizer)
        return real(colorizer, *arguments)

    tokens = [colorized(number) for number in range(3)]
    monkeypatch.setattr(Colorizer, "prepare", prepare)
    expected = [editor.preview(token, [RED]) for token in tokens[:2]]
    editor.likely_colors(tokens[0], 0, 0)
    editor.preview(tokens[2], [])
    assert len(calls) == 3
    assert editor.preview(tokens[0], [RED]) == expected[0]
    assert len(calls) == 3
    assert editor.preview(tokens[1], [RED]) == expected[1]
    assert len(calls) == 4
    assert prepared(editor) == tokens[:2]


def test_with_its_folder_all_of_a_result_is_forgotten(editor, colorized, tmp_path):
    token, other = colorized(0), colorized(1)
    for each in (token, other):
        editor.preview(each, [RED])
    shutil.rmtree(tmp_path / token)
    for use in (editor.preview, editor.full_size, editor.as_relative):
        with pytest.raises(VisitorLeftError):
            use(token, (RED,))
    with pytest.raises(VisitorLeftError):
        editor.likely_colors(token, 0, 0)
    assert list(editor._edits) == prepared(editor) == [other]


def test_photos_prepared_by_a_model_that_has_gone_go_too(editor, colorized):
    token = colorized()
    editor.preview(token, [RED])
    for name in ("small", "starter"):
        editor.service.models.load(name)
    editor.forget_gone()
    assert not prepared(editor)
    assert editor.preview(token, [RED])


def test_work_ends_when_the_visitor_leaves_or_it_takes_too_long(
    editor, colorized, tmp_path, monkeypatch
):
    token = colorized()
    editor.preview(token, [RED])
    clock = iter(range(0, 10_000, 100))
    with monkeypatch.context() as patch:
        patch.setattr("irodori.app.demo.service.time.monotonic", lambda: next(clock))
        editor.service.limits = replace(editor.service.limits, seconds=50)
        with pytest.raises(IrodoriError, match="takes longer than 50 s"):
            editor.preview(token, [RED])
    editor.service.limits = Limits()
    edit = editor._edits[token]
    edit.check()
    shutil.rmtree(tmp_path / token)
    with pytest.raises(VisitorLeftError):
        edit.check()


def test_files_wait_for_their_turn_among_the_photos(editor, colorized):
    """As many photos as the server allows are colorized at the same time, with hints or without."""
    token = colorized()
    turn = editor.service._turns
    with turn:
        waiting = threading.Thread(target=editor.full_size, args=(token, (RED,)))
        waiting.start()
        # Previews don't wait for others' photos.
        editor.preview(token, [RED])
        assert waiting.is_alive()
    waiting.join(60)
    assert not waiting.is_alive()

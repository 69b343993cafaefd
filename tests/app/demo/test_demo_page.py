"""The demo's page in a real browser."""

import os
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from browser import WORK, check_readable
from PIL import Image

import tiny
from irodori import Colorizer
from irodori.config import PROJECT
from irodori.imageio import read_photo
from irodori.inference.settings import ColorizeSettings

pytestmark = pytest.mark.slow

HISTORICAL = PROJECT / "data" / "sample" / "historical" / "castle_clinton.jpg"
RUN = "lab_alpha1/2026-11-23"


def choose_model(page, name, field="Model"):
    page.get_by_label(field, exact=True).click()
    page.get_by_role("option", name=name).click()


def set_number(page, field, value):
    number = page.locator(f"#{field} input[type=number]")
    number.fill(value)
    number.press("Tab")


def send_style(page, path):
    page.get_by_role("button", name="Style").click()
    page.locator("#style input[type=file]").set_input_files(str(path))
    page.locator("#style").get_by_text(path.stem).first.wait_for()


def send(page, *paths):
    page.locator("#photos input[type=file]").set_input_files([str(path) for path in paths])
    for path in paths:
        stem = page.locator("#photos").get_by_text(path.stem[:8]).first
        stem.wait_for()


def color(page, status="Done"):
    page.get_by_role("button", name="Colorize", exact=True).click()
    page.locator("#status").get_by_text(status).wait_for(timeout=WORK)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.compare img')]"
        ".every(i => i.complete && i.naturalWidth)"
    )


def downloaded(page, tmp_path, number=0):
    with page.expect_download() as download:
        page.locator("a.full-size").nth(number).click()
    path = tmp_path / f"{number}-{download.value.suggested_filename}"
    download.value.save_as(path)
    return path


def expected(path, checkpoint, style=None, **settings):
    colorizer = Colorizer.load(checkpoint, ColorizeSettings(**settings))
    vector = None if style is None else colorizer.global_features([read_photo(style).pixels])
    return colorizer.color(read_photo(path).pixels, vector)


def share(page, number=0):
    return (
        page.locator(".compare")
        .nth(number)
        .evaluate("e => getComputedStyle(e).getPropertyValue('--at')")
    )


def colors(page, tmp_path):
    """How far from gray each pixel is that is shown in the comparison, H×W, but for its handle."""
    page.add_style_tag(content=".divide { display: none }")
    path = tmp_path / "compare.png"
    page.locator(".compare").screenshot(path=str(path))
    return np.ptp(np.asarray(Image.open(path).convert("RGB")).astype(int), axis=2)


def files_in(folder):
    """Files of visits that hold something; folders and files may go while they are looked at."""
    found = set()
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                path = Path(place, name)
                found |= {path} if path.stat().st_size else set()
    return found


def test_upload_slider_scenes_download_and_the_end_of_a_visit(
    open_page, photo, demo, demo_checkpoint, tmp_path
):
    page = open_page()
    before = files_in(demo.files)
    send(page, photo)
    color(page)
    slider = page.get_by_role("slider", name="From gray to colorized: grandmother.png")
    assert slider.input_value() == "50"
    # Left of the divide the picture is colorized, right of it gray.
    page.locator(".compare").scroll_into_view_if_needed()
    box = page.locator(".compare").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    assert 75 <= int(slider.input_value()) <= 85
    assert share(page) == f"{slider.input_value()}%"
    spread = colors(page, tmp_path)
    width = spread.shape[1]
    assert spread[:, int(width * 0.9) :].max() <= 6
    assert spread[:, : int(width * 0.7)].mean(axis=0).min() > 8
    slider.press("Home")
    assert colors(page, tmp_path)[:, int(width * 0.1) :].max() <= 6
    slider.press("End")
    assert colors(page, tmp_path)[:, : int(width * 0.9)].mean(axis=0).min() > 8
    colored = expected(photo, demo_checkpoint)
    path = downloaded(page, tmp_path)
    assert path.name == "0-grandmother-colorized.png"
    assert np.array_equal(read_photo(path).pixels, colored.pixels_HW3)
    rows = page.locator(".scenes tr").all_inner_texts()
    shown = {row.split()[0]: int(row.split()[1]) for row in rows}
    assert shown == {name: round(100 * share) for name, share in colored.scenes.items()}
    widths = page.locator(".scenes .bar").evaluate_all("es => es.map(e => e.style.width)")
    shares = [100 * share for share in colored.scenes.values()]
    assert [float(w[:-1]) for w in widths] == pytest.approx(shares, abs=0.06)
    # With the page all files of the visit go.
    link = page.locator("a.full-size").evaluate("e => e.href")
    assert page.request.get(link).status == 200
    assert len(files_in(demo.files) - before) >= 4
    page.close()
    end = time.monotonic() + 20
    while files_in(demo.files) - before and time.monotonic() < end:
        time.sleep(0.05)
    assert files_in(demo.files) - before == set()
    assert page.context.request.get(link).status == 403


@pytest.mark.long
def test_style_and_saturation(open_page, photo, tmp_path):
    style = tmp_path / "style.png"
    tiny.photo(5).save(style)
    page = open_page()
    send(page, photo)
    choose_model(page, "starter")
    send_style(page, style)
    set_number(page, "strength", "0.6")
    set_number(page, "saturation", "1.5")
    color(page)
    pixels = read_photo(downloaded(page, tmp_path)).pixels
    wanted = expected(photo, None, style, saturation=1.5, style_strength=0.6)
    assert np.array_equal(pixels, wanted.pixels_HW3)
    for other in ((None, 1.5, 1.0), (style, 1.0, 0.6), (style, 1.5, 1.0)):
        settings = {"saturation": other[1], "style_strength": other[2]}
        unlike = expected(photo, None, other[0], **settings)
        assert not np.array_equal(pixels, unlike.pixels_HW3)


@pytest.mark.long
def test_two_models_side_by_side(open_page, photo, demo_checkpoint, demo_run, tmp_path):
    page = open_page(viewport={"width": 1400, "height": 900})
    send(page, photo)
    choose_model(page, RUN, "Compare with")
    color(page)
    assert page.locator(".result h4").all_inner_texts() == ["small", RUN]
    left, right = (page.locator(".compare").nth(number).bounding_box() for number in (0, 1))
    assert left["y"] == pytest.approx(right["y"], abs=2)
    assert left["x"] + left["width"] <= right["x"]
    best = demo_run / "checkpoints" / "best.ckpt"
    for number, checkpoint in enumerate((demo_checkpoint, best)):
        pixels = read_photo(downloaded(page, tmp_path, number)).pixels
        assert np.array_equal(pixels, expected(photo, checkpoint).pixels_HW3)


@pytest.mark.long
def test_many_photos_and_some_that_are_none(open_page, photo, tmp_path):
    bad, wide = tmp_path / "bad <b>name.jpg", tmp_path / "wide.png"
    bad.write_bytes(b"no photo")
    Image.new("L", (1000, 900)).save(wide)
    other = tmp_path / "other.png"
    tiny.photo(1).save(other)
    page = open_page()
    send(page, photo, wide, other, bad)
    color(page, "Done: 2 of 4 photos are colorized.")
    names = [name.split()[0] for name in page.locator(".photo h3").all_inner_texts()]
    assert names == ["grandmother.png", "wide.png", "other.png", "bad"]
    too_large, none = page.locator(".refused").all_inner_texts()
    assert "0.9 million pixels" in too_large
    assert "not a photo of a known kind" in none
    assert page.locator("a.full-size").count() == 2
    assert page.locator(".refused b").count() == 0


@pytest.mark.long
def test_an_example_by_keyboard_alone(open_page, demo_checkpoint, tmp_path):
    page = open_page()

    def tab_to(condition, most=60):
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate(f"() => {{ const e = document.activeElement; return {condition}; }}"):
                outline = page.evaluate(
                    """() => {
                      const e = document.activeElement;
                      const shown = [e, e.closest('.compare')].filter(Boolean);
                      return shown.some(o => parseFloat(getComputedStyle(o).outlineWidth) >= 2
                        && getComputedStyle(o).outlineStyle !== 'none');
                    }"""
                )
                assert outline, "the focus can't be seen"
                return
        raise AssertionError(f"nowhere: {condition}")

    tab_to("e.tagName === 'BUTTON' && e.closest('#examples') && e.querySelector('img')")
    page.keyboard.press("Enter")
    page.locator("#photos").get_by_text("castle").first.wait_for()
    tab_to("e.id === 'start'")
    page.keyboard.press("Enter")
    page.locator("#status").get_by_text("Done.").wait_for(timeout=WORK)
    tab_to("e.type === 'range' && e.closest('.compare')")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert share(page) == "55%"
    page.keyboard.press("End")
    assert share(page) == "100%"
    tab_to("e.className === 'full-size'")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    made = tmp_path / "made.jpg"
    download.value.save_as(made)
    difference = read_photo(made).pixels - expected(HISTORICAL, demo_checkpoint).pixels_HW3.astype(
        int
    )
    assert np.abs(difference).mean() < 2.5  # a JPEG's


@pytest.mark.long
def test_ten_visitors_at_once(open_page, demo_checkpoint, tmp_path):
    pages = []
    for number in range(10):
        path = tmp_path / f"visitor{number}.png"
        tiny.photo(number).resize((400, 300)).save(path)
        pages.append((open_page(), path))
    for page, path in pages:
        send(page, path)
    for page, _ in pages:
        page.get_by_role("button", name="Colorize", exact=True).click()
    for page, path in pages:
        page.locator("#status").get_by_text("Done.").wait_for(timeout=2 * WORK)
        pixels = read_photo(downloaded(page, tmp_path)).pixels
        assert np.array_equal(pixels, expected(path, demo_checkpoint).pixels_HW3)


@pytest.mark.long
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_it_can_be_read_on_small_and_large_screens(open_page, photo, scheme, width):
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.get_by_role("button", name="Style").click()
    send(page, photo)
    color(page)
    check_readable(page)

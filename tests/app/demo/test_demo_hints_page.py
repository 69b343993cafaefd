"""Hints on the demo's page in a real browser: by mouse, touch and keyboard."""

import json
import re

import numpy as np
import pytest
from browser import check_readable
from PIL import Image
from playwright.sync_api import expect
from test_demo_page import choose_model, color, downloaded, send, send_style, set_number

from irodori import Colorizer
from irodori.imageio import read_photo
from irodori.inference.hints import Hint, hints_to_json, read_hints

pytestmark = pytest.mark.slow


@pytest.fixture
def colorized(open_page, photo):
    """Open the page with a photo that is colorized by a model that takes hints."""

    def opened(style=None, **options):
        page = open_page(**options)
        choose_model(page, "hinted")
        if style:
            send_style(page, style)
        send(page, photo)
        color(page)
        page.locator(".compare").scroll_into_view_if_needed()
        return page

    return opened


def at(page, x, y):
    """A place of the photo, as shares, in pixels of the window."""
    box = page.locator(".compare").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def dots(page):
    """The hints' places in percent, and their colors."""
    shown = page.locator(".hint-dots .hint-dot").evaluate_all(
        "dots => dots.map(({style: s}) => [s.left, s.top, s.getPropertyValue('--color').trim()])"
    )
    return [(round(float(x[:-1])), round(float(y[:-1])), value) for x, y, value in shown]


def choose(page, value):
    page.get_by_label("Any color").fill(value)


def settled(page):
    """Wait until the photo is shown with the hints of now."""
    page.wait_for_function("() => !document.querySelector('hint-editor').busy")


def shown(page, tmp_path, x, y):
    """The color that the page shows at a place, the divide and the dots left out."""
    settled(page)
    page.wait_for_timeout(100)
    hide = page.add_style_tag(content=".divide, .hint-dots { opacity: 0 }")
    path = tmp_path / "shown.png"
    page.locator(".compare").screenshot(path=str(path))
    hide.evaluate("e => e.remove()")
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    row, column = round(y * pixels.shape[0]), round(x * pixels.shape[1])
    return pixels[row - 2 : row + 3, column - 2 : column + 3].mean((0, 1))


def redness(page, tmp_path, x, y):
    red, green, blue = shown(page, tmp_path, x, y)
    return red - (green + blue) / 2


def test_a_click_a_drag_undo_redo_and_the_download(colorized, photo, hint_checkpoint, tmp_path):
    page = colorized()
    before = redness(page, tmp_path, 0.3, 0.4)
    page.mouse.click(*at(page, 0.3, 0.4))
    palette = page.get_by_role("dialog", name="Color of the hint")
    swatches = palette.get_by_role("button", name="Likely color")
    swatches.first.wait_for()
    likely = [
        re.search("#[0-9a-f]{6}", name)[0]
        for name in swatches.evaluate_all("all => all.map(e => e.getAttribute('aria-label'))")
    ]
    swatches.last.click()
    assert dots(page) == [(30, 40, likely[-1])]
    choose(page, "#c02020")
    assert dots(page) == [(30, 40, "#c02020")]
    page.get_by_role("button", name="Done").click()
    assert not palette.is_visible()
    assert redness(page, tmp_path, 0.3, 0.4) > before + 15

    page.mouse.move(*at(page, 0.3, 0.4))
    page.mouse.down()
    page.mouse.move(*at(page, 0.5, 0.5), steps=4)
    page.mouse.move(*at(page, 0.8, 0.7), steps=4)
    page.mouse.up()
    assert not palette.is_visible()
    assert dots(page) == [(80, 70, "#c02020")]
    # In the gray part, the slider's handle may be in the way of what is seen.
    page.mouse.click(*at(page, 0.8, 0.7))
    choose(page, "#2020c0")
    page.keyboard.press("Escape")
    assert dots(page) == [(80, 70, "#2020c0")]
    assert redness(page, tmp_path, 0.8, 0.7) < -15

    history = [[], [(30, 40, "#c02020")], [(80, 70, "#c02020")], [(80, 70, "#2020c0")]]
    for expected in history[-2::-1]:
        page.keyboard.press("Control+z")
        assert dots(page) == expected
    assert abs(redness(page, tmp_path, 0.3, 0.4) - before) < 3
    page.keyboard.press("Control+z")
    for expected in history[1:3]:
        page.keyboard.press("Control+y")
        assert dots(page) == expected
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Redo").click()
    # Also with the focus nowhere.
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Control+Shift+z")
    assert dots(page) == history[3]

    colorizer = Colorizer.load(hint_checkpoint)
    pixels = read_photo(downloaded(page, tmp_path)).pixels
    with page.expect_download() as download:
        page.get_by_role("button", name="Save hints").click()
    assert download.value.suggested_filename == "grandmother.hints.json"
    download.value.save_as(tmp_path / "saved.hints.json")
    hints = read_hints(tmp_path / "saved.hints.json")
    assert [(hint.relative, hint.color) for hint in hints] == [(True, "#2020c0")]
    assert (hints[0].x, hints[0].y) == pytest.approx((0.8, 0.7), abs=0.01)
    wanted = colorizer.color(read_photo(photo).pixels, hints=hints).pixels_HW3
    assert np.array_equal(pixels, wanted)
    page.get_by_role("button", name="Undo").click()
    for _ in range(2):
        page.keyboard.press("Control+z")
    plain = read_photo(downloaded(page, tmp_path, 0)).pixels
    assert np.array_equal(plain, colorizer.color(read_photo(photo).pixels).pixels_HW3)


FOCUSED = "document.activeElement.textContent || document.activeElement.ariaLabel"


def wait_for_focus(page, name):
    """Wait for it: a dialog's focus is taken back before its event says that it is closed."""
    page.wait_for_function(f"name => ({FOCUSED}) === name", arg=name)


def test_by_keyboard_alone(colorized):
    page = colorized()
    page.get_by_role("button", name="Add a hint").focus()
    page.keyboard.press("Enter")
    page.locator(".swatches button").first.wait_for()
    page.keyboard.press("Tab")
    while not page.evaluate(FOCUSED).startswith("Likely color"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    ((x, y, value),) = dots(page)
    assert (x, y) == (50, 50)
    page.keyboard.press("Escape")
    wait_for_focus(page, f"Hint 1: {value}, 50 % from the left, 50 % from the top")
    for key in ["Shift+ArrowRight"] * 3 + ["ArrowLeft"] * 2 + ["Shift+ArrowUp"] * 20:
        page.keyboard.press(key)
    assert dots(page) == [(64, 0, value)]
    page.keyboard.press("Enter")
    choose(page, "#c02020")
    page.keyboard.press("Escape")
    assert dots(page) == [(64, 0, "#c02020")]
    page.keyboard.press("Delete")
    assert dots(page) == []
    wait_for_focus(page, "Add a hint")
    for expected in ([(64, 0, "#c02020")], [(64, 0, value)], [(50, 50, value)], []):
        page.keyboard.press("Control+z")
        assert dots(page) == expected
    # Nothing was chosen: there is no hint.
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert dots(page) == []
    # Its ring goes when the browser says that the palette is closed, a moment later.
    expect(page.locator(".hint-dot")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_by_touch_on_a_phone(colorized, scheme, tmp_path):
    page = colorized(
        has_touch=True,
        is_mobile=True,
        viewport={"width": 360, "height": 740},
        color_scheme=scheme,
    )
    page.touchscreen.tap(*at(page, 0.3, 0.3))
    page.locator(".swatches button").first.wait_for()
    check_readable(page)
    page.get_by_label("Any color").fill("#c02020")
    page.get_by_role("button", name="Done").tap()
    check_readable(page)
    assert dots(page) == [(30, 30, "#c02020")]
    dot = page.locator(".hint-dot")
    # It doesn't lag behind the finger.
    assert dot.evaluate("dot => getComputedStyle(dot).transitionDuration") == "0s"
    size = dot.bounding_box()
    assert min(size["width"], size["height"]) >= 40
    # A finger that drags, as the browser tells it.
    finger = page.context.new_cdp_session(page)
    for kind, place in [
        ("touchStart", (0.3, 0.3)),
        ("touchMove", (0.5, 0.4)),
        ("touchMove", (0.6, 0.6)),
    ]:
        x, y = at(page, *place)
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert dots(page) == [(60, 60, "#c02020")]
    page.touchscreen.tap(*at(page, 0.6, 0.6))
    page.get_by_role("button", name="Remove").tap()
    assert dots(page) == []


@pytest.mark.long
def test_colors_from_a_style_photo_and_from_another(colorized, tmp_path):
    style, other = tmp_path / "style.png", tmp_path / "other.png"
    halves = np.zeros((40, 60, 3), np.uint8)
    halves[:, :30], halves[:, 30:] = (180, 40, 20), (20, 60, 170)
    Image.fromarray(halves).save(style)
    Image.new("RGB", (30, 30), (10, 150, 80)).save(other)
    page = colorized(style=style)
    page.mouse.click(*at(page, 0.3, 0.4))
    sample = page.get_by_role("application", name="Photo to take a color from")
    box = sample.bounding_box()
    sample.click(position={"x": 0.2 * box["width"], "y": 0.5 * box["height"]})

    def near(wanted):
        ((_, _, value),) = dots(page)
        levels = [int(value[i : i + 2], 16) for i in (1, 3, 5)]
        return np.abs(np.subtract(levels, wanted)).max() <= 6

    assert near((180, 40, 20))
    for _ in range(6):
        page.keyboard.press("Shift+ArrowRight")
    assert near((20, 60, 170))
    page.locator(".pipette input[type=file]").set_input_files(str(other))
    page.wait_for_function("() => document.querySelector('.sample canvas').width === 30")
    sample.click()
    assert near((10, 150, 80))
    page.keyboard.press("Escape")
    page.keyboard.press("Control+z")
    assert dots(page) == []


@pytest.mark.long
def test_hint_files_are_loaded_and_mistakes_told(colorized, tmp_path):
    page = colorized()
    hints = (Hint(80, 60, "#c02020"), Hint(240, 180, "#2020c0"))
    path = tmp_path / "some.hints.json"

    def load(text):
        path.write_text(text)
        page.locator(".hint-bar input[type=file]").set_input_files(str(path))

    load(hints_to_json(hints))
    page.locator(".hint-dot").nth(1).wait_for()
    assert dots(page) == [(25, 25, "#c02020"), (75, 75, "#2020c0")]
    settled(page)
    for text, why in (
        ("{", "not JSON"),
        (hints_to_json([Hint(1000, 5, "#c02020")]), "outside the photo of 320×240"),
    ):
        load(text)
        page.locator(".hint-status").get_by_text(why).wait_for()
        assert page.locator(".hint-status").inner_text().startswith("some.hints.json: ")
        assert len(dots(page)) == 2
    page.get_by_role("button", name="Undo").click()
    assert dots(page) == []


@pytest.mark.long
def test_hints_stay_when_the_photo_is_colorized_again(colorized, photo, hint_checkpoint, tmp_path):
    page = colorized()
    page.mouse.click(*at(page, 0.25, 0.5))
    choose(page, "#c02020")
    page.keyboard.press("Escape")
    set_number(page, "saturation", "0.5")
    token = page.locator("hint-editor").get_attribute("data-token")
    color(page)
    page.locator(f"hint-editor:not([data-token='{token}'])").wait_for()
    assert dots(page) == [(25, 50, "#c02020")]
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save hints").click()
    hints = json.loads(download.value.path().read_text())["hints"]
    assert len(hints) == 1
    page.get_by_role("button", name="Undo").click()
    assert dots(page) == []


@pytest.mark.long
def test_the_slider_is_moved_by_its_handle(colorized):
    page = colorized()
    slider = page.get_by_role("slider", name="From gray to colorized")
    page.mouse.move(*at(page, 0.5, 0.3))
    page.mouse.down()
    page.mouse.move(*at(page, 0.8, 0.3), steps=5)
    page.mouse.up()
    assert 78 <= int(slider.input_value()) <= 82
    assert dots(page) == []
    # A hint in the gray part: the colorized one is shown.
    page.mouse.click(*at(page, 0.95, 0.3))
    assert slider.input_value() == "100"
    page.keyboard.press("Escape")

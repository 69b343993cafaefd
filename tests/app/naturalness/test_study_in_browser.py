"""A study in a real browser: three people, and the results of what they answered."""

import json
import re
import signal
import sqlite3

import pytest
from browser import check_readable
from made_study import served, study
from processes import Process, process
from typer.testing import CliRunner

from irodori.app.naturalness.store import Store
from irodori.app.naturalness.study import Settings, meaning
from irodori.cli.app import app

PHONE = {
    "viewport": {"width": 360, "height": 640},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
QUICK = Settings(seconds=0.3, minimum=0.1, checks=0.2)
BUTTONS = ("Not natural", "Natural")


def choice(study, question):
    """The button of somebody who takes the truth for natural, `plain` half the time, `warm` never.

    Checks are passed.
    """
    likes = (True, question.photograph % 2 == 0, False)
    wanted = likes[question.method] if question.kind == "photograph" else True
    pairs = study.settings.pairs
    return int(meaning(1, question.kind, question.first, pairs) == wanted)


def choices(path, person):
    made = Store(path).study
    return [choice(made, question) for question in made.questions(person)]


def answered(path, person):
    return Store(path).read()[1].query("person == @person").choice.tolist()


def begun(visits, address, **options):
    """The page of a new visitor who has begun."""
    page = visits.page(**options)
    page.goto(address)
    button = page.get_by_role("button", name="Begin", exact=True)
    (button.tap if options.get("has_touch") else button.click)()
    return page


def wait_for_place(page, place, steps):
    """The picture of a place is to be seen, or was, and can be judged."""
    page.get_by_text(f"{place + 1} of {steps}", exact=True).wait_for()
    page.locator("#yes[aria-disabled=false]").wait_for()


def press(page, numbers, start=0, steps=None):
    """Answer by keyboard, N or M in turn with the arrows."""
    steps = steps or len(numbers)
    for place, number in enumerate(numbers[start:], start):
        wait_for_place(page, place, steps)
        keys = ("n", "m") if place % 2 else ("ArrowLeft", "ArrowRight")
        page.keyboard.press(keys[number])


def at_the_end(page):
    page.get_by_role("heading", name="Thank you").wait_for()


@pytest.mark.long
def test_a_picture_is_the_right_one_and_shown_for_its_time(visits, tmp_path):
    path = study(tmp_path, Settings(seconds=1.2, minimum=1.1, checks=0), photographs=4)
    known = dict(sqlite3.connect(path).execute("SELECT token, method FROM pictures").fetchall())
    with served(path) as client:
        page = begun(visits, client.address)
        for place, question in enumerate(Store(path).study.questions(0)):
            page.locator("#judging.seen").wait_for()
            source = page.get_by_role("img", name="Photograph to be judged").get_attribute("src")
            assert known[source.rpartition("/")[2]] == question.method
            # Too early: nothing happens.
            page.keyboard.press("m")
            assert page.locator("#place").inner_text() == f"{place + 1} of 4"
            page.locator("#judging:not(.seen)").wait_for()
            assert not page.get_by_role("img", name="Photograph to be judged").is_visible()
            assert page.get_by_text("Your answer?").is_visible()
            page.keyboard.press("m")
        at_the_end(page)
    given = Store(path).read()[1]
    assert given.viewed.min() >= 1200
    assert (given.latency >= given.viewed).all()
    assert (given.showings == 1).all()


@pytest.mark.long
def test_time_in_another_tab_is_no_viewing(visits, tmp_path):
    path = study(tmp_path, Settings(seconds=1.0, minimum=0.5, checks=0), photographs=3)
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    with served(path) as client:
        page = begun(visits, client.address)
        page.locator("#judging.seen").wait_for()
        page.evaluate(hide, True)
        page.wait_for_timeout(2000)
        # It waits for the person to come back.
        assert page.locator("#judging.seen").count() == 1
        assert page.locator("#yes").get_attribute("aria-disabled") == "true"
        page.evaluate(hide, False)
        wait_for_place(page, 0, 3)
        page.keyboard.press("m")
        wait_for_place(page, 1, 3)
    (given,) = Store(path).read()[1].itertuples()
    assert given.viewed >= 500
    assert given.latency - given.viewed >= 2000


def go_by_touch(visits, address, wanted):
    page = begun(visits, address, **PHONE)
    for place, number in enumerate(wanted):
        wait_for_place(page, place, len(wanted))
        page.get_by_role("button", name=BUTTONS[number], exact=True).tap()
    at_the_end(page)


def go_by_keys(visits, address, wanted):
    page = visits.page()
    page.goto(address)
    page.get_by_role("button", name="Begin", exact=True).wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "begin"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    # The first by Tab and the space bar, the others by their keys.
    wait_for_place(page, 0, len(wanted))
    # Neither answer is nearer to the hand than the other.
    page.locator("#question:focus").wait_for()
    for number in range(wanted[0] + 1):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == ("no", "yes")[number]
    page.keyboard.press("Space")
    press(page, wanted, 1)
    at_the_end(page)


def go_with_trouble(visits, serving, database, path, wanted):
    """Lose the connection, close the tab, and meet a server that crashed and came back."""
    steps = len(wanted)
    page = begun(visits, serving.address)
    context = page.context
    press(page, wanted[:2], steps=steps)
    wait_for_place(page, 2, steps)
    context.set_offline(True)
    page.get_by_role("button", name=BUTTONS[wanted[2]], exact=True).click()
    page.get_by_text("Your answer is kept and will be sent").wait_for()
    assert page.locator("#place").inner_text() == f"3 of {steps}"
    # Before the tab is closed: Chromium ends the emulation then, and the answer may still leave.
    assert len(answered(path, 2)) == 2
    page.close()
    context.set_offline(False)
    page = context.new_page()
    page.goto(serving.address)
    page.get_by_role("heading", name="Welcome back").wait_for()
    page.get_by_role("button", name="Continue", exact=True).click()
    wait_for_place(page, 3, steps)
    # The answer that was given without a connection has come.
    assert answered(path, 2) == wanted[:3]
    page.reload()
    page.get_by_role("button", name="Continue", exact=True).click()
    wait_for_place(page, 3, steps)
    serving.kill()
    page.get_by_role("button", name=BUTTONS[wanted[3]], exact=True).click()
    page.get_by_text("Your answer is kept and will be sent").wait_for()
    port = serving.address.rpartition(":")[2]
    again = Process("study", "serve", database, "--port", port)
    try:
        press(page, wanted, 4)
        at_the_end(page)
        assert again.stop(signal.SIGINT)[0] == 130
    finally:
        again.kill()


@pytest.mark.slow
def test_three_people_and_their_results(visits, tmp_path):
    path = study(tmp_path, QUICK, photographs=7)
    wanted = [choices(path, person) for person in range(3)]
    with process("study", "serve", path) as serving:
        go_by_touch(visits, serving.address, wanted[0])
        go_by_keys(visits, serving.address, wanted[1])
        go_with_trouble(visits, serving, path, path, wanted[2])
    assert [answered(path, person) for person in range(3)] == wanted
    # Blind and balanced: each photograph was judged once in each method.
    made = Store(path).study
    asked = Store(path).read()[1].query("kind == 'photograph'")
    assert len(asked) == len(asked.drop_duplicates(["photograph", "method"])) == 3 * made.count
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["study", "results", str(path), "--output", str(out)])
    assert done.exit_code == 0, done.output
    results = json.loads((out / "results.json").read_text())
    shares = {one["method"]: (one["natural"], one["answers"]) for one in results["shares"]}
    even = sum(number % 2 == 0 for number in range(made.count))
    assert shares == {
        "ground truth": (made.count, made.count),
        "plain": (even, made.count),
        "warm": (0, made.count),
    }
    assert results["people"] == {"began": 3, "answered": 3, "finished": 3, "failed_checks": 0}
    assert results["answers"]["counted"] == 3 * made.count
    page = visits.page()
    page.goto((out / "report.html").as_uri())
    assert page.get_by_role("heading", name="Do the photographs look natural?").is_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="ground truth"))
    assert "100.0 %" in row.first.inner_text()
    picture = page.get_by_role("img").first
    assert "ground truth 100.0 %" in picture.get_attribute("alt")
    assert picture.evaluate("image => image.naturalWidth") > 1000


@pytest.mark.long
def test_pairs_on_a_phone_and_going_on_elsewhere_by_the_code(visits, tmp_path):
    path = study(tmp_path, Settings(pairs=True, seconds=0.3, minimum=0.1, checks=0.2), 7)
    wanted = choices(path, 0)
    steps = len(wanted)
    with served(path) as client:
        page = begun(visits, client.address, **PHONE)
        for place, number in enumerate(wanted[:3]):
            wait_for_place(page, place, steps)
            page.get_by_role("button", name=("A is real", "B is real")[number]).tap()
        wait_for_place(page, 3, steps)
        code = re.search(r"\w{4}-\w{4}", page.locator("#yours").inner_text())[0]
        elsewhere = visits.page()
        elsewhere.goto(client.address)
        elsewhere.get_by_text("I have already begun").click()
        elsewhere.get_by_label("Your code").fill("WRONG222")
        elsewhere.get_by_role("button", name="Continue", exact=True).click()
        elsewhere.get_by_text("Nobody has this code").wait_for()
        elsewhere.get_by_label("Your code").fill(code.lower())
        elsewhere.keyboard.press("Enter")
        press(elsewhere, wanted, 3)
        at_the_end(elsewhere)
        # The phone, left behind, answers a question that is answered already: it changes nothing.
        page.get_by_role("button", name="A is real").tap()
        at_the_end(page)
    assert answered(path, 0) == wanted


@pytest.mark.long
@pytest.mark.parametrize(
    ("pairs", "size"), [(False, (360, 640)), (True, (640, 360)), (True, (1280, 800))]
)
def test_everything_can_be_read_and_reached(visits, tmp_path, pairs, size):
    path = study(tmp_path, Settings(pairs=pairs, seconds=20, minimum=0.1), 4)
    width, height = size
    with served(path) as client:
        page = visits.page(viewport={"width": width, "height": height})
        page.goto(client.address)
        page.get_by_role("button", name="Begin", exact=True).wait_for()
        page.get_by_text("I have already begun").click()
        check_readable(page)
        page.get_by_role("button", name="Begin", exact=True).click()
        page.locator("#judging.seen").wait_for()
        check_readable(page)
        pictures = page.get_by_role("img").all()
        assert len(pictures) == 1 + pairs
        for element in (*pictures, page.locator("#no"), page.locator("#yes")):
            box = element.bounding_box()
            assert box["x"] >= 0
            assert box["y"] >= 0
            assert box["x"] + box["width"] <= width
            # All is in sight without scrolling.
            assert box["y"] + box["height"] <= height
            assert box["height"] >= 44
        page.reload()
        page.get_by_role("heading", name="Welcome back").wait_for()
        check_readable(page)

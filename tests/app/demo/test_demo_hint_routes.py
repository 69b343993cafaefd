"""The addresses for hints, in front of an editor that only notes what it is asked."""

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from unittest.mock import call, create_autospec

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from irodori.app.demo.application import hint_routes
from irodori.app.demo.hint_editor import HintEditor
from irodori.app.demo.service import Limits, VisitorLeftError
from irodori.inference.hints import Hint
from irodori.utils.errors import IrodoriError

TOKEN = "0123456789abcdef" * 2 + "01234567"
TEXT = json.dumps(
    {"version": 1, "units": "share", "hints": [{"x": 0.25, "y": 1, "color": "#102030"}]}
)
HINTS = (Hint(0.25, 1, "#102030", relative=True),)


@pytest.fixture
def editor():
    editor = create_autospec(HintEditor, instance=True)
    editor.as_relative.side_effect = lambda token, hints: hints
    editor.preview.return_value = b"\xff\xd8jpeg"
    editor.likely_colors.return_value = ["#102030"]
    editor.full_size.return_value = Path("/tmp/a b/photo-colorized.jpg")
    return editor


@pytest.fixture
def client(editor):
    routes = hint_routes(editor, Limits(waiting=2, at_once=1))
    with TestClient(Starlette(routes=routes)) as client:
        yield client


def post(client, what, content=TEXT):
    return client.post(f"/hints/{TOKEN}/{what}", content=content)


def test_answers(client, editor):
    preview = post(client, "preview")
    assert (preview.content, preview.headers["content-type"]) == (b"\xff\xd8jpeg", "image/jpeg")
    assert post(client, "colors?x=0.5&y=1", "").json() == ["#102030"]
    assert post(client, "file").text == "gradio_api/file=/tmp/a%20b/photo-colorized.jpg"
    assert post(client, "read").json() == json.loads(TEXT)
    assert editor.mock_calls == [
        call.preview(TOKEN, HINTS),
        call.likely_colors(TOKEN, 0.5, 1.0),
        call.full_size(TOKEN, HINTS),
        call.as_relative(TOKEN, HINTS),
    ]


@pytest.mark.parametrize("what", ["preview", "file", "read"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "not JSON"),
        (b"\xff\x00", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (TEXT.replace("#102030", "blue"), r"hints[0]"),
        (TEXT.replace("0.25", "NaN"), r"hints[0]"),
        (TEXT.replace("1,", "2,", 1), "version"),
    ],
)
def test_mistakes_are_one_line(client, editor, what, content, why):
    answer = post(client, what, content)
    assert answer.status_code == 400
    assert why in answer.text
    assert "\n" not in answer.text
    assert not editor.mock_calls


@pytest.mark.parametrize("query", ["", "?x=1", "?x=1&y=b"])
def test_a_place_has_two_numbers(client, query):
    answer = post(client, f"colors{query}", "")
    assert (answer.status_code, "x and y" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("error", "status", "part", "log"),
    [
        (VisitorLeftError(), 404, "colorize the photo again", ""),
        (IrodoriError("takes longer than 5 s"), 400, "takes longer than 5 s", ""),
        (MemoryError(), 500, "not enough memory", "MemoryError"),
        (ValueError("odd\nthing"), 500, "ValueError: odd thing", "ValueError: odd thing"),
    ],
)
@pytest.mark.parametrize("what", ["preview", "file"])
def test_failures(client, editor, capfd, what, error, status, part, log):
    work = {"preview": editor.preview, "file": editor.full_size}[what]
    work.side_effect = error
    answer = post(client, what)
    assert (answer.status_code, part in answer.text) == (status, True)
    written = capfd.readouterr().err
    assert written.count("\n") == bool(log)
    assert log in written
    # The turn has been given back.
    work.side_effect = None
    assert post(client, what).status_code == 200


def test_who_waits_is_counted_and_more_are_sent_away(client, editor):
    go_on = threading.Event()
    editor.preview.side_effect = lambda token, hints: go_on.wait(30) and b"jpeg"
    with ThreadPoolExecutor(8) as visitors:
        previews = [visitors.submit(post, client, "preview") for _ in range(6)]
        # One is at work, two wait, and the others are sent away.
        refused = [done.result() for done in itertools.islice(as_completed(previews, 30), 3)]
        assert editor.preview.call_count == 1
        go_on.set()
        answers = [done.result() for done in previews]
    assert [answer.status_code for answer in refused] == [503] * 3
    assert "try again" in refused[0].text
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [503] * 3

"""Hints as their files hold them."""

import json

import pytest

from irodori import Hint
from irodori.imageio import Provenance
from irodori.inference.hints import hints_from_json, hints_to_json, read_hints, with_hints
from irodori.utils.errors import IrodoriError

NAVY, BRICK = "#1b2a49", "#8b4a3a"


def test_a_hint_file_comes_back(tmp_path):
    hints = (Hint(120, 80.5, NAVY), Hint(0, 3, "#FFFFFF"))
    shares = (Hint(0.25, 1, BRICK, relative=True),)
    for given in (hints, shares, ()):
        path = tmp_path / "photo.hints.json"
        path.write_text(hints_to_json(given))
        assert read_hints(path) == given
    assert json.loads(hints_to_json(hints)) == {
        "version": 1,
        "units": "pixels",
        "hints": [{"x": 120, "y": 80.5, "color": NAVY}, {"x": 0, "y": 3, "color": "#FFFFFF"}],
    }
    with pytest.raises(ValueError, match="either"):
        hints_to_json(hints + shares)
    path.write_bytes(b"\xef\xbb\xbf" + hints_to_json(hints).encode())  # as some editors begin
    assert read_hints(path) == hints


def document(*hints, **changes):
    return json.dumps({"version": 1, "units": "pixels", "hints": hints} | changes)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"version": 1,\n "units" "pixels"}', ["line 2", "column 10"]),
        ("[" * 100_000, ["not JSON"]),
        ("[]", ["[]", "version, units, hints"]),
        ("{}", ["version"]),
        (document(version=2), ["version is 2"]),
        (document(units="inches"), ["inches", "pixels", "share"]),
        (document(hints="navy"), ["hints", "navy"]),
        (document(hints={}, colour=1), ["colour"]),
        (document({"x": 1, "y": 1, "color": NAVY}, [1, 1]), ["hints[1]", "[1, 1]"]),
        (document({"x": 1, "y": 1}), ["hints[0]", "color"]),
        (document({"x": 1, "y": 1, "color": "navy"}), ["hints[0]", "navy", "#rrggbb"]),
        (document({"x": 1, "y": 1, "color": "#12"}), ["hints[0]", "#12"]),
        (document({"x": "left", "y": 1, "color": NAVY}), ["hints[0]", "x is", "left"]),
        (document({"x": 1, "y": float("nan"), "color": NAVY}), ["hints[0]", "y is NaN"]),
        (document({"x": 1, "y": -3, "color": NAVY}), ["y is -3"]),
        (document({"x": 1, "y": True, "color": NAVY}), ["y is true"]),
        (document({"x": 1, "y": 10**400, "color": NAVY}), ["hints[0]", "y is"]),
        (document({"x": 7, "y": 1, "color": NAVY}, units="share"), ["x is 7", "0 to 1"]),
        (document(*1001 * [{"x": 1, "y": 1, "color": NAVY}]), ["1,001", "1,000"]),
    ],
)
def test_mistakes_of_a_file_are_one_line_each(tmp_path, text, parts):
    path = tmp_path / "photo.hints.json"
    path.write_text(text)
    with pytest.raises(IrodoriError) as caught:
        read_hints(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 200 + len(str(path))
    assert all(part in message for part in parts)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(IrodoriError, match=r"none.hints.json: No such file"):
        read_hints(tmp_path / "none.hints.json")
    (tmp_path / "a.hints.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(IrodoriError, match=r"a.hints.json: not JSON"):
        read_hints(tmp_path / "a.hints.json")


def test_the_number_of_hints_is_in_the_provenance():
    plain = Provenance("m", "0", {"work_size": 256})
    assert with_hints(plain, 0) == plain
    assert with_hints(plain, 3).settings == {"work_size": 256, "hints": 3}
    assert plain.settings == {"work_size": 256}


def test_the_text_of_a_file_is_checked_without_a_file():
    assert hints_from_json(document({"x": 1, "y": 2, "color": NAVY})) == (Hint(1, 2, NAVY),)

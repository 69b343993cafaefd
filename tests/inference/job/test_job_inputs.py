"""Which files a command means."""

import os
from pathlib import Path

import pytest

from irodori.inference.job.inputs import find_photos
from irodori.utils.errors import IrodoriError

POSIX = pytest.mark.skipif(os.name == "nt", reason="links and pipes are POSIX's")


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """A folder of empty files; finding looks at names alone."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "scans/b.jpg",
        "scans/a.TIF",
        "scans/notes.txt",
        "scans/._a.tif",
        "scans/.hidden/c.jpg",
        "scans/1920/d.png",
        "scans/1920/sub/e.heic",
        "other/f.jpg",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    return Path("scans")


def found(*arguments, output=Path("out")):
    sources = find_photos(arguments, output).sources
    return [(str(source.path), str(source.tree)) for source in sources]


def test_a_folder_is_searched_and_its_tree_kept(scans):
    result = find_photos(["scans"], Path("out"))
    assert [(str(source.path), str(source.tree)) for source in result.sources] == [
        ("scans/a.TIF", "a.TIF"),
        ("scans/b.jpg", "b.jpg"),
        ("scans/1920/d.png", "1920/d.png"),
        ("scans/1920/sub/e.heic", "1920/sub/e.heic"),
    ]
    assert [str(path) for path, _ in result.skipped] == ["scans/notes.txt"]
    assert {source.folder for source in result.sources} == {"scans"}
    assert found(str(scans.absolute()))[0] == (str(scans.absolute() / "a.TIF"), "a.TIF")


def test_a_named_file_is_always_one(scans):
    assert found("scans/notes.txt", "none.jpg") == [
        ("scans/notes.txt", "notes.txt"),
        ("none.jpg", "none.jpg"),
    ]


def test_a_file_is_found_once_with_its_tree_whatever_comes_first(scans):
    for arguments in (("scans", "scans/1920/d.png"), ("scans/1920/d.png", "./scans")):
        trees = [tree for path, tree in found(*arguments) if path.endswith("d.png")]
        assert trees == ["1920/d.png"]


def test_patterns(scans):
    assert found("scans/*.jpg") == [("scans/b.jpg", "b.jpg")]
    assert found("scans/**/*.png") == [("scans/1920/d.png", "1920/d.png")]
    assert found("*/f.*") == [("other/f.jpg", "other/f.jpg")]
    # A folder that matches is searched.
    assert found("s*/19??") == [
        ("scans/1920/d.png", "scans/1920/d.png"),
        ("scans/1920/sub/e.heic", "scans/1920/sub/e.heic"),
    ]
    assert len(find_photos(["scans/*"], None).skipped) == 1
    with pytest.raises(IrodoriError, match=r"scans/\*\.bmp: no photo there"):
        found("scans/*.bmp")


def test_a_file_whose_name_looks_like_a_pattern(scans):
    Path("scan[1].jpg").touch()
    assert found("scan[1].jpg") == [("scan[1].jpg", "scan[1].jpg")]


def test_a_file_whose_name_looks_like_a_home_folder(scans):
    Path("~scan.jpg").touch()
    assert found("~scan.jpg") == [("~scan.jpg", "~scan.jpg")]
    assert found("~/nothing.jpg") == [(str(Path.home() / "nothing.jpg"), "nothing.jpg")]


def test_the_output_is_not_searched(scans):
    Path("scans/out").mkdir()
    Path("scans/out/b.jpg").touch()
    for argument in ("scans", "scans/**", "scans/**/*.jpg"):
        paths = [path for path, _ in found(argument, output=scans / "out")]
        assert "scans/b.jpg" in paths
        assert "scans/out/b.jpg" not in paths
    for argument in ("scans", "scans/*.jpg"):
        with pytest.raises(IrodoriError, match="choose another --output"):
            find_photos([argument], scans)


def test_a_pattern_below_the_output(scans):
    assert found("scans/*.jpg", output=Path()) == [("scans/b.jpg", "b.jpg")]
    assert found("scans/1920", "scans/1920/*.png", output=scans)[0][0] == "scans/1920/d.png"


def test_a_skipped_file_is_named_once(scans):
    Path("scans/1920/notes.txt").touch()
    for arguments in (["scans/**"], ["scans", "scans/1920"]):
        skipped = [str(path) for path, _ in find_photos(arguments, None).skipped]
        assert sorted(skipped) == ["scans/1920/notes.txt", "scans/notes.txt"]


def test_what_is_known_but_not_read_is_named_with_what_to_do(scans):
    for name in ("b.NEF", "c.pdf", "d.mp4", "e", "b.xmp"):
        (scans / name).touch()
    skipped = {path.name: why for path, why in find_photos(["scans"], None).skipped}
    # The .xmp file is read with the photo beside it.
    assert set(skipped) == {"notes.txt", "b.NEF", "c.pdf", "d.mp4", "e"}
    assert "develop it" in skipped["b.NEF"]
    assert "ffmpeg" in skipped["d.mp4"]
    assert "pdfimages" in skipped["c.pdf"]


@POSIX
def test_links_are_followed_and_loops_end(scans):
    Path("scans/1920/loop").symlink_to(scans.absolute())
    Path("scans/1920/self").symlink_to(".")
    Path("scans/0_first").symlink_to("1920")
    Path("scans/outside").symlink_to(Path("other").absolute())
    Path("scans/gone.jpg").symlink_to("nowhere")
    os.mkfifo("scans/pipe.jpg")
    assert [tree for _, tree in found("scans")] == [
        "a.TIF",
        "b.jpg",
        "gone.jpg",
        "1920/d.png",
        "1920/sub/e.heic",
        "outside/f.jpg",
    ]


def test_a_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(IrodoriError, match="no photo there"):
        find_photos([str(tmp_path)], None)


def test_a_folder_that_cannot_be_read_is_told(scans, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "1920":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = find_photos(["scans"], None)
    assert result.unread == [(Path("scans/1920"), "Permission denied")]
    assert len(result.sources) == 2


@POSIX
def test_a_link_in_a_circle_is_a_bad_photo_and_no_end(scans):
    (scans / "round.jpg").symlink_to("round.jpg")
    (scans / "round").symlink_to("round")
    result = find_photos(["scans"], Path("out"))
    assert "scans/round.jpg" in {str(source.path) for source in result.sources}
    assert len(result.sources) == 5


def test_a_pattern_without_photos_among_others_is_told(scans):
    Path("empty").mkdir()
    result = find_photos(["scans", "other/*.jpgg", "empty", "other/f.jpg"], Path("out"))
    assert len(result.sources) == 5
    assert result.unread == [
        (Path("other/*.jpgg"), "no photo there"),
        (Path("empty"), "no photo there"),
    ]

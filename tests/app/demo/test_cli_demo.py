"""`irodori demo` as it is typed."""

import importlib.util
import os
import signal
import tempfile
import urllib.request

import pytest
from processes import process
from typer.testing import CliRunner

from irodori.app.demo.server import own_folder
from irodori.cli.app import app

RUNNER = CliRunner()


def demo(*words):
    return RUNNER.invoke(app, ["demo", *map(str, words)])


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--max-megabytes", 0], "--max-megabytes is 0: give a number from"),
        (["--max-megapixels", 1000], "--max-megapixels is 1000"),
        (["--max-photos", 0], "--max-photos is 0"),
        (["--waiting", 0], "--waiting is 0"),
        (["--at-once", -1], "--at-once is -1"),
        (["--checkpoint", "none"], "none: no such checkpoint or run folder"),
        (["--checkpoint", "bad.ckpt", "--port", 0], "bad.ckpt: not a checkpoint of irodori"),
        (["--device", "cuda"], "--device is cuda"),
        (["--host", "203.0.113.1"], "203.0.113.1"),
        (["--port", 70000], "port"),
    ],
)
def test_mistakes_are_one_line(words, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.ckpt").write_bytes(b"no checkpoint")
    if "cuda" in words:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    done = demo(*words)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert part in line


def test_without_gradio(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "gradio" else find(name)
    )
    done = demo()
    assert done.exit_code == 1
    assert done.stderr == "error: the page needs gradio: pip install 'irodori[demo]'\n"


@pytest.mark.long
def test_a_service_that_is_told_to_end_does_so_in_order(demo_checkpoint, tmp_path):
    with process("demo", "--checkpoint", demo_checkpoint, TMPDIR=str(tmp_path)) as server:
        with urllib.request.urlopen(server.address) as answer:
            assert b"irodori" in answer.read()
        assert list(tmp_path.glob("irodori-demo-*"))
        status, lines = server.stop(signal.SIGTERM)
    # A slow start tells its seconds.
    assert (status, [line for line in lines if " …" not in line]) == (143, ["terminated"])
    assert list(tmp_path.glob("irodori-demo-*")) == []


def test_the_folder_goes_and_those_of_killed_processes_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, alive, other = (
        tmp_path / name
        for name in ("irodori-demo-4194999-abc", f"irodori-demo-{os.getppid()}-x", "irodori-demo-")
    )
    for folder in (dead, alive, other):
        folder.mkdir()
        (folder / "photo.jpg").touch()
    with own_folder() as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "photo.jpg").touch()
    assert sorted(tmp_path.iterdir()) == sorted([alive, other])

"""`irodori demo` as it is typed."""

import importlib.util
import signal
import socket
import urllib.request

import pytest
from processes import process
from typer.testing import CliRunner

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


def test_a_port_that_is_taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = demo("--port", port)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert f"port {port}: Address already in use" in line


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
        assert server.stop(signal.SIGTERM) == (143, ["terminated"])
    assert list(tmp_path.glob("irodori-demo-*")) == []

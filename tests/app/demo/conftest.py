"""Checkpoints of small models, and a demo that serves them, for its tests."""

import signal
import urllib.request
from types import SimpleNamespace

import pytest
from browser import WORK
from processes import process

import tiny
from irodori.app.demo.upload_store import UploadStore
from networks import colorful_model, save_checkpoint

LIMITS = ("--max-megabytes", 0.5, "--max-megapixels", 0.3, "--max-photos", 4)


@pytest.fixture(scope="session")
def demo_checkpoint(tmp_path_factory):
    """A file."""
    return save_checkpoint(colorful_model(0), tmp_path_factory.mktemp("model") / "small.ckpt")


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory):
    """A run folder, of another model."""
    run = tmp_path_factory.mktemp("runs") / "lab_alpha1" / "2026-11-23"
    save_checkpoint(colorful_model(1), run / "checkpoints" / "last.ckpt")
    save_checkpoint(colorful_model(2), run / "checkpoints" / "best.ckpt")
    return run


@pytest.fixture(scope="session")
def hint_checkpoint(tmp_path_factory):
    """A file of a model that takes hints."""
    model = colorful_model(3, hints=True)
    return save_checkpoint(model, tmp_path_factory.mktemp("model") / "hinted.ckpt")


@pytest.fixture(scope="session")
def demo(demo_checkpoint, demo_run, hint_checkpoint, tmp_path_factory):
    """A running demo: its address, and the folder of its temporary files."""
    temporary = tmp_path_factory.mktemp("temporary")
    checkpoints = (demo_checkpoint, demo_run, hint_checkpoint)
    words = (*(word for path in checkpoints for word in ("--checkpoint", path)), *LIMITS)
    with process("demo", *words, TMPDIR=str(temporary)) as server:
        (files,) = temporary.glob("irodori-demo-*")
        # An open page keeps a connection, which must not hold the end up.
        page = urllib.request.urlopen(f"{server.address}/gradio_api/heartbeat/abc")
        yield SimpleNamespace(address=server.address, files=files)
        status, lines = server.stop(signal.SIGINT)
        assert (status, lines[-1]) == (130, "interrupted")
    page.close()
    assert list(temporary.glob("irodori-demo-*")) == []


@pytest.fixture
def open_page(visits, demo):
    """Open the demo's page; options are those of `visits.page`."""

    def opened(**options):
        page = visits.page(**options)
        page.goto(demo.address, timeout=WORK)
        page.get_by_role("button", name="Colorize", exact=True).wait_for(timeout=WORK)
        return page

    return opened


@pytest.fixture
def photo(tmp_path):
    """A photograph's file."""
    path = tmp_path / "grandmother.png"
    tiny.photo(0).resize((320, 240)).save(path)
    return path


@pytest.fixture
def visit(tmp_path):
    """A visit whose files are in `tmp_path`."""
    return UploadStore(tmp_path, 10**9).hold("anna", [])

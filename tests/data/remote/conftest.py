import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import webserver

from irodori.data.remote import files


@pytest.fixture
def server():
    with webserver.serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Waits between tries are short, and no server has failed yet."""
    monkeypatch.setattr(files, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(files, "LONGEST_WAIT", 0.05)
    files._failing.clear()

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import webserver

from irodori.data.remote import retry


@pytest.fixture
def server():
    with webserver.serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Waits between tries are short, and no server has failed yet."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(retry, "LONGEST_WAIT", 0.05)
    retry._failing.clear()

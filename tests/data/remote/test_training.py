"""A training run, with loader processes, from shards behind a web server."""

import json
from pathlib import Path

import pytest

import forked
import tiny

pytestmark = pytest.mark.slow


def train(folder, *overrides):
    """Exit status, and lines of both outputs."""
    return forked.train(folder.parent, *overrides, f"hydra.run.dir={folder}")


def rows(folder):
    return json.loads((folder / "metrics.json").read_text())["rows"]


@pytest.mark.long
def test_a_run_from_a_server_is_that_from_the_disk(data, server, tmp_path):
    for kind, pattern in (("train", data.train), ("val", data.val)):
        for path in Path(pattern).parent.iterdir():
            server.files[f"{kind}/{path.name}"] = path.read_bytes()
    settings = ["optimizer=adamw", "data.workers=1"]
    (tmp_path / "local").mkdir()
    tiny.run(tmp_path / "local", *data.on, *settings)
    remote = tiny.on(f"{server.url}/train/part-*.tar", f"{server.url}/val/part-{{0..1}}.tar")
    for cache in (tmp_path / "cache", "null"):
        mishaps = ["cut:3000", 500, "reset"]
        server.before = lambda name, mishaps=mishaps: (
            server.mishaps.append(mishaps.pop()) if mishaps and name.endswith(".tar") else None
        )
        server.requests.clear()
        folder = tmp_path / f"remote-{Path(cache).name}"
        status, lines = train(folder, *remote, *settings, f"data.cache={cache}", "data.cache_gb=1")
        assert status == 0, lines
        assert not mishaps
        assert any("trying again, up to 8 times" in line for line in lines)
        assert rows(folder) == rows(tmp_path / "local")
        asked = [wanted for _, name, wanted in server.requests if name.endswith(".tar")]
        if cache == "null":
            assert all(asked)
        else:
            fetched = [wanted for wanted in asked if wanted != "bytes=0-0"]
            assert 4 <= len(fetched) <= 4 + 3  # each shard once, and what went wrong


@pytest.mark.long
def test_a_shard_that_cannot_be_had_stops_the_run(data, server, tmp_path):
    for path in Path(data.train).parent.iterdir():
        server.files[path.name] = path.read_bytes()
    address = f"{server.url}/part-*.tar"
    settings = [*tiny.on(address, data.val), "optimizer=adamw", "data.workers=1", "data.retries=1"]
    server.before = lambda name: server.mishaps.append(503) if name == "part-1.tar" else None
    status, lines = train(tmp_path / "run", *settings, "data.cache=cache")
    assert status == 1
    last = lines[-1]
    assert "part-1.tar is unreachable: " in last
    assert "HTTP 503" in last
    assert "resume the run when it is available" in last
    assert not any("damaged image" in line for line in lines)
    # It goes on where it stopped, and nothing of the epoch is left out.
    server.before = lambda name: None
    status, lines = forked.train(tmp_path, f"resume={tmp_path / 'run'}")
    assert status == 0, lines
    assert not any("damaged" in line or "Traceback" in line for line in lines)

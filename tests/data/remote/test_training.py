"""A training run, with loader processes, from shards behind a web server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tiny
from irodori.config import PROJECT

pytestmark = pytest.mark.slow


def train(folder, *overrides):
    environment = {name: value for name, value in os.environ.items() if name[:3] != "PL_"}
    return subprocess.run(
        [sys.executable, PROJECT / "train.py", *overrides, f"hydra.run.dir={folder}"],
        cwd=folder.parent,
        env={**environment, "OMP_NUM_THREADS": "1", "HOME": str(folder.parent)},
        capture_output=True,
        text=True,
        timeout=200,
    )


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
        done = train(folder, *remote, *settings, f"data.cache={cache}", "data.cache_gb=1")
        assert done.returncode == 0, done.stderr
        assert not mishaps
        assert "trying again, up to 8 times" in done.stderr
        assert rows(folder) == rows(tmp_path / "local")
        asked = [wanted for _, name, wanted in server.requests if name.endswith(".tar")]
        if cache == "null":
            assert all(asked)
        else:
            assert len(asked) == 4 + 3  # each shard once, and what went wrong


def test_a_shard_that_cannot_be_had_stops_the_run(data, server, tmp_path):
    for path in Path(data.train).parent.iterdir():
        server.files[path.name] = path.read_bytes()
    address = f"{server.url}/part-*.tar"
    settings = [*tiny.on(address, data.val), "optimizer=adamw", "data.workers=1", "data.retries=1"]
    server.before = lambda name: server.mishaps.append(503) if name == "part-1.tar" else None
    done = train(tmp_path / "run", *settings, "data.cache=cache")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "part-1.tar can't be had: " in last
    assert "HTTP 503" in last
    assert "go on with the run when it can be had again" in last
    assert "damaged image" not in done.stdout
    # It goes on where it stopped, and nothing of the epoch is left out.
    server.before = lambda name: None
    done = train(tmp_path / "run", f"resume={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert "damaged" not in done.stdout
    assert "Traceback" not in done.stderr

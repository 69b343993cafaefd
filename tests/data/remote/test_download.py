import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path

import pytest
import remote_shards

from irodori.data.remote import cache, files
from irodori.data.remote.cache import ShardCache
from irodori.data.remote.files import Network, RefusedError

CONTENT = random.Random(0).randbytes(700_000)
OTHER = random.Random(1).randbytes(700_000)
QUICK = Network(retries=3, timeout=0.5)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    """A chunk after the other, so that what a server is asked for has an order."""
    monkeypatch.setattr(cache, "CHUNK", 100_000)
    monkeypatch.setattr(cache, "AT_ONCE", 1)


def get(server, folder, network=QUICK, **known):
    url = known.pop("url", f"{server and server.url}/a.tar")
    shard = remote_shards.whole(url, **{"num_bytes": len(CONTENT), **known})
    with ShardCache(folder / "kept", None, network).open(shard) as file:
        return file.read()


def left(folder):
    return sorted(path.name for path in (folder / "kept").iterdir() if path.name != ".lock")


def starts(server):
    """Where the parts of the content begin that were asked for."""
    asked = [wanted for wanted in server.asked("a.tar") if wanted != "bytes=0-0"]
    return [int(wanted[6:].partition("-")[0]) for wanted in asked]


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_file_arrives_whole_in_parts(server, tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(cache, "AT_ONCE", at_once)
    server.files["a.tar"] = CONTENT
    assert get(server, tmp_path, sha256=hashlib.sha256(CONTENT).hexdigest()) == CONTENT
    assert len(left(tmp_path)) == 1
    assert sorted(starts(server)) == list(range(0, 700_000, 100_000))


def test_it_goes_on_from_where_it_broke(server, tmp_path, capsys):
    server.files["a.tar"] = CONTENT
    mishaps = {400_000: ["cut:30000", "reset", 500, 429], 600_000: ["cut:20000"]}

    def before(name):
        start = int(server.requests[-1][2][6:].partition("-")[0])
        if mishaps.get(start):
            server.mishaps.append(mishaps[start].pop(0))

    server.before = before
    assert get(server, tmp_path, Network(retries=5, timeout=0.5)) == CONTENT
    assert not any(mishaps.values())
    # What was under way when a connection broke is sent again, nothing else.
    assert server.sent["a.tar"] <= len(CONTENT) + 2 * 100_000
    assert starts(server) == sorted(starts(server))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2  # one for each series of retries
    assert all("a.tar" in line and "trying again, up to 5 times" in line for line in lines)


def test_tries_are_bounded(server, tmp_path):
    server.files["a.tar"] = CONTENT
    server.mishaps += [500] * 100
    with pytest.raises(RefusedError, match=r"HTTP 500 .*gave up after 3 retries"):
        get(server, tmp_path)
    assert len(server.requests) == 4
    # Until it answers, the server gets one try for each file, so that a run doesn't stand still.
    with pytest.raises(RefusedError, match=r"HTTP 500 [^;]*$"):
        get(server, tmp_path)
    assert len(server.requests) == 5
    server.mishaps.clear()
    server.mishaps += ["", 500, 500, 500]
    assert get(server, tmp_path) == CONTENT


@pytest.mark.parametrize("date", [False, True])
def test_a_server_that_names_a_time_is_asked_no_earlier(server, tmp_path, monkeypatch, date):
    server.files["a.tar"] = CONTENT
    server.retry_after = formatdate(time.time() + 100, usegmt=True) if date else "100"
    server.mishaps.append(429)
    waits = []
    monkeypatch.setattr(files.time, "sleep", waits.append)
    assert get(server, tmp_path) == CONTENT
    assert len(waits) == 1
    assert 90 < waits[0] <= 100


@pytest.mark.parametrize("status", [401, 403, 404])
def test_refusals_fail_at_once(server, tmp_path, status):
    server.mishaps.append(status)
    expected = "does not exist" if status == 404 else f"HTTP {status}"
    with pytest.raises(RefusedError, match=expected):
        get(server, tmp_path)
    assert len(server.requests) == 1
    assert left(tmp_path) == []


def test_a_slow_answer_is_awaited_and_silence_is_not(server, tmp_path):
    server.files["a.tar"] = CONTENT
    server.mishaps += ["slow:0.2"]
    assert get(server, tmp_path) == CONTENT
    server.mishaps += ["slow:0.6"] * 9
    with pytest.raises(RefusedError, match=r"no answer in time$"):
        get(server, tmp_path / "other", Network(0, 0.2))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changes_meanwhile_is_not_mixed(server, tmp_path, ranges):
    server.ranges = ranges
    server.files["a.tar"] = CONTENT
    server.before = lambda name: (
        server.files.update({"a.tar": OTHER}) if len(server.requests) > 3 else None
    )
    if not ranges:
        server.mishaps += ["", "cut:300000"]
    assert get(server, tmp_path) == OTHER


def test_what_the_index_knows_is_checked(server, tmp_path):
    server.files["a.tar"] = CONTENT
    with pytest.raises(RefusedError, match="has changed: 700000 bytes, not 700001"):
        get(server, tmp_path, num_bytes=700_001)
    assert starts(server) == []
    with pytest.raises(RefusedError, match="another sha256"):
        get(server, tmp_path, sha256="0" * 64)
    assert starts(server).count(0) == 2  # once more, in case the network damaged it
    assert left(tmp_path) == []


def test_no_server(tmp_path, capsys):
    url = "http://me:secret@127.0.0.1:1/a.tar?sig=secret"
    with pytest.raises(RefusedError, match=r"127.0.0.1:1/a.tar.*: .*gave up after 2") as caught:
        get(None, tmp_path, Network(2, 0.5), url=url)
    assert "secret" not in str(caught.value) + capsys.readouterr().err
    with pytest.raises(RefusedError, match=r"x\.y:port"):
        get(None, tmp_path, Network(0, 0.5), url="http://x.y:port/a.tar")


PROCESS = """
import sys
from pathlib import Path
from irodori.data.remote import cache
from irodori.data.remote.files import Network
from remote_shards import whole
cache.CHUNK, cache.AT_ONCE = 100_000, 1
cache.ShardCache(Path(sys.argv[2]), None, Network()).open(whole(sys.argv[1], 700_000))
"""


@pytest.mark.parametrize(
    "then", ["", "another file", pytest.param("no tags", marks=pytest.mark.long)]
)
def test_a_killed_download_goes_on_where_the_file_is_the_same(server, tmp_path, then):
    server.files["a.tar"] = CONTENT
    server.tags = then != "no tags"
    server.mishaps += ["", "", "", "", "slow:60"]
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, f"{server.url}/a.tar", tmp_path / "kept"],
        cwd=Path(__file__).parent,  # where Python finds modules
    )
    deadline = time.monotonic() + 60
    while len(server.requests) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (part,) = (tmp_path / "kept").glob(".*.part")
    assert part.stat().st_size == 300_000
    server.requests.clear()
    if then == "another file":
        server.files["a.tar"] = OTHER
    assert get(server, tmp_path) == server.files["a.tar"]
    assert starts(server)[0] == (0 if then else 300_000)
    assert sum(name.endswith("a.tar") for name in left(tmp_path)) == 1

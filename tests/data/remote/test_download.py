import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from email.utils import formatdate

import pytest

from irodori.data.remote import cache, retry
from irodori.data.remote.cache import download, part_of, tag_of
from irodori.data.remote.files import remote_file
from irodori.data.remote.retry import Network, RefusedError

CONTENT = random.Random(0).randbytes(700_000)
OTHER = random.Random(1).randbytes(700_000)
QUICK = Network(retries=3, timeout=0.5)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(cache, "CHUNK", 100_000)


def get(server, folder, name="a.tar", network=QUICK, **known):
    path = folder / "kept" / "a.tar"
    file = remote_file(f"{server.url}/{name}", network.timeout)
    download(file, path, network, **{"num_bytes": len(CONTENT), **known})
    return path


def left(folder):
    return sorted(path.name for path in (folder / "kept").iterdir())


def starts(server):
    """Where the parts of the content begin that were asked for."""
    asked = [wanted for wanted in server.asked("a.tar") if wanted != "bytes=0-0"]
    return [int(wanted[6:].partition("-")[0]) for wanted in asked]


def test_a_file_arrives_whole_in_parts(server, tmp_path):
    server.files["a.tar"] = CONTENT
    path = get(server, tmp_path, sha256=hashlib.sha256(CONTENT).hexdigest())
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == ["a.tar"]
    assert starts(server) == list(range(0, 700_000, 100_000))


def test_it_goes_on_from_where_it_broke(server, tmp_path, capsys):
    server.files["a.tar"] = CONTENT
    mishaps = {400_000: ["cut:30000", "reset", 500, 429], 600_000: ["cut:20000"]}

    def before(name):
        start = int(server.requests[-1][2][6:].partition("-")[0])
        if mishaps.get(start):
            server.mishaps.append(mishaps[start].pop(0))

    server.before = before
    path = get(server, tmp_path, network=Network(retries=5, timeout=0.5))
    assert path.read_bytes() == CONTENT
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
    assert get(server, tmp_path).read_bytes() == CONTENT
    server.mishaps += [500] * 3
    assert get(server, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("date", [False, True])
def test_a_server_that_names_a_time_is_asked_no_earlier(server, tmp_path, monkeypatch, date):
    server.files["a.tar"] = CONTENT
    later = time.time() + 100
    server.retry_after = formatdate(later, usegmt=True) if date else "100"
    server.mishaps.append(429)
    waits = []
    monkeypatch.setattr(retry.time, "sleep", waits.append)
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert len(waits) == 1
    assert 90 < waits[0] <= 100


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refusals_fail_at_once(server, tmp_path, status):
    server.mishaps.append(status)
    said = "does not exist" if status == 404 else f"HTTP {status}"
    with pytest.raises(RefusedError, match=said):
        get(server, tmp_path)
    assert len(server.requests) == 1
    assert not (tmp_path / "kept" / "a.tar").exists()


def test_a_slow_answer_is_awaited_and_silence_is_not(server, tmp_path):
    server.files["a.tar"] = CONTENT
    server.mishaps += ["slow:0.3"]
    assert get(server, tmp_path).read_bytes() == CONTENT
    asked = len(server.requests)
    server.requests.clear()
    server.mishaps += ["slow:1.5"]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == asked + 1
    server.mishaps += ["slow:1.5"] * 9
    with pytest.raises(RefusedError, match=r"no answer in time$"):
        get(server, tmp_path, network=Network(0, 0.2))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changes_meanwhile_is_not_mixed(server, tmp_path, ranges):
    server.ranges = ranges
    server.files["a.tar"] = CONTENT
    server.before = lambda name: (
        server.files.update({"a.tar": OTHER}) if len(server.requests) > 3 else None
    )
    if not ranges:
        server.mishaps += ["", "cut:300000"]
    assert get(server, tmp_path).read_bytes() == OTHER


def test_without_tags_a_part_is_not_continued(server, tmp_path):
    server.tags = False
    server.files["a.tar"] = CONTENT
    path = tmp_path / "kept" / "a.tar"
    path.parent.mkdir()
    part_of(path, len(CONTENT)).write_bytes(OTHER[:1000])
    tag_of(path).write_text("")
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_what_the_index_knows_is_checked(server, tmp_path):
    server.files["a.tar"] = CONTENT
    with pytest.raises(RefusedError, match="has changed: 700000 bytes, not 700001"):
        get(server, tmp_path, num_bytes=700_001)
    assert starts(server) == []
    with pytest.raises(RefusedError, match="another sha256"):
        get(server, tmp_path, sha256="0" * 64)
    assert starts(server).count(0) == 2  # once more, in case the network damaged it
    assert not (tmp_path / "kept" / "a.tar").exists()


@pytest.mark.parametrize(
    ("have", "tag", "start"),
    [(1000, None, 1000), (700_000, None, -1), (700_007, None, 0), (1000, '"another"', 0)],
)
def test_what_an_earlier_process_left_is_continued(server, tmp_path, have, tag, start):
    server.files["a.tar"] = CONTENT
    path = tmp_path / "kept" / "a.tar"
    path.parent.mkdir()
    left = OTHER if tag else CONTENT
    tag_of(path).write_text(tag or remote_file(f"{server.url}/a.tar", 1).stat().tag)
    part_of(path, len(CONTENT)).write_bytes((left + b"surplus")[:have])
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert [*starts(server), -1][0] == start


def test_no_server_and_no_folder(tmp_path, capsys):
    address = remote_file("http://me:secret@127.0.0.1:1/a.tar?sig=secret", 0.5)
    with pytest.raises(RefusedError, match=r"127.0.0.1:1/a.tar.*: .*gave up after 2") as caught:
        download(address, tmp_path / "a.tar", Network(2, 0.5), 1)
    assert "secret" not in str(caught.value) + capsys.readouterr().err
    with pytest.raises(RefusedError, match=r"x\.y:port"):
        download(remote_file("http://x.y:port/a.tar", 0.5), tmp_path / "a.tar", Network(0, 0.5), 1)


PROCESS = """
import sys
from pathlib import Path
from irodori.data.remote import cache
from irodori.data.remote.files import remote_file
from irodori.data.remote.retry import Network
cache.CHUNK = 100_000
cache.download(remote_file(sys.argv[1], 30), Path(sys.argv[2]), Network(), 700_000)
"""


def test_a_killed_download_goes_on(server, tmp_path):
    server.files["a.tar"] = CONTENT
    server.mishaps += ["", "", "", "", "slow:60"]
    path = tmp_path / "kept" / "a.tar"
    process = subprocess.Popen([sys.executable, "-c", PROCESS, f"{server.url}/a.tar", path])
    deadline = time.monotonic() + 60
    while len(server.requests) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert part_of(path, len(CONTENT)).stat().st_size == 300_000
    assert not path.exists()
    server.requests.clear()
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert starts(server)[0] == 300_000
    assert left(tmp_path) == ["a.tar"]

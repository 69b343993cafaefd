import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from irodori.data.remote.download import download, part_of, write_note
from irodori.data.remote.retry import Network, RefusedError
from irodori.data.remote.source import source

CONTENT = random.Random(0).randbytes(700_000)
OTHER = random.Random(1).randbytes(700_000)
QUICK = Network(retries=3, timeout=0.5)


def get(server, folder, name="a.tar", network=QUICK, **known):
    path = folder / "kept" / "a.tar"
    download(source(f"{server.url}/{name}", network.timeout), path, network, **known)
    return path


def left(folder):
    return sorted(path.name for path in (folder / "kept").iterdir())


def test_a_file_arrives_whole_by_one_request(server, tmp_path):
    server.files["a.tar"] = CONTENT
    path = get(server, tmp_path, sha256=hashlib.sha256(CONTENT).hexdigest())
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == ["a.tar"]
    assert len(server.requests) == 1


def test_it_goes_on_from_where_it_broke(server, tmp_path, capsys):
    server.files["a.tar"] = CONTENT
    server.mishaps += ["cut:300000", "reset", 500, 429, "cut:200000"]
    path = get(server, tmp_path, network=Network(retries=5, timeout=0.5))
    assert path.read_bytes() == CONTENT
    # What was under way when a connection broke may be sent again, nothing else.
    assert server.sent["a.tar"] <= len(CONTENT) + 2 * (1 << 16)
    starts = [int(wanted[6:-1]) for wanted in server.asked("a.tar") if wanted]
    assert starts == sorted(starts)
    assert starts[-1] > 400_000
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "a.tar" in lines[0]
    assert "trying again, up to 5 times" in lines[0]


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


def test_each_good_part_starts_the_count_anew(server, tmp_path, monkeypatch):
    monkeypatch.setattr("irodori.data.remote.download.GOOD_PART", 50_000)
    server.files["a.tar"] = CONTENT
    server.mishaps += ["cut:131072"] * 5
    assert get(server, tmp_path, network=Network(1, 0.5)).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refusals_fail_at_once(server, tmp_path, status):
    server.mishaps.append(status)
    with pytest.raises(RefusedError, match=f"HTTP {status}"):
        get(server, tmp_path)
    assert len(server.requests) == 1
    assert not (tmp_path / "kept" / "a.tar").exists()


def test_a_slow_answer_is_awaited_and_silence_is_not(server, tmp_path):
    server.files["a.tar"] = CONTENT
    server.mishaps += ["slow:0.3"]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 1
    server.mishaps += ["slow:1.5"]
    started = time.monotonic()
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert time.monotonic() - started < 1.4
    assert len(server.requests) == 3
    server.mishaps += ["slow:1.5"] * 9
    with pytest.raises(RefusedError, match=r"no answer in time$"):
        get(server, tmp_path, network=Network(0, 0.2))


def test_a_file_that_changes_meanwhile_is_not_mixed(server, tmp_path):
    server.files["a.tar"] = CONTENT
    server.mishaps += ["cut:300000"]
    server.before = lambda name: (
        server.files.update({"a.tar": OTHER}) if len(server.requests) > 1 else None
    )
    assert get(server, tmp_path).read_bytes() == OTHER
    assert server.asked("a.tar") == ["", "bytes=262144-"]


@pytest.mark.parametrize(("ranges", "tags"), [(False, True), (True, False)])
def test_without_ranges_or_tags_it_begins_anew(server, tmp_path, ranges, tags):
    server.ranges, server.tags = ranges, tags
    server.files["a.tar"] = CONTENT
    server.mishaps += ["cut:300000"]
    server.before = lambda name: (
        server.files.update({"a.tar": OTHER}) if len(server.requests) > 1 else None
    )
    assert get(server, tmp_path).read_bytes() == OTHER


def test_what_the_index_knows_is_checked(server, tmp_path):
    server.files["a.tar"] = CONTENT
    with pytest.raises(RefusedError, match="has changed: 700000 bytes, its index says 700001"):
        get(server, tmp_path, num_bytes=700_001)
    assert len(server.requests) == 1
    with pytest.raises(RefusedError, match="another sha256"):
        get(server, tmp_path, sha256="0" * 64)
    assert len(server.requests) == 3  # once more, in case the network damaged it
    assert left(tmp_path) == []


def test_what_an_earlier_process_left_is_continued(server, tmp_path):
    server.files["a.tar"] = CONTENT
    path = tmp_path / "kept" / "a.tar"
    stat = source(f"{server.url}/a.tar", 1).stat()
    for have, asked in [
        (1000, "bytes=1000-"),
        (700_000, "bytes=699999-"),
        (700_007, "bytes=699999-"),
    ]:
        path.unlink(missing_ok=True)
        server.requests.clear()
        write_note(path, stat.num_bytes, stat.tag)
        part_of(path).write_bytes((CONTENT + b"surplus")[:have])
        assert get(server, tmp_path).read_bytes() == CONTENT
        assert server.asked("a.tar") == [asked]
    write_note(path, stat.num_bytes, '"another"')
    part_of(path).write_bytes(OTHER[:1000])
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_no_server_and_no_folder(tmp_path):
    address = source("http://127.0.0.1:1/a.tar", 0.5)
    with pytest.raises(RefusedError, match=r"127.0.0.1:1/a.tar: .*refused.*gave up after 2"):
        download(address, tmp_path / "a.tar", Network(2, 0.5))
    with pytest.raises(RefusedError, match="Failed to parse"):
        download(source("http://x.y:port/a.tar", 0.5), tmp_path / "a.tar", Network(0, 0.5))


def test_a_folder_that_cannot_be_written(server, tmp_path):
    server.files["a.tar"] = CONTENT
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(RefusedError, match=r"cannot write .*see data.cache"):
        get(server, tmp_path)


PROCESS = """
import sys
from pathlib import Path
from irodori.data.remote.download import download
from irodori.data.remote.retry import Network
from irodori.data.remote.source import source
download(source(sys.argv[1], 30), Path(sys.argv[2]), Network())
"""


def test_a_killed_download_goes_on(server, tmp_path):
    server.files["a.tar"] = CONTENT
    server.mishaps += ["slow:60"]
    path = tmp_path / "kept" / "a.tar"
    process = subprocess.Popen([sys.executable, "-c", PROCESS, f"{server.url}/a.tar", path])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if part_of(path).exists() and part_of(path).stat().st_size >= 300_000:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    have = part_of(path).stat().st_size
    assert 300_000 <= have <= 350_000
    assert not path.exists()
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.asked("a.tar")[-1] == f"bytes={have}-"
    assert left(Path(tmp_path)) == ["a.tar"]

import json
from pathlib import Path

import fsspec
import numpy as np
import pytest
import remote_shards

from irodori.data import opening
from irodori.data.opening import ShardOpener
from irodori.data.remote import files
from irodori.data.remote.cache import ShardCache
from irodori.data.remote.files import Network
from irodori.data.samples import Samples
from irodori.utils.errors import IrodoriError

QUICK = Network(retries=3, timeout=2.0)


@pytest.fixture
def served(server, tmp_path):
    """A server of three shards with an index.json."""
    shards = remote_shards.shards()
    index = remote_shards.index_json(tmp_path / "origin", shards)
    server.files = {**{f"x/{name}": data for name, data in shards.items()}, "x/index.json": index}
    server.pattern = f"{server.url}/x/t-{{0..2}}.tar"
    return server


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    """Without a cache, indexes are kept in the user's."""
    monkeypatch.setenv("HOME", str(tmp_path))


def opened(pattern, folder, **options):
    return ShardOpener(folder and folder / "cache", network=QUICK, **options).open(pattern)


def fails(message, *arguments, **options):
    with pytest.raises(IrodoriError, match=message) as caught:
        opened(*arguments, **options)
    assert "\n" not in str(caught.value)


def cached(index, folder):
    return Samples(index, ShardCache(folder / "cache" / "shards", None, QUICK), QUICK)


def uncached(index):
    return Samples(index, None, QUICK)


def tars(server):
    return [name for _, name, _ in server.requests if name.endswith(".tar")]


def check(samples):
    assert len(samples) == 12
    for number in range(12):
        assert samples[number]["__key__"] == f"k{number}"
        assert samples.read(number) == remote_shards.photo(number)


# --- with an index.json beside the shards


def test_the_index_beside_remote_shards_is_read_and_no_shard_touched(served, tmp_path):
    index = opened(served.pattern, tmp_path)
    assert tars(served) == []
    assert [shard.path for shard in index.shards] == [f"{served.url}/x/t-{n}.tar" for n in range(3)]
    assert [shard.name for shard in index.shards] == ["t-0.tar", "t-1.tar", "t-2.tar"]
    assert (index.classes, index.made_by) == (("a", "b", "c"), {"by": "test"})
    assert index.labels.tolist() == [0, 1, 2] * 4
    check(cached(index, tmp_path))
    assert sorted(set(tars(served))) == ["x/t-0.tar", "x/t-1.tar", "x/t-2.tar"]


def test_an_unchanged_index_is_downloaded_once(served, tmp_path):
    for _ in range(2):
        opened(served.pattern, tmp_path)
    fetched = [wanted for wanted in served.asked("x/index.json") if wanted != "bytes=0-0"]
    assert len(fetched) == 1
    served.files["x/index.json"] = served.files["x/index.json"].replace(b'"a"', b'"changed"')
    assert opened(served.pattern, tmp_path).classes[0] == "changed"


def test_globs_are_matched_against_the_index(served, tmp_path):
    index = opened(f"{served.url}/x/t-*.tar", tmp_path)
    assert [shard.name for shard in index.shards] == ["t-0.tar", "t-1.tar", "t-2.tar"]
    fails(r"no shard matches '.*/x/v-\*.tar': looked in", f"{served.url}/x/v-*.tar", tmp_path)
    fails("only the last part", f"{served.url}/*/t-0.tar", tmp_path)
    fails("is a folder", f"{served.url}/x/", tmp_path)
    fails("Protocol not known: nope", "nope://x/t-0.tar", tmp_path)


def test_without_a_cache_each_sample_is_a_range_request(served, tmp_path):
    index = opened(served.pattern, None)
    served.requests.clear()
    served.sent = {}
    for number in range(12):
        assert uncached(index).read(number) == remote_shards.photo(number)
    assert len(served.requests) == 12
    assert sum(served.sent.values()) == sum(int(shard.sizes.sum()) for shard in index.shards)
    assert not (tmp_path / ".cache" / "irodori" / "shards").exists()


def test_a_broken_range_request_is_asked_again(served, capsys):
    index = opened(served.pattern, None)
    served.mishaps += ["cut:20", "reset", 503]
    check(uncached(index))
    assert len(capsys.readouterr().err.splitlines()) == 1
    served.mishaps += [500] * 4
    with pytest.raises(OSError, match="HTTP 500"):
        uncached(index).read(0)


def test_a_server_without_ranges(served, tmp_path):
    index = opened(served.pattern, None)
    served.ranges = False
    fails("support range requests, .* data.cache", served.pattern, None)
    with pytest.raises(OSError, match=r"support range requests.*data.cache"):
        uncached(index).read(0)
    check(cached(opened(served.pattern, tmp_path), tmp_path))


def test_a_shard_that_changed_is_not_read_as_if_it_had_not(served, tmp_path):
    index = opened(served.pattern, None)
    whole = served.files["x/t-0.tar"]
    served.files["x/t-0.tar"] = whole + b"more"
    for samples in (cached(index, tmp_path), uncached(index)):
        with pytest.raises(OSError, match="has changed"):
            samples.read(0)
    fails("t-0.tar has changed: .* bytes, index.json says", served.pattern, None)
    start = int(index.shards[0].offsets[1])
    served.files["x/t-0.tar"] = whole[:start] + b"damage" + whole[start + 6 :]
    with pytest.raises(OSError, match="sha256"):
        cached(index, tmp_path).read(0)
    with pytest.raises(OSError, match=r"has changed: .*checksum"):
        uncached(index).read(1)


def test_a_damaged_file_of_the_cache_is_fetched_again(served, tmp_path):
    index = opened(served.pattern, tmp_path)
    check(cached(index, tmp_path))
    path = cached(index, tmp_path).cache.path(index.shards[1])
    content = bytearray(path.read_bytes())
    content[int(index.shards[1].offsets[2]) + 8] ^= 1
    path.write_bytes(content)
    served.requests.clear()
    check(cached(index, tmp_path))
    assert set(tars(served)) == {"x/t-1.tar"}


def test_queries_and_encoded_names(served, tmp_path):
    shard = served.files["x/t-0.tar"]
    index = remote_shards.index_json(tmp_path / "blank", {"a b.tar": shard})
    served.files = {"y/a%20b.tar": shard, "y/index.json": index}
    for pattern in ("y/a%20b.tar?sig=*", "y/*.tar?sig=*"):
        index = opened(f"{served.url}/{pattern}", tmp_path)
        assert index.shards[0].path == f"{served.url}/y/a%20b.tar?sig=*"
        assert index.shards[0].name == "a b.tar"
    assert cached(index, tmp_path).read(1) == remote_shards.photo(1)


def test_any_scheme_that_fsspec_knows(tmp_path):
    shards = remote_shards.shards()
    shards["index.json"] = remote_shards.index_json(tmp_path / "origin", shards)
    memory = fsspec.filesystem("memory")
    for name, content in shards.items():
        memory.pipe_file(f"/photos/{name}", content)
    for pattern in ("memory://photos/t-{0..2}.tar", "memory://photos/t-?.tar"):
        index = opened(pattern, tmp_path)
        check(cached(index, tmp_path))
        check(uncached(index))
    memory.rm("/photos/index.json")
    check(cached(opened("memory://photos/*.tar", tmp_path), tmp_path))
    memory.rm("/photos", recursive=True)
    index = opened(f"file://{tmp_path}/origin/t-*.tar", tmp_path)
    assert index.shards[0].path == tmp_path / "origin" / "t-0.tar"
    check(uncached(index))


# --- without an index.json


def test_remote_shards_without_an_index_are_scanned_once_through_their_headers(
    server, tmp_path, monkeypatch
):
    server.files = remote_shards.shards(each=4, padding=500_000)
    whole = sum(map(len, server.files.values()))
    monkeypatch.setattr(files, "READ_AHEAD", 4096)
    pattern = f"{server.url}/t-{{0..2}}.tar"
    index = opened(pattern, tmp_path)
    assert sum(server.sent.values()) < whole / 20
    assert index.labels.tolist() == [0, 1, 2] * 4
    server.requests.clear()
    again = opened(pattern, tmp_path)
    assert sorted(tars(server)) == ["t-0.tar", "t-1.tar", "t-2.tar"]
    assert {wanted for _, name, wanted in server.requests if name in server.files} == {"bytes=0-0"}
    for old, new in zip(index.shards, again.shards, strict=True):
        assert (old.path, old.tag, old.num_bytes) == (new.path, new.tag, new.num_bytes)
        assert np.array_equal(old.offsets, new.offsets)
        assert list(old.keys) == list(new.keys)
    server.files["t-1.tar"] = remote_shards.tar([50, 51])
    assert list(opened(pattern, tmp_path).shards[1].keys) == ["k50", "k51"]


def test_where_there_are_no_ranges_a_shard_is_scanned_in_the_cache(server, tmp_path):
    server.files = remote_shards.shards()
    server.ranges = False
    index = opened(f"{server.url}/t-{{0..2}}.tar", tmp_path)
    server.requests.clear()
    check(cached(index, tmp_path))
    assert server.requests == []
    fails("support range requests", f"{server.url}/t-0.tar", None)


def test_a_server_that_lists_its_files(server, tmp_path):
    server.files = {**remote_shards.shards(), ".t-9.tar": b"hidden", "notes.txt": b"text"}
    server.lists = True
    index = opened(f"{server.url}/t-*.tar", tmp_path)
    assert [shard.name for shard in index.shards] == ["t-0.tar", "t-1.tar", "t-2.tar"]
    server.lists = False
    fails("no shard matches", f"{server.url}/t-*.tar", tmp_path)


def write_local(folder):
    folder.mkdir()
    for name, content in remote_shards.shards().items():
        (folder / name).write_bytes(content)
    return f"{folder}/t-*.tar"


def test_local_shards_without_an_index_are_scanned_once(tmp_path, monkeypatch):
    pattern = write_local(tmp_path / "own")
    index = opened(pattern, tmp_path)
    assert len(list((tmp_path / "own").iterdir())) == 3
    monkeypatch.setattr(opening, "scan", lambda path: pytest.fail(f"{path} is read"))
    again = opened(pattern, tmp_path)
    for old, new in zip(index.shards, again.shards, strict=True):
        assert list(old.keys) == list(new.keys)
        assert old.labels.tolist() == new.labels.tolist()
        assert old.offsets.tolist() == new.offsets.tolist()
        assert new.crc32 is None
    check(uncached(again))


def test_a_changed_shard_or_a_damaged_kept_index_is_scanned_again(tmp_path):
    pattern = write_local(tmp_path / "own")
    opened(pattern, tmp_path)
    path = tmp_path / "own" / "t-1.tar"
    path.write_bytes(remote_shards.tar([50, 51, 52, 53]))
    assert opened(pattern, tmp_path).shards[1].keys[0] == "k50"
    kept = sorted((tmp_path / "cache" / "indexes").glob("*.json"))
    for file in kept:
        file.write_bytes(file.read_bytes()[:-30])
    kept[0].write_text(json.dumps({"version": 99}))
    assert opened(pattern, tmp_path).shards[1].keys[0] == "k50"


def test_indexes_that_cannot_be_kept_are_named_once(tmp_path, capsys):
    pattern = write_local(tmp_path / "own")
    (tmp_path / "cache").write_text("a file")
    assert len(opened(pattern, tmp_path)) == 12
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "data.cache" in lines[0]


def test_the_users_cache_folder_is_respected(tmp_path, monkeypatch):
    pattern = write_local(tmp_path / "own")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    for cache in (None, Path("~/.cache/irodori")):
        ShardOpener(cache).open(pattern)
    assert len(list((tmp_path / "xdg" / "irodori" / "indexes").iterdir())) == 3

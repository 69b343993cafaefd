import errno
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import remote_shards

from irodori.data.remote.cache import ShardCache
from irodori.data.remote.files import Network, RefusedError
from irodori.utils.errors import IrodoriError

HERE = Path(__file__).parent  # Python finds modules where `-c` is started
SIZE = 10_000


def content(number):
    return np.random.default_rng(number).bytes(SIZE)


def shard(server, number, **known):
    return remote_shards.whole(f"{server.url}/t-{number}.tar", **{"num_bytes": SIZE, **known})


@pytest.fixture
def served(server):
    server.files = {f"t-{number}.tar": content(number) for number in range(8)}
    return server


def cache_in(folder, limit=None):
    return ShardCache(folder / "shards", limit, Network(2, 5.0))


def read(cache, shard):
    with cache.open(shard) as file:
        return os.pread(file.fileno(), SIZE + 1, 0)


def kept(cache):
    return sorted(path.name[-7:] for path in cache.folder.iterdir() if path.suffix == ".tar")


def space(cache):
    return sum(path.stat().st_size for path in cache.folder.iterdir() if path.is_file())


def fetched(server):
    """How many times a content was asked for, beside what only asks which version there is."""
    return sum(wanted != "bytes=0-0" for _, _, wanted in server.requests)


def test_a_shard_is_fetched_once_and_the_least_recently_used_make_room(served, tmp_path):
    cache = cache_in(tmp_path, 3 * SIZE)
    for number in (0, 1, 2, 0, 3):
        assert read(cache, shard(served, number)) == content(number)
        time.sleep(0.01)
    assert kept(cache) == ["t-0.tar", "t-2.tar", "t-3.tar"]
    read(cache, shard(served, 4))
    assert kept(cache) == ["t-0.tar", "t-3.tar", "t-4.tar"]
    assert fetched(served) == 5


def test_a_shard_whose_times_may_not_be_set_is_read(served, tmp_path, monkeypatch):
    cache = cache_in(tmp_path, SIZE)
    read(cache, shard(served, 0))

    def denied(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "utime", denied)
    assert read(cache, shard(served, 0)) == content(0)
    assert fetched(served) == 1


def test_an_evicted_shard_that_is_open_stays_readable(served, tmp_path):
    cache = cache_in(tmp_path, SIZE)
    with cache.open(shard(served, 0)) as file:
        assert read(cache, shard(served, 1)) == content(1)
        assert kept(cache) == ["t-1.tar"]
        assert os.pread(file.fileno(), SIZE, 0) == content(0)


def test_a_bound_below_one_shard_is_refused(served, tmp_path):
    with pytest.raises(IrodoriError, match=r"data.cache_gb=9e-06 is smaller than the shard .*t-0"):
        cache_in(tmp_path, 9000).check([shard(served, 0)])
    cache_in(tmp_path, SIZE).check([shard(served, 0)])
    (tmp_path / "file").write_text("")
    with pytest.raises(IrodoriError, match="cannot create the cache folder"):
        cache_in(tmp_path / "file").check([shard(served, 0)])
    with pytest.raises(RefusedError, match=r"cannot write .*see data.cache"):
        cache_in(tmp_path / "file").open(shard(served, 0))


def test_a_file_of_another_length_or_content_is_fetched_again(served, tmp_path):
    cache = cache_in(tmp_path)
    known = shard(served, 0, sha256=hashlib.sha256(content(0)).hexdigest())
    read(cache, known)
    os.truncate(cache.path(known), 500)
    assert read(cache, known) == content(0)
    assert fetched(served) == 2
    assert not cache.drop_if_damaged(known)
    with cache.path(known).open("r+b") as file:
        file.write(b"damage")
    assert cache.drop_if_damaged(known)
    assert read(cache, known) == content(0)
    assert fetched(served) == 3


def test_another_content_of_the_same_address_is_another_shard(served, tmp_path):
    cache = cache_in(tmp_path)
    known = ({"tag": "x"}, {"tag": "y"}, {"tag": "y", "num_bytes": 1})
    assert len({cache.path(shard(served, 0, **which)) for which in known}) == 3


def test_a_part_that_was_left_makes_room(served, tmp_path):
    cache = cache_in(tmp_path, 2 * SIZE)
    cache.check([shard(served, 7)])
    part = cache.folder / ".t-7.tar.0.part"
    part.write_bytes(b"x")
    os.utime(part, (0, 0))
    read(cache, shard(served, 0))
    assert part.exists()
    read(cache, shard(served, 1))
    assert not part.exists()
    assert kept(cache) == ["t-0.tar", "t-1.tar"]


PROCESS = """
import os, random, sys
import numpy as np
from pathlib import Path
from irodori.data.remote import files
from irodori.data.remote.cache import ShardCache
from remote_shards import whole
files.FIRST_WAIT = 0.01
url, folder, seed, limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
cache = ShardCache(folder, limit, files.Network(8, 10.0))
chance = random.Random(seed)
for _ in range(25):
    number = chance.randrange(8)
    with cache.open(whole(f"{url}/t-{number}.tar", 10_000)) as file:
        assert os.pread(file.fileno(), 10_001, 0) == np.random.default_rng(number).bytes(10_000)
    print(sum(path.stat().st_size for path in folder.glob("*.tar") if path.exists()))
"""


@pytest.mark.parametrize("limit", [pytest.param(SIZE, marks=pytest.mark.long), 8 * SIZE])
def test_processes_share_a_bounded_cache(served, tmp_path, limit):
    served.mishaps += ["cut:6000", 500, "reset", 429, "cut:9000"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, served.url, tmp_path / "shards", str(seed), str(limit)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=HERE,
        )
        for seed in (0, 1)
    ]
    for process in processes:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        assert max(map(int, out.split())) <= limit
    assert space(cache_in(tmp_path)) <= limit
    if limit == 8 * SIZE:  # all fit: each was fetched once, by one of the two
        assert fetched(served) <= 8 + 5

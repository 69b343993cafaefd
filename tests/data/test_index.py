import json
import tarfile
import tracemalloc

import numpy as np
import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st
from plain_shards import write_tar

from irodori.data.class_names import read_classes
from irodori.data.index import COLUMNS, Index, Keys, Shard, read_index, write_index
from irodori.data.opening import ShardOpener
from irodori.data.remote.urls import expand as expand_with
from irodori.data.scan import scan
from irodori.utils.errors import IrodoriError


def sample(key, label=0, image=b"image of "):
    return [(f"{key}.cls", str(label).encode()), (f"{key}.jpg", image + key.encode())]


@pytest.fixture
def shards(tmp_path):
    """Three shards of two samples, in a folder with a blank and brackets in its name."""
    folder = tmp_path / "my [old] shards"
    return [
        write_tar(folder / f"t-{n}.tar", sample(f"a{n}", n) + sample(f"b{n}", 3)) for n in range(3)
    ]


def expand(pattern):
    return expand_with(pattern, names_in=None)  # for what asks no server


def fails(message, call, *args):
    with pytest.raises(IrodoriError) as caught:
        call(*args)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# --- expand


def test_paths_globs_and_braces(shards, monkeypatch):
    folder = shards[0].parent
    assert expand(str(shards[1])) == [shards[1]]
    for pattern in ("t-*.tar", "t-?.tar", "t-{0..2}.tar", "t-{0,1,2}.tar", "{t-0.tar,t-*.tar}"):
        assert expand(f"{folder}/{pattern}") == shards
    assert expand(f"{folder}/t-{{2,0}}.tar") == [shards[2], shards[0]]
    monkeypatch.chdir(folder.parent)
    assert expand("my*/t-1.tar") == [shards[1]]


def test_a_list_longer_than_a_file_name(tmp_path):
    names = [f"train-{number:06d}.tar" for number in range(20)]
    for name in names:
        (tmp_path / name).touch()
    assert expand(f"{tmp_path}/{{{','.join(names)}}}") == [tmp_path / name for name in names]


def test_urls_are_expanded_but_never_globbed():
    assert expand("https://x.org/t-{08..10}.tar?sig=a*") == [
        f"https://x.org/t-{n}.tar?sig=a*" for n in ("08", "09", "10")
    ]


def test_no_match_names_pattern_and_folder(shards, tmp_path):
    folder = shards[0].parent
    fails(f"looked in {folder};", expand, f"{folder}/v-*.tar")
    fails("no shard matches", expand, f"{folder}/v-*.tar")
    fails(f"its part '{folder}/t-3.tar'", expand, f"{folder}/t-{{0..3}}.tar")
    fails(f"there is no folder {tmp_path}/gone", expand, f"{tmp_path}/gone/*.tar")
    fails("is a folder", expand, str(folder))
    fails("unbalanced braces", expand, f"{folder}/t-{{0..3.tar")


# --- scan


def test_positions_point_at_the_images(shards):
    shard = scan(shards[2])
    assert (shard.path, list(shard.keys), len(shard)) == (shards[2], ["a2", "b2"], 2)
    assert shard.labels.tolist() == [2, 3]
    assert {name: getattr(shard, name).dtype for name in COLUMNS} == COLUMNS
    content = shards[2].read_bytes()
    images = [content[o : o + s] for o, s in zip(shard.offsets, shard.sizes, strict=True)]
    assert images == [b"image of a2", b"image of b2"]
    assert shard.num_bytes == len(content)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_samples_are_those_of_webdataset(tmp_path, form):
    files = [
        ("__info__", b"skipped"),
        ("./d.1/a.JPG", b"one"),
        ("./d.1/a.seg.png", b"mask"),
        ("./d.1/a.CLS", b" 7\n"),
        ("README", b"no key"),
        ("d/海.webp", b"two"),
        ("d/海.txt", b"text"),
        ("d/only.json", b"{}"),
        ("p.png", b"second choice"),
        ("p.jpeg", b"three"),
    ]
    path = write_tar(tmp_path / "a.tar", files, format=form)
    shard = scan(path)
    read = list(webdataset.WebDataset(str(path), shardshuffle=False))
    assert list(shard.keys) == [s["__key__"] for s in read if "json" not in s]
    assert shard.labels.tolist() == [7, -1, -1]
    assert shard.sizes.tolist() == [3, 3, 5]


@pytest.mark.parametrize("label", ["-1", "cat", "", "1.0", "1_0", "²", "9" * 40])
def test_a_class_that_is_no_id(tmp_path, label):
    path = write_tar(tmp_path / "a.tar", [*sample("k"), ("x.cls", label.encode()), ("x.jpg", b"")])
    fails(f"{path}: key 'x' has the class", scan, path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([*sample("a"), ("b.cls", b"1")], "key 'b' has a .cls but no image"),
        (sample("a") + sample("b") + sample("a"), "key 'a' appears twice"),
        ([*sample("a"), ("a.jpg", b"again")], "a.jpg appears twice"),
        ([("a.txt", b"text")], "no images"),
        ([], "no images"),
    ],
)
def test_a_shard_that_makes_no_sense(tmp_path, files, message):
    path = write_tar(tmp_path / "a.tar", files)
    fails(message, scan, path)
    fails(str(path), scan, path)


def test_every_truncation_is_noticed(tmp_path):
    path = write_tar(tmp_path / "a.tar", sample("a") + sample("b", image=b"x" * 3000))
    content = path.read_bytes()
    end = 512 * (8 + 5)  # headers and padded data; then zeros up to the length of a record
    assert not any(content[end:])
    for length in {*range(0, end, 97), *range(0, end + 1, 512), end + 100}:
        path.write_bytes(content[:length])
        fails(str(path), scan, path)
    path.write_bytes(content[: end - 1500])
    fails("truncated in key 'b'", scan, path)
    path.write_bytes(content[: end + 512])  # the end marker is there
    assert list(scan(path).keys) == ["a", "b"]


@pytest.mark.parametrize("at", [0, 1024, 3 * 1024])
def test_a_damaged_header_is_noticed(shards, at):
    content = bytearray(shards[0].read_bytes())
    content[at : at + 200] = b"\xff" * 200
    shards[0].write_bytes(content)
    fails(str(shards[0]), scan, shards[0])


def test_what_is_no_tar(tmp_path):
    path = tmp_path / "a.tar"
    fails("No such file", scan, path)
    path.write_bytes(b"not a tar" * 1000)
    fails("not a complete tar", scan, path)


# --- Index


def make_index(lengths):
    shards = []
    for number, n in enumerate(lengths):
        column = np.arange(n, dtype=np.int64)
        keys = Keys(f"{number}.{i}" for i in range(n))
        shards.append(Shard(f"{number}.tar", keys, column % 3, column, column))
    return Index(tuple(shards), ("x", "y", "z"))


@given(st.lists(st.integers(0, 5), max_size=6))
def test_locate_finds_every_sample_once(lengths):
    index = make_index(lengths)
    assert len(index) == len(index.labels) == sum(lengths)
    shard, number = index.locate(np.arange(len(index)))
    pairs = [(s, i) for s, n in enumerate(lengths) for i in range(n)]
    assert list(zip(shard.tolist(), number.tolist(), strict=True)) == pairs
    for outside in (-1, len(index)):
        with pytest.raises(IndexError):
            index.locate(outside)


# --- ShardOpener, read_index, write_index


def test_the_index_file_is_used_and_says_the_same(shards, tmp_path):
    folder = shards[0].parent
    write_index(folder, [scan(path) for path in shards], ["p", "q", "r", "s"], {"seed": 1})
    # Damage that keeps the length shows that the shards are not read.
    shards[0].write_bytes(b"\xff" * shards[0].stat().st_size)
    index = ShardOpener(tmp_path).open(f"{folder}/t-{{2,0}}.tar")
    assert [shard.path for shard in index.shards] == [shards[2], shards[0]]
    assert list(index.shards[1].keys) == ["a0", "b0"]
    assert (index.classes, index.made_by) == (("p", "q", "r", "s"), {"seed": 1})
    stored = json.loads((folder / "index.json").read_text())["shards"][0]
    assert (stored["name"], stored["samples"]) == ("t-0.tar", 2)


def test_a_shard_whose_name_looks_like_a_pattern_is_opened(tmp_path):
    path = write_tar(tmp_path / "{a*.tar", sample("a"))
    assert len(ShardOpener(tmp_path).open(str(path))) == 1
    write_index(tmp_path, [scan(path)], ["x"], {})
    assert ShardOpener(tmp_path).open(str(path)).classes == ("x",)


def test_changed_truncated_and_missing_shards(shards, tmp_path):
    folder = shards[0].parent
    write_index(folder, [scan(path) for path in shards], list("pqrs"), {})
    content = shards[1].read_bytes()
    shards[1].write_bytes(content[:-1])
    fails(f"{shards[1]} is truncated", ShardOpener(tmp_path).open, f"{folder}/*.tar")
    shards[1].write_bytes(content + b"0")
    fails(f"{shards[1]} has changed", ShardOpener(tmp_path).open, f"{folder}/*.tar")
    shards[1].unlink()
    fails(f"{shards[1]} is missing", ShardOpener(tmp_path).open, f"{folder}/t-*.tar")
    assert len(ShardOpener(tmp_path).open(f"{folder}/t-{{0,2}}.tar")) == 4


def test_a_label_beyond_the_classes(shards, tmp_path):
    classes = tmp_path / "classes.txt"
    classes.write_text("a\nb\n")
    args = (f"{shards[0].parent}/*.tar", str(classes))
    fails(
        f"{shards[0]}: key 'b0' has class id 3, but there are only 2 classes",
        ShardOpener(tmp_path).open,
        *args,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, "has version 1, expected 2"),
        ({"shards": [{"name": "a.tar"}]}, "is damaged"),
        ({"classes": None}, "is damaged"),
        ({"shards": 3}, "is damaged"),
    ],
)
def test_an_index_file_that_cannot_be_used(shards, change, message):
    folder = shards[0].parent
    write_index(folder, [scan(shards[0])], list("pqrs"), {})
    path = folder / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    fails(message, read_index, folder)


@pytest.mark.parametrize(
    "rows",
    [
        lambda row: [row, row],
        *(
            lambda row, column=column: [row | {column: [[x, x] for x in row[column]]}]
            for column in COLUMNS
        ),
        lambda row: [row | {"crc32": [[0, 0]] * row["samples"]}],
        lambda row: [row | {"keys": [*range(row["samples"])]}],
        lambda row: [row | {"name": "/a.tar"}],
        lambda row: [row | {"name": "a.tar\0"}],
    ],
)
def test_a_row_of_an_index_file_that_cannot_be_used(shards, rows):
    folder = shards[0].parent
    write_index(folder, [scan(shards[0])], list("pqrs"), {})
    path = folder / "index.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(stored | {"shards": rows(*stored["shards"])}))
    fails("is damaged", read_index, folder)


def test_an_index_file_in_another_layout_says_the_same(shards):
    folder = shards[0].parent
    write_index(folder, [scan(path) for path in shards], list("pqrs"), {"seed": 1})
    before, path = read_index(folder), folder / "index.json"
    for layout in ({"indent": 1}, {"separators": (",", ":")}):
        path.write_text(json.dumps(json.loads(path.read_text()), **layout))
        after = read_index(folder)
        assert (after.classes, after.made_by) == (before.classes, before.made_by)
        for one, other in zip(before.shards, after.shards, strict=True):
            assert (one.path, list(one.keys)) == (other.path, list(other.keys))
            for column in COLUMNS:
                assert getattr(one, column).tolist() == getattr(other, column).tolist()


def test_names_that_are_no_utf8_keep_their_bytes():
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert list(Keys([name, "海", ""])) == [name, "海", ""]


def test_a_large_index_takes_little_memory(tmp_path):
    """Of 2.3 million samples a tenth takes 12 MB at most, and three times that on the way."""
    count = 1150
    row = {
        "bytes": 10**9,
        "sha256": "0" * 64,
        "samples": count,
        "labels": [200] * count,
        "offsets": list(range(0, 10**8, 10**8 // count))[:count],
        "sizes": [30_000] * count,
        "crc32": [2**32 - 1] * count,
    }
    keys = [f"t/train_station/{number:08d}" for number in range(count)]
    rows = [{"name": f"{n}.tar", **row, "keys": keys} for n in range(200)]
    head = {"version": 2, "classes": ["x"] * 365, "made_by": {}, "shards": rows}
    (tmp_path / "index.json").write_text(json.dumps(head))
    tracemalloc.start()
    index = read_index(tmp_path)
    taken, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index) == 200 * count
    assert taken < 12e6
    assert peak < 36e6


# --- class names


def test_class_names(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("\ufeffabbey\n\n art gallery \n浜辺\n", encoding="utf-8")
    assert read_classes(path) == ("abbey", "art gallery", "浜辺")
    path.write_text("/a/abbey 0\n/b/building/outdoor 1\n")
    assert read_classes(path) == ("abbey", "building/outdoor")


def test_class_names_that_cannot_be_used(tmp_path):
    path = tmp_path / "classes.txt"
    fails("No such file", read_classes, path)
    for text, message in [
        (b" \n", "no class names"),
        (b"a\nb\na\n", "line 3: class 'a' appears twice"),
        (b"/a/abbey 1\n", "has id 1 but is number 0"),
        (b"\xff\xfe", "not UTF-8"),
    ]:
        path.write_bytes(text)
        fails(message, read_classes, path)

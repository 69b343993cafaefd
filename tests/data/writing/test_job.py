"""Whole jobs: the same bytes whatever happens on the way, and every image accounted for."""

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import webdataset
from pictures import encoded, picture, put, tree

from irodori.data.index import read_index
from irodori.data.scan import scan
from irodori.data.writing import state
from irodori.data.writing.job import describe, write_source
from irodori.data.writing.layouts import read_source
from irodori.data.writing.prepare import Options
from irodori.data.writing.source import Entry, shuffled
from irodori.utils.errors import IrodoriError

COMMAND = Path(sys.executable).with_name("irodori")
SMALL = Options(size=64, shard_samples=7)


def written(source, output, options=SMALL, jobs=1, report=lambda line: None, **more):
    return write_source(source, output, options, jobs=jobs, report=report, **more)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        return dict(list(csv.reader(file))[1:])


def sides(folder: Path) -> dict[str, str]:
    """The side of each key."""
    return {k: Path(s.path).name[:3] for s in read_index(folder).shards for k in s.keys}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """30 images that fit, some large, some rejected."""
    root = tree(tmp_path_factory.mktemp("source") / "photos")
    for number in range(4):
        put(root / "cat" / f"large{number}.jpg", encoded(picture(100 + number, (300, 200))))
    put(root / "dog" / "as png.jpg", encoded(picture(50), "PNG"))
    put(root / "dog" / "gray.jpg", encoded(picture(51).convert("L")))
    put(root / "sea" / "empty.jpg", b"")
    put(root / "sea" / "text.jpg", b"dear diary")
    put(root / "sea" / "notes.txt", b"dear diary")
    return root


@pytest.fixture(scope="module")
def shards(source, tmp_path_factory):
    """Written by one process, without interruption."""
    output = tmp_path_factory.mktemp("shards") / "one"
    summary = written(source, output)
    assert (summary.train, summary.val, summary.shards, summary.duplicates) == (32, 3, 6, 0)
    assert summary.reasons == {
        "near-gray": 1,
        "empty file": 1,
        "not an image of a known kind": 1,
        "not an image by its name": 1,
    }
    files = sum(path.is_file() for path in source.rglob("*"))
    assert summary.files == files == summary.train + summary.val + summary.reasons.total()
    return output


def test_every_image_is_once_in_a_shard_or_in_the_report(source, shards):
    rejected = rows(shards / "rejected.csv")
    assert list(rejected) == ["dog/gray.jpg", "sea/empty.jpg", "sea/notes.txt", "sea/text.jpg"]
    index = read_index(shards)
    assert index.classes == ("cat", "dog", "sea")
    keys = [key for shard in index.shards for key in shard.keys]
    files = {p.relative_to(source).as_posix() for p in source.rglob("*.jpg")} - set(rejected)
    assert sorted(keys) == sorted(path.removesuffix(".jpg") for path in files)
    val = Counter(int(x) for s in index.shards if s.name.startswith("val") for x in s.labels)
    assert val == {0: 1, 1: 1, 2: 1}
    assert sorted(path.name for path in shards.iterdir() if path.suffix != ".tar") == [
        "index.json",
        "rejected.csv",
    ]


def test_webdataset_reads_what_the_index_says(source, shards):
    index = read_index(shards)
    suffixes = set()
    for shard in index.shards:
        read = list(webdataset.WebDataset(str(shard.path), shardshuffle=False))
        assert [sample["__key__"] for sample in read] == list(shard.keys)
        found = scan(shard.path)
        for name in ("labels", "offsets", "sizes"):
            assert getattr(found, name).tolist() == getattr(shard, name).tolist()
        for sample, label in zip(read, shard.labels, strict=True):
            assert index.classes[label] == sample["__key__"].rpartition("/")[0]
            suffixes |= set(sample)
            image = sample.get("jpg") or sample["png"]
            original = (source / f"{sample['__key__']}.jpg").read_bytes()
            assert (image == original) == ("large" not in sample["__key__"])
    assert {"jpg", "png"} <= suffixes


def test_the_index_says_how_the_shards_were_made_and_names_no_path(source, shards):
    made_by = read_index(shards).made_by
    assert made_by["options"]["size"] == 64
    assert made_by["options"]["val_share"] == 0.05
    assert made_by["source"]["layout"] == "folders"
    assert made_by["images"] == {"train": 32, "val": 3, "near-gray": 1, "rejected": 3}
    assert str(source.parent) not in json.dumps(dict(made_by))


def test_more_processes_give_the_same_bytes(source, shards, tmp_path):
    written(source, tmp_path / "three", jobs=3)
    assert contents(tmp_path / "three") == contents(shards)


def test_another_seed_moves_none_to_the_other_side(source, shards, tmp_path):
    written(source, tmp_path / "out", Options(size=64, shard_samples=7, seed=1))
    before, after = sides(shards), sides(tmp_path / "out")
    assert before == after
    assert list(before) != list(after)


def test_duplicates_stay_on_one_side_and_are_reported(source, tmp_path):
    """Copies, links and pictures that were saved again, across classes."""
    root = shutil.copytree(source, tmp_path / "photos")
    for number in range(0, 30, 3):
        original = root / "cat" / f"photo{number:03d}.jpg"
        put(root / "dog" / f"copy{number}.jpg", original.read_bytes())
        (root / "sea" / f"link{number}.jpg").symlink_to(original)
        small = picture(number, (60, 50)).resize((36, 30))
        put(root / "sea" / f"again{number}.jpg", encoded(small, quality=60))
    summary = written(root, tmp_path / "out", Options(size=64, shard_samples=7, val_share=0.3))
    side = sides(tmp_path / "out")
    assert summary.duplicates == 40
    reported = rows(tmp_path / "out" / "duplicates.csv")
    for number in range(0, 30, 3):
        first = f"cat/photo{number:03d}"
        group = [first, f"dog/copy{number}", f"sea/link{number}", f"sea/again{number}"]
        assert len({side[key] for key in group}) == 1
        assert {reported[f"{key}.jpg"] for key in group} == {f"{first}.jpg"}
    assert 15 < sum(name == "val" for name in side.values()) < 25
    copied = Options(64, 0, decode=False, shard_samples=7)
    assert written(root, tmp_path / "copied", copied).duplicates == 30  # equal files


def test_a_finished_output_is_left_alone(source, shards, tmp_path):
    output = shutil.copytree(shards, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    assert written(source, output) is None
    assert {path: path.stat().st_mtime_ns for path in output.iterdir()} == before


def refused(*parts, **arguments):
    with pytest.raises(IrodoriError) as caught:
        written(**arguments)
    assert "\n" not in str(caught.value)
    assert all(str(part) in str(caught.value) for part in parts), str(caught.value)


def test_other_settings_or_sources_for_an_output_are_refused(source, shards, tmp_path):
    output = shutil.copytree(shards, tmp_path / "out")
    other = Options(size=32, shard_samples=7)
    refused(output, "options size 64, now 32", source=source, output=output, options=other)
    more = shutil.copytree(source, tmp_path / "more")
    put(more / "cat" / "new.jpg", encoded(picture(7)))
    refused(output, "source files 38, now 39", source=more, output=output)
    assert contents(output) == contents(shards)
    with state.locked(tmp_path / "begun"):
        state.resume_or_begin(tmp_path / "begun", describe(read_source(source), SMALL))
    refused("unfinished", source=source, output=tmp_path / "begun", options=other)


@pytest.mark.parametrize("name", [state.JOB, state.SPLIT])
def test_a_damaged_state_is_refused(name, source, tmp_path):
    with state.locked(tmp_path):
        state.resume_or_begin(tmp_path, describe(read_source(source), SMALL))
        (tmp_path / state.UNFINISHED / name).write_text("{")
    refused(name, "damaged", source=source, output=tmp_path)


def test_files_of_others_are_not_overwritten(source, tmp_path):
    mine = put(tmp_path / "train-000000.tar", b"mine")
    refused(mine, "already", source=source, output=tmp_path)
    assert contents(tmp_path) == {"train-000000.tar": b"mine"}


def test_all_equal_keys_are_named_before_anything_is_written(tmp_path):
    root = tree(tmp_path / "photos", 6)
    for number in (0, 3):
        put(root / "cat" / f"photo{number:03d}.png", encoded(picture(1), "PNG"))
    lines = []
    refused("several files: 2", source=root, output=tmp_path / "out", report=lines.append)
    for number in (0, 3):
        both = (f"cat/photo{number:03d}.jpg", f"cat/photo{number:03d}.png")
        assert any(all(name in line for name in both) for line in lines)
    assert not (tmp_path / "out").exists()


def test_a_source_with_nothing_to_train_on(tmp_path):
    for number in range(5):
        put(tmp_path / "in" / f"{number}.jpg", b"")
    refused("no image", "rejected.csv", source=tmp_path / "in", output=tmp_path / "out")
    assert (tmp_path / "out" / "rejected.csv").read_text().count("empty file") == 5


def test_a_shard_without_images_is_left_out(tmp_path):
    root = tree(tmp_path / "photos", 12, ("cat",))
    first = shuffled([Entry(f"cat/photo{number:03d}.jpg", 0) for number in range(12)], 0)
    for entry in first[3:6]:
        put(root / entry.path, b"")
    options = Options(size=64, val_share=0, shard_samples=3)
    summary = written(root, tmp_path / "out", options)
    assert (summary.shards, summary.train, summary.reasons) == (3, 9, {"empty file": 3})
    numbers = [shard.name[6:12] for shard in read_index(tmp_path / "out").shards]
    assert numbers == ["000000", "000002", "000003"]


def test_missing_files_of_a_list_are_reported(tmp_path):
    lines = ["path,label"]
    for number in range(6):
        lines.append(f"{number}.jpg,{number % 2}")
        if number != 3:
            put(tmp_path / f"{number}.jpg", encoded(picture(number)))
    listed = put(tmp_path / "list.csv", "\n".join(lines).encode())
    summary = written(listed, tmp_path / "out")
    assert summary.reasons == {"missing": 1}
    assert rows(tmp_path / "out" / "rejected.csv") == {"3.jpg": "missing"}


def test_a_published_split_takes_no_share(tmp_path):
    for name in ("train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg"):
        put(tmp_path / "in" / name, encoded(picture(1)))
    share = Options(val_share=0.1)
    refused("--val-share", source=tmp_path / "in", output=tmp_path / "out", options=share)
    written(tmp_path / "in", tmp_path / "out")
    assert sides(tmp_path / "out") == {"train/a/1": "tra", "train/b/2": "tra", "val/a/3": "val"}


def test_a_full_disk_ends_the_job_with_one_line_and_it_is_resumed(
    source, shards, tmp_path, monkeypatch
):
    output = tmp_path / "out"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(signal, "SIGXFSZ", signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, before[1]))
    try:
        refused("cannot write", str(output), "File too large", source=source, output=output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(output.glob(".*.part"))
    written(source, output)
    assert contents(output) == contents(shards)


@pytest.fixture(scope="module")
def slow_source(tmp_path_factory):
    """Several tasks for the workers, of some tenths of a second each."""
    root = tmp_path_factory.mktemp("slow") / "photos"
    files = [encoded(picture(number, (700, 500)), "PNG", compress_level=1) for number in range(4)]
    for number in range(96):
        put(root / f"class{number % 2}" / f"{number}.png", files[number % 4])
    return root


def start(source, output):
    return subprocess.Popen(
        [COMMAND, "shards", "write", source, output, "--shard-samples", "8", "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background jobs, which tests may be, have it ignored, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_a_shard(output):
    deadline = time.monotonic() + 60
    while not list(output.glob("*.tar")):
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(
    "sent",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
    ],
)
def test_a_killed_job_is_resumed_to_the_same_bytes(slow_source, tmp_path, sent):
    """While it runs, another one for the same folder is refused; no worker outlives it."""
    options = Options(shard_samples=8)
    broken = tmp_path / "broken"
    process = start(slow_source, broken)
    wait_for_a_shard(broken)
    os.kill(process.pid, signal.SIGSTOP)
    refused("another process", source=slow_source, output=broken, options=options)
    os.kill(process.pid, signal.SIGCONT)
    # Ctrl-C goes to all processes of the terminal, the others to this one.
    (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
    error = process.communicate(timeout=30)[1]
    if sent == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 128 + sent
        assert error.splitlines()[-1].startswith(("interrupted: ", "terminated: "))
        assert "Traceback" not in error
        assert not list(broken.glob(".*.part"))
    deadline = time.monotonic() + 20
    while alive := [p for p in Path("/proc").glob("[0-9]*/stat") if session(p) == process.pid]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)
    assert not (broken / "index.json").exists()
    before = {path: path.stat().st_mtime_ns for path in broken.glob("*.tar")}
    assert len(before) < 12
    lines = []
    written(slow_source, broken, options, report=lines.append)
    assert any("resuming" in line for line in lines)
    written(slow_source, tmp_path / "whole", options)
    assert contents(broken) == contents(tmp_path / "whole")
    kept = sum(path.stat().st_mtime_ns == time_ns for path, time_ns in before.items())
    assert kept >= len(before) - 1  # it may have been between a shard and its record


def session(stat):
    """The session of a process, None if it is gone or waits only to be gone."""
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[3]) if fields[0] != "Z" else None

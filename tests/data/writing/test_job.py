"""Whole jobs in real processes: the same bytes whatever happens on the way."""

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
from irodori.data.writing.job import Options, describe, write_source
from irodori.data.writing.layouts import read_source
from irodori.data.writing.photo import Preparation
from irodori.data.writing.source import Entry
from irodori.data.writing.split import shuffled
from irodori.utils.errors import IrodoriError

COMMAND = Path(sys.executable).with_name("irodori")
SMALL = Options(Preparation(size=64), shard_samples=7)


def quiet(line: str) -> None:
    """No output."""


def written(source, output, options=SMALL, jobs=1, **more):
    return write_source(source, output, options, jobs=jobs, say=quiet, **more)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """30 images that fit, some large, some rejected, one without a class."""
    root = tree(tmp_path_factory.mktemp("source") / "photos")
    for number in range(4):
        put(root / "cat" / f"large{number}.jpg", encoded(picture(100 + number, (300, 200))))
    put(root / "dog" / "as png.jpg", encoded(picture(50), "PNG"))
    put(root / "dog" / "gray.jpg", encoded(picture(51).convert("L")))
    put(root / "sea" / "empty.jpg", b"")
    put(root / "sea" / "text.jpg", b"dear diary")
    put(root / "sea" / "notes.txt", b"dear diary")
    put(root / "loose.jpg", encoded(picture(52), quality=90))
    return root


@pytest.fixture(scope="module")
def shards(source, tmp_path_factory):
    """Written by one process, without interruption."""
    output = tmp_path_factory.mktemp("shards") / "one"
    summary = written(source, output)
    assert (summary.files, summary.train + summary.val, summary.shards) == (39, 36, 7)
    assert summary.reasons == {
        "near-gray": 1,
        "empty file": 1,
        "no image of a known kind": 1,
        "no image by its name": 1,
    }
    return output


def test_every_image_is_once_in_a_shard_or_in_the_report(source, shards):
    with (shards / "rejected.csv").open(newline="") as file:
        rejected = dict(list(csv.reader(file))[1:])
    assert list(rejected) == ["dog/gray.jpg", "sea/empty.jpg", "sea/notes.txt", "sea/text.jpg"]
    index = read_index(shards)
    assert index.classes == ("cat", "dog", "sea")
    keys = [key for shard in index.shards for key in shard.keys]
    files = {p.relative_to(source).as_posix() for p in source.rglob("*.jpg")} - set(rejected)
    assert sorted(keys) == sorted(path.removesuffix(".jpg") for path in files)
    val = Counter(int(x) for s in index.shards if s.path.name.startswith("val") for x in s.labels)
    assert val == {0: 1, 1: 1, 2: 1}


def test_webdataset_reads_what_the_index_says(source, shards):
    index = read_index(shards)
    for shard in index.shards:
        read = list(webdataset.WebDataset(str(shard.path), shardshuffle=False))
        assert [sample["__key__"] for sample in read] == list(shard.keys)
        found = scan(shard.path)
        for name in ("labels", "offsets", "sizes"):
            assert getattr(found, name).tolist() == getattr(shard, name).tolist()
        for sample, label in zip(read, shard.labels, strict=True):
            folder = sample["__key__"].rpartition("/")[0]
            assert (index.classes[label] if label >= 0 else "") == folder
            image = sample.get("jpg") or sample["png"]
            original = (source / f"{sample['__key__']}.jpg").read_bytes()
            assert (image == original) == ("large" not in sample["__key__"])
    assert any(
        "png" in sample
        for s in index.shards
        for sample in webdataset.WebDataset(str(s.path), shardshuffle=False)
    )


def test_the_index_says_how_the_shards_were_made_and_names_no_place(source, shards):
    made_by = read_index(shards).made_by
    assert made_by["options"]["size"] == 64
    assert made_by["options"]["val_share"] == 0.05
    assert made_by["source"]["layout"] == "folders"
    assert made_by["images"] == {"train": 33, "val": 3, "near-gray": 1, "rejected": 3}
    assert str(source.parent) not in json.dumps(dict(made_by))


def test_more_processes_and_threads_give_the_same_bytes(source, shards, tmp_path):
    written(source, tmp_path / "three", jobs=3)
    assert contents(tmp_path / "three") == contents(shards)


@pytest.mark.long
def test_fewer_shards_than_processes_give_the_same_bytes(source, tmp_path):
    options = Options(Preparation(size=64), shard_samples=100)
    written(source, tmp_path / "one", options, jobs=1)
    written(source, tmp_path / "many", options, jobs=8)  # several threads a shard
    assert contents(tmp_path / "one") == contents(tmp_path / "many")


def test_another_seed_moves_none_to_the_other_side(source, shards, tmp_path):
    written(source, tmp_path / "out", Options(Preparation(size=64), shard_samples=7, seed=1))
    sides = []
    for folder in (shards, tmp_path / "out"):
        index = read_index(folder)
        sides.append({k: s.path.name[:3] for s in index.shards for k in s.keys})
        orders = [key for shard in index.shards for key in shard.keys]
    assert sides[0] == sides[1]
    assert orders != [key for shard in read_index(shards).shards for key in shard.keys]


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
    other = Options(Preparation(size=32), shard_samples=7)
    refused(output, "options size 64, now 32", source=source, output=output, options=other)
    more = shutil.copytree(source, tmp_path / "more")
    put(more / "cat" / "new.jpg", encoded(picture(7)))
    refused(output, "source files 39, now 40", source=more, output=output)
    assert contents(output) == contents(shards)


def test_other_settings_for_an_unfinished_output_are_refused(source, tmp_path):
    state.begin(tmp_path, describe(read_source(source), SMALL))
    other = Options(Preparation(size=64), shard_samples=7, seed=1)
    refused("unfinished", "options seed 0, now 1", source=source, output=tmp_path, options=other)


def test_files_of_others_are_not_overwritten(source, tmp_path):
    mine = put(tmp_path / "train-000000.tar", b"mine")
    refused(mine, "already", source=source, output=tmp_path)
    assert contents(tmp_path) == {"train-000000.tar": b"mine"}


def test_equal_keys_are_refused_before_anything_is_written(tmp_path):
    root = tree(tmp_path / "photos", 3)
    put(root / "cat" / "photo000.png", encoded(picture(1), "PNG"))
    refused("cat/photo000.jpg and cat/photo000.png", source=root, output=tmp_path / "out")
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
    options = Options(Preparation(size=64), val_share=0, shard_samples=3)
    summary = written(root, tmp_path / "out", options)
    assert (summary.shards, summary.train, summary.reasons) == (3, 9, {"empty file": 3})
    numbers = [shard.path.name[6:12] for shard in read_index(tmp_path / "out").shards]
    assert numbers == ["000000", "000002", "000003"]


def test_missing_files_of_a_list_are_reported(tmp_path):
    rows = ["path,label"]
    for number in range(6):
        rows.append(f"{number}.jpg,{number % 2}")
        if number != 3:
            put(tmp_path / f"{number}.jpg", encoded(picture(number)))
    listed = put(tmp_path / "list.csv", "\n".join(rows).encode())
    summary = written(listed, tmp_path / "out")
    assert summary.reasons == {"missing": 1}
    assert (tmp_path / "out" / "rejected.csv").read_text() == "path,reason\n3.jpg,missing\n"


def test_a_published_split_takes_no_share(tmp_path):
    for name in ("train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg"):
        put(tmp_path / "in" / name, encoded(picture(1)))
    share = Options(val_share=0.1)
    refused("--val-share", source=tmp_path / "in", output=tmp_path / "out", options=share)
    written(tmp_path / "in", tmp_path / "out")
    names = {s.path.name: list(s.keys) for s in read_index(tmp_path / "out").shards}
    assert names["val-000000.tar"] == ["val/a/3"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (Options(Preparation(size=4)), "--size"),
        (Options(Preparation(near_gray=-1)), "--near-gray"),
        (Options(Preparation(decode=False)), "--near-gray 0"),
        (Options(val_share=1.0), "--val-share"),
        (Options(shard_samples=0), "--shard-samples"),
    ],
)
def test_options_out_of_range(source, tmp_path, options, part):
    refused(part, source=source, output=tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def slow_source(tmp_path_factory):
    """Large pictures: some hundredths of a second each."""
    root = tmp_path_factory.mktemp("slow") / "photos"
    files = [encoded(picture(number, (1600, 1200)), "PNG", compress_level=1) for number in range(4)]
    for number in range(40):
        put(root / f"class{number % 2}" / f"{number}.png", files[number % 4])
    return root


def start(source, output, *more, **options):
    return subprocess.Popen(
        [COMMAND, "shards", "write", source, output, "--shard-samples", "4", "--jobs", "2", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, which tests may be, have it ignored, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


def wait_for_shards(output, count):
    deadline = time.monotonic() + 60
    while len(list(output.glob("*.tar"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def said_wrong(error):
    """The lines that tell no progress; on a busy machine there is time for some that do."""
    return [line for line in error.splitlines() if not line.endswith(" left")]


@pytest.fixture(scope="module")
def whole(slow_source, tmp_path_factory):
    """Its shards, written without interruption."""
    output = tmp_path_factory.mktemp("whole") / "shards"
    assert said_wrong(start(slow_source, output).communicate()[1]) == []
    return output


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
    ],
)
def test_a_killed_job_goes_on_to_the_same_bytes(slow_source, whole, tmp_path, sent):
    for attempt in range(5):
        broken = tmp_path / f"broken-{attempt}"
        process = start(slow_source, broken, start_new_session=True)
        wait_for_shards(broken, 1)
        # Ctrl-C goes to all processes of the terminal, the others to this one.
        (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
        error = process.communicate(timeout=30)[1]
        if process.returncode != 0:
            break
        # On a busy machine it may have ended before the signal came.
    if sent == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 128 + sent
        (line,) = said_wrong(error)
        assert line.startswith("error: ")
        assert not list(broken.glob(".*.part"))
    for path in broken.glob("*.tar"):
        assert path.read_bytes() == (whole / path.name).read_bytes()
    assert not (broken / "index.json").exists()
    before = {path: path.stat().st_mtime_ns for path in broken.glob("*.tar")}
    assert len(before) < 11
    again = start(slow_source, broken)
    said, error = again.communicate(timeout=60)
    assert (again.returncode, said_wrong(error)) == (0, [])
    assert "going on:" in said
    assert contents(broken) == contents(whole)
    kept = sum(path.stat().st_mtime_ns == time_ns for path, time_ns in before.items())
    assert kept >= len(before) - 2  # each worker may have been between a shard and its record


@pytest.mark.slow
def test_no_worker_outlives_a_killed_job(slow_source, tmp_path):
    process = start(slow_source, tmp_path / "out", start_new_session=True)
    wait_for_shards(tmp_path / "out", 1)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while True:
        alive = [
            stat for stat in Path("/proc").glob("[0-9]*/stat") if _session(stat) == process.pid
        ]
        if not alive:
            break
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)


def _session(stat):
    """The session of a process, None if it is gone or waits only to be gone."""
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[3]) if fields[0] != "Z" else None


@pytest.mark.long
def test_two_at_once_do_not_write_into_one_output(slow_source, tmp_path):
    first = start(slow_source, tmp_path / "out")
    wait_for_shards(tmp_path / "out", 1)
    # Held, lest it ends while the second one starts.
    first.send_signal(signal.SIGSTOP)
    second = start(slow_source, tmp_path / "out")
    error = second.communicate()[1]
    first.send_signal(signal.SIGCONT)
    assert "another process" in error
    assert second.returncode == 1
    assert "error" not in first.communicate()[1]
    assert first.returncode == 0


@pytest.mark.long
def test_a_shard_that_cannot_be_written_ends_the_job_with_one_line(source, shards, tmp_path):
    def no_more_than_half():
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))

    output = tmp_path / "out"
    command = [COMMAND, "shards", "write", source, output, "--size", "64", "--shard-samples", "7"]
    done = subprocess.run(
        [*command, "--jobs", "1"], preexec_fn=no_more_than_half, capture_output=True, text=True
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: cannot write ")
    assert "File too large" in line
    assert not list(output.glob(".*.part"))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert contents(output) == contents(shards)
    assert f"'data.train=\"{output}/train-*.tar\"'" in done.stdout

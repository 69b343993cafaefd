"""A folder of its own for every run."""

import multiprocessing
import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from irodori.runs import run as run_folder
from irodori.runs.run import (
    Run,
    create_run_folder,
    remove_if_empty,
    resume_command,
)
from irodori.utils.errors import IrodoriError
from irodori.utils.files import lock, remove_parts
from irodori.utils.run_files import CONFIG

REFUSAL = "it is held"
FORK = multiprocessing.get_context("fork")


def test_runs_that_start_at_the_same_moment_get_folders_of_their_own(tmp_path):
    texts = [f"run: {name}\n" for name in range(6)]
    with ThreadPoolExecutor(len(texts)) as pool:
        create = partial(create_run_folder, tmp_path / "runs" / "now", named=False)
        places = list(pool.map(create, texts))
    assert sorted(path.name for path in places) == ["now", *(f"now-{n}" for n in "23456")]
    assert [(place / CONFIG).read_text() for place in places] == texts


def test_a_folder_that_the_user_names_must_hold_no_run(tmp_path):
    assert create_run_folder(tmp_path / "mine", "one: 1\n", named=True) == tmp_path / "mine"
    with pytest.raises(IrodoriError, match="contains a run: resume it with irodori"):
        create_run_folder(tmp_path / "mine", "two: 2\n", named=True)
    assert (tmp_path / "mine" / CONFIG).read_text() == "one: 1\n"


def test_a_config_that_cannot_be_written_leaves_no_run(tmp_path, monkeypatch):
    def full(folder, config):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(run_folder, "write_file", full)
        with pytest.raises(OSError, match="No space"):
            create_run_folder(tmp_path / "run", "one: 1\n", named=True)
    assert create_run_folder(tmp_path / "run", "one: 1\n", named=True) == tmp_path / "run"


def test_a_changed_config_that_cannot_be_written_leaves_the_run(tmp_path, monkeypatch):
    (tmp_path / CONFIG).write_text("a: 1\n")
    write_file = run_folder.write_file

    def full(path, content):
        if path.name == CONFIG:
            raise OSError(28, "No space left on device")
        write_file(path, content)

    changed = Run(OmegaConf.create({"a": 2}), tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(run_folder, "write_file", full)
        with pytest.raises(OSError, match="No space"):
            changed.update_folder(7)
    assert (tmp_path / CONFIG).read_text() == "a: 1\n"
    changed.update_folder(7)
    assert (tmp_path / CONFIG).read_text() == "a: 2\n"
    assert (tmp_path / "config-until-step-7.yaml").read_text() == "a: 1\n"


def hold(folder, ready):
    with lock(folder, REFUSAL):
        ready.set()
        time.sleep(60)


def test_only_one_process_trains_a_run_and_a_killed_one_holds_nothing(tmp_path):
    ready = FORK.Event()
    other = FORK.Process(target=hold, args=[tmp_path, ready])
    other.start()
    assert ready.wait(10)
    with pytest.raises(IrodoriError, match=REFUSAL):
        lock(tmp_path, REFUSAL)
    other.kill()
    with lock(tmp_path, REFUSAL, patience=5):
        other.join()


def test_what_a_killed_run_was_about_to_write_is_cleared_away(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    parts = [tmp_path / ".metrics.csv.12.part", tmp_path / "checkpoints" / ".last.ckpt.12.part"]
    kept = [tmp_path / CONFIG, tmp_path / "checkpoints" / "last.ckpt"]
    for path in (*parts, *kept):
        path.write_text("x")
    remove_parts(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_only_an_empty_folder_is_removed(tmp_path):
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / CONFIG).write_text("x")
    for name in ("empty", "full", "never there"):
        remove_if_empty(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


@given(st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1))
@example(r"${a}\${b}'s")
def test_what_is_told_to_be_typed_means_that_folder(name):
    folder = Path("/runs") / name.replace("/", "-")
    *program, argument = shlex.split(resume_command(folder))
    assert program == ["irodori", "train"]
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert override.key_or_group == "resume"
    assert OmegaConf.create({"resume": override.value()}).resume == str(folder)

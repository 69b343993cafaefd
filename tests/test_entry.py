import gc
import os
import signal
import subprocess
import sys

import pytest
from hydra.errors import HydraException
from omegaconf.errors import ConfigKeyError

from irodori.config import PROJECT
from irodori.entry import PATIENCE, importing, run, told, told_line
from irodori.errors import IrodoriError


@pytest.fixture
def stop(monkeypatch, capsys):
    """Calls a program through `told`, and returns its exit status and what stood on stderr."""

    def call(error):
        with pytest.raises(SystemExit) as exit, told():
            raise error
        return exit.value.code, capsys.readouterr().err

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    return call


def test_a_users_mistake_is_one_line_and_status_1(stop):
    assert stop(IrodoriError("no shard matches")) == (1, "error: no shard matches\n")
    assert stop(ConfigKeyError("Key 'x' is not in struct\n    full_key: x\n    object_type=Y")) == (
        1,
        "error: Key 'x' is not in struct\n",
    )


def test_several_lines_become_one():
    assert told_line(IrodoriError("first\n  second\n\nfirst\nthird")) == "first second third"


def test_the_cause_that_hydra_wraps_is_told_and_its_search_path_is_not():
    error = HydraException("Could not override 'a'.\nConfig search path:\n\tprovider=x\n\tpath=y")
    error.__cause__ = ValueError("Key 'a' is not in 'Config'\n    full_key: a")
    assert told_line(error) == "Could not override 'a'. Key 'a' is not in 'Config'"


def test_schemas_are_not_listed_among_the_options():
    error = HydraException("Available options in 'o':\n\tadamw\n\tschema\n\tschema_adamw\n\tx")
    assert told_line(error) == "Available options in 'o': adamw x"


def test_another_rank_tells_if_the_first_has_not_ended_it_meanwhile(stop, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    waited = []
    monkeypatch.setattr("irodori.entry.time.sleep", waited.append)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert stop(IrodoriError("no such disk")) == (1, "error: rank 1: no such disk\n")
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert waited == [PATIENCE]


def test_a_mistake_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), told():
        _ = 1 // 0


def test_run_tells_what_its_program_raises(capsys, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def program():
        assert os.environ["HYDRA_FULL_ERROR"] == "1"
        raise IrodoriError("so it is")

    with pytest.raises(SystemExit):
        run(program)
    assert capsys.readouterr().err == "error: so it is\n"


def test_imports_are_not_collected_and_what_follows_is():
    try:
        with importing():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["experiment=quick", "trainer.max_epoch=3"], "max_epoch"),
        (["experiment=quick", "+zoo=1"], "zoo"),
    ],
)
def test_train_py_ends_with_one_line_on_stderr_and_no_run_folder(tmp_path, arguments, named):
    done = subprocess.run(
        [sys.executable, str(PROJECT / "train.py"), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert named in line
    assert done.stdout == ""

import os
import signal

import pytest
from omegaconf.errors import ConfigKeyError

from irodori.runs.program import PATIENCE, report_errors, run_program
from irodori.utils.errors import IrodoriError


@pytest.fixture
def stop(monkeypatch, capsys):
    """Raises within `report_errors`, and returns the exit status and what stood on stderr."""

    def call(error):
        with pytest.raises(SystemExit) as exit, report_errors():
            raise error
        return exit.value.code, capsys.readouterr().err

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    return call


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (IrodoriError("no shard\nmatches"), "error: no shard matches\n"),
        (ConfigKeyError("Key 'x' is not in struct\n    full_key: x"), None),
        (KeyboardInterrupt(), "error: interrupted\n"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_1(stop, error, line):
    status, written = stop(error)
    assert status == 1
    assert written.count("\n") == 1
    assert line in (None, written)


def test_another_rank_tells_if_the_first_has_not_ended_it_meanwhile(stop, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    waited = []
    monkeypatch.setattr("irodori.runs.program.time.sleep", waited.append)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert stop(IrodoriError("no such disk")) == (1, "error: rank 1: no such disk\n")
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert waited == [PATIENCE]


def test_a_mistake_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), report_errors():
        _ = 1 // 0


def test_run_program_tells_what_its_program_raises(capsys, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def program():
        assert os.environ["HYDRA_FULL_ERROR"] == "1"
        raise IrodoriError("so it is")

    with pytest.raises(SystemExit):
        run_program(program)
    assert capsys.readouterr().err == "error: so it is\n"

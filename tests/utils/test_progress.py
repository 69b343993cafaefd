"""Progress on a terminal and without one."""

import sys
import time

import pytest

from irodori.utils import progress
from irodori.utils.progress import ProgressBar, ProgressLines, waiting


@pytest.fixture(autouse=True)
def _every_five_seconds(monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 5.0)


def test_each_task_has_a_line_and_long_ones_have_more(monkeypatch, capsys):
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    report = ProgressLines()
    for second in range(12):
        now = float(second)
        report("reading", second, 12)
    report("drawing")
    lines = ["reading …", "reading … 5 of 12", "reading … 10 of 12", "drawing …"]
    assert capsys.readouterr().out.splitlines() == lines


def test_lines_about_long_tasks_come_less_and_less_often(monkeypatch, capsys):
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    report = ProgressLines()
    for second in range(3600):
        now = float(second)
        report("reading", second, 3600)
    assert 30 < len(capsys.readouterr().out.splitlines()) < 80


@pytest.mark.parametrize("log", [False, True])
def test_a_wait_is_reported_until_it_ends(log, monkeypatch, capsys):
    monkeypatch.setattr(progress, "EVERY", 0.01)
    lines, end = [], time.monotonic() + 30
    with waiting("loading", log):
        while len(lines) < 2 and time.monotonic() < end:
            time.sleep(0.01)
            printed = capsys.readouterr()
            lines += (printed.out if log else printed.err).splitlines()
    assert len(lines) > 1
    assert all(line.startswith("loading …") for line in lines)
    capsys.readouterr()
    time.sleep(0.05)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("log", "terminal", "rank", "lines"),
    [(False, False, "0", 0), (False, True, "0", 1), (True, False, "0", 1), (True, True, "1", 0)],
)
def test_a_short_wait_is_reported_on_terminals_and_in_logs(
    log, terminal, rank, lines, monkeypatch, capsys
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setenv("LOCAL_RANK", rank)
    with waiting("loading", log):
        pass
    printed = capsys.readouterr()
    assert len((printed.out + printed.err).splitlines()) == lines


def test_lines_come_now_and_then_without_a_terminal(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with ProgressBar("counting", 10, 2) as bar:
        for second in (4.0, 5.0, 6.0, 10.0):
            now = second
            bar.advance(1)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("counting: 4 of 10")
    assert last.startswith("counting: 6 of 10")

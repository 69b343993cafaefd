"""Progress on a terminal and without one."""

from irodori.utils import progress
from irodori.utils.progress import ProgressBar, ProgressLines


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


def test_lines_come_now_and_then_without_a_terminal(capsys, monkeypatch):
    with ProgressBar("counting", 10, 2) as bar:
        bar.advance(1)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress, "EVERY", 0)
    with ProgressBar("counting", 10, 2) as bar:
        bar.advance(1)
        bar.advance(4)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("counting: 3 of 10")
    assert last.startswith("counting: 7 of 10")

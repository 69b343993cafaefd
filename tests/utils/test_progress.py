"""Lines of progress: at once for a new task, then now and then."""

from irodori.utils import progress
from irodori.utils.progress import ProgressLines


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

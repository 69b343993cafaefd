"""Progress on a terminal and without one."""

import os
import pty
import subprocess
import sys

from irodori.utils import progress_bar
from irodori.utils.progress_bar import show_progress


def test_lines_come_now_and_then_without_a_terminal(capsys, monkeypatch):
    with show_progress("counting", 10, 2) as advance:
        advance(1)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(progress_bar, "LINE_EVERY", 0)
    with show_progress("counting", 10, 2) as advance:
        advance(1)
        advance(4)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("counting: 3 of 10")
    assert last.startswith("counting: 7 of 10")


def test_a_terminal_shows_a_bar():
    code = (
        "from irodori.utils.progress_bar import show_progress as show\n"
        "with show('counting', 3) as advance:\n    advance(2)"
    )
    parent, child = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stderr=child, check=True)
    os.close(child)
    shown = b""
    try:
        while block := os.read(parent, 4096):
            shown += block
    except OSError:  # the terminal's other side is closed
        pass
    os.close(parent)
    assert b"counting" in shown
    assert b"2/3" in shown

"""A demo as it is typed, in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 120
"""Seconds in which it has to be there; the machine may be busy."""


def started(*words, folder=None, **environment):
    """The process of `irodori demo` at a free port."""
    command = Path(sys.executable).with_name("irodori")
    return subprocess.Popen(
        [command, "demo", "--port", "0", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        preexec_fn=interruptible,
    )


def interruptible():
    """Hear Ctrl-C, also where the tests run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def address_of(process):
    """What it says when it is ready."""
    line = process.stdout.readline()
    found = re.fullmatch(r"irodori demo at (http://127\.0\.0\.1:\d+) \(Ctrl-C ends it\)\n", line)
    assert found, line + process.stderr.read()
    return found[1]


def ended(process, number=signal.SIGINT):
    """Send a signal; returns the exit status and what was written to stderr."""
    process.send_signal(number)
    try:
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode, errors


@contextmanager
def serving(*words, **environment):
    """The address of a demo that runs meanwhile; it must end in order."""
    process = started(*words, **environment)
    try:
        yield address_of(process)
        status, errors = ended(process)
    finally:
        process.kill()
    assert (status, errors.splitlines()[-1]) == (130, "interrupted"), errors

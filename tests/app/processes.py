"""Commands that serve a page, as they are typed, each in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

READY = re.compile(r"(?:study:|irodori demo at) (http://127\.0\.0\.1:\d+)(?: \(Ctrl-C ends it\))?")


class Process:
    """`irodori` with these words, which says in a line where its page is.

    Attributes:
        lines: that it has printed up to this one.
        address: of the page.
    """

    def __init__(self, *words, **environment):
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("irodori"), *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            # Ctrl-C is heard, also where the tests run in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if found := READY.fullmatch(self.lines[-1]):
                self.address = found[1]
                return
        raise AssertionError(self.process.stderr.read())

    def stop(self, number):
        """Send a signal, and return the exit status and the lines on stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said.splitlines()

    def kill(self):
        """End it as a crash does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=20)


@contextmanager
def process(*words, **environment):
    """A command at a free port, which is killed at the end if it still runs."""
    started = Process(*words, "--port", 0, **environment)
    try:
        yield started
    finally:
        started.kill()

"""Small studies: folders of colorized photographs, and a server in a thread or a process."""

import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests
import uvicorn
from PIL import Image

from irodori.app.address import listen
from irodori.app.naturalness.building import build
from irodori.app.naturalness.server import application
from irodori.app.naturalness.store import Store
from irodori.app.naturalness.study import Settings

COMMAND = Path(sys.executable).with_name("irodori")


def photograph(number, size=(60, 40), hue=None):
    """Smooth stripes of a number's own, gray but for the tint of a method."""
    width, height = size
    x = np.linspace(0, 1, width)[None, :, None]
    y = np.linspace(0, 1, height)[:, None, None]
    gray = 130 + 90 * np.sin(3 * x + number) * np.cos(2 * y + 0.3 * number)
    tint = np.zeros(3) if hue is None else 30 * np.cos(hue + np.array([0, 2.1, 4.2]))
    return Image.fromarray((gray + tint).clip(0, 255).astype(np.uint8))


def folders(root, photographs=6, methods=("plain", "warm"), size=(60, 40)):
    """`truth` and a folder for each method below `root`; their paths, truth first."""
    made = [root / name for name in ("truth", *methods)]
    for hue, folder in enumerate(made):
        (folder / "town").mkdir(parents=True)
        for number in range(photographs):
            picture = photograph(number, size, hue)
            kind = "jpg" if folder.name == "truth" else "png"
            exif = Image.Exif()
            exif[0x010E] = f"made by {folder.name}"
            picture.save(folder / "town" / f"p{number}.{kind}", exif=exif)
    return made


def study(root, settings=None, photographs=6, methods=("plain", "warm"), seed=1):
    """A study's file."""
    truth, *results = folders(root, photographs, methods)
    path = root / "study.db"
    build(
        path, truth, list(map(str, results)), settings or Settings(), lambda line: None, seed=seed
    )
    return path


class Client:
    """The requests that the page makes."""

    def __init__(self, address):
        self.address = address

    def get(self, path):
        return requests.get(f"{self.address}/{path}", timeout=20)

    def post(self, path, **given):
        return requests.post(f"{self.address}/{path}", json=given, timeout=20)


@contextmanager
def served(path):
    """A client of a study that is served in a thread."""
    store = Store(path)
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(application(store), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Client(f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
        store.close()


class Process:
    """`irodori study serve` as a process."""

    def __init__(self, *arguments):
        command = [COMMAND, "study", "serve", *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C is heard, also where the tests run in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if found := re.fullmatch(r"study: (http://.*)", self.lines[-1]):
                self.address = found[1]
                return
        raise AssertionError(self.process.stderr.read())

    def stop(self, number):
        """Send a signal, and return the exit status and the lines on stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said.splitlines()

    def kill(self):
        """End it as a crash does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=20)


@contextmanager
def process(*arguments):
    """`irodori study serve` with a free port, which is killed at the end if it still runs."""
    started = Process(*arguments, "--port", 0)
    try:
        yield started
    finally:
        started.kill()

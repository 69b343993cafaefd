"""Small studies: folders of colorized photographs, and a server in a thread."""

import threading
from contextlib import contextmanager

import numpy as np
import requests
from PIL import Image

from irodori.app.naturalness.building import build
from irodori.app.naturalness.server import application
from irodori.app.naturalness.store import Store
from irodori.app.naturalness.study import Settings
from irodori.app.serving import Server, listen


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
    path, methods = root / "study.db", list(map(str, results))
    build(path, truth, methods, settings or Settings(), lambda line: None, seed=seed)
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
    server = Server(application(store), 1)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield Client(f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
        store.close()

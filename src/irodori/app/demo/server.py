"""Serving the demo: gradio's page behind the route guard, with an orderly shutdown."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from irodori.app.demo.service import Limits, Models
from irodori.app.serving import Server, listen, url

PREFIX = "irodori-demo-"
PATIENCE = 1
"""Seconds that open requests may take when the server is stopped."""


def serve(
    models: Models, limits: Limits, host: str, port: int, ready: Callable[[str], None]
) -> None:
    """Serve the demo until a signal stops it.

    Args:
        models: the models that visitors can choose; the first is loaded before the page is served.
        limits: limits of what visitors may send.
        host: host name or address to listen on.
        port: port to listen on; 0 selects a free one.
        ready: called with the page's URL once requests are accepted.

    Raises:
        IrodoriError: the port is taken, or a checkpoint can't be read.
    """
    with listen(host, port) as listening, own_folder() as folder:
        for name in reversed(models.names):
            models.load(name)
        _quiet(folder)
        # gradio reads these environment variables when it is imported.
        from irodori.app.demo.application import application

        server = Server(application(models, limits, folder), PATIENCE)
        ready(url(host, listening))
        server.run(sockets=[listening])


@contextmanager
def own_folder() -> Iterator[Path]:
    """Yield a folder for all temporary files of this process, and delete it at the end.

    Folders of killed processes are deleted first.
    """
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        number = old.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            shutil.rmtree(old, ignore_errors=True)
    prefix = f"{PREFIX}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


def _quiet(folder: Path) -> None:
    """Set where gradio and its dependencies write, and disable their calls to other hosts."""
    os.environ |= {
        "GRADIO_TEMP_DIR": str(folder),
        "GRADIO_EXAMPLES_CACHE": str(folder / "cached"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_RUN_HISTORY": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
    }
    tempfile.tempdir = str(folder)

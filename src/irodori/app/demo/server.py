"""The server's process: gradio's page behind its guard, and an orderly end."""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from irodori.app.address import listen, url
from irodori.app.demo.limits import Limits
from irodori.app.demo.models import Models

PREFIX = "irodori-demo-"
PATIENCE = 1
"""Seconds that requests may take to end when the server is stopped."""


def serve(
    models: Models,
    limits: Limits,
    host: str,
    port: int,
    waiting: int,
    at_once: int,
    ready: Callable[[str], None],
) -> None:
    """Serve the page until a signal ends it.

    Args:
        models: that can be chosen; the first one is loaded before the page is there.
        limits: of what visitors send.
        host: name or address to listen at.
        port: 0 takes a free one.
        waiting: visitors in the queue, at most.
        at_once: visitors whose photos are colored at the same time.
        ready: called with the address.

    Raises:
        IrodoriError: the port is taken, or a checkpoint can't be read.
    """
    with listen(host, port) as listening, own_folder() as folder:
        for name in reversed(models.names):
            models.load(name)
        _quiet(folder)
        # gradio reads its environment when it is imported.
        import uvicorn

        from irodori.app.demo.application import application

        config = uvicorn.Config(
            application(models, limits, folder, waiting, at_once),
            # No log of requests: it would hold people's addresses.
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=PATIENCE,
        )
        address = url(host, listening)

        class Server(uvicorn.Server):
            async def startup(self, sockets: Any = None) -> None:
                """Listen, and say so."""
                await super().startup(sockets)
                if self.started:
                    ready(address)

            async def shutdown(self, sockets: Any = None) -> None:
                """End; open pages keep connections, and that these are cut is worth no line."""
                logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
                await super().shutdown(sockets)

        Server(config).run(sockets=[listening])


@contextmanager
def own_folder() -> Iterator[Path]:
    """Return a folder for all temporary files of this process, deleted at its end.

    Those of processes that were killed are deleted first.
    """
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        number = old.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _quiet(folder: Path) -> None:
    """Tell gradio and what it uses where to write, and to call nobody."""
    os.environ |= {
        "GRADIO_TEMP_DIR": str(folder),
        "GRADIO_EXAMPLES_CACHE": str(folder / "cached"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SHARE": "False",
        "GRADIO_RUN_HISTORY": "False",
        "GRADIO_MCP_SERVER": "False",
        "GRADIO_SSR_MODE": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
    }
    tempfile.tempdir = str(folder)

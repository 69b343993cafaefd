"""`irodori demo`: a web page that colorizes photos."""

import importlib.util
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from irodori.cli.options import Device, Trust, checkpoint_path
from irodori.cli.reporting import report_errors
from irodori.utils import progress
from irodori.utils.errors import IrodoriError


def demo(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="Checkpoint, run folder or hf://USER/NAME@REVISION to offer on the page; repeat"
            " for more.",
            parser=checkpoint_path,
            metavar="PATH",
            show_default="the bundled model, which is always offered",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 accepts other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 selects a free one.")] = 7860,
    max_megabytes: Annotated[
        float, typer.Option(help="Largest file size of a photo in megabytes.")
    ] = 50,
    max_megapixels: Annotated[
        float,
        typer.Option(help="Largest photo in megapixels; it may take 12 bytes per pixel decoded."),
    ] = 50,
    max_photos: Annotated[int, typer.Option(help="Largest number of photos in a request.")] = 20,
    max_seconds: Annotated[float, typer.Option(help="Time limit per photo in seconds.")] = 120,
    max_gigabytes: Annotated[
        float, typer.Option(help="Largest total size of visitors' files in gigabytes.")
    ] = 8,
    waiting: Annotated[
        int, typer.Option(help="Longest queue of visitors; further ones are refused.")
    ] = 100,
    at_once: Annotated[
        int,
        typer.Option(
            help="Number of visitors served at the same time; each takes additional memory."
        ),
    ] = 1,
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Serve a web page that colorizes photos. No files are kept, no other host is contacted."""
    with report_errors(), ExitStack() as starting:
        if importlib.util.find_spec("gradio") is None:
            raise IrodoriError("the page needs gradio: pip install 'irodori[demo]'")
        starting.enter_context(progress.waiting("starting the page"))
        # Imported here, so that `irodori --help` doesn't wait for them.
        from irodori.app.demo.server import serve
        from irodori.app.demo.service import Limits, Models
        from irodori.inference.batch_colorizer import device_of

        sizes = (max_megabytes, max_megapixels, max_photos, max_seconds, max_gigabytes)
        limits = Limits(*sizes, waiting, at_once)
        models = Models(checkpoint or [], device_of(device), trust or ())

        def ready(address: str) -> None:
            starting.close()
            print(f"irodori demo at {address} (Ctrl-C ends it)", flush=True)

        serve(models, limits, host, port, ready)

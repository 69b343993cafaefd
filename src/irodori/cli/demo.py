"""`irodori demo`: the web page on which anyone tries old photos."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from irodori.cli.options import Device, Trust, checkpoint_path
from irodori.cli.reporting import report_errors
from irodori.utils.errors import IrodoriError


def demo(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="A checkpoint, run folder or hf://USER/NAME@REVISION to choose on the page; give"
            " it again for more.",
            parser=checkpoint_path,
            metavar="PATH",
            show_default="the bundled model, which is always there",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 lets others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.")] = 7860,
    max_megabytes: Annotated[
        float, typer.Option(help="Largest file of a photo in megabytes.")
    ] = 50,
    max_megapixels: Annotated[
        float,
        typer.Option(help="Largest photo in megapixels; decoded, it may take 12 bytes a pixel."),
    ] = 50,
    max_photos: Annotated[
        int, typer.Option(help="Largest number of photos that a visitor colorizes at a time.")
    ] = 20,
    max_seconds: Annotated[float, typer.Option(help="Longest time for a photo in seconds.")] = 120,
    max_gigabytes: Annotated[
        float, typer.Option(help="Largest size of all visitors' files together in gigabytes.")
    ] = 8,
    waiting: Annotated[
        int, typer.Option(help="Longest queue of visitors; more are sent away.")
    ] = 100,
    at_once: Annotated[
        int,
        typer.Option(
            help="Number of visitors served at the same time; each needs memory of its own."
        ),
    ] = 1,
    device: Device = "auto",
    trust: Trust = None,
) -> None:
    """Show a web page that colorizes photos; nothing is kept, and no other host is called."""
    with report_errors():
        if importlib.util.find_spec("gradio") is None:
            raise IrodoriError("the page needs gradio: pip install 'irodori[demo]'")
        # Imported here, so that `irodori --help` doesn't wait for them.
        from irodori.app.demo.server import serve
        from irodori.app.demo.service import Limits, Models
        from irodori.inference.batch_colorizer import device_of

        sizes = (max_megabytes, max_megapixels, max_photos, max_seconds, max_gigabytes)
        limits = Limits(*sizes, waiting, at_once)
        models = Models(checkpoint or [], device_of(device), trust or ())

        def ready(address: str) -> None:
            print(f"irodori demo at {address} (Ctrl-C ends it)", flush=True)

        serve(models, limits, host, port, ready)

"""The page as an ASGI application that reaches no other host."""

from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import gradio as gr
from fastapi import FastAPI
from gradio import processing_utils
from starlette.types import ASGIApp

from irodori.app.demo.door import Door
from irodori.app.demo.limits import Limits
from irodori.app.demo.models import Models
from irodori.app.demo.page import EXAMPLES, build
from irodori.app.demo.studio import Studio
from irodori.app.demo.visits import Visits

SLACK = 1_000_000
"""Bytes of an upload beside its files."""
FONTS = ("system-ui", "sans-serif")
MONO = ("ui-monospace", "monospace")


def application(
    models: Models, limits: Limits, folder: Path, waiting: int, at_once: int
) -> ASGIApp:
    """What a server runs.

    Args:
        models: that can be chosen.
        limits: of what visitors send.
        folder: gradio's temporary folder, by `GRADIO_TEMP_DIR`, in which all files are.
        waiting: visitors in the queue, at most.
        at_once: visitors whose photos are coloured at the same time.
    """
    for name in ("async_ssrf_protected_download", "ssrf_protected_download", "save_url_to_cache"):
        # Where the API takes a file it takes an address, too, and would fetch what is there.
        setattr(processing_utils, name, _refuse_address)
    visits = Visits(folder, frozenset({folder / EXAMPLES}))
    page = build(Studio(models, limits), visits, waiting, at_once)
    page.share = False
    # Without these two, files that a request names aren't looked at: gradio sets them in `launch`.
    page.has_launched = True
    page.is_running = True
    # Of what there is now, nothing is a visitor's.
    visits.kept |= frozenset(folder.iterdir())
    visits.keep_sweeping()
    mounted = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        "/",
        footer_links=[],
        max_file_size=limits.bytes,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
        theme=_theme(),
        css=resources.files("irodori.app.demo").joinpath("page.css").read_text("utf-8"),
    )
    return Door(mounted, folder, limits.photos * limits.bytes + SLACK)


async def _refuse_address(*arguments: Any, **named: Any) -> NoReturn:
    raise gr.Error("send the file itself, not an address", print_exception=False)


def _theme() -> gr.themes.Base:
    """gradio's look, with the system's fonts, and contrasts of at least 4.5:1."""
    return gr.themes.Default(
        primary_hue="indigo", secondary_hue="indigo", font=FONTS, font_mono=MONO
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        link_text_color_dark="*secondary_300",
        link_text_color_visited_dark="*secondary_300",
        link_text_color_hover_dark="*secondary_200",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
    )

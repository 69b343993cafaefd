"""The demo and its routes for hints, as an ASGI application that contacts no other host."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import gradio as gr
from anyio import CapacityLimiter
from fastapi import FastAPI
from gradio import processing_utils, queueing, route_utils, routes
from gradio.utils import get_upload_folder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from irodori.app.demo.hint_editor import HintEditor
from irodori.app.demo.page import address, build
from irodori.app.demo.route_guard import RouteGuard, report_failure
from irodori.app.demo.service import ColorizeService, Limits, Models, VisitorLeftError, reason
from irodori.app.demo.upload_store import UploadStore
from irodori.inference.hints import Hint, hints_from_json, hints_to_json
from irodori.utils.errors import IrodoriError, one_line

SLACK = 1_000_000
"""Bytes that an upload may take in addition to its files."""
FONTS = ("system-ui", "sans-serif")
MONO = ("ui-monospace", "monospace")
Work = Callable[[HintEditor, str, Request, bytes], Response]
GONE = "This result no longer exists: colorize the photo again."
FULL = "Too many visitors at once: try again in a minute."


def application(models: Models, limits: Limits, folder: Path) -> ASGIApp:
    """Return the ASGI application of the demo.

    Args:
        models: the models that visitors can choose.
        limits: limits of what visitors may send.
        folder: gradio's temporary folder (`GRADIO_TEMP_DIR`), which holds all files.

    Raises:
        IrodoriError: this version of gradio lacks a feature on which the page's safety depends.
    """
    for name in ("async_ssrf_protected_download", "ssrf_protected_download", "save_url_to_cache"):
        # The API also accepts a URL in place of a file, and would fetch it.
        _replace(processing_utils, name, _refuse_address)
    # A failed request is logged on one line.
    names = {**vars(traceback), "print_exc": lambda: report_failure("", sys.exception())}
    for module in (queueing, routes, route_utils):
        _replace(module, "traceback", SimpleNamespace(**names))
    if Path(get_upload_folder()).resolve() != folder:
        raise _unfit("the environment variable GRADIO_TEMP_DIR")
    store = UploadStore(folder, int(limits.gigabytes * 1e9))
    editor = HintEditor(ColorizeService(models, limits))
    page = build(editor, store)
    _replace(page, "share", False)
    # gradio checks the files that a request names only with these two, which `launch` would set.
    _replace(page, "has_launched", True)
    _replace(page, "is_running", True)
    # Files that exist by now belong to no visitor.
    store.kept |= frozenset(folder.iterdir())
    store.start_sweeping()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # Before gradio's route, which matches every path.
    app.routes.extend(hint_routes(editor, limits))
    own = Path(__file__).parent
    script = "".join((own / name).read_text("utf-8") for name in ("palette.js", "hints.js"))
    try:
        mounted = gr.mount_gradio_app(
            app,
            page,
            "/",
            footer_links=[],
            max_file_size=limits.bytes,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            pwa=False,
            theme=_theme(),
            css_paths=[own / "page.css", own / "hints.css"],
            head=f'<script type="module">{script}</script>',
        )
    except TypeError as error:
        raise _unfit(one_line(error)) from None
    return RouteGuard(mounted, store, limits.photos * limits.bytes + SLACK)


def _replace(owner: Any, name: str, value: Any) -> None:
    """Replace an attribute of gradio on which the page's safety depends; it must exist."""
    if not hasattr(owner, name):
        raise _unfit(f"{getattr(owner, '__name__', type(owner).__name__)}.{name}")
    setattr(owner, name, value)


def _unfit(what: str) -> IrodoriError:
    return IrodoriError(
        f"gradio {gr.__version__} is not safe for this page, since it lacks {what}:"
        " pip install 'irodori[demo]'"
    )


async def _refuse_address(*arguments: Any, **named: Any) -> NoReturn:
    raise gr.Error("send the file itself, not an address", print_exception=False)


def _theme() -> gr.themes.Base:
    """Return gradio's look with the system's fonts, and contrasts of at least 4.5:1."""
    dark = {"link_text_color": 300, "link_text_color_visited": 300, "link_text_color_hover": 200}
    colors = {f"{name}_dark": f"*secondary_{shade}" for name, shade in dark.items()}
    for name, light, dark_shade in (
        ("body_text_color_subdued", 600, 300),
        ("block_info_text_color", 600, 300),
        ("block_label_text_color", 700, 200),
        ("block_title_text_color", 700, 200),
    ):
        colors |= {name: f"*neutral_{light}", f"{name}_dark": f"*neutral_{dark_shade}"}
    for state, shade, dark_shade in (("", 700, 700), ("_hover", 800, 600)):
        name = f"button_primary_background_fill{state}"
        colors |= {name: f"*primary_{shade}", f"{name}_dark": f"*primary_{dark_shade}"}
    text = "button_primary_text_color"
    theme = gr.themes.Default(
        primary_hue="indigo", secondary_hue="indigo", font=FONTS, font_mono=MONO
    )
    return theme.set(**colors, **{text: "white", f"{text}_dark": "white"})


def hint_routes(editor: HintEditor, limits: Limits) -> list[Route]:
    """Return the routes; each takes the text of a hint file, or a position as x and y.

    Args:
        editor: does the work.
        limits: how many requests each route answers at the same time, and how many may wait.
    """
    works = {"read": _read, "preview": _preview, "colors": _colors, "file": _file}
    # Each route has its own queue: a file at full size takes longer than a click may.
    return [_route(name, work, editor, limits) for name, work in works.items()]


def _route(name: str, work: Work, editor: HintEditor, limits: Limits) -> Route:
    turns = CapacityLimiter(limits.at_once)

    async def answer(request: Request) -> Response:
        token, body = request.path_params["token"], await request.body()
        if turns.statistics().tasks_waiting >= limits.waiting:
            return PlainTextResponse(FULL, 503)
        try:
            async with turns:
                if await request.is_disconnected():
                    raise VisitorLeftError
                return await run_in_threadpool(work, editor, token, request, body)
        except VisitorLeftError:
            return PlainTextResponse(GONE, 404)
        except IrodoriError as error:
            return PlainTextResponse(str(error), 400)
        except Exception as error:
            report_failure(f"{request.method} {request.url.path[:80]!r}: ", error)
            return PlainTextResponse(reason(error), 500)

    return Route(f"/hints/{{token}}/{name}", answer, methods=["POST"])


def _read(editor: HintEditor, token: str, request: Request, body: bytes) -> Response:
    shares = editor.as_relative(token, _hints(body))
    return Response(hints_to_json(shares), media_type="application/json")


def _preview(editor: HintEditor, token: str, request: Request, body: bytes) -> Response:
    jpeg = editor.preview(token, _hints(body))
    return Response(jpeg, media_type="image/jpeg")


def _colors(editor: HintEditor, token: str, request: Request, body: bytes) -> Response:
    try:
        x, y = (float(request.query_params[name]) for name in "xy")
    except (KeyError, ValueError):
        raise IrodoriError("x and y are missing or not numbers") from None
    return JSONResponse(editor.likely_colors(token, x, y))


def _file(editor: HintEditor, token: str, request: Request, body: bytes) -> Response:
    return PlainTextResponse(address(editor.full_size(token, _hints(body))))


def _hints(body: bytes) -> tuple[Hint, ...]:
    try:
        return hints_from_json(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise IrodoriError("not JSON (not UTF-8 text)") from None

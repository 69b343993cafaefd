"""The study's web server: a page and the requests that it makes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from irodori.app.naturalness.store import RefusedError, Store
from irodori.app.serving import Server, listen, url

MAX_BYTES = 4096
"""Largest size of a request in bytes."""
HOUR = 3_600_000
"""Longest viewing time or latency in milliseconds that is stored."""
PATIENCE = 5
"""Seconds that open requests may take when the server is stopped."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
Work = Callable[[dict[str, Any]], Any]


def serve(store: Store, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve a study until a signal stops it; `ready` is called with the page's URL.

    Raises:
        IrodoriError: see `listen`.
    """
    with listen(host, port) as listening:
        ready(url(host, listening))
        Server(application(store), PATIENCE).run(sockets=[listening])


def application(store: Store) -> Starlette:
    """Return the study as an ASGI application."""
    study = store.study
    about = {"name": study.name, "steps": study.steps, "minutes": study.minutes}
    source = Path(__file__).with_name("page.html.j2").read_text("utf-8")
    template = jinja2.Template(source, trim_blocks=True, autoescape=True)
    page = template.render(about, **vars(study.settings))

    def begin(given: dict[str, Any]) -> Any:
        return {"code": store.begin()}

    def step(given: dict[str, Any]) -> Any:
        return store.step(_code(given))

    def answer(given: dict[str, Any]) -> Any:
        code, choice = _code(given), _number(given, "choice")
        if choice > 1:
            raise RefusedError(400, "choice must be 0 or 1")
        times = (min(HOUR, _number(given, name)) for name in ("viewed", "latency"))
        store.answer(code, _number(given, "place"), choice, *times)
        return store.step(code)

    def picture(request: Request) -> Response:
        jpeg = store.jpeg(request.path_params["token"])
        if jpeg is None:
            return Response("no such picture", 404, media_type="text/plain")
        headers = {"cache-control": "private, max-age=86400, immutable"}
        return Response(jpeg, media_type="image/jpeg", headers=headers)

    return Starlette(
        routes=[
            Route("/", lambda request: HTMLResponse(page)),
            *(_posted(work) for work in (begin, step, answer)),
            Route("/pictures/{token}", picture),
            Mount("/", StaticFiles(packages=[("irodori.app.naturalness", "page")])),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=_add_headers)],
    )


async def _add_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Add headers that keep the browser from loading anything from other hosts."""
    response = await call_next(request)
    response.headers.update(HEADERS)
    response.headers.setdefault("cache-control", "no-store")
    return response


def _posted(work: Work) -> Route:
    """Return a route for JSON requests and responses; `work` runs in a thread."""

    async def respond(request: Request) -> Response:
        try:
            return JSONResponse(await run_in_threadpool(work, await _json(request)))
        except RefusedError as error:
            return JSONResponse({"error": str(error)}, error.status)

    return Route(f"/api/{work.__name__}", respond, methods=["POST"])


async def _json(request: Request) -> dict[str, Any]:
    # Pages of other sites can send this type only after a CORS preflight, which fails.
    if request.headers.get("content-type") != "application/json":
        raise RefusedError(400, "no JSON")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            raise RefusedError(400, "too long")
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):  # RecursionError: deeply nested brackets
        raise RefusedError(400, "no JSON") from None
    if not isinstance(given, dict):
        raise RefusedError(400, "the request must be a JSON object")
    return given


def _code(given: dict[str, Any]) -> str:
    """Return the code in its stored form, however it was typed."""
    code = given.get("code")
    if not isinstance(code, str):
        raise RefusedError(400, "no code")
    return "".join(letter for letter in code.upper() if letter.isalnum())


def _number(given: dict[str, Any], name: str) -> int:
    number = given.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise RefusedError(400, f"{name} must be a non-negative integer")
    return number

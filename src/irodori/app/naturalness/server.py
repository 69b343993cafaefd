"""The study's web page, and the few requests that it makes."""

import json
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from irodori.app.naturalness.store import OutOfTurnError, Shown, Step, Store, UnknownCodeError

PAGE = {
    "/": ("index.html", "text/html"),
    "/study.css": ("study.css", "text/css"),
    "/study.js": ("study.js", "text/javascript"),
}
MOST_BYTES = 4096
"""That a request may hold."""
HOUR = 3_600_000
"""Milliseconds; a longer viewing or latency is written down as this."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Headers:
    """ASGI middleware: every answer tells the browser to load nothing from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add the headers to its answer."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)


class BadRequestError(Exception):
    """What came isn't what the page sends."""


def application(store: Store) -> ASGIApp:
    """The study as an ASGI application."""
    study = store.study
    about = {
        "name": study.name,
        "pairs": study.settings.pairs,
        "seconds": study.settings.seconds,
        "minimum": study.settings.minimum,
        "steps": study.steps,
        "minutes": study.settings.minutes(study.steps),
    }

    async def told(request: Request) -> Response:
        return JSONResponse(about)

    def begin(given: dict[str, Any]) -> Any:
        return {"code": store.begin()}

    def following(given: dict[str, Any]) -> Any:
        return _described(store.step(_code(given)))

    def answer(given: dict[str, Any]) -> Any:
        code = _code(given)
        choice = _number(given, "choice", 1)
        viewed, latency = (_number(given, name, None) for name in ("viewed", "latency"))
        store.answer(code, _number(given, "place", None), choice, viewed, latency)
        return _described(store.step(code))

    async def picture(request: Request) -> Response:
        jpeg = await run_in_threadpool(store.jpeg, request.path_params["token"])
        if jpeg is None:
            return Response("no such picture", 404, media_type="text/plain")
        return Response(
            jpeg,
            media_type="image/jpeg",
            headers={"cache-control": "private, max-age=86400, immutable"},
        )

    return Headers(
        Starlette(
            routes=[
                *(Route(path, _file(*file)) for path, file in PAGE.items()),
                Route("/api/study", told),
                Route("/api/begin", _posted(begin), methods=["POST"]),
                Route("/api/step", _posted(following), methods=["POST"]),
                Route("/api/answer", _posted(answer), methods=["POST"]),
                Route("/pictures/{token}", picture),
            ]
        )
    )


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    content = (resources.files(__package__) / "page" / name).read_bytes()

    async def respond(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return respond


def _posted(
    work: Callable[[dict[str, Any]], Any],
) -> Callable[[Request], Awaitable[Response]]:
    """A request with JSON in it and an answer of JSON; `work` runs in a thread."""

    async def respond(request: Request) -> Response:
        try:
            return JSONResponse(await run_in_threadpool(work, await _json(request)))
        except UnknownCodeError:
            return JSONResponse({"error": "unknown code"}, 404)
        except OutOfTurnError:
            return JSONResponse({"error": "out of turn"}, 409)
        except BadRequestError as error:
            return JSONResponse({"error": str(error)}, 400)

    return respond


async def _json(request: Request) -> dict[str, Any]:
    # Another site's page can't send this type without asking first, and nobody would say yes.
    if request.headers.get("content-type") != "application/json":
        raise BadRequestError("no JSON")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise BadRequestError("too long")
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):  # the latter of brackets within brackets
        raise BadRequestError("no JSON") from None
    if not isinstance(given, dict):
        raise BadRequestError("no JSON object")
    return given


def _code(given: dict[str, Any]) -> str:
    """The code as it is kept, however it was typed."""
    code = given.get("code")
    if not isinstance(code, str):
        raise BadRequestError("no code")
    return "".join(letter for letter in code.upper() if letter.isalnum())


def _number(given: dict[str, Any], name: str, most: int | None) -> int:
    """A whole number from 0 on; beyond an hour's milliseconds it is cut, beyond `most` refused."""
    number = given.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise BadRequestError(f"{name} is no whole number from 0 on")
    if most is not None and number not in range(most + 1):
        raise BadRequestError(f"{name} is not in 0 … {most}")
    return min(HOUR, number)


def _described(step: Step) -> dict[str, Any]:
    return {
        "place": step.place,
        "pictures": [_picture(one) for one in step.pictures],
        "following": [_picture(one)["source"] for one in step.following],
    }


def _picture(shown: Shown) -> dict[str, Any]:
    return {"source": f"pictures/{shown.token}", "width": shown.width, "height": shown.height}

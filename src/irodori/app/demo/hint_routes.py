"""HTTP routes for hints: previews, likely colors, and files at full size."""

from collections.abc import Callable

from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from irodori.app.demo.hint_editor import HintEditor
from irodori.app.demo.limits import Limits
from irodori.app.demo.markup import address
from irodori.app.demo.route_guard import report_failure
from irodori.app.demo.service import VisitorLeftError, reason
from irodori.inference.hints import Hint, hints_from_json, hints_to_json
from irodori.utils.errors import IrodoriError

Work = Callable[[HintEditor, str, Request, bytes], Response]
GONE = "This result no longer exists: colorize the photo again."
FULL = "Too many visitors at once: try again in a minute."


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

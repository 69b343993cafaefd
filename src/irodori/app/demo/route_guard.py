"""ASGI middleware that passes on only the page's own requests, of bounded length."""

import asyncio
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from irodori.app.demo.upload_store import ABORTED, UploadStore
from irodori.utils.errors import IrodoriError, one_line

OPEN = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)/?|/(assets|static)/.*"
    r"|/gradio_api/(info|upload|upload_progress|cancel|reset|app_id|startup-events)/?"
    r"|/gradio_api/(queue|heartbeat|call)/.*|/gradio_api/run/predict"
    r"|/hints/[0-9a-f]{40}/(read|preview|colors|file)"
)
"""Routes that the page and its API need. gradio's others serve components that the page lacks,
gradio's development, or files and pages of other hosts."""
FILES = "/gradio_api/file="
UPLOAD = "/gradio_api/upload"
HEARTBEAT = "/gradio_api/heartbeat/"
"""Prefix of the route that an open page stays connected to; its session follows."""
MAX_BODY = 1_000_000
"""Largest size in bytes of a request that is not an upload."""

HEADERS = {
    # gradio's page has inline scripts and styles and evaluates code, but needs no other host.
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline'"
    " 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self';"
    " form-action 'self'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class RouteGuard:
    """ASGI middleware in front of gradio.

    Args:
        app: gradio's application.
        store: visitors' files; no other file is served.
        upload: largest upload in bytes, all files together.
    """

    def __init__(self, app: ASGIApp, store: UploadStore, upload: int) -> None:
        self.app = app
        self.store = store
        self.upload = upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or refuse it; failures are logged on one line."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        path, started, whole = scope["path"], False, False

        async def with_headers(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if path.startswith(FILES):
                    headers["cache-control"] = "no-store"
            await send(message)

        async def in_time() -> Message:
            nonlocal whole
            async with asyncio.timeout(None if whole else ABORTED):
                message = await receive()
            whole = not message.get("more_body", False)
            return message

        refusal = self._refusal(scope)
        size = int(Headers(scope=scope).get("content-length") or 0)
        try:
            with self._kept_in_mind(path, size) if refusal is None else nullcontext():
                await (refusal or self.app)(scope, in_time, with_headers)
        except Exception as error:
            full = isinstance(error, IrodoriError)
            if not full:
                report_failure(f"{scope['method']} {path[:80]!r}: ", error)
            if not started:
                text, status = (str(error), 507) if full else ("This request can't be read.", 400)
                await PlainTextResponse(text, status)(scope, receive, with_headers)

    def _kept_in_mind(self, path: str, size: int) -> AbstractContextManager[None]:
        if path.rstrip("/") == UPLOAD:
            return self.store.receiving(size)
        if path.startswith(HEARTBEAT):
            return self.store.connected(path.removeprefix(HEARTBEAT).rstrip("/"))
        return nullcontext()

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        path = scope["path"]
        if path.startswith(FILES):
            if not self._is_own(path.removeprefix(FILES)):
                return PlainTextResponse("This file doesn't belong to the page.", 403)
        elif not OPEN.fullmatch(path):
            return PlainTextResponse("Not found.", 404)
        # The server reads no more than the stated length, except in chunks, which ignore it.
        headers = Headers(scope=scope)
        length = headers.get("content-length")
        if (length is None and scope["method"] == "POST") or "transfer-encoding" in headers:
            return PlainTextResponse("The request must state its length.", 411)
        max_bytes = self.upload if path.rstrip("/") == UPLOAD else MAX_BODY
        if int(length or 0) > max_bytes:
            return PlainTextResponse("The request is larger than this page allows.", 413)
        return None

    def _is_own(self, name: str) -> bool:
        try:
            return Path(name).resolve().is_relative_to(self.store.root)
        except (OSError, ValueError, RuntimeError):
            return False


def report_failure(what: str, error: BaseException | None) -> None:
    """Log a failed request on one line."""
    line = f"{type(error).__name__}: {one_line(error)}" if error else "unknown"
    print(f"request failed: {what}{line}"[:316], file=sys.stderr, flush=True)

"""ASGI middleware that lets only the page's own requests through, of bounded length."""

import re
import sys
from contextlib import nullcontext
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from irodori.app.demo.upload_store import UploadStore
from irodori.utils.errors import IrodoriError, one_line

OPEN = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)/?|/(assets|static)/.*"
    r"|/gradio_api/(info|upload|upload_progress|cancel|reset|app_id|startup-events)/?"
    r"|/gradio_api/(queue|heartbeat|call)/.*|/gradio_api/run/predict"
    r"|/hints/[0-9a-f]{40}/(read|preview|colors|file)"
)
"""Addresses that the page and its API need. The others of gradio serve components that
aren't here, its development, or files and pages of other hosts."""
FILES = "/gradio_api/file="
UPLOAD = "/gradio_api/upload"
TALK = 1_000_000
"""Bytes of a request that is no upload."""

HEADERS = {
    # gradio's page holds scripts and styles, and makes functions of text; it needs no other host.
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
        app: gradio's.
        store: of visitors' files: no other file is served.
        upload: bytes of an upload, all its files together.
    """

    def __init__(self, app: ASGIApp, store: UploadStore, upload: int) -> None:
        self.app = app
        self.store = store
        self.upload = upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it; one that fails is a line in the log."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        path, started = scope["path"], False

        async def with_headers(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if path.startswith(FILES):
                    headers["cache-control"] = "no-store"
            await send(message)

        refusal = self._refusal(scope)
        size = int(Headers(scope=scope).get("content-length") or 0)
        try:
            uploads = path.rstrip("/") == UPLOAD and refusal is None
            with self.store.receiving(size) if uploads else nullcontext():
                await (refusal or self.app)(scope, receive, with_headers)
        except Exception as error:
            full = isinstance(error, IrodoriError)
            if not full:
                report_failure(f"{scope['method']} {path[:80]!r}: ", error)
            if not started:
                text, status = (str(error), 507) if full else ("This request can't be read.", 400)
                await PlainTextResponse(text, status)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        path = scope["path"]
        if path.startswith(FILES):
            if not self._is_own(path.removeprefix(FILES)):
                return PlainTextResponse("This file isn't the page's.", 403)
        elif not OPEN.fullmatch(path):
            return PlainTextResponse("There is nothing here.", 404)
        # The server reads no more than the length that is said.
        length = Headers(scope=scope).get("content-length")
        if length is None and scope["method"] == "POST":
            return PlainTextResponse("Say its length.", 411)
        max_bytes = self.upload if path.rstrip("/") == UPLOAD else TALK
        if int(length or 0) > max_bytes:
            return PlainTextResponse("That is more than this page takes at a time.", 413)
        return None

    def _is_own(self, name: str) -> bool:
        try:
            return Path(name).resolve().is_relative_to(self.store.root)
        except (OSError, ValueError, RuntimeError):
            return False


def report_failure(what: str, error: BaseException | None) -> None:
    """Write a line to the log for a request that failed."""
    line = f"{type(error).__name__}: {one_line(error)}" if error else "unknown"
    print(f"request failed: {what}{line}"[:316], file=sys.stderr, flush=True)

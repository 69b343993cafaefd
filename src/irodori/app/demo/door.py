"""What the server answers at all: the page's own requests, of bounded length."""

import re
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)/?|/(assets|static)/.*"
    r"|/gradio_api/(info|upload|upload_progress|cancel|reset|app_id|startup-events)/?"
    r"|/gradio_api/(queue|heartbeat|call)/.*|/gradio_api/run/predict"
)
"""Of gradio's addresses, those that the page and its API need. The others serve components that
aren't here, its development, or files and pages of other hosts."""
FILES = "/gradio_api/file="
UPLOAD = "/gradio_api/upload"
TALK = 1_000_000
"""Bytes of any other request."""

HEADERS = {
    # gradio's page holds scripts and styles, and makes functions of text; it needs no other host.
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline'"
    " 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self';"
    " form-action 'self'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Door:
    """ASGI middleware in front of gradio.

    Args:
        app: gradio's.
        root: the folder of visitors' files: no other file is served.
        upload: bytes of an upload, all its files together.
    """

    def __init__(self, app: ASGIApp, root: Path, upload: int) -> None:
        self.app = app
        self.root = root
        self.upload = upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        path = scope["path"]
        is_file = path.startswith(FILES)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if is_file:
                    headers["cache-control"] = "no-store"
            await send(message)

        if is_file and not self._is_own(path.removeprefix(FILES)):
            refusal = PlainTextResponse("This file isn't the page's.", 403)
            await refusal(scope, receive, with_headers)
            return
        if not is_file and not OPEN.fullmatch(path):
            await PlainTextResponse("There is nothing here.", 404)(scope, receive, with_headers)
            return
        # The server reads no more than the length that is said.
        length = Headers(scope=scope).get("content-length")
        if length is None and scope["method"] == "POST":
            await PlainTextResponse("Say its length.", 411)(scope, receive, with_headers)
            return
        most = self.upload if path.rstrip("/") == UPLOAD else TALK
        if int(length or 0) > most:
            refusal = PlainTextResponse("That is more than this page takes at a time.", 413)
            await refusal(scope, receive, with_headers)
            return
        await self.app(scope, receive, with_headers)

    def _is_own(self, name: str) -> bool:
        try:
            return Path(name).resolve().is_relative_to(self.root)
        except (OSError, ValueError, RuntimeError):
            return False

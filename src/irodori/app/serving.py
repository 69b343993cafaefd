"""Serving web pages: sockets, URLs, and uvicorn."""

import logging
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from irodori.utils.errors import IrodoriError


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, which queues requests at once.

    Args:
        host: host name or address.
        port: port to listen on; 0 selects a free one.

    Raises:
        IrodoriError: the port is taken or invalid, or the host is unknown or another machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError, UnicodeError) as error:
        # Python appends the address in parentheses.
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (")[0]
        raise IrodoriError(
            f"{host}, port {port}: {reason}; choose another with --port or --host"
        ) from None


def url(host: str, listening: socket.socket) -> str:
    """Return the URL of the page that is served on a socket."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"


class Server(uvicorn.Server):
    """uvicorn without a log of requests, which would contain visitors' addresses.

    `run` shuts down cleanly on Ctrl-C and SIGTERM, and raises them again afterwards.

    Args:
        application: the ASGI application to serve.
        patience: seconds that open requests may take when the server is stopped.
    """

    def __init__(self, application: ASGIApp, patience: int) -> None:
        config = uvicorn.Config(
            application,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=patience,
        )
        super().__init__(config)

    async def shutdown(self, sockets: Any = None) -> None:
        """Shut down without logging the connections of open pages that are cut."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)

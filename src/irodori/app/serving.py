"""How web pages are served: sockets, their addresses, and uvicorn."""

import logging
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from irodori.utils.errors import IrodoriError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address and queues requests from here on.

    Args:
        host: name or address.
        port: 0 takes a free one.

    Raises:
        IrodoriError: the port is taken or none, or the host is none or isn't this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError, UnicodeError) as error:
        # Python adds the address, in parentheses.
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (")[0]
        raise IrodoriError(
            f"{host}, port {port}: {reason}; choose another with --port or --host"
        ) from None


def url(host: str, listening: socket.socket) -> str:
    """Return the address of a page that is served there."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"


class Server(uvicorn.Server):
    """uvicorn without a log of requests, which would hold people's addresses.

    Its `run` ends in order on Ctrl-C and SIGTERM, and raises them again afterwards.

    Args:
        application: answers the requests.
        patience: seconds that requests may take to end when the server is stopped.
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
        """End; open pages keep connections, and that these are cut is worth no line."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)

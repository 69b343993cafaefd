"""The server's process: an address, a line when it is ready, and an orderly end."""

import socket
from collections.abc import Callable

import uvicorn

from irodori.app.naturalness.server import application
from irodori.app.naturalness.store import Store
from irodori.utils.errors import IrodoriError

PATIENCE = 5
"""Seconds that requests may take to end when the server is stopped."""


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        IrodoriError: the port is taken, or the address is none or isn't this machine's.
    """
    if port not in range(65536):  # it would be taken modulo this
        raise IrodoriError(f"--port is {port}: give a number from 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            # Queues requests from here on, so that the address can be told before the loop runs.
            made.listen(2048)
        except OSError:
            made.close()
            raise
    except UnicodeError:
        raise IrodoriError(
            f"--host is {host}: give an address or a name with 1 to 63 letters between dots"
        ) from None
    except OSError as error:
        raise IrodoriError(
            f"{host}, port {port}: {error.strerror}; choose another with --port or --host"
        ) from None
    return made


def serve(store: Store, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve a study until a signal ends it.

    Args:
        store: of the study.
        host: name or address to listen at.
        port: 0 takes a free one.
        ready: is told the address.

    Raises:
        IrodoriError: see `bound`.
    """
    listening = bound(host, port)
    # No log of requests: it would hold people's addresses.
    config = uvicorn.Config(
        application(store),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=PATIENCE,
        lifespan="off",
    )
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{listening.getsockname()[1]}")
    # uvicorn ends in order on Ctrl-C and SIGTERM, and raises them again afterwards.
    with listening:
        uvicorn.Server(config).run(sockets=[listening])

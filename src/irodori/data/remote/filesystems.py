"""fsspec's file systems: buckets, and what web servers list."""

from collections.abc import Callable
from typing import Any, TypeVar

from irodori.data.remote.retry import Network, RefusedError, TransientError, retrying
from irodori.data.remote.source import name_of, split
from irodori.errors import IrodoriError, one_line

Answer = TypeVar("Answer")


def ask(url: str, timeout: float, question: Callable[[Any], Answer]) -> Answer:
    """What the file system of a URL's scheme answers.

    Raises:
        TransientError: what of a service's many kinds of errors may pass.
        RefusedError: the others.
        IrodoriError: the package for the scheme isn't installed.
    """
    files = _filesystem(url.partition("://")[0], timeout)
    try:
        return question(files)
    except FileNotFoundError as error:
        raise RefusedError(f"{url} does not exist", missing=True) from error
    except PermissionError as error:
        raise RefusedError(f"{url}: no access ({one_line(error)})", missing=True) from error
    except (TimeoutError, OSError) as error:
        raise TransientError(f"{url}: {one_line(error)}") from error
    except Exception as error:
        # Each service raises its client's own classes, of no common base: an HTTP status, or the
        # names of their classes, tell what may pass.
        code = getattr(error, "code", getattr(error, "status", None))
        passing = isinstance(code, int) and (code in (408, 429) or code >= 500)
        names = " ".join(kind.__name__ for kind in type(error).__mro__)
        if passing or any(
            word in names for word in ("Connect", "Timeout", "Payload", "HTTPClient")
        ):
            raise TransientError(f"{url}: {one_line(error)}") from error
        raise RefusedError(f"{url}: {one_line(error)}") from error


def names_in(folder: str, network: Network) -> list[str]:
    """The names of the files in the folder behind a URL; none where the server doesn't list them.

    Raises:
        RefusedError: the server can't be asked.
    """
    parent, last, query = split(folder)
    url = f"{parent}/{last}/{query}"
    try:
        found = retrying(
            url, lambda: ask(url, network.timeout, lambda files: files.ls(url, False)), network
        )
    except RefusedError as error:
        if error.missing:
            return []
        raise
    web = folder.startswith("http")
    return [name_of(file) if web else file.rpartition("/")[2] for file in found]


def _filesystem(scheme: str, timeout: float) -> Any:
    """fsspec's access to a service.

    fsspec keeps instances itself, by process: one that was made before a fork is never used after.
    """
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme == "s3":
        options["config_kwargs"] = {
            "connect_timeout": timeout,
            "read_timeout": timeout,
            "retries": {"total_max_attempts": 1},  # `retrying` is what asks again
        }
    elif scheme == "gs":
        options["requests_timeout"] = timeout
    try:
        return fsspec.filesystem(scheme, **options)  # type: ignore[no-untyped-call]
    except ImportError as error:
        raise IrodoriError(
            f"{scheme}:// needs a package that is not installed: pip install 'irodori[{scheme}]'"
        ) from error

"""Building the object that a node of the configuration names."""

import re
from functools import partial
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig, ListConfig
from omegaconf.errors import OmegaConfBaseException

from irodori.config.errors import error_line
from irodori.errors import IrodoriError, one_line

FAILED = re.compile(r"(?:target |partial\(|locating target )'?([\w.]+)")
"""How Hydra's messages name the target that failed."""


def instantiate(node: Any, **extra: Any) -> Any:
    """Return the object of a node with `_target_`, or of a dict or list of nodes.

    Args:
        node: from the configuration; lists and dicts reach the target as such. None gives None.
        extra: further arguments for the target, passed as they are.

    Raises:
        IrodoriError: a target can't be found or refuses its arguments; the line names the node,
            the target and what it said, and the target's exception is the cause.
    """
    path = ""
    if isinstance(node, DictConfig | ListConfig):
        path = str(node._get_full_key(None) or "")
    is_target = isinstance(node, dict | DictConfig) and "_target_" in node
    options: dict[str, Any] = {}
    if not is_target or "_convert_" not in node:
        options["_convert_"] = "all"
    if extra:
        if not is_target:
            raise TypeError("only a node with _target_ takes further arguments")
        options["_partial_"] = True
    try:
        made = hydra.utils.instantiate(node, **options)
        if not extra:
            return made
        # Passed here and not through Hydra, which would turn dicts and dataclasses into nodes.
        return partial(made, **extra) if node.get("_partial_") else made(**extra)
    except InstantiationException as error:
        cause = error.__cause__ or error
        full_key = re.search(r"full_key: (\S+)", str(error))
        target = FAILED.search(str(error))
        raise _told(full_key[1] if full_key else path, target and target[1], cause) from cause
    except OmegaConfBaseException as error:
        raise IrodoriError(error_line(error)) from error
    except Exception as error:
        if not extra:
            raise
        raise _told(path, str(node["_target_"]), error) from error


def _told(path: str, target: str | None, cause: BaseException) -> IrodoriError:
    where = ": ".join(name for name in (path, target) if name)
    if isinstance(cause, InstantiationException):
        message = error_line(cause)
    elif isinstance(cause, IrodoriError | ValueError | TypeError):
        message = one_line(cause)
    else:
        message = f"{type(cause).__name__}: {one_line(cause)}"
    return IrodoriError(f"{where}: {message}" if where else message)

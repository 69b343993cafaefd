"""Building the object that a node of the configuration names."""

import re
from functools import partial
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from irodori.config.errors import error_line
from irodori.utils.errors import IrodoriError, one_line


def instantiate(node: Any, **extra: Any) -> Any:
    """Return the object of a node with `_target_`, or of a dict or list of nodes.

    Args:
        node: from the configuration; lists and dicts reach the target as such. None gives None.
        extra: further arguments for the target, passed as they are.

    Raises:
        IrodoriError: a target can't be found or refuses its arguments; the line names the node and
            what was said about it, and the target's exception is the cause.
    """
    where = str(node._get_full_key(None) or "") if OmegaConf.is_config(node) else ""
    try:
        if node is None or "_target_" not in node:
            return hydra.utils.instantiate(node, _convert_="all", **extra)
        convert = node.get("_convert_", "all")
        make = hydra.utils.instantiate(node, _convert_=convert, _partial_=True)
        # Passed here and not through Hydra, which would turn dicts and dataclasses into nodes.
        if node.get("_partial_"):
            # A plain one, where Hydra's own class would hide what it calls.
            return partial(make.func, *make.args, **{**make.keywords, **extra})
        return make(**extra)
    except OmegaConfBaseException as error:
        raise IrodoriError(error_line(error)) from error
    except Exception as error:
        cause: BaseException = error
        if isinstance(error, InstantiationException):
            path = re.search(r"full_key: (\S+)", str(error))
            where, cause = path[1] if path else where, error.__cause__ or error
        is_known = isinstance(cause, IrodoriError | ValueError | TypeError | InstantiationException)
        message = error_line(cause) if is_known else f"{type(cause).__name__}: {one_line(cause)}"
        raise IrodoriError(f"{where}: {message}" if where else message) from cause

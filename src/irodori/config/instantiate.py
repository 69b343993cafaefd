"""Instantiating the objects of configuration nodes."""

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
    """Instantiate a node with `_target_`, or a dict or list of such nodes.

    Args:
        node: node of the configuration; None gives None. Lists and dicts are passed as plain types.
        extra: further arguments of the target, passed unchanged.

    Raises:
        IrodoriError: a target can't be found or rejects its arguments. The message names the node
            and the reason; the original exception is its cause.
    """
    where = str(node._get_full_key(None) or "") if OmegaConf.is_config(node) else ""
    try:
        if node is None or "_target_" not in node:
            return hydra.utils.instantiate(node, _convert_="all", **extra)
        convert = node.get("_convert_", "all")
        make = hydra.utils.instantiate(node, _convert_=convert, _partial_=True)
        # Not passed through Hydra, which would convert dicts and dataclasses to nodes.
        if node.get("_partial_"):
            # A plain partial: Hydra's class would hide the target.
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

"""Refusing a stored configuration that names classes which nobody has said to trust.

A run folder can come from anywhere, and building what its configuration names runs code.
"""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from irodori.config.annotations import shown
from irodori.config.check import TARGET, below, resolved, values
from irodori.config.signature import UnknownTarget, find
from irodori.utils.errors import IrodoriError

LIGHTNING = ("callbacks", "loggers", "profilers", "strategies", "plugins")
HOMES = (
    *("irodori", "torch.optim", "lightning.pytorch.trainer"),
    *(f"lightning.{part}.{name}" for part in ("pytorch", "fabric") for name in LIGHTNING),
)
"""Classes are trusted if they are defined in or below these modules."""


def refuse_untrusted(config: Mapping[Any, Any], trust: Sequence[str] = ()) -> None:
    """Raise IrodoriError unless all targets of a stored configuration may be built.

    These are classes of irodori and of the trusted packages, functions of both with
    `_partial_: true`, optimizers of torch.optim, and classes of Lightning that a trainer takes.
    Each must be defined in the package that its path names: `irodori.config.os.system` is not.
    Nothing is imported.

    Args:
        config: the stored configuration; its interpolations are resolved.
        trust: names of further packages.
    """
    packages = ("irodori", *([trust] if isinstance(trust, str) else trust))
    for path, value in values(resolved(config)):
        if isinstance(value, str) and "${" in value:
            raise IrodoriError(f"{path}={shown(value)} can't stand in a stored configuration")
        if isinstance(value, dict) and TARGET in value:
            reason = _distrusted(value[TARGET], value.get("_partial_") is True, packages)
            if reason:
                raise IrodoriError(f"{below(path, TARGET)}={shown(value[TARGET])}: {reason}")


def _distrusted(target: Any, is_partial: bool, packages: Sequence[str]) -> str | None:
    """Return why a target must not be built, or None."""
    try:
        module, _, node = find(target)
    except UnknownTarget as error:
        return str(error)
    if not _is_in(module, (*HOMES, *packages)):
        package = target.partition(".")[0]
        return f"this is not irodori's; if you trust {package}, allow it with trust=[{package}]"
    is_function = is_partial and _is_in(module, packages) and isinstance(node, ast.FunctionDef)
    is_public = not any(part.startswith("_") for part in target.split("."))
    fine = is_public and (is_function or isinstance(node, ast.ClassDef))
    return None if fine else "this is no public class"


def _is_in(module: str, parents: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{parent}.") for parent in parents)

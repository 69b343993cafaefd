"""Rejecting stored configurations that name classes of untrusted packages.

A run folder may come from anywhere, and instantiating its configuration runs code.
"""

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from irodori.config.check import TARGET, below, resolved, shown, values
from irodori.config.signature import UnknownTarget, folders_of, spec_of, split, unknown
from irodori.utils.errors import IrodoriError, one_line

LIGHTNING = ("callbacks", "loggers", "profilers", "strategies", "plugins")
HOMES = (
    *("irodori", "torch.optim", "lightning.pytorch.trainer"),
    *(f"lightning.{part}.{name}" for part in ("pytorch", "fabric") for name in LIGHTNING),
)
"""Modules (with submodules) whose classes are trusted."""


def refuse_untrusted(config: Mapping[Any, Any], trust: Sequence[str] = ()) -> None:
    """Raise IrodoriError unless all targets of a stored configuration are trusted.

    Trusted are classes of irodori and of the trusted packages, their functions with `_partial_:
    true`, optimizers of torch.optim, and classes of Lightning that a trainer takes. Each must be
    defined in the package that its path names, so `irodori.config.os.system` is rejected. Nothing
    is imported.

    Args:
        config: stored configuration; its interpolations are resolved.
        trust: names of further trusted packages.
    """
    packages = ("irodori", *([trust] if isinstance(trust, str) else trust))
    for path, value in values(resolved(config)):
        if isinstance(value, str) and "${" in value:
            raise IrodoriError(f"{path}={shown(value)} isn't allowed in a stored configuration")
        if isinstance(value, dict) and TARGET in value:
            reason = _distrusted(value[TARGET], value.get("_partial_") is True, packages)
            if reason:
                raise IrodoriError(f"{below(path, TARGET)}={shown(value[TARGET])}: {reason}")


def _distrusted(target: Any, is_partial: bool, packages: Sequence[str]) -> str | None:
    """Return why a target isn't trusted, or None."""
    try:
        module, definition = _find(target)
    except UnknownTarget as error:
        return str(error)
    if not _is_in(module, (*HOMES, *packages)):
        package = target.partition(".")[0]
        return (
            f"this is not part of irodori; if you trust {package}, allow it with trust=[{package}]"
        )
    is_function = is_partial and _is_in(module, packages) and definition is ast.FunctionDef
    is_public = not any(part.startswith("_") for part in target.split("."))
    fine = is_public and (is_function or definition is ast.ClassDef)
    return None if fine else "this is not a public class"


def _is_in(module: str, parents: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{parent}.") for parent in parents)


def _find(target: str) -> tuple[str, type | None]:
    """Return the module that defines a path's name, and whether it is a class or function.

    Imports within the package are followed in its source. The kind is None for a module, a method,
    a value or another package.
    """
    module, names = split(target)
    if not names:
        return module, None
    known = _names(module)
    if names[0] not in known and "__getattr__" not in known:
        raise unknown(module, names[0], list(known))
    found = known.get(names[0])
    if isinstance(found, str):
        path = ".".join([found, *names[1:]])
        same_package = path.partition(".")[0] == module.partition(".")[0]
        return _find(path) if same_package else (path, None)
    return module, found if len(names) == 1 else None


@cache
def _names(module: str) -> dict[str, type | str | None]:
    """Map each name in a module to its kind of definition, or to the path of its import."""
    path = getattr(spec_of(module), "origin", None) or ""
    package = module.rpartition(".")[0] if folders_of(module) is None else module
    try:
        body = ast.parse(Path(path).read_bytes()).body if path.endswith(".py") else []
    except (OSError, SyntaxError, ValueError) as error:
        raise UnknownTarget(f"{module} can't be read: {one_line(error)}") from error
    names: dict[str, type | str | None] = {}
    for statement in body:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                names[name] = type(statement)
            case ast.ImportFrom(names=aliases):
                relative = "." * statement.level + (statement.module or "")
                origin = resolve_name(relative, package)
                names |= {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in aliases}
    return names

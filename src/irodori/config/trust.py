"""Refusing a stored configuration that names classes which nobody has said to trust.

A run folder can come from anywhere, and building what its configuration names runs code.
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
        module, definition = _find(target)
    except UnknownTarget as error:
        return str(error)
    if not _is_in(module, (*HOMES, *packages)):
        package = target.partition(".")[0]
        return f"this is not irodori's; if you trust {package}, allow it with trust=[{package}]"
    is_function = is_partial and _is_in(module, packages) and definition is ast.FunctionDef
    is_public = not any(part.startswith("_") for part in target.split("."))
    fine = is_public and (is_function or definition is ast.ClassDef)
    return None if fine else "this is no public class"


def _is_in(module: str, parents: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{parent}.") for parent in parents)


def _find(target: str) -> tuple[str, type | None]:
    """Return the module in which a path's name is defined, and whether as a class or function.

    Imports are followed within a package, by its source. None: it is a module, a method, a value or
    of another package.
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
    """Return for each name in a module its kind of definition, or the path of its import."""
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

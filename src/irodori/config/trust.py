"""Refusing a stored configuration that names classes which nobody has said to trust.

A run folder can come from anywhere, and building what its configuration names runs code.
"""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from irodori.config.check import TARGET, mappings, resolved, shown
from irodori.config.source import Definition, UnknownTarget, find
from irodori.errors import IrodoriError

TRUSTED = {
    "irodori": ("irodori",),
    "torch.optim": ("torch.optim",),
    "lightning.Trainer": ("lightning.pytorch.trainer",),
    "lightning.pytorch.Trainer": ("lightning.pytorch.trainer",),
    **{
        f"lightning.pytorch.{name}": (f"lightning.pytorch.{name}", f"lightning.fabric.{name}")
        for name in ("callbacks", "loggers", "profilers", "strategies", "plugins")
    },
}
"""Targets at or below these paths are trusted if they are defined in or below these modules."""


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
    packages = [trust] if isinstance(trust, str) else list(trust)
    plain = resolved(config)
    for path, node in mappings(plain):
        for key, value in node.items():
            if isinstance(value, str) and "${" in value:
                where = f"{path}.{key}" if path else key
                raise IrodoriError(f"{where}={shown(value)} can't stand in a stored configuration")
        if TARGET not in node:
            continue
        target = node[TARGET]
        if reason := _distrusted(target, node.get("_partial_") is True, packages):
            where = f"{path}.{TARGET}" if path else TARGET
            raise IrodoriError(f"{where}={shown(target)}: {reason}")


def _distrusted(target: Any, is_partial: bool, packages: list[str]) -> str | None:
    """Return why a target must not be built, or None."""
    if not isinstance(target, str) or not all(
        part.isidentifier() and not part.startswith("_") for part in target.split(".")
    ):
        return "this is no path of a public class"
    allowed = {**TRUSTED, **{package: (package,) for package in packages}}
    homes = [home for path, home in allowed.items() if _is_below(target, path)]
    if not homes:
        package = target.partition(".")[0]
        return (
            "this class is not irodori's; if you trust the package"
            f" {package}, allow it with trust=[{package}]"
        )
    try:
        found = find(target)
    except UnknownTarget as error:
        return str(error)
    if found is None:
        return "its source isn't found, so that it can't be trusted"
    if not any(_is_below(found.module, module) for home in homes for module in home):
        return f"this is {found.path}, which is not defined there"
    own = [package for package in ("irodori", *packages) if _is_below(target, package)]
    return None if _is_plain(found, is_partial and bool(own)) else "this is not a plain class"


def _is_below(path: str, parent: str) -> bool:
    return path == parent or path.startswith(f"{parent}.")


def _is_plain(found: Definition, functions: bool) -> bool:
    if "." in found.name:
        return False
    return isinstance(found.node, ast.ClassDef) or (
        functions and isinstance(found.node, ast.FunctionDef)
    )

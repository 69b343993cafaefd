"""Finding what a dotted path names by reading source files, without importing anything.

An import of torch takes seconds; a misspelt argument is found in the source in milliseconds.
"""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from irodori.config.nearest import nearest
from irodori.errors import IrodoriError

LEVELS = 20
"""Imports that are followed from module to module before a circle is supposed."""


class UnknownTarget(IrodoriError):  # noqa: N818
    """A `_target_` names nothing."""


@dataclass(frozen=True)
class Definition:
    """What a name stands for: a class, a function or an assigned expression in a module.

    If `node` is None, it is something imported from elsewhere, of which only the path is known.
    """

    module: str
    name: str
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.expr | None = None

    @property
    def path(self) -> str:
        """The dotted path by which it can be imported."""
        return f"{self.module}.{self.name}" if self.name else self.module


def find(target: str) -> Definition | None:
    """Return the definition that a dotted path leads to, through imports within its package.

    Returns:
        None if the source doesn't tell: there is none, or names are made while it runs.

    Raises:
        UnknownTarget: the package has no such module, or the module no such name.
    """
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts):
        raise UnknownTarget(f"{target!r} is no dotted path of a class or function")
    if module_file(parts[0]) is None:
        return None
    length = next(n for n in range(len(parts), 0, -1) if module_file(".".join(parts[:n])))
    module, names = ".".join(parts[:length]), parts[length:]
    if not names:
        return Definition(module, "")
    found = defined(module, names[0])
    if found is None:
        if len(names) > 1:
            raise UnknownTarget(
                f"there is no module {module}.{names[0]}" + nearest(names[0], submodules(module))
            )
        if defined(module, "__getattr__"):
            return None
        near = nearest(names[0], [*public_names(module), *submodules(module)])
        raise UnknownTarget(f"{module} has no {names[0]}{near}")
    for name in names[1:]:
        found = _member(found, name)
    return found


def _member(owner: Definition, name: str) -> Definition:
    if not isinstance(owner.node, ast.ClassDef):
        return Definition(owner.path, name)
    for statement in owner.node.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef) and statement.name == name:
            return Definition(owner.module, f"{owner.name}.{name}", statement)
    return Definition(owner.path, name)


@cache
def module_file(module: str) -> Path | None:
    """Return the source file of a module; of a package, its `__init__.py` or its folder."""
    package, _, rest = module.partition(".")
    loaded = sys.modules.get(package)
    if loaded is not None and hasattr(loaded, "__path__"):
        folders = list(loaded.__path__)
    else:
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        if spec.submodule_search_locations is None:
            is_source = not rest and spec.origin is not None and spec.origin.endswith(".py")
            return Path(str(spec.origin)) if is_source else None
        folders = list(spec.submodule_search_locations)
    for folder in folders:
        path = Path(folder, *rest.split(".")) if rest else Path(folder)
        if (path / "__init__.py").is_file():
            return path / "__init__.py"
        if rest and path.with_name(f"{path.name}.py").is_file():
            return path.with_name(f"{path.name}.py")
        if path.is_dir():
            return path
    return None


def submodules(module: str) -> list[str]:
    """Return the names of the public modules directly below a package."""
    file = module_file(module)
    if file is None or not (file.is_dir() or file.name == "__init__.py"):
        return []
    folder = file if file.is_dir() else file.parent
    files = {path.stem for path in folder.glob("*.py")}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    return sorted(name for name in files | packages if not name.startswith("_"))


def public_names(module: str) -> list[str]:
    """Return the names of the public classes and functions that a module defines or imports."""
    names = []
    for statement in _statements(module):
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            names.append(statement.name)
        elif isinstance(statement, ast.ImportFrom) and _absolute(statement, module).startswith(
            f"{module.partition('.')[0]}."
        ):
            names += [alias.asname or alias.name for alias in statement.names]
    return [name for name in names if not name.startswith("_")]


@cache
def _statements(module: str) -> tuple[ast.stmt, ...]:
    """Return the statements that run when a module is imported, without control structures."""
    file = module_file(module)
    if file is None or file.is_dir():
        return ()
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise UnknownTarget(f"{module} can't be read: {error}") from error
    return tuple(_flat(tree.body))


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If | ast.Try | ast.With):
            yield from _flat(statement.body)
            for handler in getattr(statement, "handlers", []):
                yield from _flat(handler.body)
            yield from _flat(getattr(statement, "orelse", []))
            yield from _flat(getattr(statement, "finalbody", []))
        else:
            yield statement


def defined(module: str, name: str, levels: int = LEVELS) -> Definition | None:
    """Return what a name stands for in a module, or None if it stands for nothing there."""
    if levels == 0:
        return None
    for statement in reversed(_statements(module)):
        match statement:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if statement.name == name:
                    return Definition(module, name, statement)
            case ast.Assign(targets=targets, value=value):
                if any(isinstance(to, ast.Name) and to.id == name for to in targets):
                    return Definition(module, name, value)
            case ast.AnnAssign(target=ast.Name(id=assigned), value=ast.expr() as value):
                if assigned == name:
                    return Definition(module, name, value)
            case ast.Import(names=aliases):
                for alias in aliases:
                    if alias.asname == name:
                        return Definition(alias.name, "")
                    if alias.asname is None and alias.name.partition(".")[0] == name:
                        return Definition(name, "")
            case ast.ImportFrom(names=aliases):
                origin = _absolute(statement, module)
                for alias in aliases:
                    if alias.name == "*":
                        if found := _imported(module, origin, name, levels):
                            return found if found.node is not None else None
                    elif (alias.asname or alias.name) == name:
                        found = _imported(module, origin, alias.name, levels)
                        return found or Definition(origin, alias.name)
    return None


def _imported(module: str, origin: str, name: str, levels: int) -> Definition | None:
    """Follow `from origin import name` if that stays within the package of `module`."""
    if origin.partition(".")[0] != module.partition(".")[0]:
        return Definition(origin, name)
    found = defined(origin, name, levels - 1)
    if found is None and module_file(f"{origin}.{name}"):
        return Definition(f"{origin}.{name}", "")
    return found


def _absolute(statement: ast.ImportFrom, module: str) -> str:
    """Return the full name of the module that names are imported from."""
    if statement.level == 0:
        return statement.module or ""
    file = module_file(module)
    is_package = file is not None and (file.is_dir() or file.name == "__init__.py")
    parts = module.split(".") if is_package else module.split(".")[:-1]
    parts = parts[: len(parts) - statement.level + 1]
    return ".".join([*parts, *([statement.module] if statement.module else [])])

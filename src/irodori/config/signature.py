"""The signature of a `_target_`: read from the source for irodori's own, imported for others.

An import of torch takes seconds; a misspelt argument is found in the source in milliseconds.
"""

import ast
import builtins
import copy
import importlib.util
import inspect
import pkgutil
import sys
import typing
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from inspect import Signature
from pathlib import Path
from typing import Any

from irodori.config.errors import nearest
from irodori.utils.errors import IrodoriError, one_line


class UnknownTarget(IrodoriError):  # noqa: N818
    """A `_target_` names nothing that can be called."""


@cache
def own_signature(target: str) -> Signature | None:
    """Return the signature of a class or function of irodori by its source.

    A class without a constructor in irodori's source takes no arguments, whatever its bases from
    other packages take. None: it is of another package, or the source alone doesn't say.

    Raises:
        UnknownTarget: it names nothing.
    """
    if _split(target)[0].partition(".")[0] != "irodori":
        return None
    module, name, node = find(target)
    made = evaluated(module, name) if isinstance(node, ast.ClassDef | ast.FunctionDef) else Foreign
    return None if made is Foreign else object_signature(made)


@cache
def imported_signature(target: str) -> Signature:
    """Import what a dotted path names, and return its signature.

    Raises:
        UnknownTarget: it names nothing that can be called, or an import fails.
    """
    module, names = _split(target)
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        raise UnknownTarget(f"{module} can't be imported: {one_line(error)}") from error
    for name in names:
        if not hasattr(found, name):
            raise _unknown(getattr(found, "__name__", module), name, dir(found))
        found = getattr(found, name)
    if not callable(found):
        raise UnknownTarget("this is no class or function")
    return object_signature(found)


def object_signature(called: Any) -> Signature:
    """Return the signature of a class or function, its annotations evaluated where that works.

    What has no signature, as some built-in functions, takes any arguments.
    """
    # Not the class's own signature, which is that of __new__ where a base class has one.
    is_class = isinstance(called, type) and inspect.isfunction(called.__init__)  # type: ignore[misc]
    function = called.__init__ if is_class else called
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return inspect.signature(lambda *args, **kwargs: None)
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:  # of names that exist only for type checkers, or anything else
        hints = {}
    parameters = list(found.parameters.values())[is_class:]
    return Signature([p.replace(annotation=hints.get(p.name, p.annotation)) for p in parameters])


# Finding definitions by reading source files, without importing anything.


def find(target: str) -> tuple[str, str, ast.AST | None]:
    """Return the module, name and definition that a path leads to, by imports in its package.

    The definition is None for a module, a method, and what another package holds.

    Raises:
        UnknownTarget: it names nothing.
    """
    module, names = _split(target)
    known = _names(module)
    if not names:
        return module, "", None
    found = known.get(names[0])
    if found is None and "__getattr__" not in known:
        below = pkgutil.iter_modules(_folders(module) or [])
        raise _unknown(module, names[0], [*known, *(item.name for item in below)])
    if isinstance(found, str):
        path = ".".join([found, *names[1:]])
        same_package = path.partition(".")[0] == module.partition(".")[0]
        return find(path) if same_package else (path, "", None)
    return module, ".".join(names), found if len(names) == 1 else None


def _split(target: Any) -> tuple[str, list[str]]:
    """Return the module of a dotted path, and the names that lead on from there."""
    parts = target.split(".") if isinstance(target, str) else [""]
    if not all(part.isidentifier() for part in parts):
        raise UnknownTarget("this is no dotted path of a class or function")
    paths = [".".join(parts[: n + 1]) for n in range(len(parts))]
    length = next((n for n, path in enumerate(paths) if _spec(path) is None), len(parts))
    if length == 0:
        raise UnknownTarget(f"there is no package {parts[0]}")
    return paths[length - 1], parts[length:]


def _unknown(parent: str, name: str, known: list[str]) -> UnknownTarget:
    near = nearest(name, [item for item in known if not item.startswith("_")])
    return UnknownTarget(f"{parent} has no {name}{near}")


@cache
def _spec(module: str) -> ModuleSpec | None:
    parent = module.rpartition(".")[0]
    try:
        if not parent:
            return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    folders = _folders(parent)
    return None if folders is None else PathFinder.find_spec(module, folders)


def _folders(module: str) -> list[str] | None:
    return getattr(_spec(module), "submodule_search_locations", None)


@cache
def _names(module: str) -> dict[str, Any]:
    """Return the node, or the path that it is imported from, for each name in a module."""
    path = getattr(_spec(module), "origin", None) or ""
    package = module.rpartition(".")[0] if _folders(module) is None else module
    try:
        body = ast.parse(Path(path).read_bytes()).body if path.endswith(".py") else []
    except (OSError, SyntaxError, ValueError) as error:
        raise UnknownTarget(f"{module} can't be read: {one_line(error)}") from error
    names: dict[str, Any] = {}
    for statement in body:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                names[name] = statement
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                names[name] = value
            case ast.ImportFrom(names=aliases):
                relative = "." * statement.level + (statement.module or "")
                origin = importlib.util.resolve_name(relative, package)
                names |= {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in aliases}
    return names


# Evaluating definitions of irodori: signatures without bodies, with the types of Python itself.


class _Foreign(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return cls

    def __getitem__(cls, _: Any) -> Any:
        return cls

    def __instancecheck__(cls, _: Any) -> bool:
        return True


class Foreign(metaclass=_Foreign):
    """Stands for what other packages define, and for all that isn't known: anything may be one."""


@cache
def evaluated(module: str, name: str) -> Any:
    """Return what a name in a module of irodori stands for, as far as a signature needs it."""
    found = _names(module).get(name)
    try:
        if found is None:
            return getattr(builtins, name, Foreign)
        if not isinstance(found, str):
            return _run(found, module)
        package = found.partition(".")[0]
        if package in sys.stdlib_module_names or found.startswith("irodori.config."):
            return pkgutil.resolve_name(found)
        module, name, node = find(found) if package == "irodori" else ("", "", None)
        return Foreign if node is None else evaluated(module, name)
    except Exception:
        return Foreign


def _run(node: Any, module: str) -> Any:
    """Evaluate an expression, or define a class or function that has a signature and no body."""
    node = _bare(node, module)
    used = {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
    names = {name: evaluated(module, name) for name in used}
    if isinstance(node, ast.expr):
        return eval(compile(ast.Expression(node), module, "eval"), names)
    exec(compile(ast.fix_missing_locations(ast.Module([node], [])), module, "exec"), names)
    return names[node.name]


def _bare(node: Any, module: str) -> Any:
    if not isinstance(node, ast.ClassDef | ast.FunctionDef):
        return node
    node = copy.copy(node)
    node.decorator_list = [item for item in node.decorator_list if "dataclass" in ast.unparse(item)]
    kept = []
    if isinstance(node, ast.FunctionDef):
        node.returns = None
    else:
        fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
        methods = [item for item in node.body if getattr(item, "name", "") == "__init__"]
        kept = [*(fields if node.decorator_list else []), *methods]
        node.bases = [base for base in node.bases if _run(base, module) is not Foreign]
    node.body = [*(_bare(item, module) for item in kept), ast.Pass()]
    return node

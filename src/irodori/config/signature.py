"""Signatures of a `_target_`; those of irodori's own classes are found without importing torch.

Importing torch takes seconds. To report misspelled arguments at once, irodori's modules are
executed with stand-ins for all third-party packages; the results serve only to read signatures.
"""

import builtins
import importlib.util
import inspect
import pkgutil
import sys
import typing
from collections.abc import Callable
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from inspect import Signature
from types import ModuleType
from typing import Any

from irodori.config.errors import nearest
from irodori.utils.errors import IrodoriError, one_line


class UnknownTarget(IrodoriError):  # noqa: N818
    """Raised if a `_target_` doesn't name a callable."""


@cache
def own_signature(target: str) -> Signature | None:
    """Return the signature of a class or function of irodori.

    Returns None for a target of another package, or if other packages must be imported to tell.

    Raises:
        UnknownTarget: the target doesn't name a callable.
    """
    if split(target)[0].partition(".")[0] != "irodori":
        return None
    try:
        found = _resolve(target, outline)
    except UnknownTarget:
        raise
    except Exception:
        return None
    return None if found is STAND_IN else object_signature(found)


@cache
def imported_signature(target: str) -> Signature:
    """Import the target of a dotted path, and return its signature.

    Raises:
        UnknownTarget: the path doesn't name a callable, or an import fails.
    """
    try:
        found = _resolve(target, importlib.import_module)
    except UnknownTarget:
        raise
    except Exception as error:
        module = split(target)[0]
        raise UnknownTarget(f"{module} can't be imported: {one_line(error)}") from error
    return object_signature(found)


def object_signature(called: Any) -> Signature:
    """Return the signature of a class or function, with annotations evaluated if possible.

    Callables without a signature, such as some built-in functions, accept any arguments.
    """
    # Not `signature(class)`, which is that of __new__ if a base class defines one.
    is_class = isinstance(called, type) and inspect.isfunction(called.__init__)  # type: ignore[misc]
    function = called.__init__ if is_class else called
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return inspect.signature(lambda *args, **kwargs: None)
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:  # names that exist only for type checkers, or any other error
        hints = {}
    parameters = list(found.parameters.values())[is_class:]
    return Signature([p.replace(annotation=hints.get(p.name, p.annotation)) for p in parameters])


def _resolve(target: str, load: Callable[[str], Any]) -> Any:
    """Return the class or function of a dotted path, with modules loaded by `load`."""
    module, names = split(target)
    found = load(module)
    for name in names:
        if not hasattr(found, name):
            raise unknown(module, name, dir(found))
        found, module = getattr(found, name), f"{module}.{name}"
    if not callable(found):
        raise UnknownTarget("this is not a class or function")
    return found


def split(target: Any) -> tuple[str, list[str]]:
    """Split a dotted path into its module and the remaining names.

    Raises:
        UnknownTarget: it is not a dotted path, or the package doesn't exist.
    """
    parts = target.split(".") if isinstance(target, str) else [""]
    if not all(part.isidentifier() for part in parts):
        raise UnknownTarget("this is not the dotted path of a class or function")
    paths = [".".join(parts[: n + 1]) for n in range(len(parts))]
    length = next((n for n, path in enumerate(paths) if spec_of(path) is None), len(parts))
    if length == 0:
        raise UnknownTarget(
            f"there is no package {parts[0]}: install it, or add its folder to PYTHONPATH"
        )
    return paths[length - 1], parts[length:]


def unknown(parent: str, name: str, known: list[str]) -> UnknownTarget:
    """Return the error for a name that doesn't exist in a module or class."""
    modules = [item.name for item in pkgutil.iter_modules(folders_of(parent) or [])]
    public = [item for item in [*known, *modules] if not item.startswith("_")]
    return UnknownTarget(f"{parent} has no {name}{nearest(name, public)}")


@cache
def spec_of(module: str) -> ModuleSpec | None:
    """Return a module's spec without importing its parent packages; None if not found."""
    parent = module.rpartition(".")[0]
    try:
        if not parent:
            return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    folders = folders_of(parent)
    return None if folders is None else PathFinder.find_spec(module, folders)


def folders_of(module: str) -> list[str] | None:
    """Return the folders of a package's modules; None if it isn't a package."""
    return getattr(spec_of(module), "submodule_search_locations", None)


class StandIn:
    """Stand-in for a module, class, function or value of another package."""

    def __getattr__(self, name: str) -> "StandIn":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments: Any, **_: Any) -> Any:
        """Return a decorated object unchanged, and a stand-in for other calls."""
        is_decorated = len(arguments) == 1 and inspect.isroutine(arguments[0])
        return arguments[0] if is_decorated else self

    def __getitem__(self, _: Any) -> "StandIn":
        return self

    def __or__(self, _: Any) -> "StandIn":
        return self

    __ror__ = __or__

    def __mro_entries__(self, _: Any) -> tuple[()]:
        """Remove the stand-in from the bases of a class."""
        return ()


STAND_IN = StandIn()


@cache
def outline(name: str) -> ModuleType:
    """Execute a module of irodori with stand-ins for other packages."""
    # With the name of an imported module, since dataclasses look up their module.
    module, spec = ModuleType(__name__), spec_of(name)
    if spec is None:
        raise ModuleNotFoundError(name)
    loader: Any = spec.loader
    module.__package__ = name if folders_of(name) else name.rpartition(".")[0]
    module.__file__ = spec.origin
    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import_outline}
    exec(loader.get_code(name), module.__dict__)
    return module


def _import_outline(
    name: str, variables: Any = None, _: Any = None, names: Any = (), level: int = 0
) -> Any:
    """Replace Python's `__import__`: import outlines and stand-ins."""
    if level:
        name = importlib.util.resolve_name("." * level + name, variables["__package__"])
    package = name.partition(".")[0]
    # Classes that annotations are compared with must be identical inside and outside.
    if package in sys.stdlib_module_names or name.startswith("irodori.config"):
        return __import__(name, fromlist=names)
    if package != "irodori":
        return STAND_IN
    module = outline(name if names else package)
    for item in names or ():
        if not hasattr(module, item):
            setattr(module, item, outline(f"{name}.{item}"))
    return module

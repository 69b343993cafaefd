"""The signature of a `_target_`: imported, but for irodori's own, which is found without torch.

An import of torch takes seconds. To find a misspelt argument at once, modules of irodori are run
with stand-ins for all packages but Python's own: what they define has its signature then, and no
other use.
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
    """A `_target_` names nothing that can be called."""


@cache
def own_signature(target: str) -> Signature | None:
    """Return the signature of a class or function of irodori.

    None: it is of another package, or only an import of other packages could tell.

    Raises:
        UnknownTarget: it names nothing that can be called.
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
    """Import what a dotted path names, and return its signature.

    Raises:
        UnknownTarget: it names nothing that can be called, or an import fails.
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


def _resolve(target: str, load: Callable[[str], Any]) -> Any:
    """Return the class or function that a dotted path names in a module as it is loaded."""
    module, names = split(target)
    found = load(module)
    for name in names:
        if not hasattr(found, name):
            raise unknown(module, name, dir(found))
        found, module = getattr(found, name), f"{module}.{name}"
    if not callable(found):
        raise UnknownTarget("this is no class or function")
    return found


def split(target: Any) -> tuple[str, list[str]]:
    """Return the module of a dotted path, and the names that lead on from there.

    Raises:
        UnknownTarget: it is no path, or there is no such package.
    """
    parts = target.split(".") if isinstance(target, str) else [""]
    if not all(part.isidentifier() for part in parts):
        raise UnknownTarget("this is no dotted path of a class or function")
    paths = [".".join(parts[: n + 1]) for n in range(len(parts))]
    length = next((n for n, path in enumerate(paths) if spec_of(path) is None), len(parts))
    if length == 0:
        raise UnknownTarget(
            f"there is no package {parts[0]}: install it, or name its folder in PYTHONPATH"
        )
    return paths[length - 1], parts[length:]


def unknown(parent: str, name: str, known: list[str]) -> UnknownTarget:
    """Return the error for a name that a module or class lacks."""
    modules = [item.name for item in pkgutil.iter_modules(folders_of(parent) or [])]
    public = [item for item in [*known, *modules] if not item.startswith("_")]
    return UnknownTarget(f"{parent} has no {name}{nearest(name, public)}")


@cache
def spec_of(module: str) -> ModuleSpec | None:
    """Return where a module is, without importing the packages that it is in; None: nowhere."""
    parent = module.rpartition(".")[0]
    try:
        if not parent:
            return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    folders = folders_of(parent)
    return None if folders is None else PathFinder.find_spec(module, folders)


def folders_of(module: str) -> list[str] | None:
    """Return the folders in which the modules of a package are; None if it is no package."""
    return getattr(spec_of(module), "submodule_search_locations", None)


class StandIn:
    """Stands for anything of another package: a module, class, function or value."""

    def __getattr__(self, name: str) -> "StandIn":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments: Any, **_: Any) -> Any:
        """Return what is decorated; other calls give a stand-in."""
        is_decorated = len(arguments) == 1 and inspect.isroutine(arguments[0])
        return arguments[0] if is_decorated else self

    def __getitem__(self, _: Any) -> "StandIn":
        return self

    def __or__(self, _: Any) -> "StandIn":
        return self

    __ror__ = __or__

    def __mro_entries__(self, _: Any) -> tuple[()]:
        """Vanish from the bases of a class."""
        return ()


STAND_IN = StandIn()


@cache
def outline(name: str) -> ModuleType:
    """Run a module of irodori with stand-ins for other packages."""
    # In the name of a module that is imported: dataclasses look up their own.
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
    """Import as Python's `__import__` does, with outlines and stand-ins."""
    if level:
        name = importlib.util.resolve_name("." * level + name, variables["__package__"])
    package = name.partition(".")[0]
    # What annotations are compared with has to be the same class here and there.
    if package in sys.stdlib_module_names or name.startswith("irodori.config"):
        return __import__(name, fromlist=names)
    if package != "irodori":
        return STAND_IN
    module = outline(name if names else package)
    for item in names or ():
        if not hasattr(module, item):
            setattr(module, item, outline(f"{name}.{item}"))
    return module

"""Objects that record their constructor arguments, so that checkpoints can describe them."""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Annotated, Any, TypeGuard, get_args, get_origin

from irodori.config.ranges import Range
from irodori.utils.errors import IrodoriError, one_line

TARGET, PARTIAL = "_target_", "_partial_"
"""Keys of descriptions, as in Hydra."""


class Describable:
    """Records its constructor arguments, including defaults, by name in `arguments`.

    A subclass may replace an entry of `self.arguments` by a more precise value, such as a completed
    name.

    Raises:
        ValueError: an argument is outside the `Range` of its annotation.
    """

    arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> "Describable":
        """Bind the arguments; copying and unpickling pass none."""
        instance = super().__new__(cls)
        signature, ranges = _signature(cls)  # type: ignore[arg-type]
        bound = signature.bind_partial(instance, *args, **kwargs)
        for name in ranges.keys() & bound.arguments.keys():
            if (value := bound.arguments[name]) is not None and value not in ranges[name]:
                raise ValueError(f"{cls.__name__}: {name} is {ranges[name]}, not {value!r}")
        bound.apply_defaults()
        arguments = dict(list(bound.arguments.items())[1:])
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= arguments.pop(parameter.name, {})
            elif parameter.kind is parameter.VAR_POSITIONAL:
                # `build` passes arguments by name.
                arguments.pop(parameter.name, None)
        instance.__dict__["arguments"] = arguments
        return instance

    def __init__(self) -> None:
        """Accept no arguments by default."""


@cache
def _signature(cls: type) -> tuple[inspect.Signature, dict[str, Range]]:
    """Return a constructor's signature and the ranges of its arguments."""
    try:
        signature = inspect.signature(cls.__init__, eval_str=True)  # type: ignore[misc]
    except NameError:  # annotations with names that only type checkers import
        signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    ranges = {
        parameter.name: limit
        for parameter in signature.parameters.values()
        if get_origin(parameter.annotation) is Annotated
        for limit in get_args(parameter.annotation)[1:]
        if isinstance(limit, Range)
    }
    return signature, ranges


def describe(value: Any) -> Any:
    """Return a description in plain types, from which `build` creates an equal object.

    Args:
        value: plain value, `Describable`, `functools.partial` of a `Describable` class, or sequence
            or mapping of these.

    Raises:
        TypeError: the value, or a part of it, has another type.
    """
    if isinstance(value, Describable):
        arguments = {name: describe(argument) for name, argument in value.arguments.items()}
        return {TARGET: _path(type(value)), **arguments}
    if isinstance(value, partial) and not value.args and _is_describable(value.func):
        arguments = {name: describe(argument) for name, argument in value.keywords.items()}
        return {TARGET: _path(value.func), PARTIAL: True, **arguments}
    if _is_describable(value):
        return {TARGET: _path(value), PARTIAL: True}
    if isinstance(value, Mapping):
        return {key: describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__qualname__} can't be described by plain values")


def build(description: Any, trust: Sequence[str] = ()) -> Any:
    """Create the object of a description (see `describe`).

    Only classes derived from `Describable` are called, and only modules of irodori and trusted
    packages are imported, so that a description can't run arbitrary code.

    Args:
        description: description in plain types.
        trust: names of further packages whose classes may be used.

    Raises:
        IrodoriError: a class belongs to an untrusted package, doesn't exist, or isn't a
            `Describable`.
    """
    if isinstance(description, Mapping):
        arguments = {
            key: build(item, trust)
            for key, item in description.items()
            if key not in (TARGET, PARTIAL)
        }
        if TARGET not in description:
            return arguments
        made_by = trusted_class(str(description[TARGET]), trust)
        if description.get(PARTIAL):
            return partial(made_by, **arguments)
        return made_by(**arguments)
    if isinstance(description, list | tuple):
        return [build(item, trust) for item in description]
    return description


def trusted_class(path: str, trust: Sequence[str] = ()) -> type[Describable]:
    """Return the class of a dotted path; see `build`."""
    module, _, name = path.rpartition(".")
    package = module.partition(".")[0]
    if package not in ("irodori", *trust):
        raise IrodoriError(
            f"it uses the class {path}, which is not part of irodori: if you trust the package"
            f" {package}, allow it with trust=[{package}] (--trust {package})"
        )
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:
        # Any exception, since importing an incompletely installed package can fail in many ways.
        raise IrodoriError(
            f"it uses the class {path}, which can't be imported: {one_line(error)}"
        ) from None
    # By its own name, to exclude names that the module has imported.
    if not _is_describable(found) or _path(found) != path:
        raise IrodoriError(f"it uses {path}, which is not a class for models")
    return found


def _is_describable(value: Any) -> TypeGuard[type[Describable]]:
    return isinstance(value, type) and issubclass(value, Describable)


def _path(made_by: Any) -> str:
    return f"{made_by.__module__}.{made_by.__qualname__}"

"""Checking a composed configuration against the signatures of what it names.

A misspelt argument, a wrong type and a number out of range are found before anything is built,
and before torch is imported: irodori's own classes are checked by their source.
"""

import collections.abc
import dataclasses
import enum
import os
import pathlib
import types
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from irodori.config.errors import error_line, quoted
from irodori.config.nearest import nearest
from irodori.config.ranges import Range
from irodori.config.signature import OtherClass, object_signature, signature, source_signature
from irodori.config.source import UnknownTarget
from irodori.errors import IrodoriError

TARGET = "_target_"
SPECIAL: dict[str, Any] = {
    "_partial_": bool,
    "_recursive_": bool,
    "_convert_": Literal["none", "partial", "object", "all"],
    "_args_": list,
}
"""Hydra's own keys beside `_target_`, and their types."""
MISSING = "???"


def check(
    config: Mapping[Any, Any],
    root: Callable[..., Any] | None = None,
    given: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Check each node that has a `_target_` against the signature of its target.

    Args:
        config: the composed configuration (a DictConfig, or plain dicts and lists).
        root: class or function whose arguments are the keys of the configuration itself.
        given: for the path of a node, as "network", the arguments that the program gives when it
            builds it, so that the node need not have them; each with the type of values that the
            node may have instead of the target's own ("auto", which the program replaces).

    Raises:
        IrodoriError: of the first mistake: an unknown target or argument, a missing one, a wrong
            type, a number out of its `Range`; the line names node, key and nearest valid names.
    """
    plain = resolved(config)
    given = given or {}
    nodes = [(path, node) for path, node in mappings(plain) if TARGET in node]
    for path, node in nodes:
        _check_special(node, path)
    _check_missing(plain, given)
    if root is not None and TARGET not in plain:
        _check_arguments(plain, "", object_signature(root), "", given.get("", {}))
    imported = []
    for path, node in nodes:
        target = node[TARGET]
        if not target.startswith("irodori."):
            imported.append((path, node))
            continue
        found = _found(source_signature, path, target)
        if found is None:
            imported.append((path, node))
        else:
            _check_arguments(node, path, found, target, given.get(path, {}))
    for path, node in imported:
        found = _found(signature, path, node[TARGET])
        _check_arguments(node, path, found, node[TARGET], given.get(path, {}))


def resolved(config: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the configuration as dicts, lists and scalars, with interpolations resolved."""
    try:
        node = config if OmegaConf.is_config(config) else OmegaConf.create(dict(config))
        plain = OmegaConf.to_container(node, resolve=True)
    except OmegaConfBaseException as error:
        raise IrodoriError(error_line(error)) from error
    if not isinstance(plain, dict):
        raise IrodoriError("the configuration is not a mapping of keys to values")
    return plain


def mappings(value: Any, path: str = "") -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield each mapping at or below a value with its path."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from mappings(item, _below(path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from mappings(item, f"{path}[{number}]")


def _below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _found(lookup: Callable[[str], Any], path: str, target: str) -> Any:
    try:
        return lookup(target)
    except UnknownTarget as error:
        raise IrodoriError(f"{_below(path, TARGET)}={target}: {error}") from error


def _check_special(node: dict[Any, Any], path: str) -> None:
    target = node[TARGET]
    where = _below(path, TARGET)
    if target == MISSING:
        raise IrodoriError(f"{where} has no value: it names the class to build")
    if not isinstance(target, str) or "." not in target:
        raise IrodoriError(f"{where}={shown(target)} is no dotted path of a class or function")
    for key, annotation in SPECIAL.items():
        if key in node and (wrong := mismatch(node[key], annotation)):
            raise IrodoriError(f"{_below(path, key)}={shown(node[key])}: {wrong}")


def _check_missing(plain: dict[Any, Any], given: Mapping[str, Mapping[str, Any]]) -> None:
    def missing(value: Any, path: str) -> Iterator[str]:
        if isinstance(value, str) and value == MISSING:
            yield path
        elif isinstance(value, dict):
            for key, item in value.items():
                if key not in given.get(path, {}):
                    yield from missing(item, _below(path, key))
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from missing(item, f"{path}[{number}]")

    for path in missing(plain, ""):
        raise IrodoriError(f"{path} has no value: give {path}=…")


def _check_arguments(
    node: dict[Any, Any], path: str, found: Signature, target: str, given: Mapping[str, Any]
) -> None:
    """Raise IrodoriError if a call with the arguments of a node would not fit a signature."""
    owner = target or "the configuration"
    parameters = found.parameters.values()
    by_name = {
        item.name: item
        for item in parameters
        if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)
    }
    takes_any = any(item.kind is item.VAR_KEYWORD for item in parameters)
    in_order = [
        item
        for item in parameters
        if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)
    ]
    positional = node.get("_args_", []) if target else []
    takes_more = any(item.kind is item.VAR_POSITIONAL for item in parameters)
    if len(positional) > len(in_order) and not takes_more:
        raise IrodoriError(
            f"{_below(path, '_args_')} has {len(positional)} values: {owner} takes {len(in_order)}"
        )
    for number, (item, value) in enumerate(zip(in_order, positional, strict=False)):
        _check_value(value, f"{_below(path, '_args_')}[{number}]", item, target)
    arguments = {
        key: value for key, value in node.items() if not target or key not in (TARGET, *SPECIAL)
    }
    for key, value in arguments.items():
        parameter = by_name.get(key)
        if key in given and fits(value, given[key]):
            continue
        if parameter is not None:
            _check_value(value, _below(path, key), parameter, target)
        elif not takes_any:
            kind = "takes no argument" if target else "has no key"
            raise IrodoriError(f"{_below(path, key)}: {owner} {kind} {key}{nearest(key, by_name)}")
    if node.get("_partial_") is True and target:
        return
    done = {*arguments, *given, *(item.name for item in in_order[: len(positional)])}
    for item in parameters:
        optional = item.default is not item.empty or item.name in done
        if not optional and item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD):
            where = f"{path}: " if path else ""
            wanted_key = _below(path, item.name)
            raise IrodoriError(f"{where}{owner} needs {item.name}: give {wanted_key} a value")


def _check_value(value: Any, path: str, parameter: Parameter, target: str) -> None:
    annotation = parameter.annotation
    if value is None and parameter.default is None:
        return
    if _is_options(annotation) and isinstance(value, dict) and TARGET not in value:
        _check_arguments(value, path, object_signature(annotation), "", {})
        return
    if wrong := mismatch(value, annotation):
        of = f" ({target})" if target else ""
        if isinstance(value, int | float) and mismatch("", annotation) is None:
            key = path.partition("[")[0]
            wrong += f", in quotes: {quoted(key, shown(value))}" if key == path else ", in quotes"
        raise IrodoriError(f"{path}={shown(value)}: {wrong}{of}")


def _is_options(annotation: Any) -> bool:
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def shown(value: Any) -> str:
    """Return a value as YAML writes it, on one line."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return f"{{{', '.join(f'{key}: {shown(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{', '.join(map(shown, value))}]"
    return " ".join(str(value).split())


# Values against annotations.


def mismatch(value: Any, annotation: Any) -> str | None:
    """Return what an annotation wants, as "must be …", or None if a plain value meets it."""
    if not fits(value, annotation):
        return f"must be {wanted(annotation)}"
    if (limits := exceeded(value, annotation)) is not None:
        return f"must be {limits}"
    return None


SEQUENCES = (
    collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection,
    collections.abc.Set, collections.abc.MutableSequence, collections.abc.Iterator,
    list, set, frozenset,
)  # fmt: skip
MAPPINGS = (collections.abc.Mapping, collections.abc.MutableMapping, dict)


def fits(value: Any, annotation: Any) -> bool:
    """Say whether a value of the configuration can be meant by an annotation, ranges aside."""
    if isinstance(value, dict) and TARGET in value:
        return True  # what it makes isn't known
    kind, arguments = _kind(annotation)
    if kind is Union:
        return any(fits(value, item) for item in arguments)
    if kind is Literal:
        return any(value == item and type(value) is type(item) for item in arguments)
    if kind is None or kind is type(None):
        return value is None
    if not isinstance(kind, type) or kind is object:
        return True
    if kind is OtherClass:
        return isinstance(value, dict | list)
    if kind in (bool, str):
        return isinstance(value, kind)
    if kind in (int, float):
        return isinstance(value, int if kind is int else int | float) and not isinstance(
            value, bool
        )
    if kind is tuple:
        return isinstance(value, list) and _fits_tuple(value, arguments)
    if kind in SEQUENCES:
        items = arguments[0] if arguments else Any
        return isinstance(value, list) and all(fits(item, items) for item in value)
    if kind in MAPPINGS:
        return isinstance(value, dict) and (
            len(arguments) != 2
            or all(fits(k, arguments[0]) and fits(v, arguments[1]) for k, v in value.items())
        )
    if issubclass(kind, pathlib.PurePath) or kind is os.PathLike:
        return isinstance(value, str)
    if issubclass(kind, enum.Enum):
        return isinstance(value, str) and (
            value in kind.__members__ or any(value == item.value for item in kind)
        )
    return isinstance(value, dict | list) or _is_instance(value, kind)


def _kind(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what an annotation is a form of, and its arguments; wrappers are taken off."""
    if annotation is Parameter.empty or isinstance(annotation, TypeVar | str):
        return object, ()
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind(get_args(annotation)[0])
    if origin is types.UnionType:
        return Union, get_args(annotation)
    if origin is not None:
        return origin, get_args(annotation)
    for attribute in ("__value__", "__supertype__"):  # of `type X = …` and of NewType
        if hasattr(annotation, attribute) and not isinstance(annotation, type):
            return _kind(getattr(annotation, attribute))
    return annotation, ()


def _fits_tuple(value: list[Any], arguments: tuple[Any, ...]) -> bool:
    if not arguments:
        return True
    if len(arguments) == 2 and arguments[1] is ...:
        return all(fits(item, arguments[0]) for item in value)
    return len(value) == len(arguments) and all(map(fits, value, arguments))


def _is_instance(value: Any, kind: type) -> bool:
    try:
        return isinstance(value, kind)
    except Exception:  # a protocol that can't be checked while it runs
        return True


def exceeded(value: Any, annotation: Any) -> Range | None:
    """Return the first `Range` of an annotation that a fitting value is out of."""
    if get_origin(annotation) is Annotated:
        kind, *notes = get_args(annotation)
        for note in notes:
            if isinstance(note, Range) and not all(number in note for number in _numbers(value)):
                return note
        return exceeded(value, kind)
    kind, arguments = _kind(annotation)
    if kind is Union:
        limits = [exceeded(value, item) for item in arguments if fits(value, item)]
        return None if None in limits else next(iter(limits), None)
    if kind is tuple and isinstance(value, list) and arguments and arguments[-1] is not ...:
        pairs = zip(value, arguments, strict=False)
    elif isinstance(value, list) and arguments:
        pairs = zip(value, [arguments[0]] * len(value), strict=True)
    elif isinstance(value, dict) and kind in MAPPINGS and len(arguments) == 2:
        pairs = zip(value.values(), [arguments[1]] * len(value), strict=True)
    else:
        return None
    return next((found for item in pairs if (found := exceeded(*item)) is not None), None)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


WORDS: dict[Any, str] = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "text",
    dict: "a mapping",
    type(None): "null",
    None: "null",
    OtherClass: "a node with _target_",
}


def wanted(annotation: Any) -> str:
    """Return in words what an annotation accepts."""
    kind, arguments = _kind(annotation)
    if kind is Union:
        literals = tuple(
            item for kind, items in map(_kind, arguments) if kind is Literal for item in items
        )
        words = [wanted(item) for item in arguments if _kind(item)[0] is not Literal]
        if literals:
            words.append(f"one of {', '.join(dict.fromkeys(map(shown, literals)))}")
        return " or ".join(dict.fromkeys(word for word in words if word != "null")) or "null"
    if kind is Literal:
        return f"one of {', '.join(shown(item) for item in arguments)}"
    if kind is tuple and arguments and arguments[-1] is not ...:
        return f"a list of {len(arguments)}: [{', '.join(map(wanted, arguments))}]"
    if kind is tuple or kind in SEQUENCES:
        items = f" of {wanted(arguments[0])} each" if arguments else ""
        return f"a list{items}"
    if kind in WORDS:
        return WORDS[kind]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"one of {', '.join(kind.__members__)}"
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        return "a path"
    if kind in MAPPINGS:
        return "a mapping"
    return f"a node whose _target_ makes a {getattr(kind, '__name__', kind)}"

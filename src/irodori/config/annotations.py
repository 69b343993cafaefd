"""Values of a configuration against the annotations of arguments: types and ranges."""

import json
import os
from collections.abc import Iterator
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from irodori.config.ranges import Range

WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "text", NoneType: "null"}


def fits(value: Any, annotation: Any) -> bool:
    """Say whether a value can be meant by an annotation, and is in the annotation's ranges.

    What isn't a type for Python, such as a name that only type checkers know, fits any value; so
    does any annotation fit a node with `_target_`.
    """
    if isinstance(value, dict) and "_target_" in value:
        return True
    kind, arguments, ranges = _parts(annotation)
    try:
        return _is_a(value, kind, arguments) and all(
            n in r for r in ranges for n in _numbers(value)
        )
    except TypeError:  # a protocol that Python can't check
        return True


def _is_a(value: Any, kind: Any, arguments: tuple[Any, ...]) -> bool:
    if kind is Union:
        return any(fits(value, item) for item in arguments)
    if kind is Literal:
        return any(value == item and type(value) is type(item) for item in arguments)
    if not isinstance(kind, type) or kind is object:
        return True
    if kind in WORDS:
        return type(value) is kind or (kind is float and type(value) is int)
    if _is_path(kind):
        return isinstance(value, str)
    if _is_fixed(kind, arguments):
        same = isinstance(value, list) and len(value) == len(arguments)
        return same and all(map(fits, value, arguments))
    if _is_list(kind):
        each = arguments[0] if arguments else Any
        return isinstance(value, list) and all(fits(item, each) for item in value)
    if issubclass(dict, kind):
        each = arguments[1] if len(arguments) == 2 else Any
        return isinstance(value, dict) and all(fits(item, each) for item in value.values())
    return isinstance(value, dict | list | kind)


def wanted(annotation: Any) -> str:
    """Return in words what an annotation accepts."""
    kind, arguments, ranges = _parts(annotation)
    if kind is Union:
        words = (wanted(item) for item in arguments if item is not NoneType)
        text = " or ".join(dict.fromkeys(words))
    elif kind is Literal:
        text = f"one of {', '.join(map(shown, arguments))}"
    elif kind in WORDS:
        text = WORDS[kind]
    elif _is_path(kind):
        text = "a path"
    elif _is_fixed(kind, arguments):
        text = f"[{', '.join(map(wanted, arguments))}]"
    elif _is_list(kind):
        text = f"a list, each {wanted(arguments[0])}" if arguments else "a list"
    elif issubclass(dict, kind):
        text = "a mapping"
    else:
        text = f"a node whose _target_ makes a {kind.__name__}"
    return f"{text}, {' and '.join(map(str, ranges))}" if ranges else text


def shown(value: Any) -> str:
    """Return a value as YAML writes it, on one line."""
    if isinstance(value, str):
        return " ".join(value.split())
    return json.dumps(value, default=str, skipkeys=True, ensure_ascii=False)


def _parts(annotation: Any) -> tuple[Any, tuple[Any, ...], list[Range]]:
    """Return the kind of an annotation, its arguments and its ranges."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        kind, inner, ranges = _parts(arguments[0])
        return kind, inner, [*ranges, *(item for item in arguments[1:] if isinstance(item, Range))]
    return Union if origin is UnionType else origin or annotation, arguments, []


def _numbers(value: Any) -> Iterator[float]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, int | float) and not isinstance(item, bool):
            yield item


def _is_path(kind: type) -> bool:
    return issubclass(kind, PurePath) or kind is os.PathLike


def _is_fixed(kind: type, arguments: tuple[Any, ...]) -> bool:
    return kind is tuple and arguments != () and arguments[-1] is not ...


def _is_list(kind: type) -> bool:
    return kind in (tuple, set, frozenset) or issubclass(list, kind)

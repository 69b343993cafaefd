"""Checking configuration values against annotations: types and ranges."""

import json
import os
from collections.abc import Iterator
from inspect import Parameter
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from irodori.config.ranges import Range

WORDS = {
    bool: "true or false", int: "an integer", float: "a number", str: "text", NoneType: "null",
    dict: "a mapping",
}  # fmt: skip


def fits(value: Any, annotation: Any) -> bool:
    """Return whether a value matches an annotation and lies within its ranges.

    A node with `_target_` matches any annotation, and any value matches an annotation that can't be
    checked.
    """
    if isinstance(value, dict) and "_target_" in value:
        return True
    kind, arguments, ranges = _parts(annotation)
    if not all(number in limits for limits in ranges for number in _numbers(value)):
        return False
    if kind is Union:
        return any(fits(value, item) for item in arguments)
    if kind is Literal:
        return any(value == item and type(value) is type(item) for item in arguments)
    if not isinstance(kind, type) or kind in (object, Parameter.empty):
        return True
    if kind in WORDS:
        return type(value) is kind or (kind is float and type(value) is int)
    try:
        if kind is tuple:
            same_length = isinstance(value, list) and len(value) == len(arguments)
            return same_length and all(map(fits, value, arguments))
        if _is_list(kind):
            each = arguments[0] if arguments else Any
            return isinstance(value, list) and all(fits(item, each) for item in value)
        return isinstance(value, str if issubclass(kind, os.PathLike) else dict | kind)
    except TypeError:  # a protocol that can't be checked at run time
        return True


def wanted(annotation: Any) -> str:
    """Return a description of the values that an annotation accepts."""
    kind, arguments, ranges = _parts(annotation)
    if kind is Union:
        words = (wanted(item) for item in arguments if item is not NoneType)
        text = " or ".join(dict.fromkeys(words))
    elif kind is Literal:
        text = f"one of {', '.join(map(shown, arguments))}"
    elif kind is tuple:
        text = f"[{', '.join(map(wanted, arguments))}]"
    elif not isinstance(kind, type):
        text = "a node"
    elif kind in WORDS:
        text = WORDS[kind]
    elif _is_list(kind):
        text = f"a list, each {wanted(arguments[0])}" if arguments else "a list"
    else:
        text = "a path" if issubclass(kind, os.PathLike) else f"a node that makes a {kind.__name__}"
    return f"{text}, {' and '.join(map(str, ranges))}" if ranges else text


def shown(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, float):
        return str(value)
    return json.dumps(value, default=str, skipkeys=True, ensure_ascii=False)


def _parts(annotation: Any) -> tuple[Any, tuple[Any, ...], list[Range]]:
    """Return an annotation's type, arguments and ranges."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        kind, inner, ranges = _parts(arguments[0])
        return kind, inner, [*ranges, *(item for item in arguments[1:] if isinstance(item, Range))]
    if (origin or annotation) is tuple and (not arguments or arguments[-1] is ...):
        return list, arguments[:1], []
    return Union if origin is UnionType else origin or annotation, arguments, []


def _numbers(value: Any) -> Iterator[float]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, int | float) and not isinstance(item, bool):
            yield item


def _is_list(kind: type) -> bool:
    return kind in (set, frozenset) or issubclass(list, kind)

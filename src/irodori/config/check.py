"""Checking a composed configuration against the signatures of its targets.

Misspelled arguments, wrong types and numbers out of range are found before anything is built, and
before torch is imported, since irodori's own classes are checked by their source.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter, Signature
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from irodori.config import signature
from irodori.config.errors import error_line, nearest, quoted
from irodori.config.ranges import Range
from irodori.utils.errors import IrodoriError

TARGET, MISSING = "_target_", "???"
SPECIAL = (TARGET, "_partial_", "_recursive_", "_convert_", "_args_")
"""Keys of a node that belong to Hydra."""
WORDS = {
    bool: "true or false", int: "an integer", float: "a number", str: "text", NoneType: "null",
    dict: "a mapping",
}  # fmt: skip


def check(
    config: Mapping[Any, Any],
    root: Callable[..., Any] | None = None,
    given: Mapping[str, Mapping[str, Any]] | None = None,
    relations: Callable[[Mapping[str, Any]], None] = lambda plain: None,
) -> None:
    """Check each node that has a `_target_` against the signature of its target.

    Args:
        config: composed configuration (a DictConfig, or plain dicts and lists).
        root: class or function whose arguments are the keys of the configuration itself.
        given: by path of a node (such as "network"), the arguments that the program supplies, which
            the node may omit; each with a type that the node may use instead of the target's (such
            as "auto", which the program replaces).
        relations: raises IrodoriError for contradicting settings. It is called with the resolved
            configuration when irodori's own nodes are right, before others, whose targets may take
            seconds to import.

    Raises:
        IrodoriError: the first error: an unknown target, an unknown or missing argument, a wrong
            type, or a number outside its `Range`. The message names node, key and similar valid
            names.
    """
    plain, given = resolved(config), given or {}
    given_paths = {below(path, key) for path, keys in given.items() for key in keys}
    # Interpolations repeat a node elsewhere; the shortest path is its original one.
    everything = sorted(values(plain), key=lambda item: item[0].count("."))
    for path, value in everything:
        if value == MISSING and path not in given_paths:
            raise IrodoriError(f"{path} has no value: give {path}=…")
    nodes = {path: node for path, node in everything if isinstance(node, dict) and TARGET in node}
    if root is not None and TARGET not in plain:
        _check_arguments(plain, "", signature.object_signature(root), given.get("", {}))
    _check_nodes(nodes, signature.own_signature, given)
    relations(plain)
    _check_nodes(nodes, signature.imported_signature, given)


def _check_nodes(
    nodes: dict[str, dict[Any, Any]],
    find: Callable[[str], Signature | None],
    given: Mapping[str, Mapping[str, Any]],
) -> None:
    """Check the nodes whose signature `find` returns, and remove them from `nodes`."""
    for path, node in list(nodes.items()):
        try:
            target = node[TARGET]
            found = find(target if isinstance(target, str) else "")
        except signature.UnknownTarget as error:
            where = f"{below(path, TARGET)}={shown(node[TARGET])}"
            raise IrodoriError(f"{where}: {error}") from error
        if found is not None:
            _check_arguments(node, path, found, given.get(path, {}))
            del nodes[path]


def resolved(config: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the configuration as dicts, lists and scalars, with interpolations resolved."""
    try:
        node = config if OmegaConf.is_config(config) else OmegaConf.create(dict(config))
        plain: Any = OmegaConf.to_container(node, resolve=True)
        return dict(plain)
    except OmegaConfBaseException as error:
        raise IrodoriError(error_line(error)) from error


def values(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a value and all values nested in it, each with its path."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from values(item, below(path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from values(item, f"{path}[{number}]")


def below(path: str, key: object) -> str:
    """Return the path of a key below a node's path."""
    return f"{path}.{key}" if path else str(key)


def _check_arguments(
    node: dict[Any, Any], path: str, found: Signature, given: Mapping[str, Any]
) -> None:
    """Raise IrodoriError if a node's arguments don't match a signature."""
    of_target = f" ({node[TARGET]})" if TARGET in node else ""
    parameters = found.parameters.values()
    by_name = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for key, value in node.items():
        where = below(path, key)
        if key in SPECIAL or (key in given and fits(value, given[key])):
            continue
        if key in by_name:
            kind = by_name[key].annotation
            if not (fits(value, kind) or (value is None and by_name[key].default is None)):
                is_number = isinstance(value, int | float) and fits("", kind)
                advice = f", in quotes: {quoted(where, shown(value))}" if is_number else ""
                line = f"{where}={shown(value)}: must be {wanted(kind)}"
                raise IrodoriError(f"{line}{of_target}{advice}")
        elif not takes_any:
            raise IrodoriError(f"{where}: there is no {key}{of_target}{nearest(key, by_name)}")
    if node.get("_partial_") or "_args_" in node:
        return
    for p in parameters:
        is_variable = p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        if p.default is p.empty and not (is_variable or p.name in node or p.name in given):
            where = below(path, p.name)
            raise IrodoriError(f"{where} has no value{of_target}: give {where}=…")


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
        if isinstance(value, dict) and issubclass(kind, Mapping) and arguments:
            return all(fits(item, arguments[1]) for item in value.values())
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

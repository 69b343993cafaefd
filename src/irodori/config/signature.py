"""The signature of a `_target_`: read from the source for irodori's own, imported for others."""

import ast
import collections.abc
import importlib
import inspect
import os
import pathlib
import typing
from functools import cache
from inspect import Parameter, Signature
from types import ModuleType
from typing import Annotated, Any, Literal, Union

from irodori.config.nearest import nearest
from irodori.config.ranges import Range
from irodori.config.source import Definition, UnknownTarget, defined, find

ANYTHING = Signature(
    [Parameter("args", Parameter.VAR_POSITIONAL), Parameter("kwargs", Parameter.VAR_KEYWORD)]
)
"""The signature of what takes any arguments, or of what isn't known."""


class OtherClass:
    """Stands for a class that is only known by its name: no plain value is one of its objects."""


@cache
def signature(target: str) -> Signature:
    """Return the signature of what a dotted path names.

    Only targets outside irodori (and classes of irodori whose constructor is inherited from
    outside) are imported. Annotations that can't be resolved are left out.

    Raises:
        UnknownTarget: it names nothing, or can't be imported.
    """
    found = source_signature(target) if target.startswith("irodori.") else None
    return found or object_signature(locate(target))


def object_signature(called: Any) -> Signature:
    """Return the signature of a class or function, its annotations evaluated where that works."""
    if not callable(called):
        raise UnknownTarget(f"{called!r} can't be called")
    try:
        found = inspect.signature(called)
    except (TypeError, ValueError):
        return ANYTHING
    function = getattr(called, "__init__") if isinstance(called, type) else called  # noqa: B009
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:  # of names that exist only for type checkers, or anything else
        hints = {}
    parameters = [
        parameter.replace(annotation=hints.get(name, _resolved(parameter.annotation, function)))
        for name, parameter in found.parameters.items()
    ]
    return found.replace(parameters=parameters, return_annotation=Signature.empty)


def _resolved(annotation: Any, function: Any) -> Any:
    """Return an annotation; one written as text is evaluated, or left out."""
    if not isinstance(annotation, str):
        return annotation
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(
            type("", (), {"__annotations__": {"x": annotation}}), names, {}, include_extras=True
        )["x"]
    except Exception:
        return Parameter.empty


def locate(target: str) -> Any:
    """Import what a dotted path names.

    Raises:
        UnknownTarget: it names nothing, or an import fails.
    """
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts):
        raise UnknownTarget(f"{target!r} is no dotted path of a class or function")
    found: Any = _import_module(parts[0])
    for number, part in enumerate(parts[1:], 1):
        path = ".".join(parts[:number])
        if hasattr(found, part):
            found = getattr(found, part)
        elif isinstance(found, ModuleType) and hasattr(found, "__path__"):
            names = [name for name in dir(found) if not name.startswith("_")]
            found = _import_module(f"{path}.{part}", f"{path} has no {part}{nearest(part, names)}")
        else:
            names = [name for name in dir(found) if not name.startswith("_")]
            raise UnknownTarget(f"{path} has no {part}{nearest(part, names)}")
    return found


def _import_module(path: str, message: str = "") -> ModuleType:
    try:
        return importlib.import_module(path)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == path:
            raise UnknownTarget(message or f"there is no module {path}") from None
        text = " ".join(str(error).split()) or type(error).__name__
        raise UnknownTarget(f"{path} can't be imported: {text}") from error


def source_signature(target: str) -> Signature | None:
    """Return the signature of a target by reading its source.

    Returns:
        None if the source doesn't tell, since its constructor is inherited from another package.

    Raises:
        UnknownTarget: it names nothing, or what can't be called.
    """
    found = find(target)
    if found is None:
        return None
    if isinstance(found.node, ast.ClassDef):
        return _class_signature(found)
    if isinstance(found.node, ast.FunctionDef | ast.AsyncFunctionDef):
        is_method = "." in found.name and "staticmethod" not in _decorators(found.node)
        return Signature(
            _parameters(found.node.args, found.module)[is_method:],
            __validate_parameters__=False,
        )
    if found.node is not None:
        return ANYTHING  # assigned: functools.partial(...), a lambda, …
    if not found.name:
        raise UnknownTarget(f"{target} is a module, not a class or function")
    return None


INERT_BASES = {
    "object", "abc.ABC", "typing.Protocol", "typing.Generic", "torch.nn.Module",
    "torch.nn.modules.module.Module", "torch.utils.data.Dataset",
}  # fmt: skip
"""Classes of other packages whose constructors take no arguments."""


def _class_signature(found: Definition) -> Signature | None:
    made = _constructor(found)
    if made is None or isinstance(made, Signature):
        return made
    return Signature(made, __validate_parameters__=False)


def _constructor(found: Definition) -> list[Parameter] | Signature | None:
    """Return the parameters of a class's constructor; None: it is another package's."""
    assert isinstance(found.node, ast.ClassDef)
    own = _own_constructor(found)
    if own is not None:
        return own
    for base in found.node.bases:
        definition = _definition(base, found.module)
        if definition is None or definition.path in INERT_BASES:
            continue
        if definition.node is None:
            definition = _elsewhere(definition.path)
        if definition is None or not isinstance(definition.node, ast.ClassDef):
            return None
        inherited = _constructor(definition)
        if inherited is None or inherited:
            return inherited
    return []


def _elsewhere(path: str) -> Definition | None:
    try:
        return find(path)
    except UnknownTarget:
        return None


def _own_constructor(found: Definition) -> list[Parameter] | None:
    assert isinstance(found.node, ast.ClassDef)
    methods = {item.name: item for item in found.node.body if isinstance(item, ast.FunctionDef)}
    if "__init__" in methods:
        return _parameters(methods["__init__"].args, found.module)[1:]
    if "dataclass" in _decorators(found.node):
        return list(_fields(found).values())
    if "__new__" in methods:
        parameters = _parameters(methods["__new__"].args, found.module)[1:]
        if not all(item.kind in (item.VAR_POSITIONAL, item.VAR_KEYWORD) for item in parameters):
            return parameters
    return None


def _fields(found: Definition) -> dict[str, Parameter]:
    """Return the constructor's parameters of a dataclass, those of its bases first."""
    assert isinstance(found.node, ast.ClassDef)
    fields: dict[str, Parameter] = {}
    for base in reversed(found.node.bases):
        definition = _definition(base, found.module)
        if definition is None or not isinstance(definition.node, ast.ClassDef):
            continue
        if "dataclass" in _decorators(definition.node):
            fields |= _fields(definition)
    for item in found.node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        written = ast.unparse(item.annotation)
        if "ClassVar" in written or written.endswith("KW_ONLY"):
            continue
        default: Any = Parameter.empty
        if item.value is not None:
            default = _default(item.value)
        if isinstance(item.value, ast.Call) and ast.unparse(item.value.func).endswith("field"):
            options = {option.arg: option.value for option in item.value.keywords}
            if "init" in options and ast.unparse(options["init"]) == "False":
                continue
            default = ... if {"default", "default_factory"} & options.keys() else Parameter.empty
            if "default" in options:
                default = _default(options["default"])
        name = item.target.id
        fields[name] = Parameter(
            name,
            Parameter.POSITIONAL_OR_KEYWORD,
            default=default,
            annotation=_annotation(item.annotation, found.module),
        )
    return fields


def _parameters(arguments: ast.arguments, module: str) -> list[Parameter]:
    found = []

    def add(argument: ast.arg, kind: Any, default: ast.expr | None) -> None:
        found.append(
            Parameter(
                argument.arg,
                kind,
                default=Parameter.empty if default is None else _default(default),
                annotation=_annotation(argument.annotation, module),
            )
        )

    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    for number, (argument, default) in enumerate(zip(positional, defaults, strict=True)):
        only = number < len(arguments.posonlyargs)
        add(
            argument,
            Parameter.POSITIONAL_ONLY if only else Parameter.POSITIONAL_OR_KEYWORD,
            default,
        )
    if arguments.vararg:
        add(arguments.vararg, Parameter.VAR_POSITIONAL, None)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        add(argument, Parameter.KEYWORD_ONLY, default)
    if arguments.kwarg:
        add(arguments.kwarg, Parameter.VAR_KEYWORD, None)
    return found


def _default(node: ast.expr) -> Any:
    """Return a default; `...` stands for one that is only known when it runs."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return ...


def _decorators(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    names = (item.func if isinstance(item, ast.Call) else item for item in node.decorator_list)
    return {ast.unparse(name).rpartition(".")[2] for name in names}


def _definition(node: ast.expr, module: str) -> Definition | None:
    """Return what a (dotted, subscripted) name stands for in a module; None: it isn't known."""
    if isinstance(node, ast.Subscript):
        node = node.value
    first, _, rest = ast.unparse(node).partition(".")
    if not first.isidentifier():
        return None
    found = defined(module, first)
    if found is None:
        return None
    if rest and found.node is None:
        path = f"{found.path}.{rest}"
        if path.partition(".")[0] == module.partition(".")[0]:
            try:
                return find(path)
            except UnknownTarget:
                return None
        return Definition(*path.rpartition(".")[::2])
    return None if rest else found


# Annotations, evaluated in a small namespace: what it doesn't know accepts any value.

KNOWN: dict[str, Any] = {
    **{kind.__name__: kind for kind in (int, float, str, bool, bytes, list, tuple, dict, set)},
    "type": OtherClass,
    "pathlib.Path": pathlib.Path,
    "os.PathLike": os.PathLike,
    "torch.Tensor": OtherClass,
    "torch.nn.Module": OtherClass,
    "torch.nn.Parameter": OtherClass,
    "typing.Callable": OtherClass,
    "collections.abc.Callable": OtherClass,
    "typing.Literal": Literal,
    "typing.Annotated": Annotated,
    "typing.Union": Union,
    "typing.Optional": typing.Optional,
    "typing.List": list,
    "typing.Tuple": tuple,
    "typing.Dict": dict,
    **{
        f"{module}.{name}": getattr(collections.abc, name)
        for module in ("typing", "collections.abc")
        for name in ("Sequence", "Iterable", "Collection", "Mapping", "MutableMapping", "Set")
    },
}


def _annotation(node: ast.expr | None, module: str, levels: int = 10) -> Any:
    """Return the type that an annotation names, `object` where it isn't known."""
    if levels == 0:
        return object
    match node:
        case None:
            return Parameter.empty
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str() as text):
            try:
                return _annotation(ast.parse(text, mode="eval").body, module, levels - 1)
            except SyntaxError:
                return object
        case ast.Name() | ast.Attribute():
            return _named(node, module, levels)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            sides = [_annotation(side, module, levels - 1) for side in (left, right)]
            return Union[tuple(sides)]  # noqa: UP007
        case ast.Subscript(value=value, slice=inner):
            items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            try:
                return _subscripted(_annotation(value, module, levels - 1), items, module, levels)
            except (TypeError, ValueError, ArithmeticError):
                return object
    return object


def _subscripted(origin: Any, items: list[ast.expr], module: str, levels: int) -> Any:
    if origin is object or origin is OtherClass:
        return origin
    if origin is Literal:
        return Literal[tuple(ast.literal_eval(item) for item in items)]
    if origin is Annotated:
        kind = _annotation(items[0], module, levels - 1)
        ranges = tuple(found for item in items[1:] if (found := _range(item, module)))
        return Annotated[(kind, *ranges)] if ranges else kind
    kinds = tuple(
        ...
        if isinstance(item, ast.Constant) and item.value is ...
        else _annotation(item, module, levels - 1)
        for item in items
    )
    return origin[kinds[0] if len(kinds) == 1 else kinds]


def _named(node: ast.expr, module: str, levels: int) -> Any:
    found = _definition(node, module)
    if found is None:
        return KNOWN.get(ast.unparse(node), object)
    if isinstance(found.node, ast.ClassDef):
        bases = {
            ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in found.node.bases
        }
        if any(base.endswith("Enum") for base in bases):
            values = [_default(item.value) for item in _assigned(found.node)]
            names = [target.id for item in _assigned(found.node) for target in _targets(item)]
            return Literal[(*names, *(value for value in values if isinstance(value, str)))]
        return object if bases & {"Protocol", "TypedDict", "NamedTuple"} else OtherClass
    if isinstance(found.node, ast.expr):
        return _annotation(found.node, found.module, levels - 1)
    return object if found.node is not None else KNOWN.get(found.path, object)


def _assigned(node: ast.ClassDef) -> list[ast.Assign]:
    return [item for item in node.body if isinstance(item, ast.Assign)]


def _targets(item: ast.Assign) -> list[ast.Name]:
    return [target for target in item.targets if isinstance(target, ast.Name)]


def _range(node: ast.expr, module: str) -> Range | None:
    """Return the `Range` that an expression makes; None: it is something else."""
    if isinstance(node, ast.Name):
        found = defined(module, node.id)
        if found is None or not isinstance(found.node, ast.expr):
            return None
        node, module = found.node, found.module
    if not isinstance(node, ast.Call):
        return None
    made = _definition(node.func, module)
    if made is None or made.path != "irodori.config.ranges.Range":
        return None
    limits = {str(option.arg): _number(option.value, module) for option in node.keywords}
    return Range(*(_number(limit, module) for limit in node.args), **limits)


def _number(node: ast.expr, module: str) -> float | None:
    """Return the number that an expression of numbers and constants stands for."""
    match node:
        case ast.Name():
            found = defined(module, node.id)
            if found is None or not isinstance(found.node, ast.expr):
                raise ValueError(f"{node.id} isn't known")
            return _number(found.node, found.module)
        case ast.BinOp(left=left, op=operation, right=right):
            first, second = _number(left, module), _number(right, module)
            if first is None or second is None:
                raise ValueError("None is no number")
            match operation:
                case ast.Add():
                    return first + second
                case ast.Sub():
                    return first - second
                case ast.Mult():
                    return first * second
                case ast.Div():
                    return first / second
                case ast.Pow():
                    return float(first**second) if abs(second) <= 64 else None
    value = ast.literal_eval(node)
    if value is not None and not isinstance(value, int | float):
        raise ValueError(f"{value!r} is no number")
    return value

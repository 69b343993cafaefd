"""From nngraph's graph of nodes to the layers that calculate, each with what goes into it.

A `gModule` has nodes whose `data` tables say all there is: `module` (the layer; none passes its
input on), `mapindex` (the data of the nodes that its inputs come from, in order) and `selectindex`
(which one of several inputs it passes on). `innode` stands for the network's inputs and `outnode`
for its outputs. In older versions of nngraph `innode` hands each input to a node of its own, and
its `mapindex` lists those; in newer ones a node splits them.

Containers are taken apart and layers that only change a tensor's shape are left out, so that what
remains is a chain of layers that calculate, with joints.
"""

from dataclasses import dataclass

from irodori.torch7.values import Object, Table, Value
from irodori.utils.errors import IrodoriError

LAYERS = 1000
"""At most; a few bytes can ask for a billion of them by containers within containers."""
DEPTH = 50
"""Containers within containers."""

PASSING = frozenset(
    [
        "nn.Identity",
        "nn.Copy",
        "nn.Contiguous",
        "nn.View",
        "nn.Reshape",
        "nn.Replicate",
        "nn.Unsqueeze",
        "nn.Squeeze",
    ]
)
"""Layers that change at most a tensor's shape."""
JOIN = "nn.JoinTable"


@dataclass(frozen=True)
class Input:
    """One of the network's inputs, counted from 1."""

    number: int


@dataclass(frozen=True)
class Inputs:
    """All of the network's inputs, before they are split."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One use of a layer: its module, and what goes into it."""

    module: Object
    inputs: "tuple[Layer | Input, ...]"


Signal = Layer | Input | Inputs | tuple["Signal", ...]
"""What goes from layer to layer: a tensor, or several of them."""


def trace(model: Object) -> Signal:
    """What a network (a `gModule`) gives, followed back to its inputs.

    Raises:
        IrodoriError: its graph isn't one, or holds what isn't known here.
    """
    return _Tracer().apply(model, Inputs(), 0)


class _Tracer:
    def __init__(self) -> None:
        self.steps = 0

    def apply(self, module: Value, signal: Signal, depth: int) -> Signal:
        """What a module gives when a signal goes into it."""
        if not isinstance(module, Object):
            raise IrodoriError("where a layer should be there is none")
        self.steps += 1
        if self.steps > LAYERS:
            raise IrodoriError(f"its network has more than {LAYERS:,} layers")
        if depth > DEPTH:
            raise IrodoriError(f"its network has more than {DEPTH} containers within each other")
        match module.name:
            case "nn.gModule":
                return self._graph(module, signal, depth)
            case "nn.Sequential":
                for part in parts(module):
                    signal = self.apply(part, signal, depth + 1)
                return signal
            case "nn.ConcatTable":
                return tuple(self.apply(part, signal, depth + 1) for part in parts(module))
            case "nn.ParallelTable":
                return tuple(
                    self.apply(part, picked(signal, number), depth + 1)
                    for number, part in enumerate(parts(module), 1)
                )
            case "nn.SelectTable":
                return picked(signal, whole(module.get("index"), "a SelectTable's index"))
            case "nn.JoinTable":
                if not isinstance(signal, tuple):
                    raise IrodoriError("a JoinTable has one input only")
                return Layer(module, tuple(single(part) for part in signal))
            case "nn.Dropout":
                # Before its second version it scaled in evaluation, not in training.
                if module.get("p") and module.get("v2") is not True:
                    raise IrodoriError("a Dropout of an old kind scales what goes through it")
                return signal
            case name if name in PASSING:
                return signal
        return Layer(module, (single(signal),))

    def _graph(self, model: Object, signal: Signal, depth: int) -> Signal:
        first, last = (node_data(model.get(name), name) for name in ("innode", "outnode"))
        handed = first.get("mapindex")
        consumers = handed.listed() if isinstance(handed, Table) else []
        given: dict[Table, Signal] = {}
        begun: set[Table] = set()
        stack = [last]
        while stack:
            data = stack[-1]
            if data in given:
                stack.pop()
                continue
            sources = sources_of(data)
            missing = [one for one in sources if one is not first and one not in given]
            if missing:
                if data in begun:
                    raise IrodoriError("a node of its graph leads back to itself")
                begun.add(data)
                stack += missing
                continue
            signals: list[Signal] = []
            for source in sources:
                if source is not first:
                    signals.append(given[source])
                elif len(consumers) > 1:
                    number = next((i for i, one in enumerate(consumers, 1) if one is data), 0)
                    signals.append(picked(signal, number))
                else:
                    signals.append(signal)
            inner: Signal = signals[0] if len(signals) == 1 else tuple(signals)
            if data.get("selectindex") is not None:
                inner = picked(inner, whole(data.get("selectindex"), "a node's selectindex"))
            elif data.get("module") is not None:
                inner = self.apply(data.get("module"), inner, depth + 1)
            given[data] = inner
            self.steps += 1
            if self.steps > LAYERS:
                raise IrodoriError(f"its network has more than {LAYERS:,} layers")
        return given[last]


def parts(container: Object) -> list[Value]:
    """The modules of a container, in order."""
    modules = container.get("modules")
    if not isinstance(modules, Table):
        raise IrodoriError(f"a {container.name} has no table of modules")
    return modules.listed()


def node_data(node: Value, name: str) -> Table:
    """The data of the node `name` of a graph."""
    data = node.get("data") if isinstance(node, Object) else None
    if not isinstance(data, Table):
        raise IrodoriError(f"its graph has no {name} with data")
    return data


def sources_of(data: Table) -> list[Table]:
    """The data of the nodes that a node's inputs come from, in order."""
    mapindex = data.get("mapindex")
    listed = mapindex.listed() if isinstance(mapindex, Table) else []
    sources = [one for one in listed if isinstance(one, Table)]
    if not sources or len(sources) < len(listed):
        raise IrodoriError("a node of its graph doesn't say where its input comes from")
    return sources


def picked(signal: Signal, number: int) -> Signal:
    """One of several tensors, counted from 1."""
    if isinstance(signal, Inputs) and number > 0:
        return Input(number)
    if isinstance(signal, tuple) and 0 < number <= len(signal):
        return signal[number - 1]
    raise IrodoriError(f"its graph asks for tensor {number} where there are not so many")


def single(signal: Signal) -> Layer | Input:
    """The tensor that goes into a layer; that of a network with one input is the first."""
    if isinstance(signal, Inputs):
        return Input(1)
    if isinstance(signal, tuple):
        raise IrodoriError("several tensors go into a layer that takes one")
    return signal


def whole(value: Value, what: str) -> int:
    """A Lua number as an int."""
    if not isinstance(value, float) or not value.is_integer():
        raise IrodoriError(f"{what} is no whole number")
    return int(value)

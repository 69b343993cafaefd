"""Tracing nngraph's graph of nodes: its layers, each with its input.

The nodes of a `gModule` are described by `data` tables: `module` (the layer; without one, the input
is passed on), `mapindex` (the data of the input nodes, in order) and `selectindex` (the index of
one of several inputs). `innode` represents the network's inputs and `outnode` its outputs. In older
versions of nngraph, `innode` passes each input to a separate node, listed in its `mapindex`; in
newer ones a node splits them.
"""

from dataclasses import dataclass
from typing import Any

from irodori.torch7.reader import Object, Table
from irodori.utils.errors import IrodoriError

STEPS = 1000
"""Largest number of steps; a few bytes of nested containers can require a billion."""
PASSING = ("Identity", "Copy", "Contiguous", "View", "Reshape", "Replicate", "Unsqueeze", "Squeeze")
"""Layers that change at most a tensor's shape, which are skipped."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A use of a layer: its module and its input."""

    module: Object
    inputs: "tuple[Signal, ...]"


Signal = Layer | int | tuple["Signal", ...]
"""A signal between layers: a tensor, an input of the network (counted from 1; 0 for all of them
before they are split), or several tensors."""


def trace(model: Object) -> Signal:
    """Follow a network (a `gModule`) from its outputs back to its inputs.

    Raises:
        IrodoriError: the graph is invalid, or contains unknown layers.
    """
    try:
        return _Tracer().apply(model, 0)
    except RecursionError:
        raise IrodoriError("its graph contains a cycle") from None


class _Tracer:
    def __init__(self) -> None:
        self.steps = 0

    def apply(self, module: Any, signal: Signal) -> Signal:
        """Return the output signal of a module."""
        self._count()
        if not isinstance(module, Object):
            raise IrodoriError("a layer is missing")
        name = module.name.rpartition(".")[2]
        modules = module.get("modules")
        parts = modules.listed() if isinstance(modules, Table) else []
        if name == "gModule":
            return self._graph(module, signal)
        if name == "Sequential":
            for part in parts:
                signal = self.apply(part, signal)
            return signal
        if name == "ConcatTable":
            return tuple(self.apply(part, signal) for part in parts)
        if name == "ParallelTable":
            return tuple(self.apply(part, picked(signal, i + 1)) for i, part in enumerate(parts))
        if name == "SelectTable":
            return picked(signal, module.get("index"))
        if name == "JoinTable" and isinstance(signal, tuple):
            return Layer(module, signal)
        # Version 1 of Dropout scaled in evaluation, not in training.
        if name in PASSING or (name == "Dropout" and (module.get("v2") or not module.get("p"))):
            return signal
        if isinstance(signal, tuple):
            raise IrodoriError(f"a {module.name} has several inputs")
        return Layer(module, (signal or 1,))

    def _graph(self, model: Object, signal: Signal) -> Signal:
        first, last = (_data(model.get(name)) for name in ("innode", "outnode"))
        consumers = _sources(first)
        signals: dict[Table, Signal] = {}

        def source(data: Table, consumer: Table) -> Signal:
            if data is not first:
                return output(data)
            # Input nodes of older versions.
            return picked(signal, consumers.index(consumer) + 1) if len(consumers) > 1 else signal

        def output(data: Table) -> Signal:
            if data not in signals:
                self._count()
                inputs = tuple(source(each, data) for each in _sources(data))
                if not inputs:
                    raise IrodoriError("a node of its graph has no input")
                result = inputs[0] if len(inputs) == 1 else inputs
                if data.get("selectindex") is not None:
                    result = picked(result, data["selectindex"])
                elif data.get("module") is not None:
                    result = self.apply(data["module"], result)
                signals[data] = result
            return signals[data]

        return output(last)

    def _count(self) -> None:
        self.steps += 1
        if self.steps > STEPS:
            raise IrodoriError(f"its network has more than {STEPS:,} layers")


def _data(node: Any) -> Table:
    data = node.get("data") if isinstance(node, Object) else None
    if not isinstance(data, Table):
        raise IrodoriError("its graph has no innode or outnode with data")
    return data


def _sources(data: Table) -> list[Table]:
    """Return the data of a node's input nodes, in order."""
    mapindex = data.get("mapindex")
    listed = mapindex.listed() if isinstance(mapindex, Table) else []
    return [each for each in listed if isinstance(each, Table)]


def picked(signal: Signal, number: Any) -> Signal:
    """Return one of several tensors, counted from 1."""
    if signal == 0 and number in (1, 2):
        return int(number)
    if isinstance(signal, tuple) and number in range(1, len(signal) + 1):
        return signal[int(number) - 1]
    raise IrodoriError(f"its graph selects tensor {number} of fewer")

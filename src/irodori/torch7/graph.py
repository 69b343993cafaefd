"""The layers that calculate in nngraph's graph of nodes, each with what goes into it.

A `gModule` has nodes whose `data` tables say all there is: `module` (the layer; none passes its
input on), `mapindex` (the data of the nodes that its inputs come from, in order) and `selectindex`
(which one of several inputs it passes on). `innode` stands for the network's inputs and `outnode`
for its outputs. In older versions of nngraph `innode` hands each input to a node of its own, and
its `mapindex` lists those; in newer ones a node splits them.
"""

from dataclasses import dataclass
from typing import Any

from irodori.torch7.reader import Object, Table
from irodori.utils.errors import IrodoriError

STEPS = 1000
"""Largest number of steps; a few bytes of nested containers can ask for a billion."""
PASSING = ("Identity", "Copy", "Contiguous", "View", "Reshape", "Replicate", "Unsqueeze", "Squeeze")
"""Layers that change at most a tensor's shape, which are left out."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One use of a layer: its module, and what goes into it."""

    module: Object
    inputs: "tuple[Signal, ...]"


Signal = Layer | int | tuple["Signal", ...]
"""A signal from layer to layer: a tensor, an input of the network (counted from 1; 0: all of them
before they are split), or several tensors."""


def trace(model: Object) -> Signal:
    """Follow a network (a `gModule`) from its outputs back to its inputs.

    Raises:
        IrodoriError: its graph isn't one, or holds what isn't known here.
    """
    try:
        return _Tracer().apply(model, 0)
    except RecursionError:
        raise IrodoriError("a node or container of its graph leads back to itself") from None


class _Tracer:
    def __init__(self) -> None:
        self.steps = 0

    def apply(self, module: Any, signal: Signal) -> Signal:
        """Return what a module gives when a signal goes into it."""
        self._count()
        if not isinstance(module, Object):
            raise IrodoriError("where a layer should be there is none")
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
        # Before its second version Dropout scaled in evaluation, not in training.
        if name in PASSING or (name == "Dropout" and (module.get("v2") or not module.get("p"))):
            return signal
        if isinstance(signal, tuple):
            raise IrodoriError(f"several tensors go into a {module.name}")
        return Layer(module, (signal or 1,))

    def _graph(self, model: Object, signal: Signal) -> Signal:
        first, last = (_data(model.get(name)) for name in ("innode", "outnode"))
        consumers = _sources(first)
        signals: dict[Table, Signal] = {}

        def source(data: Table, consumer: Table) -> Signal:
            if data is not first:
                return output(data)
            # Nodes of older versions' inputs.
            return picked(signal, consumers.index(consumer) + 1) if len(consumers) > 1 else signal

        def output(data: Table) -> Signal:
            if data not in signals:
                self._count()
                inputs = tuple(source(each, data) for each in _sources(data))
                if not inputs:
                    raise IrodoriError("a node of its graph doesn't say where its input comes from")
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
    """Return the data of the nodes that a node's inputs come from, in order."""
    mapindex = data.get("mapindex")
    listed = mapindex.listed() if isinstance(mapindex, Table) else []
    return [each for each in listed if isinstance(each, Table)]


def picked(signal: Signal, number: Any) -> Signal:
    """Return one of several tensors, counted from 1."""
    if signal == 0 and number in (1, 2):
        return int(number)
    if isinstance(signal, tuple) and number in range(1, len(signal) + 1):
        return signal[int(number) - 1]
    raise IrodoriError(f"its graph asks for tensor {number} of fewer")

"""Features that are quickly computed again aren't kept for the backward pass.

A convolution keeps what it has seen for the gradient of its weights, and what it has seen is a
norm, an activation or an enlargement of what the layer before gave, which is kept as well. Such a
step costs a few passes over memory, where a convolution takes thousands of operations a value: so
it is done a second time during the backward pass, on the same numbers and with the same result,
and about half of the memory for features falls away.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.autograd.graph import saved_tensors_hooks

Step = Callable[[Tensor], Tensor]


class Recipe:
    """How the result of a step is computed again."""

    def __init__(self, step: Step, source: Kept) -> None:
        self.step = step
        self.source = source
        self.autocast = torch.get_autocast_dtype(source.device)
        self.in_autocast = torch.is_autocast_enabled(source.device)
        self.uses = 0
        self.result: Tensor | None = None

    def __call__(self) -> Tensor:
        """The result, which is held until everyone who asked for it has it."""
        result = self.result
        if result is None:
            device = self.source.device
            with torch.no_grad(), torch.autocast(device, self.autocast, enabled=self.in_autocast):
                result = self.step(self.source.get())
        self.uses -= 1
        self.result = result if self.uses > 0 else None
        return result


class Kept:
    """A tensor of the graph: itself, or how it is computed again."""

    def __init__(self, tensor: Tensor, recipe: Recipe | None = None) -> None:
        self.device = tensor.device.type
        self.tensor = None if recipe else tensor.detach()
        self.recipe = recipe
        if recipe:
            recipe.uses += 1

    def get(self) -> Tensor:
        """The tensor."""
        if self.tensor is not None:
            return self.tensor
        assert self.recipe is not None
        return self.recipe()


class Rectified(torch.autograd.Function):
    """A ReLU in place, at the end of a step that is computed again for the backward pass.

    Whatever takes the result has had its turn in the backward pass when the ReLU has: nobody needs
    the result any more, and the gradient is written into its memory.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, recipe: weakref.ref[Recipe]) -> Tensor:
        """Any shape; the same memory. `recipe` is what the graph holds in place of the result."""
        ctx.mark_dirty(features)
        features.relu_()
        ctx.save_for_backward(features)
        # Not held here: what is saved is let go when the backward pass has been here, and this not.
        ctx.recipe = recipe
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Only where the result is positive does the gradient pass."""
        (result,) = ctx.saved_tensors
        # Someone else may ask for it yet, if their part of the graph isn't in this backward pass.
        to = result if ctx.recipe().result is None else torch.empty_like(result)
        torch.ops.aten.threshold_backward.grad_input(gradient, result, 0, grad_input=to)
        return to, None


class Recomputing:
    """What is known while a graph is made."""

    def __init__(self) -> None:
        self.recipes: dict[int, tuple[weakref.ref[Tensor], int, Recipe]] = {}
        self.rectified: Recipe | None = None
        """Of the step whose ReLU is being taken."""

    def keep(self, tensor: Tensor) -> Kept:
        """What the graph holds in place of a tensor."""
        return Kept(tensor, self.rectified or self.recipe_of(tensor))

    def recipe_of(self, tensor: Tensor) -> Recipe | None:
        """The recipe whose result a tensor is, if any."""
        place, version, recipe = self.recipes.get(tensor.data_ptr(), (None, 0, None))
        result = place() if place is not None else None
        if result is None or result._version != version or not same_layout(tensor, result):
            return None
        return recipe

    def run(self, first: Step, again: Step, source: Tensor, rectify: bool) -> Tensor:
        """See `recomputed`."""
        recipe = Recipe(again, Kept(source, self.recipe_of(source)))
        result = first(source)
        if rectify:
            recipe.step = lambda source: again(source).relu_()
            self.rectified = recipe
            try:
                result = Rectified.apply(result, weakref.ref(recipe))
            finally:
                self.rectified = None
        place = result.data_ptr()
        self.recipes[place] = weakref.ref(result), result._version, recipe
        # Another tensor may come to lie there.
        weakref.finalize(result, self.recipes.pop, place, None)
        return result


def same_layout(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors that begin at the same place are the same."""
    return (one.shape, one.stride(), one.dtype) == (other.shape, other.stride(), other.dtype)


_active: ContextVar[Recomputing | None] = ContextVar("_active", default=None)


@contextmanager
def recomputing() -> Iterator[None]:
    """Within this, results of `recomputed` aren't kept in the graph."""
    state = Recomputing()
    token = _active.set(state)
    try:
        with saved_tensors_hooks(state.keep, Kept.get):
            yield
    finally:
        _active.reset(token)


def recomputed(first: Step, again: Step, source: Tensor, *, rectify: bool = False) -> Tensor:
    """What `first` gives for `source`; within `recomputing`, `again` gives it once more later.

    Args:
        first: the step.
        again: gives the same without changing anything, such as running statistics.
        source: what the step takes; it isn't changed afterwards.
        rectify: a ReLU follows, which is part of the step.
    """
    state = _active.get()
    if state is None or not torch.is_grad_enabled():
        result = first(source)
        return result.relu_() if rectify else result
    return state.run(first, again, source, rectify)

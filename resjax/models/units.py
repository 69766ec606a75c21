"""The unit a network is a chain of: h = after(shortcut(x, f(pre(x)))). It maps h_{l-1} to h_l and tells what passed.

There is one, assembled from an order, a branch, a shortcut and a norm; a `UnitPlan` says how. A response is the output
of a weight layer after the norm behind it, before the activation or the addition (He et al. 2015, section 4.2, fig. 7).
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from resjax.models.junction import Junction
from resjax.models.noise import dropout
from resjax.models.parts import Parts
from resjax.models.pooling import pooled
from resjax.models.types import Hidden, Mode, Responses, Within, fold
from resjax.plans.plan import Path, UnitPlan, WeightSpec
from resjax.shortcuts import SHORTCUTS


class Layer(nnx.Module):
    """post(W pre(x)): a weight layer with the norms and activations around it, and dropout behind."""

    def __init__(self, key: Array, spec: WeightSpec, before: int, pre: str, post: str, place: str, parts: Parts):
        self.pre = parts.ops(pre, before)
        self.weight = parts.weight(key, spec, before, place)
        self.post = parts.ops(post, spec.channels)
        self.dropout, self.name = spec.dropout, spec.name

    def __call__(self, x: Hidden, mode: Mode) -> tuple[Hidden, Hidden]:
        """The output, and the response."""
        response = self.post.normalise(self.weight(self.pre(x, mode), mode), mode)
        return dropout(self.post.activate(response), self.dropout, mode, self.name), response


class Chain(nnx.Module):
    """Weight layers one after the other, behind a pooling where the path has one. `pre` of the first is the unit's."""

    def __init__(self, key: Array, path: Path, plan: UnitPlan, parts: Parts) -> None:
        order, before, last, layers = plan.order, plan.before, len(path.specs), []
        for number, spec in enumerate(path.specs, start=1):
            pre, post = "" if number == 1 else order.pre, order.last if number == last else order.post
            place = _place(plan, number == last)
            layers.append(Layer(fold(key, number), spec, before, pre, post, place, parts))
            before = spec.channels
        self.pool, self.layers = path.pool, nnx.List(layers)

    def __call__(self, x: Hidden, mode: Mode) -> tuple[Hidden, Responses]:
        x, responses = pooled(x, self.pool), []
        for layer in self.layers:
            x, response = layer(x, mode)
            responses.append(response)
        return x, tuple(responses)


def _place(plan: UnitPlan, last: bool) -> str:
    """Where a weight layer stands, for the laws of initial weights that ask."""
    if plan.stage == 0:
        return "stem"
    return "branch_last" if last and plan.shortcut != "none" else "hidden"


class Unit(nnx.Module):
    """h = after(shortcut(x, f)), f the branch's paths side by side (one path but in GoogLeNet) on pre(x).

    The shortcut starts at x, or where `plan.shared` at pre(x) (He et al. 2016, appendix).
    """

    def __init__(self, key: Array, plan: UnitPlan, parts: Parts) -> None:
        self.plan = plan
        self.pre = parts.ops(plan.order.pre, plan.before)
        keys = [key] if len(plan.paths) == 1 else [fold(key, number) for number in range(len(plan.paths))]
        paths = zip(keys, plan.paths, strict=True)
        self.branch = nnx.List([Chain(path_key, path, plan, parts) for path_key, path in paths])
        self.shortcut = Junction(fold(key, 0), plan, parts)
        self.after = parts.ops(plan.order.after, plan.after)

    def __call__(self, x: Hidden, mode: Mode) -> tuple[Hidden, Within]:
        x = dropout(pooled(x, self.plan.pool), self.plan.dropout, mode, "unit")
        entered = self.pre(x, mode)
        f, responses = _side_by_side([path(entered, mode) for path in self.branch])
        at = self.shortcut.at(entered if self.plan.shared else x, f, mode)
        row = SHORTCUTS[self.plan.shortcut]
        join, after = partial(self._join, at), partial(self.after, mode=mode)
        within = Within(responses, at.x, f, join, after, self.plan.shortcut == "none", row.widens)
        return after(within.join(at.x, f)), within

    def _join(self, at: Any, x: Hidden, f: Hidden) -> Hidden:
        """The shortcut's function, or what joins where the shape is kept."""
        row = SHORTCUTS[self.plan.shortcut]
        join = row.join if row.elsewhere is None or self.plan.changes else row.elsewhere
        return join(x, f, at).astype(f.dtype)  # a scale of more bits than x and f makes their sum so


def _side_by_side(paths: list[tuple[Hidden, Responses]]) -> tuple[Hidden, Responses]:
    """Their outputs along the channels, their responses one after the other."""
    if len(paths) == 1:
        return paths[0]
    return jnp.concatenate([f for f, _ in paths], axis=-1), sum((responses for _, responses in paths), ())

"""Every family's network written out, unit after unit; of the package it knows where the parameters stand."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from by_hand import across, convolved, normed, relu

Weights = Any
GROUP, CLASSES = 4, 5
AUXILIARY_WEIGHT = 0.3


class Passed(NamedTuple):
    """A unit's output, the responses of its weight layers, and what branch and shortcut (None: there is none) add."""

    h: jax.Array
    responses: list[jax.Array]
    branch: jax.Array
    skip: jax.Array | None


class Lifts(NamedTuple):
    """What is added to each unit's input, where it alone reads it, and output, where all do that come behind."""

    inputs: list[jax.Array]
    outputs: list[jax.Array]


class Place(NamedTuple):
    """Where shortcut and branch meet: the shortcut's input, the branch's output, the shortcut's own weights."""

    raw: jax.Array
    f: jax.Array
    own: Weights

    @property
    def stride(self) -> int:
        return -(-self.raw.shape[1] // self.f.shape[1])

    @property
    def x(self) -> jax.Array:
        """Option A: every stride-th pixel, and channels of zeros."""
        if self.raw.ndim == 2:
            return self.raw
        x = self.raw[:, :: self.stride, :: self.stride]
        return jnp.concatenate([x, jnp.zeros((*x.shape[:-1], self.f.shape[-1] - x.shape[-1]))], axis=-1)

    @property
    def projected(self) -> jax.Array:
        wx = convolved(self.raw, self.own["weight"]["kernel"], self.stride)
        return normed(wx, self.own["post"]["norm"], GROUP)

    @property
    def g(self) -> jax.Array:
        wx = convolved(self.raw, self.own["weight"]["kernel"], self.stride)
        return 1 / (1 + jnp.exp(-wx - across(self.own["bias"], wx)))


# What the shortcut and the branch add.
WAYS: dict[str, Callable[[Place], tuple[jax.Array | None, jax.Array]]] = {
    "none": lambda u: (None, u.f),
    "identity": lambda u: (u.x, u.f),
    "projection_b": lambda u: (u.raw if u.raw.shape == u.f.shape else u.projected, u.f),
    "scaled": lambda u: (0.7 * u.x, -0.3 * u.f),
    "exclusive_gate": lambda u: ((1 - u.g) * u.x, u.g * u.f),
    "highway": lambda u: ((1 - u.g) * u.x, u.g * u.f),
}
Unit = Callable[[str, Weights, jax.Array, int], Passed]


def added(skip: jax.Array | None, branch: jax.Array) -> jax.Array:
    return branch if skip is None else skip + branch


def layers_of(path: Weights) -> list[Weights]:
    return [path["layers"][number] for number in range(len(path["layers"]))]


def response(x: jax.Array, layer: Weights, stride: int = 1) -> jax.Array:
    """norm(W x), or W x where the norm is elsewhere; images are rows where W is a matrix."""
    kernel = layer["weight"]["kernel"]
    wx = convolved(x.reshape(len(x), -1) if kernel.ndim == 2 else x, kernel, stride)
    return normed(wx, layer["post"]["norm"], GROUP) if "post" in layer else wx


def responses_of(path: Weights, x: jax.Array, stride: int = 1) -> list[jax.Array]:
    """Those of weight layers one after the other, norm or none and relu between."""
    first, *others = layers_of(path)
    found = [response(x, first, stride)]
    for layer in others:
        between = normed(found[-1], layer["pre"]["norm"], GROUP) if "pre" in layer else found[-1]
        found.append(response(relu(between), layer))
    return found


def stem(shortcut: str, weights: Weights, x: jax.Array, stride: int) -> Passed:
    """relu(norm(W x)), or W x where norm and relu stand before the weights."""
    (layer,) = layers_of(weights["branch"][0])
    seen = response(x, layer)
    h = relu(seen) if "post" in layer else seen
    return Passed(h, [seen], h, None)


def original(shortcut: str, weights: Weights, x: jax.Array, stride: int) -> Passed:
    """h = relu(x + f), f = norm(W relu(norm(W x)))."""
    seen = responses_of(weights["branch"][0], x, stride)
    skip, branch = WAYS[shortcut](Place(x, seen[-1], weights.get("shortcut")))
    return Passed(relu(added(skip, branch)), seen, branch, skip)


def bare(shortcut: str, weights: Weights, x: jax.Array, stride: int) -> Passed:
    """h = x + f, f = W relu(norm(W x)) + b."""
    seen = responses_of(weights["branch"][0], x, stride)
    skip, branch = WAYS[shortcut](Place(x, seen[-1], weights.get("shortcut")))
    return Passed(added(skip, branch), seen, branch, skip)


def activated(shortcut: str, weights: Weights, x: jax.Array, stride: int) -> Passed:
    """h = x + relu(f), f = norm(W x)."""
    seen = responses_of(weights["branch"][0], x, stride)
    skip, branch = WAYS[shortcut](Place(x, relu(seen[-1]), weights.get("shortcut")))
    return Passed(added(skip, branch), seen, branch, skip)


def preactivated(shortcut: str, weights: Weights, x: jax.Array, stride: int) -> Passed:
    """h = x + f, f = W relu(norm(W relu(norm(x)))).

    The shortcut of the first of all, which is as wide as the stem and not strided, begins behind norm and relu.
    """
    entered = relu(normed(x, weights["pre"]["norm"], GROUP))
    seen = responses_of(weights["branch"][0], entered, stride)
    begins = entered if x.shape == seen[-1].shape else x
    skip, branch = WAYS[shortcut](Place(begins, seen[-1], weights.get("shortcut")))
    return Passed(added(skip, branch), seen, branch, skip)


def appended(shortcut: str, weights: Weights, x: jax.Array, stride: int) -> Passed:
    """h = [x, f], f = W relu(norm(x)); h = f of 1x1 convolutions, which lead to the next block."""
    seen = responses_of(weights["branch"][0], relu(normed(x, weights["pre"]["norm"], GROUP)))
    transition = layers_of(weights["branch"][0])[0]["weight"]["kernel"].shape[:2] == (1, 1)
    h = seen[-1] if transition else jnp.concatenate([x, seen[-1]], axis=-1)
    return Passed(h, seen, seen[-1], None if transition else x)


def inception(shortcut: str, weights: Weights, x: jax.Array, stride: int) -> Passed:
    """The relu of the paths' last responses, side by side; the fourth begins at the largest of 3x3 pixels."""
    starts = [x, x, x, largest(x, 3, 1, outside=1)][: len(weights["branch"])]
    paths = [responses_of(weights["branch"][number], start) for number, start in enumerate(starts)]
    h = jnp.concatenate([relu(path[-1]) for path in paths], axis=-1)
    return Passed(h, [seen for path in paths for seen in path], h, None)


def windows(x: jax.Array, side: int, stride: int, outside: int = 0) -> jax.Array:
    """(batch, height, width, pixel, channel); so many pixels beyond the edges are -inf."""
    around = (outside, outside)
    x = jnp.pad(x, [(0, 0), around, around, (0, 0)], constant_values=-jnp.inf)
    rows, columns = (np.arange(0, size - side + 1, stride)[:, None] + np.arange(side)[None] for size in x.shape[1:3])
    found = x[:, rows][:, :, :, columns].swapaxes(2, 3)
    return found.reshape(*found.shape[:3], side * side, x.shape[-1])


def largest(x: jax.Array, side: int, stride: int, outside: int = 0) -> jax.Array:
    """Max pooling; of equals the first has the gradient."""
    found = windows(x, side, stride, outside)
    return jnp.take_along_axis(found, jnp.argmax(found, axis=3, keepdims=True), axis=3)[..., 0, :]


def classified(head: Weights, h: jax.Array) -> jax.Array:
    """W mean(h) + b, or of relu(norm(h)) where norm and relu stand before the weights."""
    h = relu(normed(h, head["pre"]["norm"], GROUP)) if "pre" in head else h
    h = h.mean(tuple(range(1, h.ndim - 1))) @ head["dense"]["kernel"]
    return h + across(head["bias"], h)


def auxiliary(head: Weights, h: jax.Array) -> jax.Array:
    """5x5 means three pixels apart, a 1x1 convolution, a hidden layer, a classifier."""
    h = relu(response(windows(h, 5, 3).mean(3), head["hidden"][0]))
    h = relu(response(h, head["hidden"][1])) @ head["dense"]["kernel"]
    return h + across(head["bias"], h)


def cross_entropies(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return -jnp.sum(jax.nn.log_softmax(logits) * jax.nn.one_hot(labels, CLASSES), axis=1)


class Network(NamedTuple):
    """A network: the model's settings; the first unit and the others; which of these have fewer pixels than their
    input, by `pool` or, without one, by stride (the head counts as one more); behind which are auxiliary heads.

    twins: names of the units that are equal to the one before. shape: of an image.
    """

    settings: dict[str, Any]
    first: Unit
    unit: Unit
    smaller: tuple[int, ...] = ()
    pool: Callable[[jax.Array], jax.Array] | None = None
    heads: tuple[int, ...] = ()
    twins: tuple[str, ...] = ()
    shape: tuple[int, int, int] = (6, 7, 2)

    def entered(self, number: int, h: jax.Array) -> tuple[jax.Array, int]:
        """What unit `number` makes of its input first, and its stride."""
        if number not in self.smaller:
            return h, 1
        return (h, 2) if self.pool is None else (self.pool(h), 1)

    def losses(self, params: Weights, x: jax.Array, labels: jax.Array, lifts: Lifts) -> tuple[jax.Array, list[Passed]]:
        """Each example's loss, and what passed."""
        chain, passed, others = apart(params), list[Passed](), jnp.zeros(len(x))
        for number, weights in enumerate(chain):
            entered, stride = self.entered(number, x + lifts.inputs[number])
            unit = self.unit if number else self.first
            passed.append(unit(self.settings.get("shortcut", "identity"), weights, entered, stride))
            x = passed[-1].h + lifts.outputs[number]
            if number in self.heads:
                head = params["auxiliary"][self.heads.index(number)]
                others = others + cross_entropies(auxiliary(head, x), labels)
        logits = classified(params["head"], self.entered(len(chain), x)[0])
        return cross_entropies(logits, labels) + AUXILIARY_WEIGHT * others, passed


def apart(params: Weights) -> list[Weights]:
    """The weights of the units one after the other."""
    segments = [params["segments"][number]["units"] for number in range(len(params["segments"]))]
    return [
        jax.tree.map(lambda leaf, index=index: leaf[index], segment)
        for segment in segments
        for index in range(len(jax.tree.leaves(segment)[0]))
    ]


SINGLE = {"depth": 5, "width": 4, "branch": "single"}
NETWORKS = {
    "plain": Network({"depth": 8, "width": 4, "shortcut": "none"}, stem, original, (2, 3)),
    "residual": Network({**SINGLE, "depth": 8}, stem, original, (3, 5), twins=("stage1.unit2",)),
    "projection_b": Network({**SINGLE, "shortcut": "projection_b"}, stem, original, (2, 3)),
    "scaled": Network(
        {**SINGLE, "shortcut": "scaled", "shortcut_scale": 0.7, "branch_scale": -0.3}, stem, original, (2, 3)
    ),
    "exclusive_gate": Network({**SINGLE, "shortcut": "exclusive_gate"}, stem, original, (2, 3)),
    "preactivation": Network({"depth": 8, "width": 4, "order": "full_preactivation"}, stem, preactivated, (2, 3)),
    "highway": Network(
        {**SINGLE, "shortcut": "highway", "order": "relu_before_addition", "norm": "none"}, stem, activated, (2, 3)
    ),
    "gated mlp": Network(
        {"name": "mlp", "depth": 4, "width": 6, "shortcut": "highway"}, stem, activated, twins=("stage1.unit2",)
    ),
    "mlp": Network({"name": "mlp", "depth": 5, "width": 6}, stem, activated, twins=("stage1.unit2", "stage1.unit3")),
    "plain mlp without norm": Network(
        {"name": "mlp", "depth": 4, "width": 6, "shortcut": "none", "norm": "none"},
        stem,
        activated,
        twins=("stage1.unit2",),
    ),
    "vgg": Network(
        {"name": "vgg", "depth": 11, "width": 2},
        activated,
        activated,
        (1, 2, 4, 6, 8),
        partial(largest, side=2, stride=2),
        shape=(32, 33, 1),
    ),
    "googlenet": Network(
        {"name": "googlenet", "depth": 22, "width": 8, "shortcut": "none"},
        stem,
        inception,
        (2,),
        partial(largest, side=3, stride=2, outside=1),
        heads=(2, 3),
        shape=(9, 15, 4),
    ),
    "densenet": Network(
        {"name": "densenet", "depth": 7, "growth": 4, "shortcut": "concat"},
        stem,
        appended,
        (3, 5),
        lambda h: windows(h, 2, 2).mean(3),
    ),
    "article": Network({"name": "article", "depth": 9, "width": 2}, bare, bare, twins=("stage2.unit3",)),
}

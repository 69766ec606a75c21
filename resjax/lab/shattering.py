"""How alike gradients at different inputs are (Balduzzi et al. 2017, "Shattered gradients", arXiv:1702.08591)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int

from resjax.lab.gram import Block, gram
from resjax.lab.instrument import Columns, Instrument, Looking, Piece, over
from resjax.lab.interventions import lifted, no_lifts
from resjax.lab.subject import END, START, Subject, Values
from resjax.models import Model
from resjax.models.types import EVALUATE, Hidden
from resjax.records.schema import LAB_TABLES
from resjax.settings import setting
from resjax.training.parallel import AXIS

LINE, PAIR = "line", "pair"


@dataclass(kw_only=True)
class Shattering(Looking):
    """Along how many lines, and at how many points; of how many examples."""

    lines: int = setting(8, "lines, each between two training images", minimum=1)
    points: int = setting(64, "on a line, its ends among them", minimum=4)
    lags: int = setting(16, "the longest lag, in points; the two ends are compared in any case", minimum=1)
    examples: int = setting(48, "training examples whose gradients in the weights are compared", minimum=2)
    batch_size: int = setting(32, "gradients that are in memory at once, in two blocks", minimum=2)


def work(subject: Subject, settings: Shattering, key: Array, beside: Subject | None = None) -> Iterator[Piece]:
    """At the start and the end: each line's gradients in every unit's output, and the examples' in the weights."""
    along, of_weights = liner(subject, settings, key), pairer(subject, settings)

    def rows(seed: int, moment: str, kind: str, **facts: Any) -> Columns:
        return dict.fromkeys(LAB_TABLES["shattering"]) | {"seed": seed, "moment": moment, "kind": kind} | facts

    def line(seed: int, moment: str, number: int) -> Columns:
        return rows(seed, moment, LINE, line=number, **along(subject.values(seed, moment), number))

    def pairs(seed: int, moment: str) -> Columns:
        return rows(seed, moment, PAIR, **of_weights(subject.values(seed, moment)))

    for seed, moment in over(subject, settings, (START, END)):
        yield from (Piece(f"{seed} {moment} {LINE} {n}", partial(line, seed, moment, n)) for n in range(settings.lines))
        yield Piece(f"{seed} {moment} {PAIR}", partial(pairs, seed, moment))


def liner(subject: Subject, settings: Shattering, key: Array) -> Any:
    """The function (values, line) -> its rows. Line n is between training images 2n and 2n + 1 of the fixed order."""
    model, size = subject.model, subject.whole(max(settings.batch_size // 2, 1))
    blocks = -(-settings.points // size)
    lags = sorted({*range(1, min(settings.lags, settings.points - 1) + 1), settings.points - 1})
    places = subject.places("train")

    @jax.jit
    def grads(values: Values, ends: Hidden, v: Array, where: Array) -> Block:
        t = where.reshape(-1, *[1] * (ends.ndim - 1)).astype(ends.dtype)
        points = lax.with_sharding_constraint(ends[:1] + t * (ends[1:] - ends[:1]), subject.layout.sharded())
        return hidden_grads(model, values, points, v)

    def along(values: Values, line: int) -> Columns:
        pair = places[np.arange(2 * line, 2 * line + 2) % len(places)]
        ends = subject.placed(subject.batch("train", pair).images[:2])
        v = direction(jax.random.fold_in(key, line), model)
        where = np.minimum(np.arange(blocks * size) / (settings.points - 1), 1).reshape(blocks, size)
        found = gram(lambda number: grads(values, ends, v, where[number]), blocks)
        inside = slice(settings.points)
        eps = float(jnp.finfo(model.dtype).eps)
        pairs = zip(found.products[:, inside, inside], found.alike[:, inside, inside], strict=True)
        told = [[(lag, autocorrelation(p, lag, eps), of_lag(c, lag)) for lag in lags] for p, c in pairs]
        return by_unit(model, np.array(told), len(lags))

    return along


def by_unit(model: Model, told: np.ndarray, lags: int) -> Columns:
    """Rows of the images and every unit's output. told: (unit, lag, [lag, autocorrelation, cosine])."""
    depth = max(info.layer_depth for info in model.weight_layers if info.kind != "auxiliary")
    units = [(None, None, 0), *((number, info.name, info.layer_depth) for number, info in enumerate(model.units))]
    numbers, names, depths = (np.repeat(np.array(each, object), lags) for each in zip(*units, strict=True))
    behind = np.repeat(np.arange(len(model.units), -1, -1), lags)
    lag, found, cosine = told.reshape(-1, 3).T
    return {
        "unit": list(numbers),
        "name": list(names),
        "layers_behind": depth - depths.astype(int),
        "units_behind": behind,
        "lag": lag.astype(int),
        "autocorrelation": found,
        "cosine": cosine,
    }


def direction(key: Array, model: Model) -> Float[Array, " classes"]:
    """A random unit vector that sums to zero: f = v . logits asks which class, and not how sure."""
    v = jax.random.normal(key, (model.classes,), model.dtype)
    v -= v.mean()
    return v / jnp.linalg.norm(v)


def hidden_grads(model: Model, values: Values, x: Hidden, v: Float[Array, " classes"]) -> Block:
    """df/dx and df/dh_u of f = v . logits at every unit's output, (units, batch, ...) a segment; each h gets + 0."""

    def f(x: Hidden, lifts: list[Array]) -> Array:
        return jnp.sum(model.apply(*values, x, EVALUATE, lifts, around=lifted).logits @ v)

    images, hidden = jax.grad(f, argnums=(0, 1))(x, no_lifts(model, len(x)))
    return [images[None], *hidden]


def autocorrelation(products: np.ndarray, lag: int, eps: float = 0.0) -> float:
    """R(s) = sum_t <g_t - m, g_t+s - m> / sum_t |g_t - m|^2, m the mean, from the products <g_t, g_u>.

    nan where the gradient varies by no more than rounding to `eps` would make it.
    """
    centred = products - products.mean(0, keepdims=True) - products.mean(1, keepdims=True) + products.mean()
    variance = np.trace(centred)
    return float(np.trace(centred, lag) / variance) if variance > 100 * eps * np.trace(products) else float("nan")


def of_lag(cosines: np.ndarray, lag: int) -> float:
    """The mean cosine of gradients `lag` points apart."""
    return float(np.diagonal(cosines, lag).mean())


def pairer(subject: Subject, settings: Shattering) -> Any:
    """The function values -> the cosine of every two examples' loss gradients in the weights."""
    size = subject.whole(max(settings.batch_size // 2, 1))
    places = subject.places("train", settings.examples)
    labels = np.asarray(jax.device_get(subject.train.labels))[places]
    one, other = np.triu_indices(len(places), 1)
    grads = example_grads(subject)

    def pairs(values: Values) -> Columns:
        def block(number: int) -> Block:
            batch = subject.batch("train", places[number * size : (number + 1) * size], size)
            return [grads(values, batch.images, batch.labels)]

        found = gram(block, -(-len(places) // size))
        same = labels[one] == labels[other]
        return {"one": one, "other": other, "same_class": same, "cosine": found.alike[0][one, other]}

    return pairs


def example_grads(subject: Subject) -> Any:
    """The function (values, images, labels) -> the gradient of each one's loss in all weights, (1, batch, weight).

    A device takes its examples one after the other: side by side, a convolution's would be a slow grouped one.
    """

    def loss(params: Any, batch_stats: Any, image: Array, label: Array) -> Array:
        logits = subject.model.apply(params, batch_stats, image[None], EVALUATE).logits[0]
        return optax.softmax_cross_entropy_with_integer_labels(logits, label)

    def on_device(values: Values, images: Hidden, labels: Int[Array, " batch"]) -> Float[Array, "1 batch weight"]:
        def of(example: tuple[Array, Array]) -> Array:
            return ravel_pytree(jax.grad(loss)(values.params, values.batch_stats, *example))[0]

        return lax.map(of, (images, labels))[None]

    by_example = PartitionSpec(AXIS)
    specs = (PartitionSpec(), by_example, by_example)
    return jax.jit(
        jax.shard_map(
            on_device, mesh=subject.layout.mesh, in_specs=specs, out_specs=PartitionSpec(None, AXIS), check_vma=False
        )
    )


SHATTERING = Instrument(
    "shattering",
    "how fast does the gradient lose all likeness along a line of inputs?",
    "Balduzzi et al. 2017, arXiv:1702.08591",
    Shattering,
    {"seeds": 1, "lines": 4, "points": 32, "examples": 32},
    LAB_TABLES["shattering"],
    work,
)

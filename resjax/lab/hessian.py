"""Curvature of the training loss: the Hessian's largest and smallest eigenvalues, its spectral density, and the map of
|smallest / largest| around the net (Li et al. 2018, arXiv:1712.09913, section 6 and figure 7).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from resjax.data.stream import Arrays
from resjax.lab.directions import plane, require_odd, stepped, steps
from resjax.lab.instrument import Columns, Instrument, Looking, Piece, chosen, together
from resjax.lab.krylov import Ritz, Steps, lanczos, ritz
from resjax.lab.scores import scorer
from resjax.lab.subject import END, START, Batch, Subject, Values, filled
from resjax.models.types import EVALUATE
from resjax.records.schema import LAB_TABLES
from resjax.settings import setting
from resjax.training.packing import packings
from resjax.training.state import RUN_ONCE

NODE, SPECTRUM, MAP = "node", "spectrum", "map"
STARTS = 2**30  # and more: what random starts fold into the key first; directions fold in the seed


@dataclass(kw_only=True)
class Curvature(Looking):
    """What is looked at, and how closely."""

    examples: int | None = setting(128, "training examples whose mean loss it is; null: all", minimum=1)
    steps: int = setting(40, "Lanczos steps, and vectors of all the parameters that are kept", minimum=2)
    probes: int = setting(2, "random starts of the steps", minimum=1)
    grid: int = setting(5, "points a side of the map; odd, so that the net is one; 1: no map", minimum=1)
    grid_steps: int = setting(8, "Lanczos steps at a point of the map", minimum=2)
    reach: float = setting(1.0, "how far the map goes to each side; 1 is as far as every filter is long", minimum=1e-6)
    start: bool = setting(False, "also the spectrum before training")


def work(subject: Subject, settings: Curvature, key: Array, beside: Subject | None = None) -> Iterator[Piece]:
    """The spectrum from every random start, then the map, a piece a point, on the plane 0 of `landscape`."""
    steps_at = curvature(subject, settings)
    score = scorer(subject, "train", settings.examples, settings.batch_size)
    fixed, moved = {"parameters": packings(subject.model)[0].size}, mover(subject, key)

    def seen(values: Values, probe: int, count: int, facts: Columns) -> tuple[Ritz, Columns]:
        """The Ritz values, and the row of their extremes."""
        start = jax.random.fold_in(jax.random.fold_in(key, STARTS + probe), facts["seed"])
        found = ritz(jax.device_get(steps_at(values, start, min(count, fixed["parameters"]))))
        return found, row(loss=score(values, None).loss, **extremes(found), **fixed, **facts)

    def spectrum(seed: int, moment: str, probe: int) -> Columns:
        facts = {"seed": seed, "moment": moment, "probe": probe}
        found, extreme = seen(subject.values(seed, moment), probe, settings.steps, facts | {"kind": SPECTRUM})
        nodes = zip(found.values, found.weights, found.residuals, strict=True)
        rows = [row(kind=NODE, node=n, weight=w, residual=r, **fixed, **facts) for n, w, r in nodes]
        return together([extreme, *rows])

    def point(seed: int, alpha: float, beta: float) -> Columns:
        facts = {"seed": seed, "moment": END, "kind": MAP, "alpha": alpha, "beta": beta}
        return seen(moved(seed, alpha, beta), 0, settings.grid_steps, facts)[1]

    require_odd("grid", settings.grid, "the net")
    places = steps(settings.reach, settings.grid).tolist() if settings.grid > 1 else []
    for seed in chosen(subject, settings):
        for moment in (START, END) if settings.start else (END,):
            for probe in range(settings.probes):
                yield Piece(f"{seed} {moment} {probe}", partial(spectrum, seed, moment, probe))
        for alpha in places:
            yield from (Piece(f"{seed} {MAP} {alpha} {beta}", partial(point, seed, alpha, beta)) for beta in places)


def curvature(subject: Subject, settings: Curvature) -> Callable[[Values, Array, int], Steps]:
    """The function (values, key, steps) -> Lanczos' steps with the Hessian of the mean loss, from a Gaussian start.

    The examples pass in batches of `batch_size`, over the devices, so that memory does not grow with their number.
    """
    packing, _ = packings(subject.model)
    places, inside = batches(subject, settings)

    @partial(jax.jit, static_argnums=0)
    def steps_at(steps: int, arrays: Arrays, values: Values, key: Array) -> Steps:
        at = packing.pack(values.params)

        def of_batch(entries: Array, taken: tuple[Array, Array]) -> Array:
            images, labels = subject.taken(arrays, taken[0])
            values_ = Values(packing.unpack(entries), values.batch_stats)
            return loss(subject, values_, Batch(images, labels, taken[1]))

        def product(along: Array) -> Array:
            def add(total: Array, taken: tuple[Array, Array]) -> tuple[Array, None]:
                return total + hessian_product(partial(of_batch, taken=taken), at, along), None

            return lax.scan(add, jnp.zeros_like(at), (places, inside))[0] / inside.sum()

        return lanczos(product, jax.random.normal(key, at.shape, at.dtype), steps)

    return lambda values, key, steps: steps_at(steps, subject.train, values, key)


def batches(subject: Subject, settings: Curvature) -> tuple[Int[Array, "batches batch"], Bool[Array, "batches batch"]]:
    """The places of the examples, and false for what only fills the last batch up."""
    places = subject.places("train", settings.examples)
    size = subject.whole(min(settings.batch_size, len(places)))
    count = -(-len(places) // size)
    inside = np.arange(count * size) < len(places)
    return jnp.asarray(filled(places, count * size).reshape(count, size)), jnp.asarray(inside.reshape(count, size))


def loss(subject: Subject, values: Values, batch: Batch) -> Float[Array, ""]:
    """The sum of the examples' cross-entropies, with the running statistics and without weight decay."""
    logits = subject.model.apply(*values, batch.images, EVALUATE).logits
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).sum(where=batch.inside)


def hessian_product(of: Callable[[Array], Array], at: Array, along: Array) -> Float[Array, " entry"]:
    """H v, the gradient of (gradient . v): reverse mode over reverse mode, since there is no forward mode."""
    return jax.grad(lambda entries: jnp.vdot(jax.grad(of)(entries), along))(at)


def mover(subject: Subject, key: Array) -> Callable[[int, float, float], Values]:
    """The function (seed, alpha, beta) -> the net there, on the plane 0 of `landscape`; its statistics stay."""
    draw = jax.jit(partial(plane, layers=subject.model.weight_layers), compiler_options=RUN_ONCE)
    step = jax.jit(stepped)

    def moved(seed: int, alpha: float, beta: float) -> Values:
        values = subject.values(seed, END)
        directions = draw(jax.random.fold_in(key, seed), values.params)
        params = step(values.params, directions, jnp.asarray([alpha, beta], subject.model.dtype))
        return Values(params, values.batch_stats)

    return moved


def extremes(found: Ritz) -> Columns:
    """The largest and the smallest eigenvalue, each with how near one surely is."""
    return {
        "lambda_max": found.values[-1],
        "lambda_max_residual": found.residuals[-1],
        "lambda_min": found.values[0],
        "lambda_min_residual": found.residuals[0],
    }


def row(**facts: Any) -> Columns:
    """A row of the table."""
    return dict.fromkeys(LAB_TABLES["hessian"]) | facts


HESSIAN = Instrument(
    "hessian",
    "how curved is the loss around the net, and is it convex there?",
    "Li et al. 2018, arXiv:1712.09913; Ghorbani et al. 2019, arXiv:1901.10159",
    Curvature,
    {"seeds": 1, "examples": 64, "steps": 20, "probes": 1, "grid": 3, "grid_steps": 6},
    LAB_TABLES["hessian"],
    work,
)

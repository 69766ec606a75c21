"""The paths that a gradient takes through units with shortcuts (Veit et al. 2016, arXiv:1605.06431, sections 4.2 to 5).

A unit with a shortcut lets the gradient back by its branch or by the shortcut, so n of them make 2^n paths, C(n, k) of
them through k branches. dL/dh_0 is their sum; h_0 is what enters the first unit behind the stem.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from math import comb, prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float

from resjax.lab.instrument import Columns, Instrument, Looking, Piece, numpy_seed, over, refuse
from resjax.lab.interventions import by_branch_or_shortcut, lifted_or, turned_branch
from resjax.lab.lesion import evenly, lesionable
from resjax.lab.subject import END, START, Batch, Subject, Values
from resjax.models import Model
from resjax.models.stages import Around
from resjax.models.types import EVALUATE, Hidden
from resjax.probes.gradients import norm
from resjax.records.schema import LAB_TABLES
from resjax.settings import setting

FULL, LARGEST, PATH, TOTAL = "full", "largest", "path", "total"
ROUNDING = 8  # times the type's last bit and the largest |G(z)|: a smaller G_k is not told from rounding
TOGETHER = 8  # gradients of a batch that are computed at once, behind one forward pass
MOST_ENTRIES = 2**25  # of the gradients of every length, that are held at once


@dataclass(kw_only=True)
class Paths(Looking):
    """What is sampled."""

    examples: int = setting(16, "training examples", minimum=1)
    draws: int = setting(96, "random paths of each length; all of them where there are not so many", minimum=1)
    lengths: int | None = setting(
        None, "numbers of branches that are sampled, evenly from 0 to n; null: all", minimum=2
    )


def work(subject: Subject, settings: Paths, key: Array, beside: Subject | None = None) -> Iterator[Piece]:
    """At the start and the end: the whole gradient and that of all paths of each length, then single paths.

    InputError where a net has no unit behind its stem.
    """
    units = lesionable(subject.model)
    if not units:
        raise refuse(subject, "paths", "it has no unit behind its stem.", "a net with units.")
    choices = choosing(subject.model)
    fixed = len(units) - len(choices)
    of_masks, of_lengths = sampler(subject, settings), summed(subject, settings, len(choices))

    def rows(seed: int, moment: str, kind: str, norms: Sequence[float], **facts: Any) -> Columns:
        known = {"seed": seed, "moment": moment, "kind": kind, "choices": len(choices), "grad_norm": norms}
        return {"length": None, "branches": None, "draw": None} | known | facts

    def single(seed: int, moment: str, branches: int) -> Columns:
        chance = np.random.default_rng([numpy_seed(key), seed, branches])
        masks = drawn(subject.model, choices, branches, settings.draws, chance)
        norms = of_masks(subject.values(seed, moment), masks)
        facts = {"length": fixed + branches, "branches": branches, "draw": np.arange(len(masks))}
        return rows(seed, moment, PATH, norms, **facts)

    def together(seed: int, moment: str) -> Columns:
        full, largest, *norms = of_lengths(subject.values(seed, moment))
        floor = ROUNDING * np.finfo(subject.model.dtype).eps * largest
        told = [norm if norm > floor else np.nan for norm in norms]
        found = rows(seed, moment, TOTAL, [full, largest, *told])
        branches = [None, None, *range(len(norms))]
        lengths = [None, None, *(fixed + count for count in range(len(norms)))]
        return found | {"kind": [FULL, LARGEST] + [TOTAL] * len(norms), "branches": branches, "length": lengths}

    for seed, moment in over(subject, settings, (START, END)):
        yield Piece(f"{seed} {moment} {TOTAL}", partial(together, seed, moment))
        for branches in evenly(0, len(choices), settings.lengths or len(choices) + 1):
            yield Piece(f"{seed} {moment} {PATH} {branches}", partial(single, seed, moment, branches))


def choosing(model: Model) -> list[int]:
    """The numbers of the units that have a branch and a shortcut."""
    return [number for number in lesionable(model) if model.plan.units[number].shortcut != "none"]


def drawn(model: Model, choices: list[int], branches: int, draws: int, chance: np.random.Generator) -> np.ndarray:
    """1 where a unit's branch is taken, (draw, unit): all the paths through so many branches, or random ones."""
    if comb(len(choices), branches) <= draws:
        taken = [list(units) for units in combinations(choices, branches)]
    else:
        taken = [chance.choice(choices, branches, replace=False).tolist() for _ in range(draws)]
    masks = np.zeros((len(taken), len(model.units)))
    for mask, units in zip(masks, taken, strict=True):
        mask[np.asarray(units, int)] = 1
    return masks


def sampler(subject: Subject, settings: Paths) -> Any:
    """The function (values, masks) -> |dL_i/dh_0| through each path, its mean over the examples, (draw)."""

    @jax.jit
    def sums(values: Values, taps: list[Array], batch: Batch) -> Float[Array, " draw"]:
        def one(taps: list[Array]) -> Array:
            return total_norm(at_entrance(subject.model, values, batch, by_branch_or_shortcut, taps), batch)

        return lax.map(one, taps, batch_size=TOGETHER)

    def norms(values: Values, masks: np.ndarray) -> list[float]:
        taps = by_segment(subject.model, masks)
        return averaged(subject, settings, max(settings.batch_size // TOGETHER, 1), partial(sums, values, taps))

    return norms


def summed(subject: Subject, settings: Paths, choices: int) -> Any:
    """The function values -> |dL_i/dh_0| whole, the largest |G(z)|, and of all paths through k = 0, 1, ... branches.

    With z on the way of every branch the gradient is G(z) = sum_k z^k G_k, a polynomial; its coefficients follow from
    its values at the roots of unity, G_k = 1/N sum_j G(w^j) w^-jk with N = n + 1 and w = e^(2 pi i / N). Since G_k is
    real, those in the upper half plane are enough.
    """
    model, count = subject.model, choices + 1
    angles = 2 * np.pi * np.arange(count // 2 + 1) / count
    twice = np.where((np.arange(len(angles)) == 0) | (2 * np.arange(len(angles)) == count), 1, 2) / count
    waves = twice[:, None] * np.exp(-1j * angles[:, None] * np.arange(count))
    roots = np.stack([np.cos(angles), np.sin(angles)], axis=1)

    @jax.jit
    def sums(values: Values, batch: Batch) -> Float[Array, " count"]:
        pairs = jax.tree.map(lambda leaf: jnp.repeat(leaf, 2, axis=0), batch)
        real = jnp.asarray(np.arange(len(pairs.labels)) % 2 == 0)

        def one(z: Array) -> Array:
            taps = [jnp.tile(z[None], (run.count, 1)) for run in model.runs]
            return at_entrance(model, values, pairs, turned_branch, taps, real)

        found = lax.map(one, jnp.asarray(roots, model.dtype), batch_size=TOGETHER)
        parts = found.reshape(len(roots), len(batch.labels), 2, -1)
        cosines, sines = jnp.asarray(waves.real, model.dtype), jnp.asarray(waves.imag, model.dtype)
        lengths = jnp.einsum("zk,zbd->kbd", cosines, parts[:, :, 0], precision="highest")
        lengths -= jnp.einsum("zk,zbd->kbd", sines, parts[:, :, 1], precision="highest")
        largest = jnp.sum(jax.vmap(jax.vmap(norm))(parts).max(0), where=batch.inside)
        whole, *each = (total_norm(grads, batch) for grads in (parts[0, :, 0], *lengths))
        return jnp.stack([whole, largest, *each])

    most = MOST_ENTRIES // (count * prod(entrance(model, 1)[1:]))
    return lambda values: averaged(
        subject, settings, min(max(most, 1), max(settings.batch_size // (2 * TOGETHER), 1)), partial(sums, values)
    )


def averaged(subject: Subject, settings: Paths, size: int, sums: Any) -> list[float]:
    """The mean over the examples of what `sums` gives of each batch of `size`."""
    batches = subject.batches("train", settings.examples, size)
    found = [np.asarray(jax.device_get(sums(batch)), np.float64) for batch in batches]
    return list(np.sum(found, axis=0) / len(subject.places("train", settings.examples)))


def total_norm(grads: Hidden, batch: Batch) -> Float[Array, ""]:
    """The sum over examples of the norm of each one's gradient."""
    return jnp.sum(jax.vmap(norm)(grads), where=batch.inside)


def by_segment(model: Model, masks: np.ndarray) -> list[Array]:
    """(draw, unit) as (draw, units) a segment."""
    return [jnp.asarray(masks[:, run.start : run.start + run.count], model.dtype) for run in model.runs]


def has_stem(model: Model) -> bool:
    """Whether its first segment is a stem."""
    return model.runs[0].plan.stage == 0


def entrance(model: Model, batch: int) -> tuple[int, ...]:
    """The shape of h_0: the stem's output, or the images where there is no stem."""
    return model.hidden_shapes(batch)[0].shape[1:] if has_stem(model) else (batch, *model.shape)


def at_entrance(
    model: Model, values: Values, batch: Batch, around: Around, taps: list[Array], counts: Array | None = None
) -> Hidden:
    """dL_i/dh_0 of every example, through units that are run as around(unit, x, tap).

    With running statistics no example's loss depends on another. counts: the examples whose loss counts; None: all.
    """

    def loss(lift: Hidden) -> Array:
        here = [lift[None], *taps[1:]] if has_stem(model) else taps
        images = batch.images if has_stem(model) else batch.images + lift
        logits = model.apply(*values, images, EVALUATE, here, around=lifted_or(around)).logits
        return jnp.sum(optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels), where=counts)

    return jax.grad(loss)(jnp.zeros(entrance(model, len(batch.labels)), model.dtype))


PATHS = Instrument(
    "paths",
    "through how many branches does the gradient come?",
    "Veit et al. 2016, arXiv:1605.06431",
    Paths,
    {"seeds": 1, "examples": 8, "draws": 32},
    LAB_TABLES["paths"],
    work,
)

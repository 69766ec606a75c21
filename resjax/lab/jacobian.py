"""Singular values of the map from a unit's output to the last unit's, J_l = dh_L / dh_l, an example at a time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float
from threadpoolctl import threadpool_limits

from resjax.lab.instrument import Columns, Instrument, Looking, Piece, over, refuse, together
from resjax.lab.interventions import lifted, no_lifts
from resjax.lab.krylov import ROUNDING, Parted, Steps, parted, ritz
from resjax.lab.subject import END, START, Subject, Values, filled
from resjax.models import Model
from resjax.models.types import EVALUATE
from resjax.records.schema import LAB_TABLES
from resjax.settings import setting

QUANTILES = {"sigma_10": 0.1, "sigma_25": 0.25, "sigma_50": 0.5, "sigma_75": 0.75, "sigma_90": 0.9}
MOST_ENTRIES = 2**26  # of all units' Jacobians of one example, where they are made whole: 256 MB in float32
CONVERGED = 1e-2  # residual over eigenvalue, below which the smallest is told

Taps = list[Float[Array, "unit 1 *_space channel"]]


@dataclass(kw_only=True)
class Isometry(Looking):
    """What spectra are taken of."""

    examples: int = setting(4, "test examples, each with a Jacobian of its own", minimum=1)
    exact: int = setting(512, "entries of the last output up to which the whole Jacobian is made", minimum=0)
    steps: int = setting(48, "where it is not: Lanczos steps that find the largest", minimum=2)
    probes: int = setting(8, "where it is not: random starts for the others", minimum=1)
    probe_steps: int = setting(8, "where it is not: Lanczos steps from each of these", minimum=2)


class Spectrum(NamedTuple):
    """sigma^2 with weights that sum to 1, over the directions of h_L. rank: None where unknown; so is smallest.

    residual: relative, of the largest sigma^2.
    """

    squares: np.ndarray
    weights: np.ndarray
    largest: float
    smallest: float | None
    rank: int | None
    residual: float


def work(subject: Subject, settings: Isometry, key: Array, beside: Subject | None = None) -> Iterator[Piece]:
    """Every unit but the last, of as many examples as there are devices, before and after training.

    InputError where the net has one unit.
    """
    model = subject.model
    if len(model.units) < 2:
        raise refuse(subject, "jacobian", "it has one unit.", "a net with two units or more.")
    hidden = model.hidden_shapes(1)
    dimension = math.prod(hidden[-1].shape[1:])
    rows = dimension * sum(math.prod(h.shape) for h in hidden)
    makes = dimension <= settings.exact and rows <= MOST_ENTRIES
    spectra = whole(subject) if makes else partly(subject, settings, dimension)

    def measure(seed: int, moment: str, places: np.ndarray) -> Columns:
        batch = subject.batch("test", places)
        of_seed = jax.random.fold_in(key, seed)
        keys = jax.vmap(partial(jax.random.fold_in, of_seed))(jnp.asarray(filled(places, len(batch.labels))))
        found = spectra(subject.values(seed, moment), batch.images, keys)
        rows = [
            {"seed": seed, "moment": moment, "example": int(place), "dimension": dimension}
            | {"unit": unit, "name": info.name, "layers_behind": model.units[-1].layer_depth - info.layer_depth}
            | summary(found(number, unit))
            for number, place in enumerate(places)
            for unit, info in enumerate(model.units[:-1])
        ]
        return together(rows)

    every = subject.places("test", settings.examples)
    size = min(settings.batch_size, len(subject.layout.devices))
    for seed, moment in over(subject, settings, (START, END)):
        for start in range(0, len(every), size):
            yield Piece(f"{seed} {moment} {start} {size}", partial(measure, seed, moment, every[start : start + size]))


def last_output(model: Model, values: Values, image: Array, taps: Taps) -> Float[Array, " entry"]:
    """h_L of one image."""
    out = model.apply(*values, image[None], EVALUATE, taps, lambda h, _: h, lifted)
    return jnp.ravel(out.seen[-1][-1])


def whole(subject: Subject) -> Any:
    """The function (values, images, keys) -> (example, unit) -> Spectrum, by every row of J: one pass gives it of all
    units.
    """
    model = subject.model

    @jax.jit
    def rows(values: Values, images: Array) -> list[Array]:
        def of_one(image: Array) -> list[Array]:
            h, pull = jax.vjp(partial(last_output, model, values, image), no_lifts(model, 1))
            (found,) = jax.vmap(pull)(jnp.eye(len(h), dtype=h.dtype))
            return [part.reshape(*part.shape[:2], -1).swapaxes(0, 1) for part in found]

        return jax.vmap(of_one)(images)

    def spectra(values: Values, images: Array, keys: Array) -> Any:
        segments = jax.device_get(rows(values, images))
        starts = np.array([run.start for run in model.runs])

        def of(example: int, unit: int) -> Spectrum:
            segment = int(np.searchsorted(starts, unit, "right")) - 1
            return of_matrix(segments[segment][example, unit - starts[segment]])

        return of

    return spectra


def of_matrix(matrix: np.ndarray) -> Spectrum:
    """All singular values of J, with zeros up to the dimension of h_L. nan where J is not finite."""
    count, bit = len(matrix), np.finfo(matrix.dtype).eps
    if not np.isfinite(matrix).all():
        return unknown()
    sigma = np.zeros(count)
    with threadpool_limits(1, "blas"):  # on a busy machine small matrices take 40 times longer in several threads
        found = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
    sigma[: len(found)] = found
    rank = int(np.sum(sigma > count * bit * sigma[0]))
    sigma[rank:] = 0  # rounding
    return Spectrum(sigma**2, np.full(count, 1 / count), sigma[0], sigma[-1], rank, 0.0)


def partly(subject: Subject, settings: Isometry, dimension: int) -> Any:
    """The same by products u -> J (J^T u). J v is the derivative of u -> J^T u, which is linear: no forward mode."""
    model, taps = subject.model, no_lifts(subject.model, 1)
    steps, few = (min(count, dimension) for count in (settings.steps, settings.probe_steps))
    numbers = [jnp.arange(run.start, run.start + run.count) for run in model.runs]

    def of_one(values: Values, image: Array, key: Array) -> Parted:
        _, pull = jax.vjp(partial(last_output, model, values, image), taps)

        def product(unit: Array, u: Array) -> Array:
            along, push = jax.vjp(lambda u: pull(u)[0], u)
            (found,) = push([only(number == unit, part) for number, part in zip(numbers, along, strict=True)])
            return found

        starts = jax.random.normal(key, (1 + settings.probes, dimension), model.dtype)
        units = jnp.arange(len(model.units) - 1)
        return lax.map(lambda unit: parted(partial(product, unit), starts[0], starts[1:], steps, few), units)

    every = jax.jit(jax.vmap(of_one, (None, 0, 0)))

    def spectra(values: Values, images: Array, keys: Array) -> Any:
        found = jax.device_get(every(values, images, keys))
        return lambda example, unit: of_parts(jax.tree.map(lambda leaf: leaf[example, unit], found), dimension)

    return spectra


def only(wanted: Bool[Array, " unit"], part: Array) -> Array:
    """The wanted units' arrays, zeros for the others'."""
    return jnp.where(wanted.reshape(-1, *[1] * (part.ndim - 1)), part, 0)


def of_parts(parts: Parted, dimension: int) -> Spectrum:
    """The eigenvalues that are found count one direction each; the others have the mean weights of the other starts."""
    first = ritz(parts.first)
    known = parts.found[np.isfinite(parts.found)].astype(np.float64)
    rest = [ritz(Steps(*pair)) for pair in zip(*parts.rest, strict=True)]
    values = np.concatenate([known, *(one.values for one in rest)])
    left = max(dimension - len(known), 0) / dimension / len(rest)
    weights = np.concatenate([np.full(len(known), 1 / dimension), *(left * one.weights for one in rest)])
    if not np.isfinite(values[weights > 0]).all():
        return unknown()
    least, largest = float(first.values[0]), max(float(first.values[-1]), 0.0)
    smallest = math.sqrt(least) if first.residuals[0] <= CONVERGED * least else None
    residual = float(first.residuals[-1]) / largest if largest else 0.0
    squares = np.where(values > ROUNDING * np.finfo(parts.found.dtype).eps * largest, values, 0)
    return Spectrum(squares[weights > 0], weights[weights > 0], math.sqrt(largest), smallest, None, residual)


def unknown() -> Spectrum:
    """Of a J that is not finite."""
    return Spectrum(np.array([np.nan]), np.ones(1), math.nan, None, None, math.nan)


def summary(spectrum: Spectrum) -> Columns:
    """sigma_rms^2 = mean sigma^2, 1 where lengths are kept; participation = mean(sigma^2)^2 / mean(sigma^4)."""
    order = np.argsort(spectrum.squares)
    squares, weights = spectrum.squares[order], spectrum.weights[order]
    mean, fourth = float(weights @ squares), float(weights @ squares**2)
    middles = np.cumsum(weights) - weights / 2
    found = np.sqrt(np.interp(list(QUANTILES.values()), middles, squares))
    return {
        "sigma_max": spectrum.largest,
        "sigma_rms": math.sqrt(mean),
        "sigma_min": spectrum.smallest,
        "participation": mean**2 / fourth if fourth else math.nan,
        "rank": spectrum.rank,
        "residual": spectrum.residual,
    } | dict(zip(QUANTILES, map(float, found), strict=True))


JACOBIAN = Instrument(
    "jacobian",
    "do the units behind a unit keep lengths and directions, before training and after?",
    "Saxe et al. 2014, arXiv:1312.6120; Pennington et al. 2017, arXiv:1711.04735",
    Isometry,
    {"seeds": 1, "examples": 2},
    LAB_TABLES["jacobian"],
    work,
)

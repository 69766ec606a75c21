"""Slices of the loss around the solution, along filter-normalised directions (Li et al. 2018, arXiv:1712.09913)."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from resjax.lab.directions import plane, require_odd, stepped, steps
from resjax.lab.instrument import Columns, Instrument, Looking, Piece, chosen, refuse
from resjax.lab.scores import Score, scorer
from resjax.lab.subject import END, Subject, Values
from resjax.models import Mode
from resjax.models.types import EVALUATE
from resjax.records.schema import LAB_TABLES
from resjax.settings import setting
from resjax.training.state import RUN_ONCE

LINE, GRID = "line", "grid"
RUNNING, BATCH, NONE, BOTH = "running", "batch", "none", "both"
MOST = 17  # points in a piece


@dataclass(kw_only=True)
class Landscapes(Looking):
    """Where the loss is evaluated."""

    examples: int = setting(512, "training images, without augmentation", minimum=1)
    statistics: str = setting(
        BOTH,
        "batch norm's while the weights move; running: the solution's stay; batch: each batch's own, as in training",
        choices=(BOTH, RUNNING, BATCH),
    )
    reach: float = setting(1.0, "how far to each side; 1 is as far as every filter is long", minimum=1e-6)
    lines: int = setting(5, "random directions of 1-D slices", minimum=0)
    points: int = setting(41, "of a line; odd, so that the solution is one", minimum=3)
    grid: int = setting(15, "points a side of the 2-D slice; odd; 1: no such slice", minimum=1)


class Point(NamedTuple):
    """theta + alpha d1 + beta d2. steps: (alpha, beta)."""

    values: Values
    directions: tuple[Any, Any]
    steps: Float[Array, "2"]


class Sample(NamedTuple):
    """What the loss is of: so many training images in batches of `size`, the mode of the net in them, and its name."""

    examples: int
    size: int
    mode: Mode
    statistics: str


def work(subject: Subject, settings: Landscapes, key: Array, beside: Subject | None = None) -> Iterator[Piece]:
    """The loss along random lines through the solution, and on a plane of two random directions.

    InputError where a number of points is even, or the batches of training do not fit the data and the devices.
    """
    for name, count in (("points", settings.points), ("grid", settings.grid)):
        require_odd(name, count, "the solution")
    layers = subject.model.weight_layers
    draw = jax.jit(partial(plane, layers=layers), compiler_options=RUN_ONCE)

    def directions(seed: int, number: int) -> tuple[Any, Any]:
        one, other = draw(jax.random.fold_in(key, seed), subject.values(seed, END).params, number=number)
        return subject.placed(one), subject.placed(other)

    for sample in samples(subject, settings):
        score = scorer(subject, "train", sample.examples, sample.size, mode=sample.mode, made=moved)
        for seed in chosen(subject, settings):
            facts = {"seed": seed, "statistics": sample.statistics, "examples": sample.examples}
            for piece in slices(score, partial(subject.values, seed, END), partial(directions, seed), settings):
                name = f"{seed} {sample.statistics} {sample.examples} {sample.size} {piece.name}"
                yield Piece(name, partial(with_facts, piece.measure, facts))


def slices(
    score: Callable[[Point], Score],
    values: Callable[[], Values],
    directions: Callable[[int], tuple[Any, Any]],
    settings: Landscapes,
) -> Iterator[Piece]:
    """The pieces of one solution. score: at a point; directions: (d1, d2) of a plane by its number.

    Line k is the middle of plane k, where beta = 0; the grid is all of plane 0.
    """

    def row(kind: str, number: int, alphas: np.ndarray, beta: float) -> Columns:
        here, (one, other) = values(), directions(number)
        found = [score(Point(here, (one, other), jnp.asarray([alpha, beta]))) for alpha in alphas]
        known = [score if math.isfinite(score.loss) else Score(math.nan, math.nan) for score in found]
        places = {"kind": kind, "plane": number, "alpha": alphas, "beta": beta}
        return places | {"loss": [score.loss for score in known], "error": [score.error for score in known]}

    def rows(kind: str, number: int, count: int, beta: float) -> Iterator[Piece]:
        for part, alphas in enumerate(parts(steps(settings.reach, count))):
            yield Piece(f"{kind} {number} {beta} {part}", partial(row, kind, number, alphas, beta))

    for line in range(settings.lines):
        yield from rows(LINE, line, settings.points, 0.0)
    for beta in steps(settings.reach, settings.grid) if settings.grid > 1 else ():
        yield from rows(GRID, 0, settings.grid, float(beta))


def moved(point: Point) -> Values:
    """The values at a point. The running statistics stay those of the solution."""
    return Values(stepped(point.values.params, point.directions, point.steps), point.values.batch_stats)


def samples(subject: Subject, settings: Landscapes) -> list[Sample]:
    """Which images, how many at once, for each of the statistics that are asked for. A net without batch norm has none.

    With batch statistics whole batches of whole groups, cut over the devices: maybe fewer images, or more.
    """
    count = min(settings.examples, len(subject.train.labels))
    if not jax.tree.leaves(subject.model.shapes[1]):
        return [Sample(count, settings.batch_size, Mode(True, 1), NONE)]
    found = [Sample(count, settings.batch_size, EVALUATE, RUNNING)]
    size = whole_groups(subject, min(settings.batch_size, count)) if settings.statistics != RUNNING else 1
    found.append(Sample(max(count // size, 1) * size, size, Mode(True, subject.group), BATCH))
    return [sample for sample in found if settings.statistics in (BOTH, sample.statistics)]


def whole_groups(subject: Subject, size: int) -> int:
    """`size`, or as little less or more, in whole groups of batch statistics that the devices divide.

    InputError where the training images are not as many as the least of these.
    """
    devices = len(subject.layout.devices)
    least = math.lcm(subject.group, devices)
    if least > len(subject.train.labels):
        raise refuse(
            subject,
            "landscape",
            f"a batch of whole groups of {subject.group} on {devices} devices is {least} images, of "
            f"{len(subject.train.labels)} in training.",
            "fewer devices (--devices=1), or statistics=running.",
        )
    return max(size // least, 1) * least


def parts(places: np.ndarray) -> list[np.ndarray]:
    """At most MOST of them each, in order."""
    return np.array_split(places, -(-len(places) // MOST))


def with_facts(measure: Callable[[], Columns], facts: Columns) -> Columns:
    """What a piece measured, and columns that are the same everywhere."""
    return measure() | facts


LANDSCAPE = Instrument(
    "landscape",
    "is the loss around the solution smooth, or full of hills?",
    "Li et al. 2018, arXiv:1712.09913",
    Landscapes,
    {"seeds": 1, "examples": 256, "lines": 2, "points": 31, "grid": 11},
    LAB_TABLES["landscape"],
    work,
)

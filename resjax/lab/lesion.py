"""Units deleted or exchanged after training (Veit et al. 2016, arXiv:1605.06431, sections 4.1 to 4.3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.stats import kendalltau

from resjax.lab.instrument import Columns, Instrument, Looking, Piece, chosen, numpy_seed, refuse, together
from resjax.lab.interventions import kept_or_deleted
from resjax.lab.scores import scorer
from resjax.lab.subject import END, Subject, Values
from resjax.models import Model
from resjax.records.schema import LAB_TABLES
from resjax.settings import setting

INTACT, ONE, MANY, EXCHANGED = "intact", "one", "many", "exchanged"
NOBODY = np.array([], int)


@dataclass(kw_only=True)
class Lesions(Looking):
    """What is deleted and exchanged."""

    examples: int | None = setting(None, "test examples; null: all", minimum=1)
    counts: int = setting(8, "numbers of units deleted at once, from 2 to all, and of exchanges", minimum=0)
    draws: int = setting(10, "random choices of so many units", minimum=1)


def work(subject: Subject, settings: Lesions, key: Array, beside: Subject | None = None) -> Iterator[Piece]:
    """The intact net; every unit deleted alone; k units; k random exchanges of equal units, whose place matters less
    the closer Kendall's tau is to 1.

    InputError where a net has no unit behind its stem.
    """
    units = lesionable(subject.model)
    if not units:
        raise refuse(subject, "lesion", "it has no unit behind its stem.", "a net with units.")
    score = scorer(subject, "test", settings.examples, settings.batch_size, kept_or_deleted)

    def row(seed: int, values: Values, kind: str, deleted: np.ndarray, **facts: Any) -> Columns:
        found = score(values, mask(subject.model, deleted))
        nothing = {"unit": None, "name": None, "changes_shape": None, "draw": None, "tau": None}
        scored = {"loss": found.loss, "error": found.error, "count": len(deleted)}
        return nothing | {"seed": seed, "kind": kind} | scored | facts

    def one(seed: int, unit: int) -> Columns:
        values, info, changes = subject.values(seed, END), subject.model.units[unit], changing(subject.model)[unit]
        facts = {"unit": unit, "name": info.name, "changes_shape": changes}
        return row(seed, values, ONE, np.array([unit]), **facts)

    def many(seed: int, count: int) -> Columns:
        chance = np.random.default_rng([numpy_seed(key), seed, count])
        draws = [chance.choice(units, count, replace=False) for _ in range(settings.draws)]
        values = subject.values(seed, END)
        return together([row(seed, values, MANY, deleted, draw=draw) for draw, deleted in enumerate(draws)])

    def exchanged(seed: int, count: int) -> Columns:
        chance = np.random.default_rng([numpy_seed(key), seed, count, 1])
        values, rows = subject.values(seed, END), list[Columns]()
        for draw in range(settings.draws):
            orders, tau = exchanges(subject.model, count, chance)
            rows.append(row(seed, reordered(values, orders), EXCHANGED, NOBODY, count=count, draw=draw, tau=tau))
        return together(rows)

    def intact(seed: int) -> Columns:
        return row(seed, subject.values(seed, END), INTACT, NOBODY)

    for seed in chosen(subject, settings):
        yield Piece(f"{seed} {INTACT}", partial(intact, seed))
        yield from (Piece(f"{seed} {ONE} {unit}", partial(one, seed, unit)) for unit in units)
        for count in evenly(2, len(units), settings.counts):
            yield Piece(f"{seed} {MANY} {count}", partial(many, seed, count))
        for count in evenly(1, len(units), settings.counts) if movable(subject.model) else ():
            yield Piece(f"{seed} {EXCHANGED} {count}", partial(exchanged, seed, count))


def lesionable(model: Model) -> list[int]:
    """The numbers of the units behind the stem."""
    return [number for number, info in enumerate(model.units) if info.stage]


def changing(model: Model) -> list[bool]:
    """Whether each unit's output has another resolution than its input, or, but by concatenation, other channels."""
    shapes = [model.shape, *(shape for h in model.hidden_shapes(1) for shape in [h.shape[2:]] * h.shape[0])]
    joins = [unit.shortcut == "concat" for unit in model.plan.units]
    pairs = zip(pairwise(shapes), joins, strict=True)
    return [(before[:-1] != after[:-1]) if join else before != after for (before, after), join in pairs]


def mask(model: Model, deleted: np.ndarray) -> list[Array]:
    """1 for every unit that stays, (units) a segment."""
    keep = np.ones(len(model.units))
    keep[deleted] = 0
    return [jnp.asarray(keep[run.start : run.start + run.count], model.dtype) for run in model.runs]


def movable(model: Model) -> dict[int, int]:
    """The segments behind the stem that have several units, all equal, with their number."""
    return {number: run.count for number, run in enumerate(model.runs) if run.count > 1 and run.plan.stage}


def exchanges(model: Model, count: int, chance: np.random.Generator) -> tuple[dict[int, np.ndarray], float]:
    """`count` times two random units of one segment change places: the new order of each segment, and Kendall's tau
    between the old and the new order of all units that could move. A segment is chosen as often as it has pairs.
    """
    sizes = movable(model)
    orders = {number: np.arange(size) for number, size in sizes.items()}
    pairs = np.array([size * (size - 1) / 2 for size in sizes.values()])
    for number in chance.choice(list(sizes), count, p=pairs / pairs.sum()):
        one, other = chance.choice(sizes[number], 2, replace=False)
        orders[number][[one, other]] = orders[number][[other, one]]
    starts = np.cumsum([0, *sizes.values()])[:-1]
    order = np.concatenate([start + of for start, of in zip(starts, orders.values(), strict=True)])
    return orders, float(kendalltau(np.arange(len(order)), order).statistic)


def reordered(values: Values, orders: dict[int, np.ndarray]) -> Values:
    """The same units in another order: segment number -> the places to take its units from."""

    def of(tree: Any) -> Any:
        segments = {
            number: jax.tree.map(lambda leaf, number=number: leaf[orders[number]], part) if number in orders else part
            for number, part in tree.get("segments", {}).items()
        }
        return tree | {"segments": segments}

    return Values(of(values.params), of(values.batch_stats))


def evenly(first: int, last: int, count: int) -> list[int]:
    """At most `count` whole numbers from first to last, about evenly."""
    return sorted({round(value) for value in np.linspace(first, last, count)}) if last >= first and count else []


LESION = Instrument(
    "lesion",
    "what does the net lose when a unit is deleted, or when units change places?",
    "Veit et al. 2016, arXiv:1605.06431",
    Lesions,
    {"seeds": 1, "counts": 5, "draws": 3},
    LAB_TABLES["lesion"],
    work,
)

"""How alike the outputs of units are, within a net and between two (Kornblith et al. 2019, arXiv:1905.00414)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from resjax.lab.cka import LEAST, Centred, centred, cka, hsic, scaled
from resjax.lab.instrument import Columns, Instrument, Looking, Piece, chosen, refuse
from resjax.lab.subject import END, Batch, Subject, Values
from resjax.models.types import EVALUATE
from resjax.records.schema import LAB_TABLES
from resjax.settings import setting


@dataclass(kw_only=True)
class Similarities(Looking):
    """What is compared, on which examples."""

    batch_size: int = setting(256, "examples of a batch, among which similarity is estimated", minimum=LEAST)
    examples: int | None = setting(4096, "test examples, in batches of one size; null: all", minimum=LEAST)
    across: bool = setting(True, "also between the seeds of one run, each beside the next")


def work(subject: Subject, settings: Similarities, key: Array, beside: Subject | None = None) -> Iterator[Piece]:
    """Linear CKA of every two units: of each seed of a run, and of each seed beside the next; or of two runs.

    Seeds of two runs are compared by their number, or where they share none the first ones. InputError where two runs
    see other images.
    """
    if beside is not None and beside.run["data"]["digest"] != subject.run["data"]["digest"]:
        why = f"{beside.run['name']} has other data ({beside.config.data.name})."
        raise refuse(subject, "similarity", why, "two runs on the same images.")
    if beside is not None and beside.model.dtype != subject.model.dtype:
        why = f"{beside.run['name']} has another precision."
        raise refuse(subject, "similarity", why, "two runs with parameters of one type.")
    if (there := len(subject.places("test", settings.examples))) < LEAST:
        raise refuse(subject, "similarity", f"there are {there} test examples.", f"{LEAST} or more.")
    one, other = subject, beside or subject
    alone, two = similarity([one], settings), similarity([one, other], settings)

    def within(seed: int) -> Columns:
        found = alone([one.values(seed, END)])
        return rows(found, one, one) | {"seed": seed, "beside_seed": None}

    def between(seed: int, another: int) -> Columns:
        found = two([one.values(seed, END), other.values(another, END)])
        count = len(one.model.units)
        return rows(found[:count, count:], one, other) | {"seed": seed, "beside_seed": another}

    seeds = chosen(subject, settings)
    pairs = list(pairwise(seeds)) if settings.across else []
    if beside is None:
        yield from (Piece(f"{seed}", partial(within, seed)) for seed in seeds)
    else:
        pairs = partners(seeds, chosen(beside, settings))
    yield from (Piece(f"{seed} beside {another}", partial(between, seed, another)) for seed, another in pairs)


def partners(seeds: Sequence[int], others: Sequence[int]) -> list[tuple[int, int]]:
    """Seeds of one number; where there are none, the first beside the first, and so on."""
    return [(seed, seed) for seed in seeds if seed in others] or list(zip(seeds, others, strict=False))


def similarity(subjects: Sequence[Subject], settings: Similarities) -> Callable[[Sequence[Values]], np.ndarray]:
    """The function (values of each) -> linear CKA of all their units, (units, units), in the nets' order.

    Of a batch there are the units' n x n products, not their activations.
    """
    places = equal_batches(subjects[0].places("test", settings.examples), settings.batch_size)

    @jax.jit
    def products(all_values: Sequence[Values], batches: Sequence[Batch]) -> tuple[Array, Array]:
        nets = zip(subjects, all_values, batches, strict=True)
        grams = [one for subject, values, batch in nets for one in seen(subject, values, batch)]
        units = jax.tree.map(lambda *parts: jnp.concatenate(parts), *grams)
        return hsic(units, units, batches[0].inside.sum()), units.scale

    def measure(all_values: Sequence[Values]) -> np.ndarray:
        batches = ([subject.batch("test", part) for subject in subjects] for part in places)
        # Waiting for each batch, see `scorer`; summing at once keeps memory from growing with their number.
        found = (scaled(*jax.device_get(products(all_values, each))) for each in batches)
        return cka(reduce(np.add, found) / len(places))

    return measure


def seen(subject: Subject, values: Values, batch: Batch) -> list[Centred]:
    """Of every unit's output, (units, ...) a segment."""

    def observe(h: Array, within: object) -> Centred:
        return centred(h, batch.inside)

    return subject.model.apply(*values, batch.images, EVALUATE, observe=observe).seen


def equal_batches(places: np.ndarray, most: int) -> np.ndarray:
    """(batches, examples): as few batches as `most` in one allows, all of one size, so that fewer are left out than
    there are batches. An estimate needs LEAST in one, and so takes more than `most` rather than fewer.
    """
    count = min(-(-len(places) // most), len(places) // LEAST)
    return places[: len(places) // count * count].reshape(count, -1)


def rows(found: np.ndarray, subject: Subject, other: Subject) -> Columns:
    """A table of every pair of units."""
    units, others = np.indices(found.shape).reshape(2, -1)
    return {
        "unit": units,
        "name": [subject.model.units[unit].name for unit in units],
        "other_unit": others,
        "other_name": [other.model.units[unit].name for unit in others],
        "cka": found.ravel(),
    }


SIMILARITY = Instrument(
    "similarity",
    "which units' outputs are alike, within a net and between two?",
    "Kornblith et al. 2019, arXiv:1905.00414",
    Similarities,
    {"seeds": 1, "examples": 512, "batch_size": 128},
    LAB_TABLES["similarity"],
    work,
    pairs=True,
)

"""What a linear classifier can read at every unit's output (Alain and Bengio 2016, arXiv:1610.01644)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from threadpoolctl import threadpool_limits

from resjax.lab.features import Features, Standard, Sums, averaged, standard, standardized, sums
from resjax.lab.instrument import Columns, Instrument, Looking, Piece, over
from resjax.lab.ridge import Linear, Moments, readout
from resjax.lab.subject import END, START, Batch, Subject, Values
from resjax.models.types import EVALUATE, Hidden
from resjax.records.schema import LAB_TABLES
from resjax.settings import setting

IMAGES, NETWORK = "images", "network"
HELD_OUT = 5  # every fifth training example is one that chooses the ridge

Weights = tuple[Float[Array, "units features classes"], Float[Array, "units classes"]]


@dataclass(kw_only=True)
class Readouts(Looking):
    """What is read, and from how many examples."""

    train_examples: int | None = setting(10_000, "training examples, a fifth of them to choose the ridge", minimum=10)
    test_examples: int | None = setting(None, "test examples; null: all", minimum=1)
    pixels: int = setting(4, "means over a grid of at most so many pixels a side are read", minimum=1)
    features: int = setting(1024, "with fewer pixels where these were more numbers than so many", minimum=1)


def work(subject: Subject, settings: Readouts, key: Array, beside: Subject | None = None) -> Iterator[Piece]:
    """The read-outs of a seed, at its start and end: of the images, of every unit; and the network's own error."""
    reader = Reader(subject, settings)

    def piece(seed: int, moment: str) -> Columns:
        return reader.rows(subject.values(seed, moment)) | {"seed": seed, "moment": moment}

    for seed, moment in over(subject, settings, (START, END)):
        yield Piece(f"{seed} {moment}", partial(piece, seed, moment))


@dataclass(frozen=True)
class Reader:
    """Reads a network in three passes: sums over the training examples, and errors on these and on the test examples.

    Features come in groups: the images', then each segment's units'. What is held are their sums, features^2 a unit.
    """

    subject: Subject
    settings: Readouts

    def rows(self, values: Values) -> Columns:
        """A row for the images, every unit, and the network."""
        model, settings = self.subject.model, self.settings
        train = self.subject.places("train", settings.train_examples)
        test = self.subject.places("test", settings.test_examples)
        first = next(self.batches("train", train))
        by = standards(self.features(values, first.images)[0], first)
        read = self.read(values, by, train)
        weights = self.subject.placed([stacked(group, model.dtype) for group in read])
        flat = [linear for group in read for linear in group]
        head = next(info for info in model.weight_layers if info.name == "head")
        return {
            "unit": [None, *range(len(model.units)), None],
            "name": [IMAGES, *(info.name for info in model.units), NETWORK],
            "layer_depth": [0, *(info.layer_depth for info in model.units), head.layer_depth],
            "features": [*(len(linear.weight) for linear in flat), None],
            "ridge": [*(linear.ridge for linear in flat), None],
            "train_error": self.errors(values, by, weights, "train", train),
            "test_error": self.errors(values, by, weights, "test", test),
        }

    def batches(self, split: str, places: np.ndarray) -> Iterator[Batch]:
        """These examples."""
        return self.subject.batches(split, places, self.settings.batch_size)

    def read(self, values: Values, by: list[Standard], train: np.ndarray) -> list[list[Linear]]:
        """The read-outs of each group's units."""
        held = np.arange(len(train)) % HELD_OUT == HELD_OUT - 1
        parts = (self.total(values, by, places) for places in (train[~held], train[held]))
        with threadpool_limits(1, "blas"):  # on a busy machine small systems take 30 times longer in several threads
            return [
                [readout(*(moments(group, unit) for group in groups)) for unit in range(len(groups[0].x))]
                for groups in zip(*parts, strict=True)
            ]

    def total(self, values: Values, by: list[Standard], places: np.ndarray) -> list[Sums]:
        """The sums of each group in float64."""
        classes = self.subject.model.classes
        found = (
            # Waiting for each batch, see `scorer`.
            jax.tree.map(np.float64, jax.device_get(totals(self.features(values, batch.images)[0], by, batch, classes)))
            for batch in self.batches("train", places)
        )
        return reduce(partial(jax.tree.map, np.add), found)

    def errors(self, values: Values, by: list[Standard], weights: list[Weights], split: str, places: Any) -> np.ndarray:
        """The fraction that is not classed rightly, of each read-out and of the network; nan without a read-out."""
        batches = self.batches(split, places)
        found = [jax.device_get(wrong(*self.features(values, batch.images), by, weights, batch)) for batch in batches]
        return sum(found) / len(places)

    @cached_property
    def features(self) -> Callable[[Values, Hidden], tuple[list[Features], Array]]:
        """The function (values, images) -> features of the images and of each segment's units; and the logits.

        It is all that takes long to compile.
        """
        pixels, most = self.settings.pixels, self.settings.features

        def observe(h: Array, within: object) -> Array:
            return averaged(h, pixels, most)

        @jax.jit
        def features(values: Values, images: Hidden) -> tuple[list[Features], Array]:
            passed = self.subject.model.apply(*values, images, EVALUATE, observe=observe)
            return [observe(images, None)[None], *passed.seen], passed.logits

        return features


@jax.jit
def standards(groups: list[Features], batch: Batch) -> list[Standard]:
    """What each group's features are standardised by."""
    return [standard(x, batch) for x in groups]


@partial(jax.jit, static_argnames="classes")
def totals(groups: list[Features], by: list[Standard], batch: Batch, classes: int) -> list[Sums]:
    """The sums of each group over a batch."""
    return [sums(standardized(x, its), batch, classes) for x, its in zip(groups, by, strict=True)]


@jax.jit
def wrong(
    groups: list[Features], logits: Array, by: list[Standard], weights: list[Weights], batch: Batch
) -> Float[Array, " read"]:
    """How many of a batch are classed wrongly, see `Reader.errors`."""
    read = [
        jnp.einsum("unf,ufc->unc", standardized(x, its), weight) + bias[:, None]
        for x, its, (weight, bias) in zip(groups, by, weights, strict=True)
    ]
    scores = jnp.concatenate([*read, logits[None].astype(read[0].dtype)])
    count = jnp.sum(scores.argmax(-1) != batch.labels[None], 1, where=batch.inside[None])
    return jnp.where(jnp.isfinite(scores).all((1, 2)), count, jnp.nan)


def moments(group: Sums, unit: int) -> Moments:
    """Of one unit."""
    examples, x, y, xx, xy = map(np.asarray, group)
    return Moments(float(examples), x[unit], y, xx[unit], xy[unit])


def stacked(group: Sequence[Linear], dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """One group's weights and biases as arrays."""
    weight, bias = ([linear.weight for linear in group], [linear.bias for linear in group])
    return np.stack(weight).astype(dtype), np.stack(bias).astype(dtype)


READOUT = Instrument(
    "readout",
    "what can a linear classifier read at each unit's output?",
    "Alain and Bengio 2016, arXiv:1610.01644",
    Readouts,
    {"seeds": 1, "train_examples": 2000, "test_examples": 1000},
    LAB_TABLES["readout"],
    work,
)

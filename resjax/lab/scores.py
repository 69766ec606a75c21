"""The loss and error of a net that something was done to."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from resjax.lab.subject import Batch, Subject, Values
from resjax.models import Mode
from resjax.models.stages import Around, bare
from resjax.models.types import EVALUATE
from resjax.training.step import example_losses


class Score(NamedTuple):
    """Means over examples: the loss in nats, and the fraction that is not classed rightly."""

    loss: float
    error: float


def as_they_are(values: Values) -> Values:
    """Nothing is done to them."""
    return values


def scorer(
    subject: Subject,
    split: str,
    count: int | None,
    size: int,
    around: Around = bare,
    mode: Mode = EVALUATE,
    made: Callable[[Any], Values] = as_they_are,
) -> Callable[..., Score]:
    """The function (given, taps) -> Score over `count` examples of a split, in batches of `size` over the devices.

    made: the values, of what is given, inside jit. taps: what `around` gets, (units, ...) a segment. mode: in
    training's, each batch has to be whole groups, and the loss is with that of auxiliary heads, as training has it.
    """

    @jax.jit
    def sums(given: Any, taps: Sequence[Array] | None, batch: Batch) -> Array:
        out = subject.model.apply(*made(given), batch.images, mode, taps, around=around)
        losses = example_losses(subject.model, out, batch.labels)
        wrong = out.logits.argmax(-1) != batch.labels
        return jnp.stack([jnp.sum(each, where=batch.inside, dtype=losses.dtype) for each in (losses, wrong)])

    def score(given: Any, taps: Sequence[Array] | None = None) -> Score:
        examples = len(subject.places(split, count))
        # Waiting for each batch keeps memory small, and virtual devices from deadlocking on a long queue (jaxlib 0.10).
        found = [jax.device_get(sums(given, taps, batch)) for batch in subject.batches(split, count, size)]
        loss, wrong = sum(found) / examples
        return Score(float(loss), float(wrong))

    return score

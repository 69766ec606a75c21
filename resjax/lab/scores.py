"""The loss and error of a net that something was done to."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from resjax.lab.subject import Batch, Subject, Values
from resjax.models import Mode
from resjax.models.stages import Around, bare
from resjax.models.types import EVALUATE


class Score(NamedTuple):
    """Means over examples: cross-entropy in nats, and the fraction that is not classed rightly."""

    loss: float
    error: float


def scorer(
    subject: Subject, split: str, count: int | None, size: int, around: Around = bare, mode: Mode = EVALUATE
) -> Callable[[Values, Sequence[Array] | None], Score]:
    """The function (values, taps) -> Score over `count` examples of a split, in batches of `size` over the devices.

    taps: what `around` gets, (units, ...) a segment. mode: in training's, each batch has to be whole groups.
    """

    @jax.jit
    def sums(values: Values, taps: Sequence[Array] | None, batch: Batch) -> Array:
        logits = subject.model.apply(*values, batch.images, mode, taps, around=around).logits
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
        wrong = logits.argmax(-1) != batch.labels
        return jnp.stack([jnp.sum(each, where=batch.inside, dtype=losses.dtype) for each in (losses, wrong)])

    def score(values: Values, taps: Sequence[Array] | None = None) -> Score:
        examples = len(subject.places(split, count))
        # Waiting for each batch keeps memory small, and virtual devices from deadlocking on a long queue (jaxlib 0.10).
        found = [jax.device_get(sums(values, taps, batch)) for batch in subject.batches(split, count, size)]
        loss, wrong = sum(found) / examples
        return Score(float(loss), float(wrong))

    return score

"""Loss and error over a whole split, with running statistics."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Int

from resjax import faults
from resjax.data.stream import Arrays, standardize
from resjax.models import Model
from resjax.models.types import EVALUATE
from resjax.stopping import Poll, StopError, never
from resjax.training import hosts
from resjax.training.packing import packings
from resjax.training.parallel import Layout
from resjax.training.seeds import in_turn
from resjax.training.state import TrainState


def make_evaluate(
    model: Model, layout: Layout, examples: int, most: int, stop: Poll = never
) -> Callable[..., dict[str, Array]]:
    """The function (states, data) -> {test_loss, test_error}, one entry a seed: exact means over `examples`.

    It works through batches of `most`; with `parts`, through the first so many only, which is for warming up. It
    raises StopError between two batches where `stop` says so.
    """
    devices = len(layout.devices)
    batch = -(-min(examples, most) // devices) * devices

    params_packing, stats_packing = packings(model)

    @jax.jit
    def sums(states: TrainState, data: Arrays, start: Int[Array, ""]) -> tuple[Array, Array]:
        places = start + jnp.arange(batch)
        inside = places < len(data.labels)
        images = lax.with_sharding_constraint(standardize(data, data.images[places]), layout.sharded())
        labels = data.labels[places]

        def one_seed(state: TrainState) -> tuple[Array, Array]:
            params, batch_stats = params_packing.unpack(state.params), stats_packing.unpack(state.batch_stats)
            logits = model.apply(params, batch_stats, images, EVALUATE).logits
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return jnp.sum(losses, where=inside), jnp.sum(logits.argmax(-1) != labels, where=inside, dtype=model.dtype)

        return in_turn(one_seed, states)

    def evaluate(states: TrainState, data: Arrays, parts: int | None = None) -> dict[str, Any]:
        # Waiting for each part keeps virtual devices from deadlocking on a long queue (jaxlib 0.10).
        starts = range(0, examples, batch)[:parts]
        found = []
        for start in starts:
            if hosts.any_of(stop()):
                raise StopError
            found.append(jax.block_until_ready(sums(states, data, np.asarray(start))))
            faults.point("evaluation")
        loss, error = (sum(part) / examples for part in zip(*found, strict=True))
        return {"test_loss": loss, "test_error": error}

    return evaluate

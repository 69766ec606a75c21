"""Loss and error over whole splits, with running statistics."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.typing import DTypeLike
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
    model: Model, layout: Layout, computes: DTypeLike, most: int, stop: Poll = never
) -> Callable[..., dict[str, Array]]:
    """The function (states, {name: split}) -> {name_loss, name_error}, one entry a seed: exact means over each split.

    It computes in the type `computes`, through batches of `most`; with `parts`, through the first so many, which is
    for warming up. It raises StopError between two batches where `stop` says so.
    """
    devices = len(layout.devices)
    params_packing, stats_packing = packings(model)

    def batch_of(data: Arrays) -> int:
        return -(-min(len(data.labels), most) // devices) * devices

    @jax.jit
    def sums(states: TrainState, data: Arrays, start: Int[Array, ""]) -> tuple[Array, Array]:
        places = start + jnp.arange(batch_of(data))
        inside = places < len(data.labels)
        images = lax.with_sharding_constraint(standardize(data, data.images[places]), layout.sharded())
        labels = data.labels[places]

        def one_seed(state: TrainState) -> tuple[Array, Array]:
            params, batch_stats = params_packing.unpack(state.params), stats_packing.unpack(state.batch_stats)
            logits = model.apply(params, batch_stats, images.astype(computes), EVALUATE).logits
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return jnp.sum(losses, where=inside), jnp.sum(logits.argmax(-1) != labels, where=inside, dtype=model.dtype)

        return in_turn(one_seed, states)

    def means(states: TrainState, data: Arrays, parts: int | None) -> list[Any]:
        # Waiting for each part keeps virtual devices from deadlocking on a long queue (jaxlib 0.10).
        examples, found = len(data.labels), []
        for start in range(0, examples, batch_of(data))[:parts]:
            if hosts.any_of(stop()):
                raise StopError
            found.append(jax.block_until_ready(sums(states, data, np.asarray(start))))
            faults.point("evaluation")
        return [sum(part) / examples for part in zip(*found, strict=True)]

    def evaluate(states: TrainState, splits: dict[str, Arrays], parts: int | None = None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, data in splits.items():
            loss, error = means(states, data, parts)
            found |= {f"{name}_loss": loss, f"{name}_error": error}
        return found

    return evaluate

"""A chunk of training steps of every seed as one program: one dispatch, and metrics that come back once."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int

from resjax.config import Config
from resjax.data.stream import Arrays, Orders, epoch_orders
from resjax.training.parallel import over_seeds
from resjax.training.state import ALIVE, Keys, TrainState
from resjax.training.step import Metrics, Step

Chunk = Callable[[TrainState, Keys, Array, Array, Arrays], tuple[TrainState, Metrics]]


def make_chunk(config: Config, step: Step) -> Chunk:
    """The function (states, keys, start, count, data) -> (states, metrics): steps start to start + count - 1.

    count is at most `parallel.chunk` and no constant of the program, so that a chunk ends wherever somebody looks
    without compiling again; a chunk ends early where no seed is left. states: an entry a seed in every leaf; metrics:
    (parallel.chunk, seeds) each, "alive" false in the rows that are not filled.
    """
    most, batch = config.parallel.chunk, config.train.batch_size
    each = over_seeds(config)

    def chunk(
        states: TrainState, keys: Keys, start: Int[Array, ""], count: Int[Array, ""], data: Arrays
    ) -> tuple[TrainState, Metrics]:
        # Mapped in turn whatever the seeds' axis is: under vmap every permutation that might be needed is drawn.
        draw = partial(epoch_orders, step=start, count=count, most=most, examples=len(data.labels), batch=batch)
        orders = lax.map(draw, keys.order)

        def all_seeds(states: TrainState, number: Array) -> tuple[TrainState, Metrics]:
            def one_seed(state: TrainState, keys: Keys, orders: Orders) -> tuple[TrainState, Metrics]:
                return step(state, keys, orders, number, data)

            return each(one_seed, states, keys, orders)

        def unfinished(carry: tuple[Array, TrainState, Metrics]) -> Array:
            index, states, _ = carry
            return (index < count) & (states.diverged_at == ALIVE).any()

        def advance(carry: tuple[Array, TrainState, Metrics]) -> tuple[Array, TrainState, Metrics]:
            index, states, rows = carry
            states, metrics = all_seeds(states, start + index)
            return index + 1, states, jax.tree.map(lambda kept, row: kept.at[index].set(row), rows, metrics)

        _, shapes = jax.eval_shape(all_seeds, states, start)
        empty = jax.tree.map(lambda shape: jnp.zeros((most, *shape.shape), shape.dtype), shapes)
        _, states, rows = lax.while_loop(unfinished, advance, (jnp.zeros((), jnp.int32), states, empty))
        return states, rows

    return chunk

"""A chunk of training steps of every seed as one program: one dispatch, and metrics that come back once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int

from resjax.config import Config
from resjax.data.stream import Arrays, Fed, Orders, Scale, epoch_orders, no_orders
from resjax.training.seeds import over_seeds
from resjax.training.state import ALIVE, Keys, TrainState
from resjax.training.step import Metrics, Step

Chunk = Callable[..., tuple[TrainState, Any, Metrics]]


def make_chunk(config: Config, step: Step) -> Chunk:
    """The function (states, keys, orders, start, count, data) -> (states, orders, metrics): `count` steps from `start`.

    count is at most `parallel.chunk` and no constant of the program, so that a chunk ends wherever somebody looks
    without compiling again; a chunk ends early where no seed is left. states, orders: an entry a seed in every leaf,
    orders those of the chunk before (`first_orders`); metrics: (parallel.chunk, seeds) each, "alive" false in the rows
    that are not filled.
    """

    def chunk(
        states: TrainState, keys: Keys, orders: Orders, start: Int[Array, ""], count: Int[Array, ""], data: Arrays
    ) -> tuple[TrainState, Orders, Metrics]:
        # Mapped in turn whatever the seeds' axis is: under vmap every permutation that might be needed is drawn.
        batch = config.train.batch_size
        orders = lax.map(lambda seed: epoch_orders(seed[0], seed[1], start, count, batch), (keys.order, orders))
        states, rows = steps(config, step, config.parallel.chunk)(states, keys, orders, start, count, data)
        return states, orders, rows

    return chunk


def make_fed_step(config: Config, step: Step) -> Chunk:
    """The same function of what the host feeds, one step: (states, keys, fed, start, count, data) -> (states, (),
    metrics).
    """

    def chunk(
        states: TrainState, keys: Keys, fed: Fed, start: Int[Array, ""], count: Int[Array, ""], data: Scale
    ) -> tuple[TrainState, tuple[()], Metrics]:
        states, rows = steps(config, step, 1)(states, keys, fed, start, count, data)
        return states, (), rows

    return chunk


def steps(config: Config, step: Step, most: int) -> Callable[..., tuple[TrainState, Metrics]]:
    """The function (states, keys, feed, start, count, data) -> (states, metrics) of all seeds, up to `most` steps."""
    each = over_seeds(config)

    def taken(
        states: TrainState, keys: Keys, feed: Any, start: Array, count: Array, data: Any
    ) -> tuple[TrainState, Metrics]:
        def all_seeds(states: TrainState, number: Array) -> tuple[TrainState, Metrics]:
            def one_seed(state: TrainState, keys: Keys, feed: Any) -> tuple[TrainState, Metrics]:
                return step(state, keys, feed, number, data)

            return each(one_seed, states, keys, feed)

        return repeated(all_seeds, states, start, count, most)

    return taken


def repeated(
    step: Callable[[TrainState, Array], tuple[TrainState, Metrics]],
    states: TrainState,
    start: Int[Array, ""],
    count: Int[Array, ""],
    most: int,
) -> tuple[TrainState, Metrics]:
    """The states after steps `start` to `start` + `count` - 1, or when no seed is left, and `most` rows of metrics."""

    def unfinished(carry: tuple[Array, TrainState, Metrics]) -> Array:
        index, states, _ = carry
        return (index < count) & (states.diverged_at == ALIVE).any()

    def advance(carry: tuple[Array, TrainState, Metrics]) -> tuple[Array, TrainState, Metrics]:
        index, states, rows = carry
        states, metrics = step(states, start + index)
        return index + 1, states, jax.tree.map(lambda kept, row: kept.at[index].set(row), rows, metrics)

    _, shapes = jax.eval_shape(step, states, start)
    empty = jax.tree.map(lambda shape: jnp.zeros((most, *shape.shape), shape.dtype), shapes)
    _, states, rows = lax.while_loop(unfinished, advance, (jnp.zeros((), jnp.int32), states, empty))
    return states, rows


def first_orders(config: Config, examples: int) -> Orders:
    """What a chunk takes for orders before the first; an entry a seed. Raises InputError beyond 32 bits."""
    none = no_orders(config.parallel.chunk, examples, config.train.batch_size)
    return jax.tree.map(lambda leaf: jnp.stack([leaf] * config.seeds), none)

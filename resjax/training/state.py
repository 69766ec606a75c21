"""What training carries from step to step. Every leaf of an ensemble's state has a leading seed axis."""

import hashlib
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from resjax.config import OptimizerConfig
from resjax.data import digests
from resjax.models import Model
from resjax.training.packing import packings

ALIVE = -1
# Initial values are computed once a seed: compiling them well takes ten times longer than running them badly.
RUN_ONCE = {"xla_backend_optimization_level": 0}


class TrainState(NamedTuple):
    """One seed's state. diverged_at: the step whose loss, gradient or update was not finite, or -1.

    Parameters, running statistics and whatever the optimiser keeps of the parameters' shape are packed vectors.
    """

    params: Float[Array, " parameter"]
    batch_stats: Float[Array, " statistic"]
    opt_state: Any
    running_error: Float[Array, ""]
    warming: Bool[Array, ""]
    diverged_at: Int[Array, ""]


class Keys(NamedTuple):
    """A seed's random streams, all of them from its number."""

    init: Array
    order: Array
    augment: Array
    noise: Array


def seed_keys(seed: int) -> Keys:
    """The streams of `seed`, told apart by fold_in."""
    root = jax.random.key(seed)
    return Keys(*(jax.random.fold_in(root, stream) for stream in range(4)))


def optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
    """The update's direction u, to be applied as w - rate * u; weight decay is part of the gradient."""
    decay = optax.add_decayed_weights(config.weight_decay)
    if config.name == "adam":
        return optax.chain(decay, optax.scale_by_adam(config.momentum, config.second_moment, config.epsilon))
    return optax.chain(decay, optax.trace(config.momentum, config.nesterov))


def create(model: Model, tx: optax.GradientTransformation, seeds: range) -> tuple[TrainState, Keys]:
    """The states and keys of every seed, stacked; a seed's values do not depend on which others there are."""
    params_packing, stats_packing = packings(model)
    keys = [seed_keys(seed) for seed in seeds]

    @partial(jax.jit, compiler_options=RUN_ONCE)
    def one(key: Array) -> TrainState:
        params, batch_stats = model.init(key)
        vector = params_packing.pack(params)
        real = jnp.asarray(1, model.dtype)
        return TrainState(
            vector,
            stats_packing.pack(batch_stats),
            tx.init(vector),
            real,
            jnp.asarray(True),
            jnp.asarray(ALIVE, jnp.int32),
        )

    states = [one(key.init) for key in keys]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states), jax.tree.map(lambda *k: jnp.stack(k), *keys)


def to_arrays(model: Model, states: TrainState) -> dict[str, np.ndarray]:
    """Every layer's array of every seed's state by its path, on the host."""
    params_packing, stats_packing = packings(model)
    states = jax.device_get(states)
    vector = states.params.shape
    tree = states._replace(
        params=params_packing.unpack(states.params),
        batch_stats=stats_packing.unpack(states.batch_stats),
        opt_state=jax.tree.map(lambda x: params_packing.unpack(x) if x.shape == vector else x, states.opt_state),
    )
    leaves, _ = jax.tree.flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}


def digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over the names, types, shapes and bytes of the arrays, in order of their names."""
    lines = [f"{name} {digests.of_arrays(array)}\n" for name, array in sorted(arrays.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()

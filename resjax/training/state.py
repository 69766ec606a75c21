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
from resjax.errors import InputError
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
    leaves, _ = jax.tree.flatten_with_path(_by_layer(model, jax.device_get(states)))
    return {_name(path): np.asarray(leaf) for path, leaf in leaves}


def from_arrays(model: Model, like: TrainState, arrays: dict[str, np.ndarray]) -> TrainState:
    """The states that `to_arrays` made `arrays` of, on the host; `like` are states of the same network and optimiser.

    Raises InputError where a name, a shape or a type is another.
    """
    params_packing, stats_packing = packings(model)
    expected, structure = jax.tree.flatten_with_path(jax.eval_shape(partial(_by_layer, model), like))
    wanted = {_name(path): leaf for path, leaf in expected}
    found = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    wrong = {
        name for name, leaf in wanted.items() if found.get(name) != (leaf.shape, leaf.dtype)
    } | arrays.keys() - wanted
    if wrong:
        name = min(wrong)
        raise InputError(f"{name} is {found.get(name)}.\nExpected {wanted.get(name)}.\nType: rerun=all to begin anew")
    tree = jax.tree.unflatten(structure, [arrays[name] for name in wanted])
    of_params, leading = jax.tree.structure(tree.params), like.params.shape[:-1]

    def is_params(tree: Any) -> bool:
        return bool(jax.tree.structure(tree) == of_params)  # type: ignore[operator]

    def vector(tree: Any, dtype: Any) -> np.ndarray:
        leaves = [leaf.reshape(*leading, -1) for leaf in jax.tree.leaves(tree)]
        return np.concatenate([np.zeros((*leading, 0), dtype), *leaves], axis=-1)

    return tree._replace(
        params=vector(tree.params, params_packing.dtype),
        batch_stats=vector(tree.batch_stats, stats_packing.dtype),
        opt_state=jax.tree.map(
            lambda part: vector(part, params_packing.dtype) if is_params(part) else part,
            tree.opt_state,
            is_leaf=is_params,
        ),
    )


def values_of(model: Model, arrays: dict[str, np.ndarray], index: int) -> tuple[Any, Any]:
    """Parameters and running statistics of one seed, the `index`-th of those that `to_arrays` made `arrays` of.

    Raises InputError where an array of the network is missing or has another shape.
    """
    expected, structure = jax.tree.flatten_with_path(dict(zip(("params", "batch_stats"), model.shapes, strict=True)))
    found = []
    for path, like in expected:
        array = arrays.get(_name(path))
        if array is None or array.shape[1:] != like.shape:
            raise InputError(
                f"{_name(path)} is {None if array is None else array.shape[1:]}.\nExpected {like.shape}, as the "
                "settings say: the checkpoint is of another network.\nType: rerun=all, to train it anew"
            )
        found.append(array[index])
    tree = jax.tree.unflatten(structure, found)
    return tree["params"], tree["batch_stats"]


def _by_layer(model: Model, states: TrainState) -> TrainState:
    """The states with every packed vector as the layers' arrays."""
    params_packing, stats_packing = packings(model)
    vector = states.params.shape
    return states._replace(
        params=params_packing.unpack(states.params),
        batch_stats=stats_packing.unpack(states.batch_stats),
        opt_state=jax.tree.map(lambda x: params_packing.unpack(x) if x.shape == vector else x, states.opt_state),
    )


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over the names, types, shapes and bytes of the arrays, in order of their names."""
    lines = [f"{name} {digests.of_arrays(array)}\n" for name, array in sorted(arrays.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()

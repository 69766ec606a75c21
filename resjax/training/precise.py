"""Batch norm's statistics before a test as true averages over many training batches, in place of running ones."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from resjax.config import Config
from resjax.models import Mode, Model
from resjax.models.calibration import own_statistics
from resjax.training.packing import packings
from resjax.training.parallel import Layout, group_size
from resjax.training.precision import precision
from resjax.training.seeds import in_turn
from resjax.training.state import TrainState, seed_keys
from resjax.training.step import with_noise
from resjax.training.supply import Supply

PRECISE_SEED = 2**32 - 1  # whose stream the batches are of, the same for every seed that trains
Precise = Callable[[TrainState, Supply], TrainState]


def make_precise(config: Config, model: Model, layout: Layout) -> Precise:
    """The function (states, supply) -> the states with other statistics: means over train.precise_statistics batches.

    They are batches as training sees them, augmented, with the noise of dropout, in its groups; every test of every
    seed takes the same ones. Training goes on with its own running statistics. (He et al. 2015's released models had
    such statistics: their README.)
    """
    params_packing, stats_packing = packings(model)
    group, computes = group_size(config, layout), precision(config).computes
    keys = seed_keys(PRECISE_SEED)

    @jax.jit
    def statistics(states: TrainState, step: Array, images: Array) -> Array:
        mode = with_noise(Mode(True, group), keys.noise, step, jnp.arange(len(images)))

        def one_seed(state: TrainState) -> Array:
            params = params_packing.unpack(state.params)
            return stats_packing.pack(own_statistics(model, params, images.astype(computes), mode))

        return in_turn(one_seed, states)  # type: ignore[no-any-return]

    def precise(states: TrainState, supply: Supply) -> TrainState:
        count = config.train.precise_statistics
        total = jnp.zeros_like(states.batch_stats)
        for step, (images, _) in enumerate(supply.batches(keys, PRECISE_SEED, range(count))):
            # Waiting for each keeps virtual devices from deadlocking on a long queue (jaxlib 0.10).
            total = jax.block_until_ready(total + statistics(states, jnp.asarray(step), images))
        return states._replace(batch_stats=total / count)

    return precise

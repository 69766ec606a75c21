"""Batch statistics of a network as it is, in place of those that have run."""

from typing import Any

import jax
import jax.numpy as jnp

from resjax.models.build import Model
from resjax.models.norms import RUNNING_DECAY
from resjax.models.types import Hidden, Mode


def own_statistics(model: Model, params: Any, images: Hidden, mode: Mode) -> Any:
    """The mean over a batch's groups of the mean and the variance of each group, of every norm.

    mode: of training. The mean of them over many batches is a true average, each batch weighing the same, as in Ioffe
    and Szegedy 2015 (arXiv:1502.03167), algorithm 2, but for their factor m / (m - 1) of the variance.
    """
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), model.shapes[1])
    # From zero, what runs after one batch is (1 - decay) times that batch's own.
    after = model.apply(params, nothing, images, mode).batch_stats
    return jax.tree.map(lambda leaf: leaf / (1 - RUNNING_DECAY), after)

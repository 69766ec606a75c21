"""Parameters and multiply-adds of a model, without building it."""

import math

import jax

from resjax.models.build import Model


def parameters(model: Model) -> int:
    """Trained numbers: kernels, biases, norm scales and biases; not the running statistics."""
    params, _ = jax.eval_shape(model.init, jax.random.key(0))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def multiply_adds(model: Model) -> int:
    """Multiply-adds of one image's forward pass in the weight layers: kernel entries times output places.

    Every weight layer of a unit has the unit's output size; the classifier has one place.
    """
    params, _ = jax.eval_shape(model.init, jax.random.key(0))
    total = params["head"]["dense"]["kernel"].size
    for number, hidden in enumerate(model.hidden_shapes(1)):
        places = math.prod(hidden.shape[2:-1])
        leaves = jax.tree.leaves(params["segments"][number])
        total += places * sum(math.prod(leaf.shape) for leaf in leaves if len(leaf.shape) > 2)  # kernels, stacked
    return total

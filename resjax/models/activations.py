"""Activation functions by name."""

from collections.abc import Callable
from functools import partial

import jax

from resjax.models.types import Hidden


def linear(x: Hidden) -> Hidden:
    """x."""
    return x


ACTIVATIONS: dict[str, Callable[[Hidden], Hidden]] = {
    "relu": jax.nn.relu,
    "tanh": jax.numpy.tanh,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "linear": linear,
}

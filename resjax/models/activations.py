"""Activation functions by name."""

from collections.abc import Callable
from functools import partial

import jax

from resjax.models.types import Hidden


@jax.custom_vjp
def relu(x: Hidden) -> Hidden:
    """max(0, x), with the gradient 0 at 0.

    Its gradient goes by the sign of the output, which the next layer keeps anyway. JAX's own keeps x > 0 besides, and
    XLA's CPU backend selects by such a mask one number at a time. In reverse mode only.
    """
    return jax.numpy.maximum(x, 0)


def _forward(x: Hidden) -> tuple[Hidden, Hidden]:
    y = relu(x)
    return y, y


def _backward(y: Hidden, dy: Hidden) -> tuple[Hidden]:
    return (jax.numpy.where(y > 0, dy, 0),)


relu.defvjp(_forward, _backward)


def linear(x: Hidden) -> Hidden:
    """x."""
    return x


ACTIVATIONS: dict[str, Callable[[Hidden], Hidden]] = {
    "relu": relu,
    "tanh": jax.numpy.tanh,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "linear": linear,
}

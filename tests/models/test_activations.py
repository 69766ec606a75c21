from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from resjax.models.activations import ACTIVATIONS

X = np.array([-30.0, -3.0, -1.0, -0.1, 0.2, 1.0, 2.5, 30.0])
# Name: the function and its derivative.
CLOSED_FORMS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "relu": (lambda x: np.where(x > 0, x, 0), lambda x: np.where(x > 0, 1.0, 0)),
    "tanh": (
        lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
        lambda x: 4 / (np.exp(x) + np.exp(-x)) ** 2,
    ),
    "gelu": (lambda x: x * norm.cdf(x), lambda x: norm.cdf(x) + x * norm.pdf(x)),
    "linear": (lambda x: x, np.ones_like),
}
pytestmark = pytest.mark.usefixtures("float64")


def test_every_activation_has_its_closed_form_here() -> None:
    assert CLOSED_FORMS.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_derivative(name: str) -> None:
    value, derivative = CLOSED_FORMS[name]
    rows = jnp.asarray(X)[None]
    out, pull = jax.vjp(ACTIVATIONS[name], rows)
    np.testing.assert_allclose(out[0], value(X), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(pull(jnp.ones_like(rows))[0][0], derivative(X), rtol=1e-9, atol=1e-15)


def test_relu_lets_no_gradient_through_at_0() -> None:
    assert jax.grad(lambda x: ACTIVATIONS["relu"](x).sum())(jnp.zeros((1, 1))) == 0

"""Seeds one after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.training.seeds import in_turn


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_seed_has_its_own_result_in_its_place(count: int) -> None:
    """With random keys, nested leaves and several trees; against a Python loop."""

    def f(state: dict[str, jax.Array], key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        return jax.random.normal(key, (2,)), {"y": state["x"] * 2 + state["n"]}

    states = {"x": jnp.arange(3.0 * count).reshape(count, 3), "n": jnp.arange(count)}
    keys = jax.random.split(jax.random.key(1), count)
    found = jax.jit(lambda *trees: in_turn(f, *trees))(states, keys)
    each = [f(jax.tree.map(lambda leaf: leaf[i], states), keys[i]) for i in range(count)]  # noqa: B023
    jax.tree.map(np.testing.assert_array_equal, found, jax.tree.map(lambda *leaves: jnp.stack(leaves), *each))

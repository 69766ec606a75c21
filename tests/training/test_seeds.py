"""Seeds one after the other, and side by side."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core
from problems import chunked, digits, furthest, small, started

from resjax.config import Config
from resjax.training.chunk import first_orders, make_chunk
from resjax.training.parallel import choose
from resjax.training.programs import instruments
from resjax.training.seeds import in_turn
from resjax.training.state import optimizer, to_arrays
from resjax.training.step import make_step


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


def three_seeds(axis: str, **model: object) -> Config:
    """A unit of one convolution a stage, with noise and augmentation, in float64."""
    config = small(
        model={"depth": 5, "branch": "single", "width": 4, **model},
        data={"augment": True},
        train={"precision": "float64"},
        parallel={"devices": 1, "chunk": 2, "seeds_axis": axis},
    )
    config.seeds = 3
    return config


def trained(config: Config) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Every seed's state after two steps, and the losses."""
    model, advance, states, keys, orders, data = chunked(config)
    states, _, metrics = advance(states, keys, orders, jnp.asarray(0), jnp.asarray(2), data)
    return to_arrays(model, states), np.asarray(metrics["train_loss"])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "model",
    [
        {},
        {"init": "fixup", "norm": "none", "shortcut": "projection_b", "remat": True, "unroll": True},
    ],
)
def test_products_train_every_seed_as_the_other_ways_do(model: dict[str, object]) -> None:
    ways: dict[str, Any] = {axis: trained(three_seeds(axis, **model)) for axis in ("map", "vmap", "product")}
    for other in ("map", "vmap"):
        assert furthest(ways["product"][0], ways[other][0]) < 1e-10
        np.testing.assert_allclose(ways["product"][1], ways[other][1], rtol=1e-10)


@pytest.mark.usefixtures("float64")
def test_probes_see_the_same_of_products() -> None:
    looks = []
    for axis in ("map", "product"):
        ready = instruments(three_seeds(axis), digits())
        looks.append(ready.look(ready.states, 0, [0, 1, 2]))
    one, other = looks
    assert one.keys() == other.keys()
    for name, column in one.items():
        assert len(column) == 3 * (5 + 4), "three seeds, five weight layers, four units"
        if column.dtype.kind == "f":
            np.testing.assert_allclose(column, other[name], rtol=1e-8, atol=1e-10, err_msg=name)


def operations(jaxpr: Any) -> Iterator[Any]:
    """Every operation, those of inner programs too."""
    for equation in jaxpr.eqns:
        yield equation
        yield from (inner for value in core.jaxprs_in_params(equation.params) for inner in operations(value))


@pytest.mark.usefixtures("float64")
def test_a_step_of_products_has_no_convolution_and_a_product_a_layer() -> None:
    """One whose batch axis is the seed. Side by side without them there are grouped convolutions."""

    def counted(axis: str, counts: Callable[[Any], bool]) -> int:
        config = three_seeds(axis)
        config.parallel.strategy = "jit"
        model, states, keys, data = started(config)
        chunk = make_chunk(config, make_step(config, model, optimizer(config.optimizer), choose(config)))
        orders = first_orders(config, len(data.labels))
        traced = jax.make_jaxpr(chunk)(states, keys, orders, jnp.asarray(0), jnp.asarray(1), data)
        return sum(map(counts, operations(traced.jaxpr)))

    def is_convolution(equation: Any) -> bool:
        return equation.primitive.name == "conv_general_dilated"

    def is_grouped(equation: Any) -> bool:
        groups = ("feature_group_count", "batch_group_count")
        return is_convolution(equation) and any(equation.params[name] > 1 for name in groups)

    def is_batched(equation: Any) -> bool:
        return equation.primitive.name == "dot_general" and bool(equation.params["dimension_numbers"][1][0])

    assert counted("vmap", is_grouped)
    assert not counted("product", is_convolution)
    assert counted("product", is_batched) == 3 * 5  # XLA leaves out the gradient of the images

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.models import Mode, Model, build
from resjax.models.network import LayerInfo
from resjax.models.units import Hidden, Responses

RESNET = ModelConfig(depth=14, width=4, norm="none")
CASES = {
    "plain": ModelConfig(depth=14, width=4, norm="none", shortcut="none"),
    "projection_c": ModelConfig(depth=14, width=4, shortcut="projection_c"),
    "depth 8": ModelConfig(depth=8, width=4),
    "mlp": ModelConfig(name="mlp", depth=5, width=8, norm="none", shortcut="none"),
}
Tree = dict


def small(name: str) -> Model:
    return build(CASES[name], (8, 8, 3), 10)


def at(tree: Tree, info: LayerInfo) -> jax.Array:
    for key in info.path:
        tree = tree[key]
    return tree


def test_names_in_forward_order() -> None:
    units = [f"stage{stage}.unit{unit}" for stage in (1, 2, 3) for unit in (1, 2)]
    model = build(CASES["plain"], (8, 8, 3), 10)
    assert [info.name for info in model.units] == ["stem", *units]
    weights = [f"{unit}.conv{number}" for unit in units for number in (1, 2)]
    assert [info.name for info in model.weight_layers] == ["stem.weight", *weights, "head"]
    assert [info.stage for info in model.units] == [0, 1, 1, 2, 2, 3, 3]
    assert [info.stage for info in model.weight_layers] == [0, *[1] * 4, *[2] * 4, *[3] * 4, 4]
    assert [info.kind for info in model.weight_layers] == [*["conv"] * 13, "dense"]


def test_names_of_an_mlp() -> None:
    model = small("mlp")
    assert [info.name for info in model.units] == ["stem", *(f"stage1.unit{unit}" for unit in (1, 2, 3))]
    weights = [f"stage1.unit{unit}.dense" for unit in (1, 2, 3)]
    assert [info.name for info in model.weight_layers] == ["stem.weight", *weights, "head"]
    assert {info.kind for info in model.weight_layers} == {"dense"}


def test_a_projection_stands_behind_its_branch() -> None:
    names = [info.name for info in small("projection_c").weight_layers][1:4]
    assert names == [f"stage1.unit1.{weight}" for weight in ("conv1", "conv2", "projection")]


@pytest.mark.parametrize("depth", [8, 20, 110, 1202])
def test_depth_is_the_number_of_weight_layers(depth: int) -> None:
    model = build(ModelConfig(depth=depth), (8, 8, 1), 10)
    assert len(model.weight_layers) == depth
    assert len(model.units) == depth // 2
    assert len({info.name for info in model.weight_layers}) == depth


@pytest.mark.parametrize("name", CASES)
def test_weight_layers_are_every_kernel_once(name: str) -> None:
    model = small(name)
    params = jax.eval_shape(model.init, jax.random.key(0))[0]
    kernels = {path: leaf for path, leaf in jax.tree.leaves_with_path(params) if path[-1].key == "kernel"}
    expected = set()
    for path, leaf in kernels.items():
        keys = tuple(entry.key for entry in path)
        expected |= {(keys, None)} if keys[0] == "head" else {(keys, index) for index in range(leaf.shape[0])}
    found = [(info.path, info.index) for info in model.weight_layers]
    assert set(found) == expected
    assert len(found) == len(expected)
    assert all(at(params, info).ndim >= 2 for info in model.weight_layers)


@pytest.mark.parametrize("name", ["plain", "mlp"])
def test_what_a_weight_layer_changes_comes_behind_it(name: str) -> None:
    """A nan in a plain net's kernel k spoils the units from k's own on, and none before."""
    model = small(name)
    params, batch_stats = jax.jit(model.init)(jax.random.key(0))
    x = jnp.ones((2, 8, 8, 3))

    def mean(h: Hidden, responses: Responses) -> jax.Array:
        return h.mean()

    @jax.jit
    def unit_means(params: Tree) -> jax.Array:
        return jnp.concatenate(model.apply(params, batch_stats, x, Mode(train=True, group=2), observe=mean)[2])

    spoiled = []
    for info in model.weight_layers[:-1]:
        path = [jax.tree_util.DictKey(key) for key in info.path]
        with_nan = jax.tree.map_with_path(
            lambda here, leaf, path=path, info=info: leaf.at[info.index].set(jnp.nan) if list(here) == path else leaf,
            params,
        )
        bad = np.isnan(unit_means(with_nan))
        assert not any(before and not after for before, after in pairwise(bad))
        first = model.units[int(np.argmax(bad))]
        assert info.name.startswith(f"{first.name}.")
        spoiled.append(int(np.argmax(bad)))
    assert spoiled == sorted(spoiled)

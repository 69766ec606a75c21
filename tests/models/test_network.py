from functools import cache
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.models import Mode, Model, build, counts
from resjax.models.network import LayerInfo
from resjax.models.types import Hidden, Within

BOTTLENECK, DENSE = {"branch": "bottleneck"}, {"name": "densenet", "shortcut": "concat"}
GOOGLENET = {"name": "googlenet", "depth": 22, "width": 8, "shortcut": "none"}
CASES: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    "plain": ({"depth": 14, "width": 4, "norm": "none", "shortcut": "none"}, (8, 8, 3)),
    "projection_c": ({"depth": 14, "width": 4, "shortcut": "projection_c"}, (8, 8, 3)),
    "depth 8": ({"depth": 8, "width": 4}, (8, 8, 3)),
    "mlp": ({"name": "mlp", "depth": 5, "width": 8, "norm": "none", "shortcut": "none"}, (8, 8, 3)),
    "highway": ({"depth": 11, "width": 4, "branch": "single", "shortcut": "highway"}, (9, 11, 3)),
    "v1": ({"depth": 20, "width": 4, "shortcut": "projection_b", **BOTTLENECK}, (9, 11, 3)),
    "v1.5": ({"depth": 20, "width": 4, "shortcut": "projection_b", "bottleneck": "v1.5", **BOTTLENECK}, (9, 11, 3)),
    "preact": ({"depth": 14, "width": 4, "order": "full_preactivation", "shortcut": "projection_b"}, (9, 11, 3)),
    "fixup": ({"depth": 14, "width": 4, "norm": "none", "init": "fixup", "shortcut": "projection_b"}, (9, 11, 3)),
    "imagenet 18": ({"depth": 18, "width": 4, "layout": "imagenet", "stem": "7x7"}, (41, 35, 3)),
    "vgg": ({"name": "vgg", "depth": 13, "width": 4, "shortcut": "identity"}, (33, 38, 3)),
    "vgg c": ({"name": "vgg", "depth": 16, "width": 4, "vgg_c": True, "shortcut": "none", "head": "fc"}, (33, 38, 3)),
    "googlenet": (GOOGLENET, (13, 18, 3)),
    "googlenet 7x7": ({"stem": "7x7", **GOOGLENET}, (67, 98, 3)),
    "densenet": ({"depth": 10, "growth": 4, **DENSE}, (9, 11, 3)),
    "densenet bc": ({"depth": 16, "growth": 4, "compression": 0.5, **BOTTLENECK, **DENSE}, (9, 11, 3)),
    "densenet imagenet": (
        {"depth": 121, "growth": 2, "compression": 0.5, "layout": "imagenet", **DENSE},
        (64, 75, 3),
    ),
    "article": ({"name": "article", "depth": 9, "width": 4, "dropout": 0.5}, (9, 11, 3)),
}
TRAIN = Mode(train=True, group=2)
Tree = dict


@cache
def small(name: str) -> Model:
    settings, shape = CASES[name]
    return build(ModelConfig(**settings), shape, 10)


def at(tree: Tree, info: LayerInfo) -> jax.Array:
    for key in info.path:
        tree = tree[key]
    return tree


def test_names_in_forward_order() -> None:
    units = [f"stage{stage}.unit{unit}" for stage in (1, 2, 3) for unit in (1, 2)]
    model = small("plain")
    assert [info.name for info in model.units] == ["stem", *units]
    weights = [f"{unit}.conv{number}" for unit in units for number in (1, 2)]
    assert [info.name for info in model.weight_layers] == ["stem.conv", *weights, "head"]
    assert [info.stage for info in model.units] == [0, 1, 1, 2, 2, 3, 3]
    assert [info.stage for info in model.weight_layers] == [0, *[1] * 4, *[2] * 4, *[3] * 4, 4]
    assert [info.kind for info in model.weight_layers] == [*["conv"] * 13, "dense"]


def test_names_of_an_mlp() -> None:
    model = small("mlp")
    assert [info.name for info in model.units] == ["stem", *(f"stage1.unit{unit}" for unit in (1, 2, 3))]
    weights = [f"stage1.unit{unit}.dense" for unit in (1, 2, 3)]
    assert [info.name for info in model.weight_layers] == ["stem.dense", *weights, "head"]
    assert {info.kind for info in model.weight_layers} == {"dense"}


def test_a_projection_stands_behind_its_branch() -> None:
    names = [info.name for info in small("projection_c").weight_layers][1:4]
    assert names == [f"stage1.unit1.{weight}" for weight in ("conv1", "conv2", "projection")]


def test_names_of_googlenet() -> None:
    """A unit's paths one after the other; what training adds stands at the end."""
    model = small("googlenet")
    units = [f"inception{name}" for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")]
    assert [info.name for info in model.units] == ["stem", "conv2", *units]
    assert [info.stage for info in model.units] == [0, 1, 2, 2, 3, 3, 3, 3, 3, 4, 4]
    weights = ("conv1x1", "reduce3x3", "conv3x3", "reduce5x5", "conv5x5", "conv_pool")
    heads = [f"auxiliary{number}{layer}" for number in (1, 2) for layer in (".conv", ".fc", "")]
    assert [info.name for info in model.weight_layers] == [
        *("stem.conv", "conv2.reduce", "conv2.conv"),
        *(f"{unit}.{weight}" for unit in units for weight in weights),
        *("head", *heads),
    ]
    assert [info.stage for info in model.weight_layers[-7:]] == [5, *[3] * 6]


def test_names_of_a_densenet_and_of_a_head_of_three() -> None:
    names = [info.name for info in small("densenet bc").weight_layers]
    block = [f"unit{unit}.{conv}" for unit in (1, 2) for conv in ("conv1", "conv2")]
    assert names[1:7] == [*(f"stage1.{weight}" for weight in block), "stage1.transition.conv", "stage2.unit1.conv1"]
    assert [info.name for info in small("vgg c").weight_layers[-3:]] == ["head.fc1", "head.fc2", "head"]


@pytest.mark.parametrize("depth", [8, 20, 110, 1202])
def test_depth_is_the_number_of_weight_layers(depth: int) -> None:
    model = build(ModelConfig(depth=depth), (8, 8, 1), 10)
    assert len(model.weight_layers) == depth
    assert len(model.units) == depth // 2
    assert len({info.name for info in model.weight_layers}) == depth


@pytest.mark.parametrize("name", CASES)
def test_depth_counts_every_family(name: str) -> None:
    """Without the shortcuts' weights. VGG counts a head of three layers, GoogLeNet the longest way through it: it has
    three layers, nine units of six, the classifier and two heads of three.
    """
    model = small(name)
    layers = [info for info in model.weight_layers if info.kind not in ("projection", "gate")]
    others = {"googlenet": 64, "googlenet 7x7": 64, "vgg": 13 - 2}
    assert len(layers) == others.get(name, CASES[name][0]["depth"])
    assert len({info.name for info in model.weight_layers}) == len(model.weight_layers)
    assert len({info.name for info in model.units}) == len(model.units)


@pytest.mark.parametrize("name", CASES)
def test_weight_layers_are_every_kernel_once(name: str) -> None:
    model = small(name)
    params = model.shapes[0]
    kernels = {path: leaf for path, leaf in jax.tree.leaves_with_path(params) if path[-1].key == "kernel"}
    expected = set()
    for path, leaf in kernels.items():
        keys = tuple(entry.key for entry in path)
        expected |= {(keys, index) for index in range(leaf.shape[0])} if keys[0] == "segments" else {(keys, None)}
    found = [(info.path, info.index) for info in model.weight_layers]
    assert set(found) == expected
    assert len(found) == len(expected)
    assert all(at(params, info).ndim >= 2 for info in model.weight_layers)


def traced(model: Model) -> tuple[list[jax.ShapeDtypeStruct], list[tuple[int, ...]]]:
    """The shapes of h, a segment each, and of every response of every unit in forward order."""
    params, batch_stats = model.shapes
    x = jax.ShapeDtypeStruct((2, *model.shape), model.dtype)

    def run(params: Tree, batch_stats: Tree, x: jax.Array) -> list[Any]:
        return model.apply(params, batch_stats, x, TRAIN, observe=lambda h, within: (h, within.responses)).seen

    seen = jax.eval_shape(run, params, batch_stats, x)
    shapes = [response.shape[1:] for h, responses in seen for _ in range(len(h)) for response in responses]
    return [h for h, _ in seen], shapes


@pytest.mark.parametrize("name", CASES)
def test_sizes_by_arithmetic_are_those_of_the_traced_net(name: str) -> None:
    """h of every unit; and a response of every weight layer that responds: as many channels as its kernel has outputs,
    at as many places as its work is counted for.
    """
    model = small(name)
    hidden, responses = traced(model)
    assert model.hidden_shapes(2) == hidden
    params, places = model.shapes[0], counts._places(model)
    layers = [info for info in model.weight_layers if info.responds]
    assert [shape[-1] for shape in responses] == [at(params, info).shape[-1] for info in layers]
    assert [shape[0] for shape in responses] == [2] * len(layers)
    assert [int(np.prod(shape[1:-1])) for shape in responses] == [places[info.path] for info in layers]
    others = {info.kind for info in model.weight_layers if not info.responds}
    assert others <= {"projection", "gate", "dense", *(["auxiliary"] if "googlenet" in name else [])}


@pytest.mark.parametrize("name", ["projection_c", "v1", "v1.5", "highway", "preact", "fixup"])
def test_a_shortcuts_weights_are_counted_at_the_places_of_its_unit(name: str) -> None:
    model = small(name)
    ends = [h.shape[2:4] for h in model.hidden_shapes(2) for _ in range(h.shape[0])]
    pixels = {unit.name: height * width for unit, (height, width) in zip(model.units, ends, strict=True)}
    found = {i.name: counts._places(model)[i.path] for i in model.weight_layers if i.kind in ("projection", "gate")}
    assert found
    assert found == {name: pixels[name.rpartition(".")[0]] for name in found}


@pytest.mark.parametrize("name", ["plain", "mlp"])
def test_what_a_weight_layer_changes_comes_behind_it(name: str) -> None:
    """A nan in a plain net's kernel k spoils the units from k's own on, and none before."""
    model = small(name)
    params, batch_stats = jax.jit(model.init)(jax.random.key(0))
    x = jnp.ones((2, 8, 8, 3))

    def mean(h: Hidden, within: Within) -> jax.Array:
        return h.mean()

    @jax.jit
    def unit_means(params: Tree) -> jax.Array:
        return jnp.concatenate(model.apply(params, batch_stats, x, TRAIN, observe=mean).seen)

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

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.errors import InputError
from resjax.models import Mode, build
from resjax.models.norms import NORMS, GroupNorm
from resjax.models.types import EVALUATE

BATCH, CHANNELS = 4, 6
MODE = Mode(train=True, group=2)
pytestmark = pytest.mark.usefixtures("float64")


def drawn(*shape: int) -> np.ndarray:
    return 3 + 2 * np.random.default_rng(sum(shape)).standard_normal(shape)


def with_values(norm: Any) -> Any:
    """The norm with no value left at 0 or 1."""
    norm.scale[...] = jnp.arange(1.0, CHANNELS + 1)
    norm.bias[...] = jnp.arange(1.0, CHANNELS + 1) / 2
    return norm


def by_hand(x: np.ndarray, groups: int) -> np.ndarray:
    """Example by example, group by group of neighbouring channels."""
    out, size = np.empty_like(x), CHANNELS // groups
    for example in range(BATCH):
        for start in range(0, CHANNELS, size):
            part = x[example, ..., start : start + size]
            out[example, ..., start : start + size] = (part - part.mean()) / np.sqrt(part.var() + 1e-5)
    return out * np.arange(1.0, CHANNELS + 1) + np.arange(1.0, CHANNELS + 1) / 2


@pytest.mark.parametrize("space", [(), (4, 5)])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_group_norm(groups: int, space: tuple[int, ...]) -> None:
    x = drawn(BATCH, *space, CHANNELS)
    norm = with_values(GroupNorm(CHANNELS, groups, jnp.float64))
    np.testing.assert_allclose(norm(jnp.asarray(x), MODE), by_hand(x, groups), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("space", [(), (4, 5)])
def test_layer_norm_is_group_norm_of_one_group(space: tuple[int, ...]) -> None:
    """Whatever the setting for the groups is."""
    x = drawn(BATCH, *space, CHANNELS)
    layer = with_values(NORMS["layer"](CHANNELS, jnp.float64, 4))(jnp.asarray(x), MODE)
    np.testing.assert_array_equal(layer, with_values(GroupNorm(CHANNELS, 1, jnp.float64))(jnp.asarray(x), MODE))
    np.testing.assert_allclose(layer, by_hand(x, 1), rtol=1e-11, atol=1e-11)


def test_no_example_sees_another_and_testing_is_training() -> None:
    x = drawn(BATCH, 4, 5, CHANNELS)
    norm = with_values(NORMS["group"](CHANNELS, jnp.float64, 3))
    whole = norm(jnp.asarray(x), MODE)
    np.testing.assert_array_equal(norm(jnp.asarray(x), EVALUATE), whole)
    x[1:] = 9
    np.testing.assert_allclose(norm(jnp.asarray(x), MODE)[0], whole[0], rtol=1e-12)


@pytest.mark.parametrize(("norm", "groups"), [("group", 2), ("layer", 8)])
def test_a_network_of_them_keeps_no_statistics(norm: str, groups: int) -> None:
    model = build(ModelConfig(name="mlp", depth=4, width=6, norm=norm, norm_channel_groups=groups), (2, 2, 3), 4)
    params, batch_stats = model.shapes
    assert not jax.tree.leaves(batch_stats)
    assert params["segments"][1]["units"]["branch"][0]["layers"][0]["post"]["norm"]["scale"].shape == (2, 6)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"width": 12}, "model.norm_channel_groups=8 does not divide the 12 channels of a layer."),
        ({"width": 12}, "Expected one of: 1, 2, 3, 4, 6, 12, and the same in every layer."),
        ({"width": 12}, "Type: model.norm=layer, or model.norm_channel_groups=4"),
        ({"name": "densenet", "depth": 10, "shortcut": "concat"}, "model.norm_channel_groups=8 does not divide the 28"),
        ({"norm_channel_groups": 5}, "Type: model.norm=layer"),
    ],
)
def test_groups_that_do_not_divide_the_channels_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        build(ModelConfig(**({"depth": 8, "norm": "group"} | settings)), (8, 8, 3), 10)


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 12},
        {"norm_channel_groups": 5},
        {"name": "densenet", "depth": 10, "shortcut": "concat"},
        {"name": "densenet", "depth": 10, "shortcut": "concat", "growth": 9},
    ],
    ids=["resnet", "five groups", "densenet", "densenet of odd growth"],
)
def test_what_the_refusal_says_to_type_builds(settings: dict[str, Any]) -> None:
    settings = {"depth": 8, "norm": "group"} | settings
    with pytest.raises(InputError) as refused:
        build(ModelConfig(**settings), (8, 8, 3), 10)
    typed = re.search(r"Type: model.norm=layer(?:, or model.norm_channel_groups=(\d+))?$", str(refused.value))
    assert typed
    build(ModelConfig(**(settings | {"norm": "layer"})), (8, 8, 3), 10)
    if typed[1]:
        build(ModelConfig(**(settings | {"norm_channel_groups": int(typed[1])})), (8, 8, 3), 10)

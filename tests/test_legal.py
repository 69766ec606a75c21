import math
import re
from typing import Any

import pytest

from resjax.config import Config, ModelConfig, keys
from resjax.errors import InputError
from resjax.legal import check


def with_setting(key: str, value: Any) -> Config:
    config = Config()
    section, _, name = key.rpartition(".")
    setattr(getattr(config, section) if section else config, name, value)
    return config


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("model.depth", 21, "model.depth=20 or model.depth=26"),
        ("model.depth", 5, "model.depth=8"),
        ("model.shortcut", "identiy", "model.shortcut=identity"),
        ("model.norm", "layr", "Expected one of: batch, group, layer, none\nType: model.norm=layer"),
        ("model.depth", 1, "model.depth=8"),
        ("model.width", 0, "model.width=1"),
        ("model.order", "preactivation", "Type: model.order=full_preactivation"),
        ("model.init", "kaiming", "he, lecun, glorot, orthogonal, delta_orthogonal, looks_linear, fixup"),
        ("model.gate_bias", math.inf, "finite"),
        ("model.shortcut_dropout", 1.0, "less than 1"),
        ("model.survival", 1.5, "model.survival=1"),
        ("model.compression", 0.0, "Type: model.compression=1"),
        ("seeds", 0, "Type: seeds=1"),
        ("seed", -1, "seed=0"),
        ("train.steps", 0, "Type: train.steps=300"),
        ("train.batch_size", 100, "train.batch_size=64 or model.norm_group=100"),
        ("probes.batch_size", 100, "probes.batch_size=64"),
        ("probes.at", [0, -1], "steps from 0"),
        ("probes.parts", 1, "probes.parts=4"),
        ("schedule.learning_rate", math.nan, "0 or more"),
        ("schedule.learning_rate", math.inf, "finite"),
        ("schedule.boundaries", [0.75, 0.5], "rising fractions"),
        ("schedule.boundaries", [32000.0], "(0, 1]"),
        ("data.name", "cifar", "data.name=cifar10"),
        ("data.resize", 7, "data.resize=8"),
        ("data.validation_examples", 0, "data.validation_examples=1"),
        ("data.mean", [0.4, 0.5], "Type: data.mean=[0.5,0.5] data.std=[0.25,0.25]"),
        ("data.mean", [], "data.mean=[] stands without data.std"),
        ("data.std", [0.25], "data.std=[0.25] stands without data.mean"),
        ("sweep", "../elsewhere", "without a slash"),
        ("rerun", "some", "failed, none, all"),
    ],
)
def test_an_illegal_value_is_refused_with_what_to_type(key: str, value: Any, says: str) -> None:
    with pytest.raises(InputError) as error:
        check(with_setting(key, value))
    message = str(error.value)
    assert says in message
    assert key in message
    assert len(message.splitlines()) <= 6


@pytest.mark.parametrize("key", [key for key, item in keys().items() if item.metadata["choices"]])
def test_null_is_no_choice_but_where_it_is_the_default(key: str) -> None:
    if keys()[key].default is None:
        assert check(with_setting(key, None))
        return
    with pytest.raises(InputError, match=f"{key}=None is not known"):
        check(with_setting(key, None))


# Of each family what its smallest settings are, the depths on both sides of an illegal one, and those that are none.
DEPTHS: list[tuple[dict[str, Any], int, tuple[int, ...]]] = [
    ({}, 24, (20, 26)),
    ({"branch": "bottleneck"}, 20 + 5, (20, 29)),
    ({"branch": "single"}, 12, (11, 14)),
    ({"layout": "imagenet"}, 40, (34, 50)),
    ({"layout": "imagenet"}, 153, (152,)),
    ({"name": "vgg"}, 12, (11, 13)),
    ({"name": "vgg"}, 21, (19, 22)),
    ({"name": "vgg"}, 4, (11,)),
    ({"name": "googlenet", "shortcut": "none"}, 20, (22,)),
    ({"name": "densenet", "shortcut": "concat"}, 41, (40, 43)),
    ({"name": "densenet", "shortcut": "concat", "branch": "bottleneck"}, 99, (94, 100)),
    ({"name": "densenet", "shortcut": "concat", "layout": "imagenet"}, 130, (121, 161)),
    ({"name": "article"}, 38, (37, 39)),
]


@pytest.mark.parametrize(("model", "depth", "near"), DEPTHS)
def test_a_depth_that_there_is_not_is_refused_with_those_that_there_are(
    model: dict[str, Any], depth: int, near: tuple[int, ...]
) -> None:
    with pytest.raises(InputError) as error:
        check(Config(model=ModelConfig(**model, depth=depth)))
    what, expected, nearest = str(error.value).splitlines()
    name = model.get("name", "plain" if model.get("shortcut") == "none" else "resnet")
    assert re.fullmatch(rf"model\.depth={depth} is not a depth of {name}(, of \w+ units)?\.", what)
    assert expected.startswith("Expected ")
    assert nearest == f"Nearest: {' or '.join(f'model.depth={one}' for one in near)}"
    for one in near:
        assert check(Config(model=ModelConfig(**model, depth=one)))


@pytest.mark.parametrize("depth", [8, 20, 56, 110, 1202])
def test_every_depth_6n_plus_2_is_legal(depth: int) -> None:
    assert check(with_setting("model.depth", depth)).model.depth == depth
    with pytest.raises(InputError, match=f"Nearest: model.depth={depth} or model.depth={depth + 6}$"):
        check(with_setting("model.depth", depth + 1))


@pytest.mark.parametrize("depth", [3, 4, 5, 1000])
def test_an_mlp_has_every_depth(depth: int) -> None:
    assert check(Config(model=ModelConfig(name="mlp", depth=depth)))


def test_every_setting_says_what_it_is() -> None:
    assert len(keys()) > 40
    assert all(item.metadata["help"] for item in keys().values())


@pytest.mark.parametrize("std", [0.0, -0.25, math.nan, math.inf])
def test_what_divides_is_above_0(std: float) -> None:
    config = with_setting("data.std", [0.25, std])
    config.data.mean = [0.5, 0.5]
    with pytest.raises(InputError, match=r"Expected finite numbers above 0.*\nType: .*data.std=\[0.25,0.25\]"):
        check(config)


@pytest.mark.parametrize("mean", [math.nan, math.inf, -math.inf])
def test_what_is_subtracted_is_finite(mean: float) -> None:
    config = with_setting("data.mean", [mean])
    config.data.std = [0.25]
    with pytest.raises(InputError, match=r"is not finite.\nExpected finite numbers.*\nType: data.mean=\[0.5\]"):
        check(config)


def test_numbers_that_standardise_are_legal_together() -> None:
    config = with_setting("data.mean", [-0.1, 0.0, 1.0])
    config.data.std, config.data.resize = [0.25, 1.0, 2.0], 8
    assert check(config) is config

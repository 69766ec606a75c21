import math
from typing import Any

import pytest

from resjax.config import Config, keys
from resjax.errors import InputError
from resjax.legal import check, resnet_depths_near


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
        ("model.norm", "layer", "batch, none"),
        ("seeds", 0, "seeds=1"),
        ("seed", -1, "seed=0"),
        ("train.steps", 0, "train.steps=1"),
        ("train.batch_size", 100, "train.batch_size=64 or model.norm_group=100"),
        ("probes.batch_size", 100, "probes.batch_size=64"),
        ("probes.at", [0, -1], "steps from 0"),
        ("schedule.learning_rate", math.nan, "0 or more"),
        ("schedule.learning_rate", math.inf, "finite"),
        ("schedule.boundaries", [0.75, 0.5], "rising fractions"),
        ("schedule.boundaries", [32000.0], "(0, 1]"),
        ("data.name", "cifar", "data.name=cifar10"),
        ("data.resize", 7, "data.resize=8"),
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


def test_a_projection_has_no_place_in_an_mlp() -> None:
    config = with_setting("model.name", "mlp")
    config.model.shortcut = "projection_c"
    with pytest.raises(InputError, match="none, identity"):
        check(config)


@pytest.mark.parametrize("depth", [8, 20, 56, 110, 1202])
def test_every_depth_6n_plus_2_is_legal(depth: int) -> None:
    assert check(with_setting("model.depth", depth)).model.depth == depth
    assert resnet_depths_near(depth)[0] == depth


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

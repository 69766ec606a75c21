import copy

import pytest

from resjax.config import Config
from resjax.identity import arm, canonical, group_id, readable_name, run_id


def changed(**sections: dict[str, object]) -> Config:
    config = Config()
    for section, values in sections.items():
        for key, value in values.items():
            setattr(getattr(config, section), key, value)
    return config


@pytest.mark.parametrize(
    "sections",
    [
        {"parallel": {"strategy": "jit", "devices": 2}},
        {"tracker": {"name": "none", "project": "other"}},
        {"checkpoint": {"every": 7}},
        {"data": {"root": "/elsewhere", "image_size": 64}},
        {"model": {"unroll": True}},
        {"optimizer": {"second_moment": 0.5}},
        {"schedule": {"warmup_error": 0.5}},
        {"probes": {"at": [1000, 100, 10, 1, 0, 0]}},
    ],
)
def test_what_decides_nothing_is_not_in_the_id(sections: dict[str, dict[str, object]]) -> None:
    assert run_id(changed(**sections)) == run_id(Config())


@pytest.mark.parametrize(
    "sections",
    [
        {"model": {"shortcut": "none"}},
        {"model": {"norm_scope": "global"}},
        {"data": {"augment": True}},
        {"data": {"resize": 32}},
        {"data": {"mean": [0.5], "std": [0.25]}},
        {"optimizer": {"weight_decay": 0.0}},
        {"schedule": {"boundaries": [0.4]}},
        {"train": {"precision": "float64"}},
        {"probes": {"every": 5}},
    ],
)
def test_what_decides_the_result_is_in_the_id(sections: dict[str, dict[str, object]]) -> None:
    assert run_id(changed(**sections)) != run_id(Config())


def test_batch_statistics_without_a_norm_have_no_scope() -> None:
    without = changed(model={"norm": "none"})
    assert run_id(without) == run_id(changed(model={"norm": "none", "norm_scope": "global", "norm_group": 8}))


def test_the_device_count_counts_where_batch_statistics_follow_it() -> None:
    follows = changed(model={"norm_scope": "per_device"})
    assert run_id(follows, 2) != run_id(follows, 4)
    assert run_id(Config(), 2) == run_id(Config(), 4)


def test_runs_that_differ_in_their_seeds_alone_share_a_group() -> None:
    more = Config(seed=3, seeds=2)
    assert run_id(more) != run_id(Config())
    assert group_id(more) == group_id(Config())
    assert group_id(changed(model={"depth": 56})) != group_id(Config())


def test_the_canonical_form_changes_nothing() -> None:
    config = Config()
    before = copy.deepcopy(config)
    canonical(config)
    assert config == before


def test_names() -> None:
    config = changed(model={"shortcut": "none", "depth": 56, "norm": "none"})
    assert (arm(config), readable_name(config)) == ("plain", "resnet56-plain-nonorm-digits-s0x1")
    assert arm(Config()) == "residual"
    assert arm(changed(model={"shortcut": "projection_b"})) == "projection_b"

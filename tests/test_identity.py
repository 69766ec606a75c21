import copy
import json
from pathlib import Path

import pytest

from resjax.config import Config, ModelConfig, completed
from resjax.identity import arm, canonical, group_id, readable_name, run_id
from resjax.records.launches import from_plain
from resjax.variants import FAMILIES

RECORDED = Path(__file__).parents[1] / "experiments" / "degradation" / "records" / "runs.json"


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
        {"model": {"remat": True}},
        {"parallel": {"chunk": 3, "seeds_axis": "vmap"}},
        {"optimizer": {"second_moment": 0.5}},
        {"schedule": {"warmup_error": 0.5}},
        {"probes": {"at": [1000, 100, 10, 1, 0, 0]}},
        {"model": {"order": "original", "branch": "basic"}},  # what null stands for
        {"model": {"bottleneck": "v1.5"}},  # of bottlenecks
        {"model": {"gate_bias": -3.0, "shortcut_scale": 0.5, "survival": 0.9, "shortcut_dropout": 0.1}},  # of others
        {"model": {"norm_channel_groups": 4}},  # of group norm
    ],
)
def test_what_decides_nothing_is_not_in_the_id(sections: dict[str, dict[str, object]]) -> None:
    assert run_id(changed(**sections)) == run_id(Config())


@pytest.mark.parametrize(
    "sections",
    [
        {"model": {"shortcut": "none"}},
        {"model": {"norm_scope": "global"}},
        {"model": {"norm": "layer"}},
        {"model": {"pad_channels": "split"}},
        {"model": {"order": "full_preactivation"}},
        {"model": {"branch": "single"}},
        {"model": {"stem": "7x7"}},
        {"model": {"activation": "tanh"}},
        {"model": {"init": "orthogonal"}},
        {"model": {"init_gain": 0.5}},
        {"data": {"augment": True}},
        {"data": {"resize": 32}},
        {"data": {"mean": [0.5], "std": [0.25]}},
        {"data": {"validation_examples": 100}},
        {"optimizer": {"weight_decay": 0.0}},
        {"schedule": {"boundaries": [0.4]}},
        {"train": {"precision": "float64"}},
        {"train": {"precision": "bfloat16"}},
        {"train": {"tf32": False}},
        {"probes": {"every": 5}},
        {"probes": {"last": False}},
    ],
)
def test_what_decides_the_result_is_in_the_id(sections: dict[str, dict[str, object]]) -> None:
    assert run_id(changed(**sections)) != run_id(Config())


# A setting that its family, shortcut, unit or norm reads, beside another value.
READ: list[tuple[dict[str, object], dict[str, object]]] = [
    ({"shortcut": "scaled"}, {"shortcut_scale": 0.5}),
    ({"shortcut": "scaled"}, {"branch_scale": 0.5}),
    ({"shortcut": "highway"}, {"gate_bias": -2.0}),
    ({"shortcut": "dropout"}, {"shortcut_dropout": 0.1}),
    ({"shortcut": "stochastic_depth"}, {"survival": 0.8}),
    ({"branch": "bottleneck"}, {"bottleneck": "v1.5"}),
    ({"layout": "imagenet", "depth": 50}, {"bottleneck": "v1.5"}),
    ({"norm": "group"}, {"norm_channel_groups": 4}),
    ({"name": "vgg", "depth": 16}, {"head": "fc"}),
    ({"name": "vgg", "depth": 16}, {"vgg_c": True}),
    ({"name": "vgg", "depth": 16}, {"dropout": 0.5}),
    ({"name": "article", "depth": 39}, {"dropout": 0.5}),
    ({"name": "article", "depth": 39}, {"order": "original"}),
    ({"name": "googlenet", "depth": 22, "shortcut": "none"}, {"auxiliary_weight": 0.0}),
    ({"name": "densenet", "depth": 40, "shortcut": "concat"}, {"growth": 24}),
    ({"name": "densenet", "depth": 40, "shortcut": "concat"}, {"compression": 0.5}),
    ({"name": "densenet", "depth": 40, "shortcut": "concat"}, {"branch": "bottleneck"}),
]


@pytest.mark.parametrize(("model", "other"), READ)
def test_what_a_part_reads_is_in_the_id(model: dict[str, object], other: dict[str, object]) -> None:
    assert run_id(changed(model=model)) != run_id(changed(model=model | other))


@pytest.mark.parametrize("name", FAMILIES)
def test_null_is_what_the_family_has(name: str) -> None:
    """The order and the unit written out are the same run; a setting that the family does not read is not told."""
    usual = {"name": name, "depth": 22}
    full = completed(ModelConfig(**usual))
    assert full.order
    assert full.branch
    spelt = changed(model={**usual, "order": full.order, "branch": full.branch})
    assert run_id(spelt) == run_id(changed(model=usual))
    told = set(canonical(spelt)["model"])
    assert told >= {
        "name",
        "depth",
        "shortcut",
        "norm",
        "activation",
        "init",
        "init_gain",
        *FAMILIES[name].settings,
    } - {"bottleneck"}
    others = {setting for family in FAMILIES.values() for setting in family.settings} - set(FAMILIES[name].settings)
    assert not told & others


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
    assert group_id(changed(probes={"last": False})) == group_id(Config())
    assert group_id(changed(model={"depth": 56})) != group_id(Config())


def test_of_streamed_data_the_share_that_may_be_corrupt_is_not_in_the_id() -> None:
    """So that a run that ended for it goes on with a larger one."""
    streamed = {"kind": "tfds", "name": "imagenet2012", "streamed": True}
    one, other = (run_id(changed(data=streamed | {"corrupt_share": share})) for share in (0.001, 0.1))
    assert one == other != run_id(changed(data=streamed | {"crop": 64}))


def test_what_was_recorded_before_a_setting_was_there_keeps_its_id() -> None:
    """The runs of experiments/degradation are of a time before data.validation_examples and probes.last."""
    runs = json.loads(RECORDED.read_text())
    assert len(runs) == 12
    for run in runs:
        assert "validation_examples" not in run["config"]["data"]
        assert "last" not in run["config"]["probes"]
        config = from_plain(run["config"])
        assert canonical(config, run["devices"]["count"]) == run["canonical"]
        assert run_id(config, run["devices"]["count"]) == run["id"]


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


@pytest.mark.parametrize(
    ("model", "arm_name", "name"),
    [
        ({"shortcut": "scaled", "shortcut_scale": 0.5}, "scaled(0.5,1)", "resnet20-scaled_0.5_1-batch"),
        ({"shortcut": "exclusive_gate", "gate_bias": -6.0}, "exclusive_gate(-6)", "resnet20-exclusive_gate_-6-batch"),
        ({"shortcut": "rezero", "norm": "none"}, "rezero", "resnet20-rezero-nonorm"),
        ({"order": "full_preactivation"}, "residual", "resnet20-full_preactivation-residual-batch"),
        ({"branch": "bottleneck", "activation": "gelu"}, "residual", "resnet20-bottleneck-gelu-residual-batch"),
        ({"layout": "imagenet", "depth": 50}, "residual", "resnet50-bottleneck-residual-batch"),
        ({"name": "densenet", "depth": 40, "shortcut": "concat"}, "dense", "densenet40-dense-batch"),
        ({"name": "article", "depth": 39, "init": "glorot"}, "residual", "article39-glorot-residual-batch"),
        ({"order": "original", "branch": "basic", "init": "he"}, "residual", "resnet20-residual-batch"),
    ],
)
def test_names_tell_what_is_not_the_familys(model: dict[str, object], arm_name: str, name: str) -> None:
    config = changed(model=model)
    assert (arm(config), readable_name(config)) == (arm_name, f"{name}-digits-s0x1")

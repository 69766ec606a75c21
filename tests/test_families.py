"""Every network trains on digits through the command, and its loss falls."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from problems import small, steps_of

from resjax.catalog import MODELS
from resjax.cli import main
from resjax.cli.words import choices
from resjax.orders import ORDERS
from resjax.shortcuts import SHORTCUTS
from resjax.training.state import ALIVE

STEPS = 30
RECIPE = [
    f"train.steps={STEPS}",
    "train.batch_size=32",
    "model.norm_group=16",
    "probes.at=[0]",
    "probes.batch_size=32",
    "schedule.name=constant",
    "schedule.learning_rate=0.05",
    "tracker=none",
    "parallel.devices=2",
]
# Small members of each family: what `model=NAME` needs besides to be one.
MEMBERS = {
    "resnet": ["model.depth=14", "model.width=8"],
    "plain": ["model.depth=14", "model.width=8"],
    "resnet_imagenet": ["model.depth=18", "model.width=8", "data.resize=32"],
    "plain_imagenet": ["model.depth=18", "model.width=8", "data.resize=32"],
    "preact": ["model.depth=11", "model.width=4", "model.branch=bottleneck", "model.shortcut=projection_b"],
    "highway": ["model.depth=11", "model.width=8", "schedule.learning_rate=0.1"],
    "mlp": ["model.depth=8", "model.width=32"],
    "vgg": ["model.depth=11", "model.width=8", "data.resize=32"],
    "vgg_imagenet": ["model.depth=11", "model.width=8", "data.resize=32", "schedule.learning_rate=0.02"],
    "googlenet": ["model.width=8", "data.resize=16", "model.dropout=0"],
    "googlenet_imagenet": [
        "model.width=16",
        "data.resize=65",
        "model.dropout=0",
        "optimizer=adam",
        "schedule.learning_rate=0.001",
    ],
    "densenet": ["model.depth=10", "model.growth=8", "model.dropout=0.2"],
    "densenet_bc": ["model.depth=16", "model.growth=8"],
    "densenet_imagenet": ["model.depth=121", "model.growth=4", "data.resize=32"],
    "article": ["model.depth=11", "model.width=8", "optimizer=adam", "schedule.learning_rate=0.003"],
}
# resnet is in every other test, and preact in those of its orders; those whose units all differ compile for long, and
# their gradients are in tests/probes.
IN_THE_SUITE = ("article", "mlp")
TREATED = {
    "scaled": ["model.shortcut_scale=0.5", "model.branch_scale=0.5"],
    "exclusive_gate": ["model.gate_bias=-1"],
    "shortcut_gate": ["model.gate_bias=-6"],
    "rezero": ["model.norm=none"],
    "skipinit": ["model=preact", "model.norm=none"],
    "concat": ["model=densenet", "model.depth=13", "model.width=16"],  # which it does not read
}
OTHERS = {
    "bottleneck v1.5": ["model.branch=bottleneck", "model.bottleneck=v1.5", "model.depth=11"],
    "single": ["model.branch=single", "model.depth=11"],
    "7x7 stem": ["model.stem=7x7", "data.resize=32"],
    "fixup": ["model.init=fixup", "model.norm=none"],
    "delta-orthogonal": ["model=plain", "model.init=delta_orthogonal", "model.activation=tanh", "model.norm=none"],
    "orthogonal": ["model=plain", "model.init=orthogonal", "model.activation=tanh", "model.norm=none"],
    "looks-linear": ["model=plain", "model.init=looks_linear", "model.norm=none", "schedule.learning_rate=0.01"],
    "lecun": ["model.init=lecun"],
    "glorot": ["model.init=glorot", "model.init_gain=1.2"],
    "gelu": ["model.activation=gelu"],
    "linear": ["model=mlp", "model.activation=linear", "model.width=32"],
    "tanh": ["model=mlp", "model.activation=tanh", "model.width=32"],
    "group norm": ["model.norm=group", "model.norm_channel_groups=4"],
    "layer norm": ["model.norm=layer"],
    "per-device norm": ["model.norm_scope=per_device"],
    "global norm": ["model.norm_scope=global"],
    "split channels": ["model.pad_channels=split"],
    "VGG C": ["model=vgg", "model.depth=16", "model.vgg_c=true", "model.width=8", "data.resize=32"],
    "residual VGG": ["model=vgg", "model.depth=22", "model.shortcut=identity", "model.width=8", "data.resize=32"],
}


def losses_of(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["resjax"])
    assert main(["train", *RECIPE, *words, "sweep=one"]) == 0
    (path,) = (folder / "runs" / "one").glob("*/metrics.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row["train_loss"] for row in rows if "train_loss" in row]


def assert_falls(losses: list[float]) -> None:
    assert len(losses) == STEPS
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5]), losses


def test_every_model_has_a_member_here() -> None:
    assert set(MEMBERS) == set(MODELS) == set(choices()["model"])


@pytest.mark.parametrize(
    "name", [name if name in IN_THE_SUITE else pytest.param(name, marks=pytest.mark.slow) for name in MEMBERS]
)
def test_every_model_learns(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_falls(losses_of([f"model={name}", *MEMBERS[name]], tmp_path, monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORTCUTS)
def test_every_shortcut_learns(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["model.depth=14", "model.width=8", f"model.shortcut={name}", *TREATED.get(name, [])]
    assert_falls(losses_of(words, tmp_path, monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERS)
def test_every_order_learns(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_falls(losses_of(["model.depth=14", "model.width=8", f"model.order={name}"], tmp_path, monkeypatch))


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_other_part_learns(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_falls(losses_of(["model.depth=14", "model.width=8", *OTHERS[name]], tmp_path, monkeypatch))


def test_depth_1202_takes_a_step() -> None:
    config = small(model={"depth": 1202, "width": 2}, optimizer={"weight_decay": 0.0})
    state, (loss,) = steps_of(config, 1)
    assert np.isfinite(loss)
    assert state["diverged_at"] == ALIVE
    momenta = [array for name, array in state.items() if name.startswith("opt_state") and array.ndim == 6]
    moved = np.concatenate([momentum.any((-4, -3, -2, -1)) for momentum in momenta], axis=1)
    assert moved.shape == (1, 1201)  # the classifier is the last
    assert moved.mean() > 0.9  # two channels are sometimes dead together

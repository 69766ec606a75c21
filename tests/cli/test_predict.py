"""resjax predict, which trains nothing and reads no data."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from resjax import speed
from resjax.cli import main
from resjax.data.workers import HELD_PER_WORKER, PER_WORKER

Out = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def nothing_prepared(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESJAX_DATA", str(here / "nothing is prepared here"))


def predicted(capsys: Out, *words: str) -> Any:
    assert main(["predict", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_papers_net(capsys: Out, here: Path) -> None:
    found = predicted(capsys, "model.depth=56", "data=cifar10", "train.batch_size=64")
    assert (found["parameters"], found["weight_layers"], found["units"]) == (853_018, 56, 28)
    assert found["image"] == [32, 32, 3]
    assert found["parameter_bytes"] == found["optimizer_bytes"] == 4 * 853_018
    assert sum(stage["parameters"] for stage in found["stages"]) == found["parameters"]
    assert sum(stage["multiply_adds"] for stage in found["stages"]) == found["multiply_adds"]
    assert [stage["units"] for stage in found["stages"]] == [1, 9, 9, 9, 1]
    assert [stage["shape"] for stage in found["stages"]] == [[32, 32, 16], [32, 32, 16], [16, 16, 32], [8, 8, 64], [10]]
    assert not list(here.iterdir())


def test_memory_follows_batch_optimizer_and_precision(capsys: Out) -> None:
    words = ["model.depth=8", "model.width=4"]
    two = predicted(capsys, *words, "train.batch_size=128", "optimizer=adam", "train.precision=float64")
    one = predicted(capsys, *words, "train.batch_size=64")  # last: it leaves JAX at single precision
    assert two["parameter_bytes"] == 2 * one["parameter_bytes"]
    assert two["optimizer_bytes"] == 4 * one["optimizer_bytes"]
    assert two["activation_bytes"] == pytest.approx(4 * one["activation_bytes"], rel=0.05)  # masks stay a byte


def test_memory_in_all_is_more_than_its_parts_and_less_with_remat(capsys: Out) -> None:
    words = ["model.depth=110", "data=cifar10", "parallel.devices=1"]
    whole, again = predicted(capsys, *words), predicted(capsys, *words, "model.remat=true")
    parts = [whole[part] for part in ("training_bytes", "parameter_bytes", "optimizer_bytes", "activation_bytes")]
    assert parts[0] > sum(parts[1:])
    drawn = [predicted(capsys, "data=synthetic", f"data.train_examples={n}", *words[::2]) for n in (50_000, 10_000)]
    image = 32 * 32 * 3
    assert drawn[0]["memory_bytes"] - drawn[1]["memory_bytes"] == 2 * 40_000 * image  # on the host, and on the device
    assert whole["memory_bytes"] - whole["training_bytes"] == again["memory_bytes"] - again["training_bytes"]
    assert again["training_bytes"] < whole["training_bytes"] / 2


def test_a_sweep_has_a_row_a_job(capsys: Out) -> None:
    found = predicted(capsys, "-m", "model.depth=8,14", "model.shortcut=none,identity")
    assert [(row["depth"], row["arm"]) for row in found] == [
        (8, "plain"),
        (8, "residual"),
        (14, "plain"),
        (14, "residual"),
    ]
    assert found[0]["parameters"] == found[1]["parameters"] < found[2]["parameters"]


def test_what_theory_expects(capsys: Out) -> None:
    """Explosion by batch norm, vanishing by the zeros around small maps; and why they may not train."""
    found = predicted(capsys, "-m", "model=plain,resnet", "model.depth=56", "model.norm=batch,none")
    told = {(row["arm"], row["norm"]): row["theory"] for row in found}
    assert told["plain", "batch"]["gradient_rate"] == pytest.approx(1.2112, abs=2e-3)
    assert told["plain", "batch"]["gradient_ratio"] > 1e4
    assert told["plain", "batch"]["state"] == "exploding"
    assert told["plain", "batch"]["trainable"] == "doubtful"
    assert told["plain", "batch"]["first_update"][1] > 1
    assert told["plain", "none"]["state"] == "vanishing"
    assert told["plain", "none"]["trainable"] == "no"
    assert "updates like the first" in told["plain", "none"]["why"]
    assert told["plain", "none"]["phase"]["name"] == "critical"
    assert told["residual", "batch"]["phase"] is None
    assert told["residual", "batch"]["trainable"] == "yes"
    assert told["residual", "none"]["trainable"] == "no"
    assert "come out alike" in told["residual", "none"]["why"]
    for row in told.values():
        assert row["rests_on"]
        assert len(row["assumptions"]) >= 4


def test_the_learning_rate_decides_with(capsys: Out) -> None:
    words = ["-m", "model.depth=110", "schedule.learning_rate=0.01,1"]
    low, high = (row["theory"] for row in predicted(capsys, *words))
    assert (low["trainable"], high["trainable"]) == ("yes", "doubtful")
    assert high["first_update"][0] == pytest.approx(100 * low["first_update"][0])
    adam = predicted(capsys, "optimizer=adam", "schedule.learning_rate=0.001", "model.depth=20")["theory"]
    assert adam["first_update"][1] == pytest.approx(0.001 * (576 / 2) ** 0.5, rel=1e-3)  # 3 x 3 of 64 channels


def test_where_theory_is_silent_the_reason_is_told(capsys: Out) -> None:
    words = ["model=vgg", "data=synthetic", "train.batch_size=8", "probes.batch_size=8", "model.norm_group=8"]
    assert predicted(capsys, *words)["theory"] == {"nothing": "pooling is no part of the recursions"}
    assert main(["predict", *words]) == 0
    assert "nothing is expected, as pooling is no part" in capsys.readouterr().out


def test_time_follows_work(capsys: Out) -> None:
    one, two = (row["time"] for row in predicted(capsys, "-m", "data=synthetic", "train.steps=100,200"))
    assert one["step_seconds"] == two["step_seconds"] > 0
    assert two["run_seconds"] - one["run_seconds"] == pytest.approx(100 * one["step_seconds"])
    assert one["images_per_s"] == pytest.approx(128 / one["step_seconds"])


def test_tables_for_people(capsys: Out) -> None:
    words = ["model=googlenet_imagenet", "data=synthetic", "data.image_size=224", "data.classes=1000"]
    assert main(["predict", *words, "train.batch_size=1", "probes.batch_size=1"]) == 0
    out = capsys.readouterr().out
    assert "13,378,280" in out  # 6,998,552 and the auxiliary heads
    assert "1.583 G" in out
    assert "auxiliary  2" in out
    assert main(["predict", "-m", "model=preact,resnet", "model.depth=8"]) == 0
    title, *rows = capsys.readouterr().out.splitlines()
    assert any(line.startswith("activations: of one batch. all: with work space") for line in rows)
    assert title.startswith("model")
    assert [row.startswith("resnet full_preactivation ") for row in rows[:2]] == [True, False]
    expected = rows[rows.index("What theory expects at step 0, and the time of training:") + 2 :][:2]
    assert [row.split()[-1] for row in expected] == ["s", "s"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model=vgg"], "data.resize=32"),
        (["model.depth=21"], "model.depth=20"),
        (["model.norm=group", "model.norm_channel_groups=6"], "model.norm_channel_groups=2"),
        (["model.depth=20,56"], "resjax predict -m"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], says: str, capsys: Out) -> None:
    assert main(["predict", *words]) == 2
    assert says in capsys.readouterr().err


def test_help(capsys: Out) -> None:
    assert main(["predict", "--help"]) == 0
    assert "resjax predict" in capsys.readouterr().out


def test_ninety_epochs_on_gpus(capsys: Out) -> None:
    """By the rate that was measured, or by NVIDIA's of ResNet-50 in proportion to the multiply-adds."""
    words = ["model=resnet_imagenet", "data=imagenet2012", "train.batch_size=256", "model.bottleneck=v1.5"]
    fifty = predicted(capsys, *words, "model.depth=50", "--gpus=8")
    assert fifty["multiply_adds"] == pytest.approx(speed.PUBLISHED_MULTIPLY_ADDS, rel=1e-3)
    found = fifty["gpus"]
    assert (found["gpus"], found["epochs"], found["images"]) == (8, 90, 1_281_167)
    assert found["images_per_s"] == pytest.approx(5322.10, rel=1e-3)
    assert found["seconds"] == pytest.approx(90 * 1_281_167 / 5322.10, rel=1e-3)
    assert found["cores_to_read"] == math.ceil(found["images_per_s"] / found["decoded_per_s_and_core"])
    assert "not measured with resjax" in found["rests_on"]
    halved = predicted(capsys, *words[:-1], "model.depth=18", "train.precision=bfloat16", "--gpus=1")
    assert halved["gpus"]["images_per_s"] == pytest.approx(9488.39 / 8 * 4.09e9 / halved["multiply_adds"])
    for more in (["train.precision=bfloat16", "--gpu=V100"], ["train.tf32=false"], ["train.precision=float64"]):
        assert main(["predict", "data=cifar10", "model.depth=8", "--gpus=1", *more]) == 2
        assert "no rate is known" in capsys.readouterr().err
    measured = predicted(capsys, "data=cifar10", "model.depth=8", "--gpus=2", "--images-per-s=1000")["gpus"]
    assert measured["seconds"] == 90 * 50_000 / 2000
    assert "cores_to_read" not in measured


def test_a_net_of_another_size_altogether_has_no_rate(capsys: Out) -> None:
    assert main(["predict", "data=cifar10", "model.depth=20", "--gpus=8"]) == 2
    said = capsys.readouterr().err
    assert "the net takes 0.0406 G multiply-adds an image" in said
    assert "Expected 0.41 to 41 G" in said
    assert "Type: --images-per-s=RATE" in said


@pytest.mark.parametrize("words", [["--gpus=0"], ["--gpus=x"], ["--gpus=2", "--gpu=H9"], ["--images-per-s=5"]])
def test_gpus_that_are_none(capsys: Out, words: list[str]) -> None:
    assert main(["predict", *words]) == 2
    assert "Type: --gpus=8 --gpu=A100" in capsys.readouterr().err


def test_a_streamed_set_takes_the_memory_of_what_is_on_its_way(capsys: Out) -> None:
    words = ["model=resnet_imagenet", "model.depth=18", "model.width=8", "data=imagenet2012", "parallel.devices=1"]
    threads, one, two = (predicted(capsys, *words, f"data.workers={count}") for count in (0, 1, 2))
    batch = 128 * 224 * 224 * 3
    assert two["memory_bytes"] - one["memory_bytes"] == HELD_PER_WORKER * batch
    assert one["memory_bytes"] - threads["memory_bytes"] == (HELD_PER_WORKER - PER_WORKER) * batch
    assert one["memory_bytes"] < one["training_bytes"] + 3e9

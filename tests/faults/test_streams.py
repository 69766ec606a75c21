"""Runs on streamed images, killed in the middle of an epoch: they end as if nothing had been."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from broken import finished, last_step, no_row_twice, only_run, result, wait_for
from hosts import ONLY, series, together
from nursery import SAID, born
from photographs import NAME, spoiled, written

from resjax import records
from resjax.data import tfds_sets
from resjax.data.pipeline import permutation
from resjax.training.precise import PRECISE_SEED

SET = ["data=tfds", f"data.name={NAME}", "data.test_split=validation", "data.streamed=true", "data.augment=true"]
VIEWS = ["data.crop=16", "data.shorter_side=[20,40]", "data.test_side=20", "data.ten_crop=true"]
RUN = [
    *(*SET, *VIEWS, "model=mlp", "model.depth=3", "model.width=8", "model.norm_group=8", "tracker=none"),
    *("train.batch_size=16", "probes.batch_size=16", "probes.at=[0,21]", "probes.parts=0", "seeds=2"),
    *("train.steps=40", "train.evaluate_every=17", "train.precise_statistics=2", "checkpoint.every=7"),
    *("parallel.devices=1", "parallel.threads=1", "schedule=constant", "schedule.learning_rate=0.02"),
]

SPOILED = 79  # an image that the first of two processes never meets, in 12 steps of 16


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("images"), train=90)


def children(process: int) -> list[int]:
    """The processes that it started and that are there still."""
    listed = subprocess.run(["ps", "-o", "pid=,stat=", "--ppid", str(process)], capture_output=True, text=True)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "Z" not in line.split()[1]]


def step_in(folder: Path) -> int:
    """How far the run there is."""
    return last_step(only_run(folder)) if list(folder.glob("runs/default/*/run.json")) else -1


def is_there(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return False


@pytest.mark.slow  # tests/training/test_streaming.py goes on from a snapshot in an epoch
def test_killed_in_an_epoch_it_ends_as_if_nothing_had_been(root: Path, tmp_path: Path, tally) -> None:
    """90 images are 5.6 batches: every step but each 45th is in the middle of one. Two workers read."""
    words = [*RUN, f"data.root={root}", "data.workers=2"]
    undisturbed = result(finished(tmp_path / "whole", [*words, "data.workers=0"]))
    folder = tmp_path / "killed"
    process = born(folder, words)
    wait_for(lambda: step_in(folder) > 16)
    workers = children(process.pid or 0)
    process.kill()
    process.join()
    assert process.exitcode == -9
    run = finished(folder, words)
    assert result(run).same(undisturbed)
    no_row_twice(run / "metrics.jsonl")
    assert records.facts_of(run)["attempt"] == 2
    assert len(workers) >= 2, "there were workers"
    wait_for(lambda: not any(map(is_there, workers)), 10)
    tally(
        "kill -9 in the middle of an epoch of streamed images, 2 workers, 2 seeds",
        "the same digest and rows; no worker is left",
    )


def test_a_signal_ends_it_saved_and_its_workers_with_it(root: Path, tmp_path: Path) -> None:
    words = [*RUN, f"data.root={root}", "data.workers=1", "train.steps=4000"]
    process = born(tmp_path, words)
    wait_for(lambda: step_in(tmp_path) > 5)
    workers = children(process.pid or 0)
    os.killpg(process.pid or 0, signal.SIGTERM)  # as a terminal or a scheduler does: to all of them
    process.join(30)
    assert process.exitcode == 143
    assert records.state(only_run(tmp_path)) == "preempted"
    wait_for(lambda: not any(map(is_there, workers)), 10)
    said = (tmp_path / SAID).read_text()
    assert "Traceback" not in said, said
    assert "leaked" not in said, said


def test_two_processes_are_one_also_on_streamed_images(tmp_path: Path, tally) -> None:
    """Each reads its half of every batch, and of the test set: the numbers are those of one process.

    An image that cannot be read, which only the one meets that does not record, is known to both.
    """
    root = written(tmp_path / "data", train=90, generate=spoiled(SPOILED))
    train = tfds_sets.opened(NAME, [root]).split("train")
    number = next(index for index in range(90) if train.name(index).endswith(f"_{SPOILED}.JPEG"))
    stream = np.concatenate([permutation(0, epoch, 90) for epoch in range(3)])[: 12 * 16]
    for seen in (stream, permutation(PRECISE_SEED, 0, 90)[: 2 * 16]):
        assert set(np.flatnonzero(seen == number) % 16 // 8) == {1}, "in the second half of a batch"
    words = [
        *RUN,
        f"data.root={root}",
        "data.corrupt_share=0.02",
        "data.workers=0",
        "train.steps=12",
        "seeds=1",
        "probes.at=[]",
    ]
    words = [word for word in words if not word.startswith("parallel.")]
    alone = finished(
        tmp_path / "alone", [*words, "parallel=jit", "train.precision=float64", "parallel.devices=2"], **ONLY
    )
    folder = tmp_path / "together"
    for process in together(folder, [*words, "parallel=jit", "train.precision=float64"]):
        process.join(120)
        assert process.exitcode == 0, (folder / SAID).read_text()
    expected, found = series(alone), series(only_run(folder))
    for name, values in expected.items():
        assert len(values)
        np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)
    told = [records.facts_of(run)["corrupted"] for run in (alone, only_run(folder))]
    assert told[0] == told[1]
    assert [name.split()[1] for name in told[0]["train"]] == [f"n00000900_{SPOILED}.JPEG"]
    ends = [records.last_row(run) for run in (alone, only_run(folder))]
    for name in ("test_loss", "test_error", "test_loss_10crop", "test_error_10crop"):
        assert ends[0][name] == pytest.approx(ends[1][name], rel=1e-9), name
    tally(
        "an image that cannot be read, met by one of two processes that train together",
        "both know and record it; losses, gradient norms and tests as of one process, to 1e-9",
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["plain_imagenet", "resnet_imagenet"])
def test_imagenets_nets_on_some_thousand_images(model: str, tmp_path: Path) -> None:
    """Plain-18 and ResNet-18, an eighth as wide: trained, killed, resumed bit for bit, tested by one and ten crops."""
    root = written(tmp_path / "data", train=3000, validation=300)
    words = [
        *(*SET, f"data.root={root}", "data.crop=64", "data.shorter_side=[72,136]", "data.test_side=72"),
        *("data.ten_crop=true", f"model={model}", "model.depth=18", "model.width=8", "model.norm_group=32"),
        *("train.batch_size=64", "probes.batch_size=32", "probes.at=[0]", "probes.parts=0", "train.steps=60"),
        *("checkpoint.every=8", "parallel.devices=1", "parallel.threads=1", "data.workers=2", "tracker=none"),
        *("train.precise_statistics=4", "schedule.learning_rate=0.02"),
    ]
    undisturbed = result(finished(tmp_path / "whole", words))
    folder = tmp_path / "killed"
    process = born(folder, words)
    wait_for(lambda: step_in(folder) > 20, 200)
    process.kill()
    process.join()
    time.sleep(0.1)
    run = finished(folder, words)
    assert result(run).same(undisturbed)
    last = records.last_row(run)
    assert last["test_error"] < 0.9
    assert last["test_error_10crop"] < 0.9

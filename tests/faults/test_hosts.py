"""Two processes that make one run together give what one process gives, also when they were killed in between."""

import json
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from broken import SMALL, last_step, no_row_twice, only_run, wait_for
from nursery import SAID, born

from resjax import records

WORDS = [
    *(word for word in SMALL if not word.startswith(("parallel.devices", "train.batch_size", "probes.batch_size"))),
    *("parallel=jit", "train.precision=float64", "train.batch_size=64", "probes.batch_size=64"),
    *("model.norm_group=16", "train.steps=120", "probes.at=[0,50]", "seeds=1"),
]
CORES = len(os.sched_getaffinity(0))


def together(folder: Path, *more: str):
    """Two processes, each with a device a core."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    return [
        born(folder, [*WORDS, "parallel.processes=2", *more], JAX_COORDINATOR_ADDRESS=address, JAX_PROCESS_ID=str(rank))
        for rank in range(2)
    ]


def series(run: Path) -> dict[str, np.ndarray]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {name: np.array([row[name] for row in rows if name in row], float) for name in ("train_loss", "grad_norm")}


def test_two_processes_are_one(tmp_path: Path, full: bool, tally) -> None:
    if not full:
        pytest.skip("with --full")
    alone = born(tmp_path / "alone", [*WORDS, f"parallel.devices={2 * CORES}"])
    alone.join(120)
    assert alone.exitcode == 0, (tmp_path / "alone" / SAID).read_text()
    folder = tmp_path / "together"
    killed = together(folder)
    wait_for(lambda: list(folder.glob("runs/default/*/run.json")) and last_step(only_run(folder)) > 60, 120)
    for process in killed:
        process.kill()
        process.join()
    for process in together(folder):
        process.join(120)
        assert process.exitcode == 0, (folder / SAID).read_text()
    runs = [only_run(tmp_path / name) for name in ("alone", "together")]
    facts = [records.facts_of(run) for run in runs]
    assert [run["devices"]["count"] for run in facts] == [2 * CORES, 2 * CORES]
    assert facts[0]["id"] == facts[1]["id"]
    no_row_twice(runs[1] / "metrics.jsonl")
    expected, found = map(series, runs)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)
    tally("a run of two processes (jax.distributed) killed and begun again", "equal to one process to 1e-9 (float64)")


def test_a_signal_to_one_stops_both(tmp_path: Path, full: bool) -> None:
    if not full:
        pytest.skip("with --full")
    both = together(tmp_path, "train.steps=100000")
    wait_for(lambda: list(tmp_path.glob("runs/default/*/run.json")) and last_step(only_run(tmp_path)) > 20, 120)
    time.sleep(0.1)
    both[1].terminate()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [143, 143]
    assert records.state(only_run(tmp_path)) == "preempted"

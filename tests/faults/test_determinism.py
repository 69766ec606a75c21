"""One run, one digest: whatever process makes it, on however many cores."""

import os
from pathlib import Path

import pytest
from broken import SMALL, Result, finished, result
from nursery import born

CONV = ["model=resnet", "model.depth=8", "model.width=4", "train.steps=6", "checkpoint.every=0", "probes.at=[0]"]


def test_fresh_processes_give_one_digest(tmp_path: Path, full: bool, tally) -> None:
    if not full:
        pytest.skip("with --full")
    count, words = 20, [*SMALL, *CONV]
    results = [result(finished(tmp_path / str(number), words)) for number in range(count)]
    assert all(other.same(results[0]) for other in results)
    tally("a residual conv net trained in fresh processes", f"{count} of {count} give one digest")


def test_each_strategy_gives_its_digest(tmp_path: Path, full: bool, tally) -> None:
    """Of pmap and jit, on one device and on two; in float64 they agree to rounding (test_parallel.py)."""
    if not full:
        pytest.skip("with --full")
    digests = {}
    for strategy in ("pmap", "jit"):
        for devices in (1, 2):
            words = [*SMALL, f"parallel.strategy={strategy}", f"parallel.devices={devices}", "parallel.threads=2"]
            twice = [result(finished(tmp_path / f"{strategy}{devices}{again}", words)) for again in range(2)]
            assert twice[0].same(twice[1])
            digests[strategy, devices] = twice[0].digest
    assert digests["pmap", 1] == digests["jit", 1], "one device computes the same program"
    tally("pmap and jit, one device and two, twice each", f"reproducible; {len(set(digests.values()))} digests in all")


def test_the_number_of_cores_decides_nothing_where_threads_are_fixed(tmp_path: Path, full: bool, tally) -> None:
    if not full:
        pytest.skip("with --full")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("it takes two cores")
    for threads in (1, 2):
        words = [*SMALL, *CONV, f"parallel.threads={threads}"]
        results = [on_cores(tmp_path / f"{threads}{number}", words, cores[:number]) for number in (1, 2)]
        assert results[0].same(results[1])
    tally(
        "a residual conv net on 1 core and on 2, with parallel.devices=1 and parallel.threads=1, and 2",
        "one digest each",
    )


def on_cores(folder: Path, words: list[str], cores: list[int]) -> Result:
    process = born(folder, words, RESJAX_TEST_CORES=",".join(map(str, cores)))
    process.join(120)
    assert process.exitcode == 0
    (run,) = folder.glob("runs/default/*")
    return result(run)

"""kill -9 at any moment: the run ends as if nothing had been."""

import random
import time
from pathlib import Path

import pytest
from broken import (
    INTERVAL,
    SMALL,
    Result,
    finished,
    last_step,
    no_row_twice,
    only_run,
    result,
    rows_are_whole,
)
from nursery import born

ARMS = [(shortcut, norm) for shortcut in ("none", "identity") for norm in ("batch", "none")]


@pytest.mark.parametrize(("shortcut", "norm"), ARMS)
def test_kills_at_random(shortcut: str, norm: str, tmp_path: Path, full: bool, tally) -> None:
    if not full and (shortcut, norm) != ("identity", "batch"):
        pytest.skip("with --full")
    words = [*SMALL, f"model.shortcut={shortcut}", f"model.norm={norm}", "schedule.learning_rate=0.02"]
    if full:
        finished(tmp_path / "warm", words)  # compiles, so that the next one is as long as those that follow
    began = time.monotonic()
    undisturbed = result(finished(tmp_path / "whole", words))
    life = time.monotonic() - began
    kills = 25 if full else 3
    chance = random.Random(f"{shortcut} {norm}")
    landed = repeated = 0
    for attempt in range(10 * kills):
        if landed >= kills:
            break
        folder = tmp_path / f"after{attempt}"
        more = min(5, kills - landed)
        done, worst = killed_and_finished(folder, words, chance, life, more, undisturbed)
        landed += done
        repeated = max(repeated, worst)
    assert landed >= kills
    tally(
        f"kill -9 at a random moment, {shortcut} shortcut, {norm} norm, 2 seeds",
        f"{landed} kills: 0 differing digests, 0 torn or doubled rows, at most {repeated} of {INTERVAL} steps repeated",
    )


def killed_and_finished(
    folder: Path, words: list[str], chance: random.Random, life: float, kills: int, undisturbed: Result
) -> tuple[int, int]:
    """Kill a run so often, at moments spread over its life, and let it end; the kills that hit, and steps repeated."""
    landed = worst = 0
    for _ in range(kills):
        process = born(folder, words)
        time.sleep(chance.uniform(0.02, 0.9 * life))
        process.kill()
        process.join()
        landed += process.exitcode == -9
        if not (folder / "runs").exists() or not list((folder / "runs" / "default").glob("*/run.json")):
            continue
        run = only_run(folder)
        rows_are_whole(run / "metrics.jsonl")
        reached = last_step(run)
        if process.exitcode != -9:
            break
        worst = max(worst, repeats(folder, words, run, reached))
    run = finished(folder, words)
    assert result(run).same(undisturbed)
    no_row_twice(run / "metrics.jsonl")
    return landed, worst


def repeats(folder: Path, words: list[str], run: Path, reached: int) -> int:
    """How many steps the next process does again; it is left to run."""
    from resjax.training.checkpoints import Checkpoints

    steps = Checkpoints(run / "checkpoints").steps()
    again = reached + 1 - (steps[-1] if steps else 0)
    assert again <= INTERVAL + 1, (reached, steps)
    return max(again, 0)

"""Alternating rounds: every contestant in turn, again and again, so that a slow minute hits all of them."""

import time
from collections.abc import Mapping

from benchmarks.workers import Trainer

REST = 0.3  # seconds between two turns: threads that spin after their work must not take the next one's time


def alternate(workers: Mapping[str, Trainer], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Steps/s of every prepared worker, a number a round. A turn lasts about `seconds`, and a step at least.

    Before the first round each trains two short turns: one that nobody looks at, one that says how fast it is.
    """
    counts = {name: turn_length(worker, seconds) for name, worker in workers.items()}
    found: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            time.sleep(REST)
            steps, taken = worker.train(counts[name])
            found[name].append(steps / taken)
    return found


def turn_length(worker: Trainer, seconds: float) -> int:
    """The steps that take about `seconds`."""
    worker.train(1)
    steps, taken = worker.train(1)
    return max(round(seconds * steps / taken), 1)

"""A whole training, as somebody waits for it who wants a paper's 64,000 updates."""

from typing import Any

from benchmarks.bench import Bench, Row
from benchmarks.summary import summary

DEPTH = 20
PRECISIONS = ("float32", "bfloat16")
LOOKS = [0, 1, 10, 100, 1000]  # steps at which the probes run by default
TEST_EXAMPLES = 10_000


def long(bench: Bench) -> list[Row]:
    """ResNet-20 from data in memory to its last test: `fit` with augmentation, probes and one seed; a row a type."""
    return [row for precision in PRECISIONS for row in bench.part(precision, lambda: whole(bench, precision))]  # noqa: B023


def whole(bench: Bench, precision: str) -> list[Row]:
    """The row of one training; its parts are those of run.json's `times`."""
    settings: dict[str, Any] = {"train.steps": bench.long_steps, "probes.at": LOOKS}
    details: dict[str, Any] = {"precision": precision, "settings": settings, "test_examples": TEST_EXAMPLES}
    with bench.start("ours") as worker:
        worker.ask("about")  # the import is not part of it
        found = worker.ask("whole", **bench.job("ours", DEPTH, **details) | {"augment": True})
    about = {"depth": DEPTH, "precision": precision, "steps": bench.long_steps, "batch": bench.batch}
    parts = {f"{name}_s": summary([seconds]) for name, seconds in found["times"].items()}
    return [about | {"seconds": summary([found["seconds"]]), "images_per_s": summary([found["images_per_s"]])} | parts]

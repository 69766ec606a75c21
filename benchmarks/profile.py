"""Where the time of a step goes on one CPU core: XLA's own trace, operation by operation."""

from benchmarks.bench import FEW, Bench, Row


def profile(bench: Bench) -> list[Row]:
    """Milliseconds and operations a step by part, the longest first, of half the batch, as one of two devices has it.

    On one core operations come one after the other, so that their times and what is between them are the step's.
    """
    with bench.start("ours", one_core=True) as worker:
        settings = FEW | {"parallel.devices": 1}
        job = bench.job("ours", bench.depths[0], settings=settings, test_examples=8)
        worker.ask("prepare", **job | {"batch": bench.batch // 2})
        return list(worker.ask("profile")["rows"])

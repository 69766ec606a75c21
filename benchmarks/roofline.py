"""Achieved FLOP/s and bytes/s beside what the machine can do at best."""

from contextlib import ExitStack
from typing import Any

from benchmarks.bench import Bench, Row
from benchmarks.rounds import alternate
from benchmarks.summary import Summary, summary
from benchmarks.workers import Worker, WorkerError

REPEATS = 10
GIGA = 1e9
FLOPS_PER_MULTIPLY_ADD = 2
PASSES = 3  # forward, the input's gradient, the kernel's gradient
UNROLLED = {"model.unroll": True}


def roofline(bench: Bench) -> list[Row]:
    """The peaks, then a row a contestant at the first depth.

    FLOP/s count 3 x 2 x multiply-adds an image, whatever a program computes besides. Bytes are those that XLA counts
    for one step of its program, ours for the unrolled network (it counts a scan's body once); PyTorch has no count.
    """
    depth = bench.depths[0]
    with ExitStack() as stack:
        workers = {name: stack.enter_context(bench.start(name)) for name in bench.contestants}
        if "ours" not in workers:
            raise WorkerError("roofline needs ours, which counts the multiply-adds")
        rows = [peak_of(name, worker) for name, worker in workers.items() if name in ("ours", "torch")]
        costs = {name: cost_of(bench, name, worker) for name, worker in workers.items()}
        about = {name: worker.ask("prepare", **bench.job(name, depth)) for name, worker in workers.items()}
        work = PASSES * FLOPS_PER_MULTIPLY_ADD * about["ours"]["multiply_adds"] * bench.batch
        found = alternate(workers, bench.rounds, bench.seconds)
    return rows + [
        {"depth": depth, "contestant": name, "gflops_per_s": summary([rate * work / GIGA for rate in rates])}
        | {"gbytes_per_s": moved(rates, costs[name]), "counted_gflop": counted(costs[name]), "gflop": work / GIGA}
        for name, rates in found.items()
    ]


def peak_of(name: str, worker: Worker) -> Row:
    """What a matrix product and x <- s x + y reach in the contestant's framework."""
    found = worker.ask("peaks", repeats=REPEATS)
    gflops, gbytes = ([value / GIGA for value in found[key]] for key in ("flops_per_s", "bytes_per_s"))
    return {"peak": name, "gflops_per_s": summary(gflops), "gbytes_per_s": summary(gbytes)}


def cost_of(bench: Bench, name: str, worker: Worker) -> dict[str, Any] | None:
    """XLA's count, None where there is no XLA."""
    if bench.contestants[name].torch:
        return None
    details: dict[str, Any] = {"settings": UNROLLED} if name == "ours" else {}
    worker.ask("prepare", **bench.job(name, bench.depths[0], **details))
    return worker.ask("cost")


def moved(rates: list[float], cost: dict[str, Any] | None) -> Summary | None:
    """GB/s."""
    return None if cost is None else summary([rate * cost["bytes"] / GIGA for rate in rates])


def counted(cost: dict[str, Any] | None) -> float | None:
    """XLA's own count of GFLOP a step."""
    return None if cost is None else cost["flops"] / GIGA

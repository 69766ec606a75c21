"""Images/s: beside the other implementations, and over virtual devices."""

from contextlib import ExitStack
from typing import Any

from benchmarks.bench import CONTESTANTS, Bench, Row
from benchmarks.rounds import alternate
from benchmarks.summary import ratio, summary
from benchmarks.workers import Worker, WorkerError

SHORTCUTS = ("identity", "none")
DEVICES = (1, 2, 4)
SAME_STATISTICS = {"model.norm_scope": "global"}


def speed(bench: Bench) -> list[Row]:
    """Every contestant at every depth, residual and plain.

    The first net also with ours' batch statistics over the whole batch, as the others take them.
    """
    rows: list[Row] = []
    with ExitStack() as stack:
        workers = {name: stack.enter_context(bench.start(name)) for name in bench.contestants}
        for depth in bench.depths:
            for shortcut in SHORTCUTS:
                ready = {name: bench.job(name, depth, shortcut) for name in workers}
                about = {"depth": depth, "shortcut": shortcut}
                rows += bench.part(f"{depth}-{shortcut}", lambda: race(bench, workers, ready, about))  # noqa: B023
        if "ours" in workers:
            ready = {name: bench.job(name, bench.depths[0]) for name in workers}
            for job in (job for name, job in ready.items() if CONTESTANTS[name].module == "ours"):
                job["settings"] = job.get("settings", {}) | SAME_STATISTICS
            about = {"depth": bench.depths[0], "shortcut": "identity", "statistics": "batch"}
            rows += bench.part("statistics", lambda: race(bench, workers, ready, about))
    return rows


def race(bench: Bench, workers: dict[str, Worker], jobs: dict[str, dict[str, Any]], about: Row) -> list[Row]:
    """A row a contestant: images/s, and `ours` over it, round by round. WorkerError where the networks differ."""
    parameters = {name: worker.ask("prepare", **jobs[name])["parameters"] for name, worker in workers.items()}
    if len(set(parameters.values())) != 1:
        raise WorkerError(f"not the same network: {parameters} parameters")
    found = alternate(workers, bench.rounds, bench.seconds)
    return [
        about
        | {"contestant": name, "parameters": parameters[name]}
        | {"images_per_s": summary([bench.batch * rate for rate in rates])}
        | ({"ours_over_this": ratio(found["ours"], rates)} if "ours" in found else {})
        for name, rates in found.items()
    ]


def devices(bench: Bench) -> list[Row]:
    """Ours over 1, 2, 4 virtual devices: images/s, and over that of one device, round by round."""
    depth = bench.depths[0]
    with ExitStack() as stack:
        workers = {}
        for count in DEVICES:
            worker = stack.enter_context(bench.start("ours", count))
            if worker.ask("about")["devices"] >= count:  # on a GPU there are no virtual ones
                worker.ask("prepare", **bench.job("ours", depth, settings={"parallel.devices": count}))
                workers[str(count)] = worker
        found = alternate(workers, bench.rounds, bench.seconds)
    return [
        {"depth": depth, "devices": int(count), "images_per_s": summary([bench.batch * rate for rate in rates])}
        | {"over_one_device": ratio(rates, found["1"])}
        for count, rates in found.items()
    ]

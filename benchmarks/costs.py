"""What has to be paid besides the steps: compile time, memory, recomputation, probes."""

from contextlib import ExitStack
from typing import Any

from benchmarks.bench import CONTESTANTS, FEW, Bench, Row
from benchmarks.rounds import alternate
from benchmarks.summary import ratio, summary

MEGABYTE = 1e6
COMPILE_REPEATS = 2
PROBE_REPEATS = 5
PROBED_EVERY = 100  # steps
UNROLLED = ("flax", "torch_compile", "torch_compile_bfloat16")  # these take minutes at great depths


def compile_time(bench: Bench) -> list[Row]:
    """Seconds from data in memory to ready, each time in a process of its own.

    Ours compiles the probes and the evaluation too, and runs each once: here on a few images, so that what is measured
    is compiling.
    """
    rows: list[Row] = []
    for depth in bench.compile_depths:
        for name in bench.contestants:
            if name not in UNROLLED or depth <= bench.unrolled_most:
                rows += bench.part(f"{name}-{depth}", lambda: compiled(bench, name, depth))  # noqa: B023
    return rows


def compiled(bench: Bench, name: str, depth: int) -> list[Row]:
    """A contestant's row at one depth."""
    details: dict[str, Any] = {}
    if CONTESTANTS[name].module == "ours":
        details = {"settings": CONTESTANTS[name].job.get("settings", {}) | FEW, "test_examples": 8}
    job, seconds = bench.job(name, depth, **details), []
    for _ in range(COMPILE_REPEATS):
        with bench.start(name) as worker:
            worker.ask("about")  # the import is not part of it
            seconds.append(worker.ask("prepare", **job)["compile_s"])
    return [{"depth": depth, "contestant": name, "compile_s": summary(seconds)}]


def memory(bench: Bench) -> list[Row]:
    """Peaks of a process of its own: before anything is built, while it is built and compiled, while it trains."""
    return [
        {"depth": depth, "contestant": name} | peaks_of(bench, name, depth)
        for depth in bench.memory_depths
        for name in bench.contestants
    ]


def peaks_of(bench: Bench, name: str, depth: int, remat: bool | None = None) -> Row:
    """The three peaks in MB, on the device where it is not the host."""
    details: dict[str, Any] = {} if remat is None else {"settings": {"model.remat": remat}}
    found = []
    with bench.start(name) as worker:
        worker.ask("about")
        found.append(worker.ask("memory"))
        worker.ask("prepare", **bench.job(name, depth, **details))
        found.append(worker.ask("memory"))
        worker.train(2)
        found.append(worker.ask("memory"))
    megabytes = [(reply["host"] if reply["device"] is None else reply["device"]) / MEGABYTE for reply in found]
    names = ("resting_mb", "building_mb", "training_mb")
    return {key: summary([value]) for key, value in zip(names, megabytes, strict=True)}


def remat(bench: Bench) -> list[Row]:
    """Time and memory with model.remat and without."""
    settings = {"off": False, "on": True}
    peaks = {name: peaks_of(bench, "ours", bench.remat_depth, wanted) for name, wanted in settings.items()}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(bench.start("ours")) for name in settings}
        for name, worker in workers.items():
            wanted = {"model.remat": settings[name]}
            worker.ask("prepare", **bench.job("ours", bench.remat_depth, settings=wanted))
        planned = {name: worker.ask("cost")["temporary_bytes"] for name, worker in workers.items()}
        found = alternate(workers, bench.rounds, bench.seconds)
    return [
        {"depth": bench.remat_depth, "remat": name, "ms_per_step": summary([1000 / rate for rate in rates])}
        | {"time_over_off": ratio(found["off"], rates), "training_mb": peaks[name]["training_mb"]}
        | {"planned_mb": None if planned[name] is None else summary([planned[name] / MEGABYTE])}
        for name, rates in found.items()
    ]


def probes(bench: Bench) -> list[Row]:
    """What looking costs, as a share of the steps' time without it."""
    depth = bench.depths[0]
    with ExitStack() as stack:
        workers = {name: stack.enter_context(bench.start("ours")) for name in ("off", "on")}
        for name, worker in workers.items():
            wanted = {"probes.train_grad_norm": name == "on"}
            worker.ask("prepare", **bench.job("ours", depth, settings=wanted))
        found = alternate(workers, bench.rounds, bench.seconds)
        looks = [workers["off"].ask("probe")["seconds"] for _ in range(PROBE_REPEATS + 1)][1:]
    shares = [off / on - 1 for off, on in zip(found["off"], found["on"], strict=True)]
    plain = summary(found["off"])["median"]
    return [
        {"depth": depth, "what": "train_grad_norm, every step", "ms": None, "share": summary(shares)},
        {"depth": depth, "what": f"all probes, every {PROBED_EVERY} steps"}
        | {"ms": summary([1000 * look for look in looks])}
        | {"share": summary([look * plain / PROBED_EVERY for look in looks])},
    ]

"""Several seeds: in turn, side by side in two ways, and in a process each."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bench import FEW, Bench, Row
from benchmarks.rounds import alternate
from benchmarks.summary import ratio, summary
from benchmarks.workers import Team, WorkerError

AXES = ("map", "vmap", "product")
PROCESSES, ONE = "processes", "one seed alone"
PATIENCE = 180.0  # seconds to build and compile; what takes longer is not waited for
MLP_DEPTH, MLP = 20, {"model.name": "mlp", "model.width": 64}
ON_CPU = {1: AXES, 2: (*AXES, PROCESSES), 4: (*AXES, PROCESSES), 8: ("map", "product")}
ON_GPU = {1: AXES, 5: (*AXES, PROCESSES)}
GPU_DEPTH = 20


@dataclass(frozen=True)
class Net:
    """What trains."""

    name: str
    depth: int
    precision: str
    settings: dict[str, Any] = field(default_factory=dict)


def seeds(bench: Bench) -> list[Row]:
    """Milliseconds a step and seed, and the time of all seeds' step over that of one alone, round by round.

    A way that fails or takes more than `PATIENCE` to compile says so in its row.
    """
    nets = nets_of(bench)
    counts = ON_GPU if bench.device == "gpu" else ON_CPU
    rows: list[Row] = []
    for net in nets:
        for count, ways in counts.items():
            rows += bench.part(f"{net.name}-{net.precision}-{count}", lambda: race(bench, net, count, ways))  # noqa: B023
    return rows


def nets_of(bench: Bench) -> tuple[Net, ...]:
    """On a GPU those of the project's goal; elsewhere one with convolutions and one without."""
    if bench.device == "gpu":
        return tuple(Net("ResNet", GPU_DEPTH, precision) for precision in ("float32", "bfloat16"))
    return (Net("ResNet", bench.seeds_depth, "float32", {}), Net("mlp", MLP_DEPTH, "float32", MLP))


def race(bench: Bench, net: Net, count: int, ways: tuple[str, ...]) -> list[Row]:
    """A row a way."""
    about = {"net": net.name, "depth": net.depth, "seeds": count, "precision": net.precision}
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        teams: dict[str, Team] = {}
        for way in (*ways, ONE):
            processes = count if way == PROCESSES else 1
            team = stack.enter_context(Team([bench.start("ours") for _ in range(processes)]))
            try:
                get_ready(bench, team, net, way, count)
                teams[way] = team
            except WorkerError as error:
                failed[way] = str(error).strip().splitlines()[-1]
                team.kill()
        found = alternate(teams, bench.rounds, bench.seconds)
    return [
        about | {"axis": way} | measured(found.get(way), found.get(ONE), count) | {"failed": failed.get(way)}
        for way in ways
    ]


def get_ready(bench: Bench, team: Team, net: Net, way: str, count: int) -> None:
    """Compile, and train a step. WorkerError where that cannot be."""
    axis = {"parallel.seeds_axis": way} if way in AXES else {}
    shared: dict[str, Any] = {"settings": net.settings | axis | FEW, "precision": net.precision, "test_examples": 8}
    job = bench.job("ours", net.depth, seeds=count if way in AXES else 1, **shared)
    team.prepare(job, PATIENCE)
    team.train(1)


def measured(rates: list[float] | None, alone: list[float] | None, count: int) -> Row:
    """The numbers of a way, from steps/s round by round; null where there are none."""
    if rates is None:
        return {"ms_per_seed_step": None, "over_one_seed": None}
    over = None if alone is None else ratio(alone, rates)
    return {"ms_per_seed_step": summary([1000 / rate / count for rate in rates]), "over_one_seed": over}

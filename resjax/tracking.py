"""wandb as a mirror of the records: one run a seed ensemble. Nothing depends on it, and it may fail at any time."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from resjax import records
from resjax.config import Config
from resjax.rows import Layers, Metrics, Row, TrainLayers

CONNECT_SECONDS = 10
Say = Callable[[str], None]


class NoTracker:
    """tracker=none."""

    def row(self, row: Row) -> None:
        """Nothing."""

    def close(self, run: dict[str, Any], folder: Path) -> None:
        """Nothing."""


class Tracking:
    """What the runs of a sweep share: whether wandb's server was found unreachable, so that only one run waits."""

    def __init__(self) -> None:
        self.unreachable = False

    def open(self, config: Config, run: dict[str, Any], folder: Path, say: Say) -> "NoTracker | WandbTracker":
        """The tracker of one run."""
        if config.tracker.name == "none":
            return NoTracker()
        mode = "offline" if self.unreachable else config.tracker.mode
        try:
            return WandbTracker(config, run, folder, mode, say, self)
        except Exception as error:  # wandb raises errors of many kinds; none of them may cost a run
            if mode == "offline":
                say(f"wandb does not start, this run is not mirrored: {error}")
                return NoTracker()
            self.unreachable = True
            say(f"wandb's server is not reached ({type(error).__name__}): offline for the rest of this sweep.")
            say("  Nothing is lost: the records are whole, and `wandb sync` sends the offline runs later.")
            return self.open(config, run, folder, say)


class WandbTracker:
    """One wandb run: metrics of every seed and their mean, each layer's gradient norm, a heat-map at the end."""

    def __init__(self, config: Config, run: dict[str, Any], folder: Path, mode: str, say: Say, sweep: Tracking) -> None:
        import wandb  # takes a second, and tracker=none does not need it

        settings = wandb.Settings(
            silent=True,
            console="off",
            init_timeout=CONNECT_SECONDS,
            finish_timeout=CONNECT_SECONDS,
            finish_timeout_raises=False,
            x_disable_stats=True,
            disable_code=True,
            disable_git=True,
        )
        self.say, self.sweep, self.step, self.broken = say, sweep, -1, False
        self.waiting: dict[str, float] = {}
        self.wandb = wandb
        tracker = config.tracker
        self.mirror = wandb.init(
            project=tracker.project,
            entity=tracker.entity,
            mode=mode,  # type: ignore[arg-type]
            name=run["name"],
            group=run["group"][:12],
            job_type=run["arm"],
            tags=[config.sweep, run["arm"], config.model.norm, f"depth-{config.model.depth}"],
            config=run["config"] | {"id": run["id"], "arm": run["arm"], "data_provenance": run["data"]},
            dir=str(folder),
            reinit="create_new",
            settings=settings,
        )
        self.mirror.define_metric("step")
        self.mirror.define_metric("*", step_metric="step")

    def row(self, row: Row) -> None:
        """Mirror one row; rows of a step that come one after the other are sent together.

        What training saw of its layers comes after the metrics of its whole chunk, and so is sent apart from them.
        After a failure no more is mirrored.
        """
        if self.broken:
            return
        try:
            if isinstance(row, Metrics):
                self.collect(row.step, {f"{name}/seed{row.seed}": value for name, value in row.values.items()})
            elif isinstance(row, Layers):
                columns = row.columns | {"step": np.full(len(row.columns["layer"]), row.step)}
                self.collect_all(layer_series(columns, "grad_norm", "act_grad_norm"))
            elif isinstance(row, TrainLayers):
                self.collect_all(layer_series(row.columns, "train_grad_norm"))
        except Exception as error:
            self.broken = True
            self.say(f"wandb fails, the run goes on without it: {error}")

    def collect_all(self, steps: Iterable[tuple[int, dict[str, float]]]) -> None:
        """Keep the values of several steps, in their order."""
        for step, values in steps:
            self.collect(step, values)

    def collect(self, step: int, values: dict[str, float]) -> None:
        """Keep values of a step until a later one comes."""
        if step != self.step:
            self.flush()
        self.step = step
        self.waiting |= values

    def flush(self) -> None:
        """Send what waits, with the mean over seeds beside each seed's value."""
        if self.waiting:
            self.mirror.log({"step": self.step} | self.waiting | means(self.waiting))
        self.waiting = {}

    def close(self, run: dict[str, Any], folder: Path) -> None:
        """The heat-map, the summary, and the end. What fails here is said, and costs nothing else."""
        try:
            self.flush()
            from resjax.report.run_map import heatmap_png  # draws figures: takes a second to import

            layers = records.read_layers(folder)
            if len(layers):
                picture = folder / "wandb" / "gradients.png"
                picture.write_bytes(heatmap_png(layers))
                self.mirror.log({"step": self.step, "gradient norm by layer and step": self.wandb.Image(str(picture))})
            diverged = sum(seed["outcome"] == "diverged" for seed in run["seeds"])
            status = "not finished" if run["status"] == "running" else run["status"]
            self.mirror.summary.update({"status": status, "diverged_seeds": diverged, **run.get("model", {})})
            began = time.perf_counter()
            self.mirror.finish()
            self.sweep.unreachable |= time.perf_counter() - began >= CONNECT_SECONDS
        except Exception as error:
            self.say(f"wandb did not finish, the records are whole: {error}")


def layer_series(columns: dict[str, np.ndarray], *quantities: str) -> Iterator[tuple[int, dict[str, float]]]:
    """Each step with each layer's quantities: the geometric mean over the seeds that have one above 0."""
    steps, step_of = np.unique(columns["step"], return_inverse=True)
    names = [f"{layer:03d} {name}" for layer, name in zip(columns["layer"], columns["name"], strict=True)]
    layers, layer_of = np.unique(names, return_inverse=True)
    place, size = step_of * len(layers) + layer_of, len(steps) * len(layers)
    series: list[dict[str, float]] = [{} for _ in steps]
    for quantity in quantities:
        known = np.isfinite(columns[quantity]) & (columns[quantity] > 0)
        sums = np.bincount(place[known], np.log(columns[quantity][known]), minlength=size)
        counts = np.bincount(place[known], minlength=size)
        for index in np.flatnonzero(counts):
            step, layer = divmod(int(index), len(layers))
            series[step][f"{quantity}/{layers[layer]}"] = float(np.exp(sums[index] / counts[index]))
    return zip(steps.tolist(), series, strict=True)


def means(values: dict[str, float]) -> dict[str, float]:
    """The mean over seeds of every metric, of the seeds that have a finite value."""
    groups: dict[str, list[float]] = {}
    for key, value in values.items():
        name, _, seed = key.partition("/seed")
        if seed and math.isfinite(value):
            groups.setdefault(name, []).append(value)
    return {f"{name}/mean": sum(group) / len(group) for name, group in groups.items()}

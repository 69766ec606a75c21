"""One run of ours as one of wandb's."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from resjax import records
from resjax.config import Config
from resjax.legal import slug
from resjax.rows import Layers, Metrics, Row, TrainLayers
from resjax.tracking.series import UNITS, WEIGHTS, layer_series, means, thinned

CONNECT_SECONDS = 10
MOST_OF_A_TAG = 64  # letters
HEAT_MAP = "gradient_map"
HEAT_MAP_PICTURE = "gradient norm by layer and step"  # its key, where no preset can be named
Say = Callable[[str], None]


def sweep_tag(sweep: str) -> str:
    """The tag of a sweep's runs."""
    return slug(sweep)[:MOST_OF_A_TAG]


def norm_tag(norm: str) -> str:
    """The tag of the runs of a norm: no sweep's name by chance, as `batch` would be."""
    return f"norm-{norm}"


def depth_tag(depth: int) -> str:
    """The tag of the runs of a depth."""
    return f"depth-{depth}"


def speed(run: dict[str, Any]) -> dict[str, float]:
    """Images a second, and where the seconds went; nothing of a run that did not finish."""
    seconds = {f"seconds/{name}": value for name, value in run.get("times", {}).items()}
    return seconds | {key: run[key] for key in ("images_per_s",) if key in run}


class NoTracker:
    """tracker=none."""

    def row(self, row: Row) -> None:
        """Nothing."""

    def close(self, run: dict[str, Any], folder: Path) -> None:
        """Nothing."""


class Tracking:
    """What the runs of a sweep share: whether wandb's server was found unreachable, so that only one run waits."""

    def __init__(self, unreachable: bool = False) -> None:
        self.unreachable = unreachable

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
    """One wandb run."""

    def __init__(self, config: Config, run: dict[str, Any], folder: Path, mode: str, say: Say, sweep: Tracking) -> None:
        import wandb  # takes a second, and tracker=none does not need it

        settings = wandb.Settings(
            silent=True,
            console="off",
            init_timeout=CONNECT_SECONDS,
            finish_timeout=CONNECT_SECONDS,
            finish_timeout_raises=False,
            x_disable_stats=True,
            x_disable_meta=True,  # the host's name, paths, the words of the command
            disable_code=True,
            disable_git=True,
        )
        self.say, self.sweep, self.step, self.broken = say, sweep, -1, False
        self.waiting: dict[str, float] = {}
        self.wandb = wandb
        wandb.setup(settings)  # or it tells which server it has credentials for, with the user and the password
        tracker = config.tracker
        self.facts = {"depth": config.model.depth, "arm": run["arm"], "norm": config.model.norm}
        self.mirror = wandb.init(
            project=tracker.project,
            entity=tracker.entity,
            mode=mode,  # type: ignore[arg-type]
            name=run["name"],
            group=run["group"][:12],
            job_type=run["arm"],
            tags=[sweep_tag(config.sweep), run["arm"], norm_tag(config.model.norm), depth_tag(config.model.depth)],
            config=records.without_paths(run["config"])
            | {"id": run["id"], "arm": run["arm"], "data_provenance": run["data"]},
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
                self.collect_all(layer_series(thinned(columns, units=False), *WEIGHTS))
                self.collect_all(layer_series(thinned(columns, units=True), *UNITS))
            elif isinstance(row, TrainLayers):
                self.collect_all(layer_series(thinned(row.columns, units=False), "train_grad_norm"))
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
        """The charts, the summary, and the end. What fails here is said, and costs nothing else."""
        try:
            self.flush()
            self.look_back(run, folder)
            diverged = sum(seed["outcome"] == "diverged" for seed in run["seeds"])
            status = "not finished" if run["status"] == "running" else run["status"]
            end = {"status": status, "diverged_seeds": diverged}
            self.mirror.summary.update(end | speed(run) | run.get("model", {}) | self.facts)
            began = time.perf_counter()
            self.mirror.finish()
            self.sweep.unreachable |= time.perf_counter() - began >= CONNECT_SECONDS
        except Exception as error:
            self.say(f"wandb did not finish, the records are whole: {error}")

    def look_back(self, run: dict[str, Any], folder: Path) -> None:
        """What the whole run says: the gradients in numbers, and the charts."""
        try:
            layers = records.read_layers(folder)
            if layers.is_empty():
                return
            from resjax.report import run_tables  # the report takes a second to import

            one = run_tables.one_run(run, layers)
            self.mirror.summary.update(run_tables.numbers(one))
            tables = run_tables.tables(one)
            logged = dict(self.chart(name, table) for name, table in tables.items())
            if not self.mirror.entity and HEAT_MAP in tables:
                logged[HEAT_MAP_PICTURE] = self.picture(HEAT_MAP, tables[HEAT_MAP], folder)
            self.mirror.log({"step": self.step} | logged)
        except Exception as error:
            self.say(f"wandb has no charts of this run, the records are whole: {error}")

    def chart(self, name: str, rows: pl.DataFrame) -> tuple[str, Any]:
        """A custom chart with its table; the table alone where no preset can be named."""
        from resjax.report import presets

        table = self.wandb.Table([*rows.columns], dtype=[kind.to_python() for kind in rows.dtypes])
        table.data = [list(row) for row in rows.iter_rows()]  # `add_data` checks every cell: seconds
        fields, strings = {field: field for field in presets.fields(name)}, {"title": presets.TITLES[name]}
        preset = f"{self.mirror.entity}/{presets.preset(name)}"
        chart = self.wandb.plot_table(preset, table, fields, strings, split_table=True)
        chart.set_key(f"charts/{name}")
        return (chart.spec.key, chart) if self.mirror.entity else (chart.spec.table_key, table)

    def picture(self, name: str, rows: pl.DataFrame, folder: Path) -> Any:
        """A chart as an image."""
        from resjax.report import presets

        path = folder / "wandb" / f"{name}.png"
        path.write_bytes(presets.picture(name, str(self.mirror.name), rows.to_dicts()))
        return self.wandb.Image(str(path))

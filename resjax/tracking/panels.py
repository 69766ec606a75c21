"""What a wandb workspace shows: sections of panels, by the keys under which the mirror logs (docs/wandb.md).

wandb_workspaces is an extra, so whoever calls has asked `dashboard.library()` for it before.
"""

from typing import Any

from resjax.report import presets
from resjax.tracking.mirror import HEAT_MAP_PICTURE
from resjax.tracking.series import UNITS, WEIGHTS

DEPTH, ARM, NORM = "model.depth", "arm", "model.norm"  # settings, as runs are sent with them
TABLES = "Custom Chart Tables/charts"  # where wandb puts the table of a custom chart
# Which step: of the ones that are probed by default, the first and the last.
MOMENTS = {"step 0": "at step 0", "end": "at the end"}
COLUMNS = (
    "run:jobType",
    "summary:depth",
    "summary:norm",
    "summary:train_error/mean",
    "summary:test_error/mean",
    "summary:gradient/step 0/ratio",
    "summary:gradient/end/ratio",
    "summary:gradient/end/class",
    "summary:diverged_seeds",
    "summary:status",
)
TITLES = {
    "act_grad_norm": "|dL/dh| of every unit",
    "act_var": "Variance of every unit's output",
    "grad_norm": "|dL/dw| of every weight layer",
    "grad_snr": "Gradient, signal to noise, of every weight layer",
    "response_std": "Response of every weight layer",
    "update_ratio": "Update over weight of every weight layer",
}
READING = """A run is an ensemble of seeds; `.../mean` is over those of its seeds that are finite, and the training
error at the end is that of the last batch. Runs that differ only in their seeds are one group; compare within a norm.

wandb is a mirror: the records in `runs/` are the result, and the verdicts come from them.
"""


def sections(entity: str | None, verdicts: str) -> list[Any]:
    """The five sections; custom charts where there is an entity, whose presets draw them."""
    charts = [custom(entity, name) for name in presets.TITLES] if entity else []
    return [
        section("Verdicts", [text(verdicts), text(READING)]),
        section("Depth sweep", depth_panels()),
        section("Gradient atlas", gradient_panels() + charts),
        section("Health", health_panels()),
        section("Speed", speed_panels()),
    ]


def depth_panels() -> list[Any]:
    """Final errors against depth, and the curves that lead there."""
    errors = {"train_error/mean": "Training error", "test_error/mean": "Test error"}
    return [
        *(against_depth(key, f"{title} at the end") for key, title in errors.items()),
        *(bars(key, f"{title} at the end") for key, title in errors.items()),
        *(curve(key, title) for key, title in errors.items()),
        curve("train_loss/mean", "Training loss", log=True),
        columns("Arm, norm, depth, errors", [ARM, NORM, DEPTH], list(errors)),
    ]


def gradient_panels() -> list[Any]:
    """The ratio first over last, the growth rate, and the norm of every layer."""
    found = []
    for moment, when in MOMENTS.items():
        found.append(against_depth(f"gradient/{moment}/ratio", f"|dL/dh| first unit / last, {when}", log=True))
        found.append(against_depth(f"gradient/{moment}/rate", f"Growth of |dL/dh| a weight layer, {when}", log=True))
    series = [layers(quantity) for quantity in (*UNITS, *WEIGHTS)]
    return [*found, *series, pictures(HEAT_MAP_PICTURE, "Heat map (runs without tracker.entity)")]


def health_panels() -> list[Any]:
    """Which seeds diverged, and what leads there."""
    return [
        bars("diverged_seeds", "Diverged seeds by arm", together="sum"),
        against_depth("diverged_seeds", "Diverged seeds"),
        curve("grad_norm/mean", "Norm of the training gradient", log=True),
        curve("learning_rate/mean", "Learning rate"),
        matching("^train_loss/seed[0-9]+$", "Training loss of every seed", log=True),
    ]


def speed_panels() -> list[Any]:
    """How fast, and where the time goes."""
    return [
        bars("images_per_s", "Images a second, all seeds"),
        against_depth("images_per_s", "Images a second, all seeds"),
        bars("seconds/total", "Seconds in all"),
        bars("seconds/compile", "Seconds of compilation"),
        against_depth("multiply_adds", "Multiply-adds an image", log=True),
    ]


def section(name: str, panels: list[Any]) -> Any:
    """An open section, two panels a row."""
    import wandb_workspaces.workspaces as ws

    layout = ws.SectionLayoutSettings(columns=2, rows=-(-len(panels) // 2))
    axis = ws.SectionPanelSettings(x_axis="step")
    return ws.Section(name=name, panels=panels, is_open=True, layout_settings=layout, panel_settings=axis)


def reports() -> Any:
    """Where the panels are."""
    import wandb_workspaces.reports.v2 as wr

    return wr


def named() -> Any:
    """Where the kinds of keys are: settings, summary values, metrics."""
    from wandb_workspaces.reports.v2 import metrics

    return metrics


def text(markdown: str) -> Any:
    """A panel of Markdown."""
    return reports().MarkdownPanel(markdown=markdown)


def against_depth(key: str, title: str, log: bool = False) -> Any:
    """A summary value of every run against its depth."""
    wr, metrics = reports(), named()
    y = metrics.SummaryMetric(key)
    return wr.ScatterPlot(title=f"{title}, by depth", x=metrics.Config(DEPTH), y=y, log_y=log or None)


def bars(key: str, title: str, together: str | None = None) -> Any:
    """A summary value of every group of runs; of every arm, where it says how to put them together."""
    by_arm: dict[str, Any] = {"groupby": "JobType", "groupby_aggfunc": together} if together else {}
    return reports().BarPlot(title=title, metrics=[key], **by_arm)


def curve(key: str, title: str, log: bool = False) -> Any:
    """A value against the step, a line a group of runs, named by arm, norm and depth."""
    legend = ["run:jobType", "config:model.value.norm", "config:model.value.depth"]
    return reports().LinePlot(title=title, x="step", y=[key], log_y=log or None, legend_fields=legend)


def matching(pattern: str, title: str, log: bool = False) -> Any:
    """Every key of a pattern against the step."""
    return reports().LinePlot(title=title, x="step", metric_regex=pattern, log_y=log or None)


def layers(quantity: str) -> Any:
    """A quantity of every layer: its keys begin with the layer's number, those of other things do not."""
    return matching(f"^{quantity}/[0-9]+ ", TITLES[quantity], log=True)


def columns(title: str, settings: list[str], keys: list[str]) -> Any:
    """Parallel coordinates: of settings, then of summary values."""
    wr, metrics = reports(), named()
    axes = [*map(metrics.Config, settings), *map(metrics.SummaryMetric, keys)]
    return wr.ParallelCoordinatesPlot(title=title, columns=[wr.ParallelCoordinatesPlotColumn(axis) for axis in axes])


def pictures(key: str, title: str) -> Any:
    """Images that runs have logged."""
    return reports().MediaBrowser(title=title, media_keys=[key], num_columns=2)


def custom(entity: str, name: str) -> Any:
    """One of our charts: drawn by the entity's preset, from the table that every run has logged."""
    return reports().CustomChart(
        query={"summaryTable": {"tableKey": f"{TABLES}/{name}_table"}},
        chart_name=f"{entity}/{presets.preset(name)}",
        chart_fields={field: field for field in presets.fields(name)},
        chart_strings={"title": presets.TITLES[name]},
    )

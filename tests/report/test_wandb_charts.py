"""wandb's custom charts ship with the package, draw what their tables hold, and the tables are the records."""

import importlib.resources
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import vl_convert
from hatchling.builders.wheel import WheelBuilder

from resjax.report import presets, run_tables
from resjax.report.groups import Pool
from resjax.report.health import assess, factors
from resjax.report.series import MOST_LAYERS, MOST_STEPS

Make = Callable[..., tuple[dict[str, Any], pl.DataFrame, pl.DataFrame]]
ROOT = Path(__file__).parents[2]
ENDS = {0: (50.0, 1.0), 1: (8.0, 1.0), 10: (2.0, 1.0), 100: (1.2, 1.0)}


def made(make: Make, **changed: Any) -> tuple[dict[str, Any], pl.DataFrame]:
    """A run and its layers, whose units have a branch and a shortcut."""
    run, _, layers = make("residual", 20, ends=ENDS | {64_000: (1.1, 1.0)}, **changed)
    units = pl.col("kind") == "unit"
    both = {"branch_var": pl.when(units).then(0.5), "skip_var": pl.when(units & (pl.col("layer") > 0)).then(1.5)}
    return run, layers.drop("run").with_columns(**both)


@pytest.fixture(scope="module")
def tables(make: Make) -> dict[str, pl.DataFrame]:
    return run_tables.tables(run_tables.one_run(*made(make)))


def shipped() -> list[str]:
    folder = importlib.resources.files("resjax") / presets.FOLDER
    return sorted(file.name.removesuffix(".json") for file in folder.iterdir())


def test_the_charts_are_in_the_wheel() -> None:
    names = [file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()]
    assert {f"resjax/{presets.FOLDER}/{name}.json" for name in shipped()} <= set(names)


@pytest.mark.parametrize("name", shipped())
def test_a_charts_fields_are_its_tables_columns(name: str, tables: dict[str, pl.DataFrame]) -> None:
    assert presets.fields(name) == sorted(tables[name].columns)
    assert not {"name", "id", "color"} & set(tables[name].columns), "wandb's own"
    text = json.dumps(presets.chart(name))
    assert "${string:title}" in text
    assert "null" not in text, "wandb makes {} of it"
    assert presets.chart(name)["data"] == {"name": "wandb"}
    assert not {"facet", "row", "column", "hconcat", "vconcat", "repeat"} & set(keys(presets.chart(name)))


def keys(spec: Any) -> list[str]:
    if isinstance(spec, dict):
        return [*spec, *(key for value in spec.values() for key in keys(value))]
    return [key for value in spec for key in keys(value)] if isinstance(spec, list) else []


@pytest.mark.parametrize("name", shipped())
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_chart_draws_several_runs(name: str, seeds: int, make: Make) -> None:
    table = run_tables.tables(run_tables.one_run(*made(make, seeds=range(seeds))))[name]
    runs = {"plain-20": "#d55e00", "residual-20": "#0072b2"}
    rows = [{"name": run, "color": color} | row for run, color in runs.items() for row in table.to_dicts()]
    for version in (presets.VEGA_LITE, "6.1"):
        svg = vl_convert.vegalite_to_svg(presets.filled(name, rows), vl_version=version, allowed_base_urls=[])
        assert "${" not in svg
        assert presets.TITLES[name] in svg
        assert "NaN" not in svg
        assert svg.count('aria-roledescription="point"') + svg.count('aria-roledescription="rect mark"') >= drawn(
            name, table, len(runs)
        )


def drawn(name: str, table: pl.DataFrame, runs: int) -> int:
    """How many dots or cells there are to be."""
    if name != "variance":
        return table.height * runs
    return runs * sum(table[column].count() for column in ("act_var", "branch_var", "skip_var"))


def test_the_names_of_presets_follow_their_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [presets.preset(name) for name in presets.TITLES]
    assert len(set(names)) == len(shipped()) == len(presets.TITLES)
    monkeypatch.setattr(presets, "chart", lambda name: {"mark": name})
    assert not set(names) & {presets.preset(name) for name in presets.TITLES}


def test_a_picture_is_a_png(tables: dict[str, pl.DataFrame]) -> None:
    assert presets.picture("gradient_map", "a run", tables["gradient_map"].to_dicts()).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "kind", "quantity", "value"),
    [
        ("activation_gradient", "unit", "act_grad_norm", "value"),
        ("gradient_map", "conv", "grad_norm", "value"),
        ("variance", "unit", "act_var", "act_var"),
        ("variance", "unit", "skip_var", "skip_var"),
    ],
)
def test_a_table_is_the_geometric_mean_of_the_records(
    name: str, kind: str, quantity: str, value: str, make: Make, tables: dict[str, pl.DataFrame]
) -> None:
    rows = made(make)[1].filter(kind=kind, name=f"{kind}3")
    for step in rows["step"].unique():
        seeds = rows.filter(step=step)[quantity].to_numpy()
        found = tables[name].row(
            by_predicate=(pl.col("step") == step) & (pl.col("layer_name") == f"{kind}3"), named=True
        )
        assert found[value] == pytest.approx(np.exp(np.log(seeds).mean()), rel=1e-4)
        assert found["n"] == 3
        if value == "value" and "low" in found:
            assert (found["low"], found["high"]) == pytest.approx((seeds.min(), seeds.max()), rel=1e-4)


def test_the_rate_is_the_reports(make: Make, tables: dict[str, pl.DataFrame]) -> None:
    seen = {item.group.steps if item.moment == "end" else int(item.moment): item for item in assess(whole(make))}
    rates = {row["step"]: (row["rate"], row["low"], row["high"]) for row in tables["growth_rate"].to_dicts()}
    assert list(rates) == sorted(seen)
    for step, item in seen.items():
        assert rates[step] == pytest.approx(factors(item.rate), rel=1e-4)
    assert rates[0][0] == pytest.approx(50 ** (1 / 18), rel=1e-2), "ten units, two layers each"


def whole(make: Make) -> Pool:
    return run_tables.one_run(*made(make))


def test_the_response_stands_in_order_and_sorted_at_the_last_step(make: Make, tables: dict[str, pl.DataFrame]) -> None:
    table, last = tables["response"], made(make)[0]["config"]["train"]["steps"]
    assert table["step"].unique().to_list() == [last]
    order, falling = (table.filter(order=order) for order in ("in order", "sorted"))
    assert order["layer_name"].to_list() == [f"conv{layer}" for layer in range(19)], "the head has no response"
    assert falling["value"].to_list() == sorted(order["value"], reverse=True)
    assert falling["position"].to_list() == order["position"].to_list() == list(range(19))


def test_numbers_are_the_first_steps_and_the_ends(make: Make) -> None:
    found = run_tables.numbers(whole(make))
    names = ("ratio", "rate", "range", "class", "n")
    assert sorted(found) == sorted(f"gradient/{moment}/{name}" for moment in ("step 0", "end") for name in names)
    assert found["gradient/step 0/ratio"] == pytest.approx(50)
    assert found["gradient/step 0/range"] == pytest.approx(50)
    assert found["gradient/step 0/rate"] == pytest.approx(50 ** (1 / 18))
    assert (found["gradient/end/class"], found["gradient/end/n"]) == ("healthy", 3)


def test_a_run_that_is_cut_off_has_what_it_saw(make: Make) -> None:
    run, layers = made(make)
    pending = run | {"status": "running", "seeds": [{"seed": seed, "outcome": "pending"} for seed in range(3)]}
    one = run_tables.one_run(pending, layers.filter(pl.col("step") <= 10))
    assert set(run_tables.tables(one)) == set(shipped())
    assert {key.split("/")[1] for key in run_tables.numbers(one)} == {"step 0"}


def test_a_diverged_run_is_called_so(make: Make) -> None:
    one = run_tables.one_run(*made(make, outcomes={0: 4, 1: 4, 2: 4}))
    assert run_tables.numbers(one)["gradient/end/class"] == "diverged"


def test_deep_nets_and_many_steps_are_thinned(make: Make) -> None:
    run, layers = made(make, seeds=range(1))
    deep = pl.concat([deeper(layers, "conv0", 1202), deeper(layers, "unit0", 601)])
    every = pl.concat([deep.with_columns(step=pl.lit(step, pl.Int64)) for step in range(0, 1000, 7)])
    one = run_tables.one_run(run, every)
    for name, layer in (("gradient_map", "1201"), ("activation_gradient", "600")):
        table = run_tables.tables(one)[name]
        assert layer in table["layer_name"]
        assert table["step"].max() == every["step"].max()
        assert table["step"].n_unique() <= MOST_STEPS + 1
        assert table["layer_name"].n_unique() <= MOST_LAYERS + 1
        assert table.height > 1000


def deeper(layers: pl.DataFrame, name: str, layers_there: int) -> pl.DataFrame:
    """One layer's row, so many times."""
    number = pl.int_range(layers_there, dtype=pl.Int64)
    rows = pl.concat([layers.filter(step=0, name=name)] * layers_there)
    return rows.with_columns(layer=number, name=number.cast(pl.String))


def test_no_more_is_told_than_was_measured(make: Make) -> None:
    """Gradients of zero, one seed, a net too shallow for a line: no rate, no interval, no infinity."""
    run, layers = made(make, seeds=range(1))
    few = layers.filter((pl.col("kind") != "unit") | (pl.col("layer") < 2)).with_columns(
        response_std=pl.lit(None, pl.Float64)
    )
    one = run_tables.one_run(run, few.with_columns(grad_norm=pl.lit(0.0)))
    assert set(run_tables.tables(one)) == {"activation_gradient", "variance"}
    found = run_tables.numbers(one)
    assert "gradient/step 0/rate" not in found
    assert found["gradient/step 0/class"] == "undecided"
    assert all(math.isfinite(value) for value in found.values() if isinstance(value, float))

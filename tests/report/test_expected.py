"""Measured beside predicted, on records that are what theory says, or are off by a known factor."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from resjax import report
from resjax.config import ModelConfig
from resjax.records import LAYERS_SCHEMA, Sweep
from resjax.report import series, trends
from resjax.report.expected import RATE, RATIO, VARIANCE, beside
from resjax.report.groups import pool
from resjax.report.health import assess
from resjax.theory import Profile, profile

Make = Callable[..., tuple[dict, pl.DataFrame, pl.DataFrame]]
Join = Callable[..., Sweep]
SETTINGS = {"plain": {"shortcut": "none"}, "residual": {}}


def as_expected(made: tuple[dict, pl.DataFrame, pl.DataFrame], off: float = 0.0) -> tuple:
    """The run with the layers that theory expects at step 0, the gradient off by a rate a weight layer."""
    run, metrics, _ = made
    config = run["config"]["model"]
    expected = profile(ModelConfig(**config), (8, 8, 1), 64)
    rows = [
        {
            "run": run["id"],
            "step": 0,
            "seed": seed["seed"],
            "layer": number,
            "name": unit.name,
            "stage": unit.stage,
            "kind": "unit",
            "layer_depth": unit.layer_depth,
            "act_grad_norm": 0.1 * np.exp(unit.log_grad - off * unit.layer_depth),
            "act_var": unit.act_var,
        }
        for seed in run["seeds"]
        for number, unit in enumerate(expected.units)
    ]
    return run, metrics, pl.DataFrame(rows, schema={"run": pl.String} | LAYERS_SCHEMA)


@pytest.mark.parametrize("arm", SETTINGS)
@pytest.mark.parametrize("off", [0.0, 0.02])
def test_the_deviation_is_what_the_records_are_off_by(make: Make, sweep_of: Join, arm: str, off: float) -> None:
    pooled = pool(sweep_of(as_expected(make(arm, 56), off)))
    found = {item.quantity: item for item in beside(pooled, assess(pooled))}
    assert set(found) == {RATE, RATIO, VARIANCE}
    assert found[RATE].deviation == pytest.approx(np.exp(off))
    assert found[RATIO].deviation == pytest.approx(np.exp(54 * off))
    assert found[VARIANCE].deviation == pytest.approx(1)
    assert found[RATE].words().endswith(f"({100 * (np.exp(off) - 1):+.1f} %)")


def test_the_line_goes_through_the_last_units_gradient(make: Make, sweep_of: Join) -> None:
    pooled = pool(sweep_of(as_expected(make("plain", 20))))
    for quantity in (series.UNITS, series.VARIANCES):
        drawn = series.gradients(pooled, quantity)
        np.testing.assert_allclose(drawn["theory"], drawn["value"], rtol=1e-6)
    rates = trends.rates(pooled)
    assert rates["theory"].to_list() == pytest.approx(rates["value"].to_list())


def test_what_theory_does_not_know_is_not_compared(make: Make, sweep_of: Join) -> None:
    vgg = make("plain", 16, model__name="vgg", model__order=None)
    old = make("plain", 20)
    del old[0]["model"]["image"]
    pooled = pool(sweep_of(vgg, old))
    assert beside(pooled, assess(pooled)) == []
    assert {group.model: group.theory for group in pooled.groups} == {
        "vgg": "pooling is no part of the recursions",
        "resnet": "its records do not tell the whole network",
    }


@pytest.mark.usefixtures("undrawn")
def test_theory_can_be_left_out(make: Make, sweep_of: Join, tmp_path: Path) -> None:
    sweep = sweep_of(as_expected(make("plain", 20)))
    assert isinstance(pool(sweep).groups[0].theory, Profile)
    with_it, without = (report.write(sweep, tmp_path / str(theory), theory=theory) for theory in (True, False))
    assert any("predicted" in heading for heading in with_it.page.read_text().split("<h3>"))
    assert "mean-field" not in without.page.read_text()
    assert len(with_it.verdict) == len(without.verdict) + 1
    assert pl.read_csv(tmp_path / "False" / "tables" / "rate_by_step.csv")["theory"].null_count() == 1

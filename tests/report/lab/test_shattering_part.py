"""What the report says of gradients whose likeness follows a law."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from labtables import lab_table

from resjax.records import LabTable
from resjax.report.groups import pool
from resjax.report.lab import parts
from resjax.report.lab.decay import NOISE, law
from resjax.report.lab.found import Part

Make = Callable[..., Any]
LAYERS = np.arange(1, 40, 2)
UNITS = 9


def test_an_exponential_decay() -> None:
    found = law(LAYERS, 0.9**LAYERS)
    assert found is not None
    assert found.rate == pytest.approx(0.9)
    assert not found.is_power
    assert found.points == sum(0.9**LAYERS > NOISE) < len(LAYERS)


def test_a_power() -> None:
    found = law(LAYERS, LAYERS**-0.5)
    assert found is not None
    assert found.exponent == pytest.approx(-0.5)
    assert found.is_power


def test_noise_has_no_law() -> None:
    """Two layers above it, and all others below: nothing to fit."""
    assert law(LAYERS, np.where(LAYERS < 4, 0.5, -0.02)) is None


def test_noise_is_not_a_slow_decay() -> None:
    """Half a layer, under noise that lifts some of the units behind above the line: 1000 nets of 28 units."""
    chance = np.random.default_rng(0)
    layers = np.arange(1, 57, 2)
    noisy = 0.5 ** (layers - 1) + chance.normal(0, 0.03, (1000, len(layers)))
    rates = [found.rate for values in noisy if (found := law(layers, values)) is not None]
    assert len(rates) > 100
    assert 0.45 < np.median(rates) < 0.65, "all that is above the line gives 0.92"


def table(run: str, likeness: Callable[[int], float]) -> LabTable:
    """R(1) and the ends' cosine as the layers behind say; two lines beside the mean; of pairs 0.32 and 0.12."""
    rows = []
    for seed in range(3):
        here = {"seed": seed, "moment": "start"}
        for line, beside in enumerate((0.9, 1.1)):
            for unit in (None, *range(1, UNITS + 1)):
                behind = 2 * (UNITS - (unit or 0)) + 1
                place = here | {"kind": "line", "line": line, "unit": unit, "layers_behind": behind}
                place |= {"units_behind": UNITS - (unit or 0)}
                value = beside * likeness(behind)
                rows += [place | {"lag": lag, "autocorrelation": value, "cosine": value / 2} for lag in (1, 7)]
        for same, cosine in ((True, 0.32), (False, 0.12)):
            pair = {"kind": "pair", "one": 0, "other": 1 + same, "same_class": same, "cosine": cosine}
            rows.append(here | pair)
    return lab_table("shattering", run, rows, settings={"lags": 4})


@pytest.fixture
def part(make: Make, sweep_of: Make) -> Part:
    """A plain net whose gradients lose a tenth of their likeness a layer, and a residual one with 1/sqrt(L)."""
    plain, residual = make("plain", 20), make("residual", 20)
    lab = (
        table(plain[0]["id"], lambda layers: 0.9**layers),
        table(residual[0]["id"], lambda layers: layers**-0.5),
    )
    sweep = replace(sweep_of(plain, residual), lab=lab)
    (found,) = parts(pool(sweep), sweep)
    return found


def test_a_fit_of_some_seeds_says_so(make: Make, sweep_of: Make) -> None:
    run = make("plain", 20)
    lab = table(run[0]["id"], lambda layers: 0.9**layers)
    lost = pl.when(pl.col("seed") == 1).then(0.0)
    rows = lab.table.with_columns(autocorrelation=lost.otherwise("autocorrelation"))
    sweep = replace(sweep_of(run), lab=(replace(lab, table=rows),))
    (part,) = parts(pool(sweep), sweep)
    assert f"({UNITS} of {UNITS} units, in 2 of 3 seeds: the others have too few for a fit)" in part.sentences[0]


def test_few_units_are_not_noise(make: Make, sweep_of: Make) -> None:
    run = make("plain", 20)
    lab = table(run[0]["id"], lambda layers: 0.9**layers)
    few = lab.table.filter(pl.col("unit").is_null() | (pl.col("unit") > UNITS - 2))
    sweep = replace(sweep_of(run), lab=(replace(lab, table=few),))
    (part,) = parts(pool(sweep), sweep)
    assert "R(1) has too few units for a fit" in part.sentences[0]


def test_no_law_is_set_beside_what_it_is_not_of(make: Make, sweep_of: Make) -> None:
    for settings in ({"model__activation": "tanh"}, {"model__order": "full_preactivation"}):
        run = make("residual", 20, **settings)
        sweep = replace(sweep_of(run), lab=(table(run[0]["id"], lambda layers: 0.9**layers),))
        (part,) = parts(pool(sweep), sweep)
        assert "Balduzzi" not in part.sentences[0]
        assert "theory" not in set(part.figures[0].data["what"])


def test_a_plain_net_with_relu_has_its_law_in_every_family(make: Make, sweep_of: Make) -> None:
    """Without a shortcut relu before the addition is relu behind the layer."""
    run = make("plain", 4, model__name="mlp")
    sweep = replace(sweep_of(run), lab=(table(run[0]["id"], lambda layers: 0.5**layers),))
    (part,) = parts(pool(sweep), sweep)
    assert "(Balduzzi et al. 2017: a factor of 1/2 a layer)" in part.sentences[0]


def test_the_sentences(part: Part) -> None:
    plain, residual = part.sentences
    images = 0.9 ** (2 * UNITS + 1)
    assert plain.startswith(f"plain-20, start: gradients in the images at neighbouring points have R(1) = {images:.2f}")
    assert f"at the ends of a line a cosine of {images / 2:.2f} ± 0.00;" in plain
    assert "R(1) changes by a factor of 0.90 ± 0.00 a layer, or as L to the power of" in plain
    assert f"an exponential being closer ({UNITS} of {UNITS} units)" in plain
    assert "(Balduzzi et al. 2017: a factor of 1/2 a layer)" in plain
    assert "a mean cosine of 0.32 ± 0.00 in one class and 0.12 ± 0.00 in two classes. (n = 3)" in plain
    assert "or as L to the power of -0.50 ± 0.00, a power being closer" in residual
    assert "(Balduzzi et al. 2017: units to the power of -1/2)" in residual


def test_the_figures(part: Part) -> None:
    assert [figure.name for figure in part.figures] == ["shattering_by_depth", "shattering_along", "shattering_pairs"]
    by_depth, along, pairs = (figure.data for figure in part.figures)
    law_of_plain = by_depth.filter(arm="plain", what="theory").sort("layers_behind")
    assert law_of_plain.select("layers_behind", "value").row(1) == pytest.approx((3, 0.25)), "from 1 at the last output"
    assert set(along["lag"]) == {1}, "no lag beyond those asked for"
    shares = pairs.filter(pl.col("value") > 0)
    assert set(shares.select("classes", "cosine", "value").rows()) == {("one", 0.35, 100.0), ("two", 0.15, 100.0)}

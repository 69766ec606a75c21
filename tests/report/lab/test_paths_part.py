"""The report's paths, from tables whose answer is known."""

from dataclasses import replace
from math import comb

import polars as pl
import pytest
from scipy.stats import binom

from resjax.records.schema import LAB_TABLES
from resjax.report.groups import Group, Seed
from resjax.report.lab.found import NETWORK, Found
from resjax.report.lab.paths import ADDED, NUMBER, SUM, paths, shared

N, FACTOR = 9, 0.25


def group(arm: str) -> Group:
    seeds = tuple(Seed(number, "run", None, None, {}) for number in range(2))
    return Group(arm, arm, 20, "batch", "resnet", "digits", "", "", "{}", None, None, 10, seeds)


def found() -> Found:
    """A residual net in which a branch carries FACTOR times what a shortcut does, and a plain one; two seeds."""
    groups = {arm: group(arm) for arm in ("plain", "residual")}
    rows = []
    for seed in range(2):
        front = {"seed": seed, "moment": "end"}
        fixed = {"choices": 0, "branches": 0, "length": N}
        rows += [{"group": "plain", **front, **fixed, "kind": kind, "grad_norm": 2.0} for kind in ("path", "total")]
        for k in range(N + 1):
            told = {"group": "residual", **front, "choices": N, "branches": k, "length": k}
            carried = [{"kind": "path", "draw": draw, "grad_norm": (0.5 + draw) * FACTOR**k} for draw in range(2)]
            rows += [told | one for one in carried]
            rows += [told | {"kind": "total", "grad_norm": comb(N, k) * FACTOR**k}]
        rows += [{"group": "residual", **front, "choices": N, "kind": "full", "grad_norm": (1 + FACTOR) ** N / 2}]
    table = pl.DataFrame(rows, schema=NETWORK | LAB_TABLES["paths"])
    told = pl.DataFrame(
        [{"group": g.id, "panel": g.panel, "arm": g.arm, "depth": 20, "label": g.label} for g in groups.values()]
    )
    table = table.drop("panel", "arm", "depth", "label").join(told, on="group").select([*NETWORK, *LAB_TABLES["paths"]])
    return Found("paths", {"draws": 2}, 0, table.cast({"depth": pl.Int64}), groups, {}, 0)


@pytest.mark.parametrize(("kind", "p"), [(NUMBER, 0.5), (ADDED, FACTOR / (1 + FACTOR)), (SUM, FACTOR / (1 + FACTOR))])
def test_shares_are_binomial(kind: str, p: float) -> None:
    rows = shared(found()).filter(kind=kind, seed=1)
    assert set(rows["group"]) == {"residual"}
    assert rows.sort("branches")["share"].to_list() == pytest.approx(binom.pmf(range(N + 1), N, p).tolist())


def test_sentences_say_the_lengths_and_the_factor() -> None:
    plain, residual = paths(found()).sentences
    assert "one path, through the branches of 9 units" in plain
    assert "4.5 (90 %: 2 to 7) of the 9 branches" in residual
    assert f"carries, {N * FACTOR / (1 + FACTOR):.1f} ± 0.0 (" in residual
    assert f"a factor of {FACTOR:.2f} ± 0.00" in residual
    assert "2.0 ± 0.0 times that of the whole gradient" in residual
    assert "(n = 2)" in residual


def test_a_sum_below_rounding_is_nothing() -> None:
    there = found()
    null = pl.when((pl.col("kind") == "total") & (pl.col("branches") == N)).then(None).otherwise("grad_norm")
    rows = shared(replace(there, table=there.table.with_columns(grad_norm=null))).filter(kind=SUM, seed=1)
    assert rows.filter(branches=N)["share"].to_list() == [0]
    assert rows["share"].sum() == pytest.approx(1)


def test_what_was_not_sampled_is_told_apart() -> None:
    there = found()
    some = there.table.filter((pl.col("kind") != "path") | pl.col("branches").is_in([0, 4, 9]))
    rows = shared(replace(there, table=some)).filter(seed=1)
    assert rows.filter("sampled", kind=ADDED)["branches"].to_list() == [0, 4, 9]
    assert rows.filter(kind=SUM)["sampled"].all()
    taken = rows.filter(kind=ADDED).sort("branches")["share"].to_list()
    assert taken == pytest.approx(binom.pmf(range(N + 1), N, FACTOR / (1 + FACTOR)).tolist()), "its logarithm is a line"


def test_figures_hold_both_nets() -> None:
    one, lengths = paths(found()).figures
    assert set(one.data["arm"]) == {"plain", "residual"}
    assert set(lengths.data["label"]) == {"residual-20"}

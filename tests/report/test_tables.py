import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from resjax.records import Sweep
from resjax.report.groups import pool
from resjax.report.tables import cell, spans, summary, terminal, write_csv

Make = Callable[..., tuple[dict, pl.DataFrame, pl.DataFrame]]
Join = Callable[..., Sweep]


def test_rows_are_json_and_sorted(full: Sweep) -> None:
    found = summary(full)
    json.dumps(found, allow_nan=False)
    assert [(row["norm"], row["depth"], row["arm"]) for row in found[:3]] == [
        ("batch", 20, "plain"),
        ("batch", 20, "residual"),
        ("batch", 32, "plain"),
    ]
    assert len(found) == 16


def test_std_is_the_samples_and_what_diverged_is_left_out(make: Make, sweep_of: Join) -> None:
    sweep = sweep_of(make(outcomes={1: 5}))
    (row,), (group,) = summary(sweep), pool(sweep).groups
    a, b = group.final("test_error").values()
    assert row["test_error_mean"] == pytest.approx((a + b) / 2)
    assert row["test_error_std"] == pytest.approx(abs(a - b) / 2**0.5)
    assert row["test_error_ci95"] == pytest.approx(12.706 * abs(a - b) / 2, rel=1e-3)
    assert (row["n_finished"], row["n_diverged"], row["seeds"]) == (2, 1, [0, 1, 2])


def test_one_seed_and_none_left(make: Make, sweep_of: Join) -> None:
    (row,) = summary(sweep_of(make(seeds=range(1))))
    assert row["train_error_std"] is row["train_error_ci95"] is None
    assert row["train_error_mean"] is not None
    (row,) = summary(sweep_of(make(seeds=range(1), outcomes={0: 3})))
    assert row["train_error_mean"] is None
    assert summary(sweep_of()) == []


def test_terminal(full: Sweep) -> None:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(terminal(summary(full), 200))
    lines = captured.get().splitlines()
    assert any("plain" in line and "268,800" in line and "±" in line for line in lines)
    assert "setting" not in captured.get()


def test_a_narrow_terminal_cuts_no_number(make: Make, sweep_of: Join) -> None:
    """What has no room is left out, or stands in a table of its own beside what tells its row apart."""
    changed = {"schedule__learning_rate": 0.001, "optimizer__weight_decay": 0.01, "data__name": "fashion_mnist"}
    others = make("projection_b", 110, **changed), make("plain", 56, "none", model__name="mlp", **changed)
    found = summary(sweep_of(make("plain", 20), *others))
    assert any(len(row["setting"]) > 24 for row in found), "a legend"
    for row in found:
        row |= {"test_error_10crop_mean": row["test_error_mean"] / 3, "test_error_10crop_std": row["test_error_std"]}
    for width in (40, 50, 60, 80, 100, 130):
        console = Console(width=width)
        with console.capture() as captured:
            console.print(terminal(found, width))
        said = captured.get()
        assert "…" not in said
        assert max(map(len, said.splitlines())) <= width
        words = " ".join(said.split())
        for row in found:
            for key in ("train_error", "test_error", "test_error_10crop"):
                assert cell(row, key, digits=1) in words, (width, key)
            assert f" {row['depth']} " in words
        assert said.count("depth") == said.count("arm") == said.count("norm"), "each table tells its rows apart"
        assert words.count("mean ± std over the seeds that finished") == 1
        assert "setting 2: " in words


def test_csv_reads_back(full: Sweep, tmp_path: Path) -> None:
    write_csv(tmp_path / "summary.csv", summary(full))
    assert pl.read_csv(tmp_path / "summary.csv")["seeds"].to_list() == ["0 1 2"] * 16
    write_csv(tmp_path / "none.csv", [])
    assert (tmp_path / "none.csv").exists()


def test_spans() -> None:
    assert spans([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7, 8"

"""The experiment's own tables are made of records, and of nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

import resjax.report as report
from resjax import records
from resjax.records import Sweep

Make = Callable[..., tuple[dict, pl.DataFrame, pl.DataFrame]]
Join = Callable[..., Sweep]


@pytest.fixture
def figure(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("gradient_flow")


def sweep(figure: ModuleType, make: Make, sweep_of: Join, seeds: int = 5) -> Sweep:
    return sweep_of(*(make(arm, depth, norm, seeds=range(seeds)) for norm, depth, arm in figure.cells()))


@pytest.mark.usefixtures("undrawn")
def test_it_fills_the_page(figure: ModuleType, make: Make, sweep_of: Join, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(
        "# Title\n\n<!-- table: states -->\n<!-- end -->\n\n<!-- table: theory -->\nold\n<!-- end -->\nThe end.\n"
    )
    records.keep(sweep(figure, make, sweep_of), tmp_path / "records")
    made = replace(figure.EXPERIMENT, folder=tmp_path)
    made.write()
    text = page.read_text()
    assert text.startswith("# Title")
    assert text.endswith("The end.\n")
    assert "old" not in text
    assert text.count("\n| batch | 56 | plain |") == 2
    assert "healthy, 1.2" in text
    assert {path.suffix for path in tmp_path.iterdir() if path.is_file()} == {".md", ".svg"}
    made.write()
    assert page.read_text() == text


def test_it_stops_where_a_number_has_no_run(figure: ModuleType, make: Make, sweep_of: Join, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Title\n")
    made = replace(figure.EXPERIMENT, folder=tmp_path, figures=())
    with pytest.raises(SystemExit, match="fewer than 5 seeds"):
        made.filled(report.assemble(sweep(figure, make, sweep_of, seeds=4)))
    whole = sweep(figure, make, sweep_of)
    with pytest.raises(SystemExit, match="Of these there is no run"):
        made.filled(report.assemble(replace(whole, runs=whole.runs[:-1])))

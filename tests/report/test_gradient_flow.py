"""The experiment's page is made of records, and of nothing else."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from resjax.records import Sweep

Make = Callable[..., tuple[dict, pl.DataFrame, pl.DataFrame]]
Join = Callable[..., Sweep]


@pytest.fixture
def figure(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("gradient_flow")


def sweep(figure: ModuleType, make: Make, sweep_of: Join, seeds: int = 5) -> Sweep:
    return sweep_of(*(make(arm, depth, norm, seeds=range(seeds)) for norm, depth, arm in figure.cells()))


@pytest.mark.usefixtures("undrawn")
def test_it_fills_the_page(
    figure: ModuleType, make: Make, sweep_of: Join, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "README.md"
    page.write_text(
        "# Title\n\n<!-- table: states -->\n<!-- end -->\n\n<!-- table: theory -->\nold\n<!-- end -->\nThe end.\n"
    )
    monkeypatch.setattr(figure.records, "read", lambda folder: sweep(figure, make, sweep_of))
    figure.main(tmp_path, page)
    text = page.read_text()
    assert text.startswith("# Title")
    assert text.endswith("The end.\n")
    assert "old" not in text
    assert text.count("\n| batch | 56 | plain |") == 2
    assert "healthy, 1.2" in text
    assert {path.suffix for path in tmp_path.iterdir()} == {".md", ".svg"}
    figure.main(tmp_path, page)
    assert page.read_text() == text


@pytest.mark.parametrize("missing", ["a group", "a seed"])
def test_it_stops_where_a_number_has_no_run(figure: ModuleType, make: Make, sweep_of: Join, missing: str) -> None:
    whole = sweep(figure, make, sweep_of, 4 if missing == "a seed" else 5)
    kept = Sweep(whole.folders, whole.runs[:-1] if missing == "a group" else whole.runs, whole.metrics, whole.layers)
    with pytest.raises(SystemExit, match="fewer than 5 seeds"):
        figure.require(figure.pool(kept))

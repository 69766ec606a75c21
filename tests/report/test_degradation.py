"""The page says what the records beside it say, and nothing else."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from resjax.report.groups import pool

Script = Callable[[str], ModuleType]


@pytest.mark.usefixtures("undrawn")
def test_the_page_is_that_of_its_records(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = script("degradation")
    page = tmp_path / "README.md"
    shutil.copy(figure.FOLDER / "README.md", page)
    monkeypatch.setattr(figure, "FOLDER", tmp_path)
    figure.main(None)
    assert page.read_text() == (figure.KEPT.parent / "README.md").read_text()
    assert "| plain | 56 | 36." in page.read_text()


def test_it_stops_where_a_number_has_no_run(script: Script, tmp_path: Path) -> None:
    figure = script("degradation")
    whole = figure.kept(figure.KEPT)
    figure.keep(whole, tmp_path / "again")
    again = figure.kept(tmp_path / "again")
    assert again.metrics.equals(whole.metrics)
    assert again.layers.equals(whole.layers)
    with pytest.raises(SystemExit, match="fewer than 3 seeds"):
        figure.require(pool(replace(again, runs=again.runs[1:])))

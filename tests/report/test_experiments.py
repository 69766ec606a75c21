"""Every experiment's page says what the records beside it say, and stops where a number has no run behind it."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import altair as alt
import pytest
from altair.utils.schemapi import validate_jsonschema
from jsonschema import ValidationError

from resjax import records
from resjax.cli.planning import plan
from resjax.errors import InputError
from resjax.identity import run_id
from resjax.papers.loading import find
from resjax.report import experiment, markdown
from resjax.report.experiment import Experiment
from resjax.report.page import Content
from resjax.report.tables import cell
from resjax.report.words import amount

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
PAGES = sorted(path.parent.name for path in EXPERIMENTS.glob("*/figure.py"))
KEPT = sorted(path.parent.name for path in EXPERIMENTS.glob("*/records"))


@pytest.fixture(scope="module")
def known() -> dict[str, Content]:
    """What has been computed of records, for all pages that are of the same."""
    return {}


@pytest.fixture
def once(known: dict[str, Content], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is computed of records is computed once."""
    computed = experiment.content_of

    def content_of(kept: Path, question: Path) -> Content:
        key = json.dumps([str(kept), records.asked_of(question)], allow_nan=False)
        return known[key] if key in known else known.setdefault(key, computed(kept, question))

    monkeypatch.setattr(experiment, "content_of", content_of)


@pytest.mark.usefixtures("undrawn", "once")
@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_that_of_its_records(name: str, script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    shutil.copytree(EXPERIMENTS / name, tmp_path / name)
    figure = script(name)
    kept = figure.EXPERIMENT.of or EXPERIMENTS / name / experiment.KEPT
    replace(figure.EXPERIMENT, folder=tmp_path / name, of=kept).write()
    assert (tmp_path / name / "README.md").read_text() == (EXPERIMENTS / name / "README.md").read_text()
    assert {f"{figure}.svg" for figure in figure.EXPERIMENT.figures} <= {
        path.name for path in (EXPERIMENTS / name).iterdir()
    }


@pytest.fixture(scope="module")
def legal() -> set[str]:
    """The forms of figures that have been found legal."""
    return set()


def form(spec: Any) -> Any:
    """What a specification is made of, without its values."""
    if isinstance(spec, dict):
        return {key: form(part) for key, part in sorted(spec.items()) if key not in ("datasets", "usermeta")}
    if isinstance(spec, list):
        return sorted({json.dumps(form(part)) for part in spec})
    return type(spec).__name__


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("name", PAGES)
def test_figures_are_legal_vega_lite(name: str, script: Callable[[str], ModuleType], legal: set[str]) -> None:
    """Of figures that differ in their values alone, one."""
    kept = script(name).EXPERIMENT.of or EXPERIMENTS / name / experiment.KEPT
    for figure in experiment.content_of(kept, EXPERIMENTS / name / experiment.KEPT).drawn:
        if (own := json.dumps(form(figure.spec))) not in legal:
            validate_jsonschema(figure.spec | {"datasets": {"rows": []}}, alt.load_schema())
            legal.add(own)
    with pytest.raises(ValidationError):
        validate_jsonschema(figure.spec | {"datasets": {"rows": 3}}, alt.load_schema())


@pytest.mark.parametrize("name", KEPT)
def test_the_pages_command_makes_the_runs_of_its_records(name: str) -> None:
    """All of them; of a search the first ones."""
    text = (EXPERIMENTS / name / "README.md").read_text()
    command = re.search(r"^    resjax reproduce (.*)$", text, re.MULTILINE)
    if command is None:
        pytest.skip("made by resjax train -m, or another page's runs")
    digits = re.search(r'^    digits="(.*)"$', text, re.MULTILINE)
    words = shlex.split(command[1].replace("$digits", digits[1] if digits else ""), comments=True)
    item, part = find(words[0])
    made = {run_id(job) for job in plan(item, part, "laptop", words[1:], "runs").jobs}
    there = {str(run["id"]) for run in records.kept(EXPERIMENTS / name / "records").runs}
    assert made == there or (item.search and made < there)


def test_the_readmes_headline_is_the_experiments() -> None:
    readme = (EXPERIMENTS.parent / "README.md").read_text()
    content = experiment.content_of(EXPERIMENTS / "degradation" / "records")
    errors = {(row["arm"], row["depth"]): cell(row, "train_error", 1) for row in content.rows}
    for depth in (20, 56):
        assert f"| {depth} layers | {errors['plain', depth]} | {errors['residual', depth]} |" in readme
    assert content.paper is not None
    (told,) = [one for one in content.paper.statements if one.claim.test == "grows_more"]
    assert told.comparison is not None
    assert (told.verdict, told.comparison.n) == ("supported", 3)
    assert f"**supported**, *{amount(told.comparison, 'train_error').split(', p')[0]}, p = 0.0025" in readme
    assert told.p == pytest.approx(0.0025, abs=5e-5)


def test_it_stops_where_a_number_has_no_run(tmp_path: Path) -> None:
    folder = tmp_path / "degradation"
    shutil.copytree(EXPERIMENTS / "degradation", folder)
    whole = records.kept(folder / "records")
    gone = replace(whole, runs=[run for run in whole.runs if run["config"]["model"]["depth"] == 20])
    records.keep(gone, folder / "records")
    with pytest.raises(SystemExit, match="These rows have no run: plain 56, residual 56"):
        Experiment(folder, (), 3).write()
    with pytest.raises(SystemExit, match="fewer than 4 seeds: plain-20, residual-20"):
        Experiment(folder, (), 4).write()


def test_it_stops_where_a_figure_has_nothing_to_draw(tmp_path: Path) -> None:
    folder = tmp_path / "degradation"
    shutil.copytree(EXPERIMENTS / "degradation", folder)
    with pytest.raises(SystemExit, match="there is no figure nobodys"):
        Experiment(folder, ("nobodys",), 3).write()


def test_a_sweep_that_is_not_all_there_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "degradation"
    shutil.copytree(EXPERIMENTS / "degradation", folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit, match="holds no run"):
        Experiment(folder, (), 3).take(tmp_path / "nothing")
    whole = records.kept(folder / "records")
    part = replace(whole, runs=[run for run in whole.runs if run["config"]["model"]["depth"] == 20])
    monkeypatch.setattr(records, "read", lambda *_: part)
    with pytest.raises(SystemExit, match="These rows have no run: plain 56, residual 56"):
        Experiment(folder, (), 3).take(folder / "records")
    with pytest.raises(SystemExit, match="is not of resjax reproduce"):
        Experiment(folder, (), 3).take(tmp_path)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    monkeypatch.setattr(records, "read", lambda *_: whole)
    Experiment(folder, (), 3).take(folder / "records")
    assert records.kept(folder / "records").metrics.equals(whole.metrics)


def test_a_page_takes_one_question_and_its_own_records(
    tmp_path: Path, script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [EXPERIMENTS / name / "records" for name in ("orders", "shortcuts")]
    monkeypatch.setattr(records, "read", records.kept)
    with pytest.raises(SystemExit, match=r"shortcuts/records has another question than .*orders/records"):
        Experiment(tmp_path, (), 3).take(*folders)
    with pytest.raises(SystemExit, match="responses has the records of degradation"):
        script("responses").EXPERIMENT.take(folders[0])


def test_a_search_has_to_have_every_depth_that_it_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "trainable_depth"
    shutil.copytree(EXPERIMENTS / "trainable_depth", folder)
    whole = records.kept(folder / "records")
    records.keep(
        replace(whole, runs=[r for r in whole.runs if r["config"]["model"]["depth"] != 56]), folder / "records"
    )
    with pytest.raises(SystemExit, match="These rows have no run: plain 56, residual 56"):
        Experiment(folder, (), 3).write()


def test_a_table_that_nobody_makes_is_told() -> None:
    with pytest.raises(InputError, match="table: nobodys --> is no table of these"):
        markdown.fill("<!-- table: nobodys -->\n<!-- end -->", {"errors": str})


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    whole = records.kept(EXPERIMENTS / "degradation" / "records")
    records.keep(whole, tmp_path)
    again = records.kept(tmp_path)
    assert again.metrics.equals(whole.metrics)
    assert again.layers.equals(whole.layers)
    assert again.runs == whole.runs
    assert records.asked_of(tmp_path)["item"] == "he2015/fig6"

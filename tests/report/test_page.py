"""The page's parts: verdicts at a glance, what the filters go by, the runs and the commands that make them again."""

import html
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from resjax import records, report
from resjax.cli.composition import checked
from resjax.identity import run_id
from resjax.records import Sweep
from resjax.report.charts import still
from resjax.report.page import Content, document, keys, overview, results, runs

RECORDS = sorted((Path(__file__).parents[2] / "experiments").glob("*/records/runs.json"))
TAGS = re.compile(r"<[^>]+>")


@pytest.fixture(scope="module")
def content(full: Sweep) -> Content:
    return report.assemble(full)


def rows_of(table: str) -> list[list[str]]:
    """The words of a table's cells."""
    body = table[table.index("<tbody>") : table.index("</tbody>")]
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in body.split("<tr")[1:]]
    return [[html.unescape(TAGS.sub("", cell.replace("<br>", "; "))) for cell in row] for row in cells]


def test_the_verdicts_at_a_glance_are_those_of_the_claims(content: Content) -> None:
    """Of the sweep that conftest made: plain rises with depth and explodes at step 0, residual does neither."""
    found = {(row[0], row[1]): row[2:] for row in rows_of(overview.glance(content))}
    assert list(found) == [(norm, arm) for norm in ("batch norm", "no norm") for arm in ("plain", "residual")]
    plain, residual = found["batch norm", "plain"], found["batch norm", "residual"]
    assert plain[0].startswith("rises from depth 32 (+")
    assert residual[0].startswith("no rise seen")
    assert (plain[1], plain[2]) == ("–", "–")  # noqa: RUF001
    assert residual[1].startswith("lower at 32 (−10.0), 44 (−20.0), 56 (−29.8); same at 20 (")  # noqa: RUF001
    assert plain[3].startswith("exploding at 44 and 56, 1.13 a layer")
    assert residual[3].startswith("healthy at 20, 32, 44 and 56")
    assert found["no norm", "residual"][5] == "4 of 12"


def test_the_tiles_count(content: Content) -> None:
    told = TAGS.sub(" ", overview.tiles(content)).split()
    assert " ".join(told).startswith("16 runs done 16 networks 48 seeds trained 4 seeds diverged 20 to 56 depth")


def test_a_row_is_told_by_its_network(content: Content) -> None:
    """A filter takes away what it is about, in every table: each row names networks that the page lists."""
    listed = json.loads(re.search(r">(\[.*\])<", keys.networks(content), re.DOTALL)[1])
    known = {(one["arm"], str(one["depth"]), one["panel"]) for one in listed}
    tables = [results.summary(content), results.gradient_table(content), results.theory_table(content.beside)]
    pattern = r'<tr data-arm="([^"]*)" data-depth="(\d+)" data-panel="([^"]*)"'
    for table in [*tables, results.claim_tables(content.claims)]:
        assert set(re.findall(pattern, table)) <= known
        assert table.count("<tr data-") == len(re.findall(r"<tr(?=[ >])", table.replace("<thead><tr>", "")))
    beside = re.findall(
        r'data-beside-arm="([^"]*)" data-beside-depth="(\d+)" data-beside-panel="([^"]*)"',
        results.claim_tables(content.claims),
    )
    assert set(beside) <= known
    assert len(beside) == len(content.claims)
    assert set(re.findall(pattern, results.summary(content))) == known


def test_figures_tell_what_their_empty_panels_need(content: Content) -> None:
    """Those that were completed for Vega are completed again by the script when it takes rows away."""
    grids = {figure.name: figure.spec["usermeta"]["grid"] for figure in content.drawn if "usermeta" in figure.spec}
    assert grids["training_curves"] == ["panel", "arm"]
    assert grids["gradient_heat_map"] == ["panel", "arm", "depth"]
    for figure in content.drawn:
        assert set(grids.get(figure.name, ())) <= set(figure.spec["datasets"]["rows"][0])


def test_points_for_the_pointer_are_in_no_picture(content: Content) -> None:
    specs = {figure.name: figure.spec for figure in content.drawn}
    words = {name: json.dumps(spec, allow_nan=False).count('"description": "hover"') for name, spec in specs.items()}
    assert {name for name, count in words.items() if count} == {"training_curves", "response_std"}
    for spec in specs.values():
        assert '"hover"' not in json.dumps(still(spec), allow_nan=False)
        assert still(spec)["datasets"] == spec["datasets"]


@pytest.mark.parametrize(
    "words",
    [
        "model=plain model.depth=56 seeds=3 seed=4",
        "model=preact model.depth=20 model.order=original data=digits data.augment=true probes.at=[0,7]",
        "model=densenet data=synthetic data.image_size=16 optimizer=adam schedule=cosine train.steps=50",
        "experiment=article",
        "model=mlp model.activation=tanh model.norm=none data.mean=[0.5] data.std=[0.25] train.max_minutes=3",
        "data=tfds data.name=shapes 'data.train_split=\"train[:80%]\"' 'data.test_split=\"train[80%:]\"'",
        r'''data=folder data.root=here "data.name=\"1e3\"" "sweep=\"it's a=b\""''',
        "'sweep=\"true\"'",
    ],
)
def test_the_command_of_a_run_makes_it_again(words: str) -> None:
    config = checked(shlex.split(words))
    again = shlex.split(runs.command(asdict(config)))
    assert again[:2] == ["resjax", "train"]
    assert run_id(checked(again[2:])) == run_id(config)
    assert checked(again[2:]).sweep == config.sweep
    assert ("data.root=FOLDER" in again) == (config.data.kind == "folder")
    assert not [word for word in again if word.startswith(("tracker", "runs=", "data.root=here"))]


def test_commands_of_recorded_runs_are_accepted() -> None:
    """Records of older versions, too."""
    said = {runs.command(run["config"]) for path in RECORDS for run in json.loads(path.read_text())[:2]}
    assert len(said) > 10
    for command in said:
        checked(shlex.split(command)[2:])


def test_every_run_is_there_with_its_settings_and_its_end(
    make: Callable[..., Any], sweep_of: Callable[..., Sweep]
) -> None:
    run, metrics, layers = make("plain", 32, outcomes={1: 7})
    failed = make("residual", 32)
    failed[0].update(status="failed", error="<b>no memory</b>")
    shown = runs.how(report.assemble(sweep_of((run, metrics, layers), failed)))
    assert shown.count('<details class="run"') == 2
    assert "1: diverged at step 7, first in stage2.unit1" in shown
    assert "done, 1 of 3 seeds diverged" in shown
    assert "&lt;b&gt;no memory&lt;/b&gt;" in shown
    assert html.escape(json.dumps(run["config"], indent=1, allow_nan=False)) in shown
    assert f'data-arm="plain" data-depth="32" data-panel="batch norm"><summary><code>{run["name"]}' in shown


def test_sweeps_are_told_apart(make: Callable[..., Any], sweep_of: Callable[..., Sweep]) -> None:
    made = [make("plain", 20), make("residual", 20), make("residual", 32)]
    for (run, _, _), name in zip(made, ("first", "second", "second"), strict=True):
        run["sweep"] = name
    content = report.assemble(sweep_of(*made))
    assert [row[:5] for row in rows_of(overview.sweeps(content))] == [
        ["first", "1", "1", "plain", "20"],
        ["second", "2", "2", "residual", "20 and 32"],
    ]
    listed = json.loads(re.search(r">(\[.*\])<", keys.networks(content), re.DOTALL)[1])
    assert {(one["arm"], one["depth"]): one["sweep"] for one in listed} == {
        ("plain", 20): ["first"],
        ("residual", 20): ["second"],
        ("residual", 32): ["second"],
    }
    assert overview.sweeps(report.assemble(sweep_of(made[0]))) == ""


def test_the_parts_are_linked(content: Content) -> None:
    written = document.page(replace(content, claims=[]))
    links = re.findall(r'<a href="#(\w+)">', written)
    assert links == ["overview", "verdicts", "curves", "atlas", "runs"], "without comparisons there are no statistics"
    assert set(links) == set(re.findall(r'<section id="(\w+)">', written))


def test_compact_records_stand_beside_a_sweep(tmp_path: Path) -> None:
    """As if they had been one sweep: what `resjax report A B` reads."""
    one, other = (records.kept(path.parent) for path in RECORDS if path.parts[-3] in ("article", "degradation_laptop"))
    both = records.read(*(path.parent for path in RECORDS if path.parts[-3] in ("article", "degradation_laptop")))
    assert len(both.runs) == len(one.runs) + len(other.runs)
    assert both.metrics.height == one.metrics.height + other.metrics.height
    again = records.read(both.folders[0], both.folders[0])
    assert (len(again.runs), again.layers.height) == (len(one.runs), one.layers.height)
    assert records.find(str(both.folders[0]), compact=True) == both.folders[0]

"""A wandb workspace names what runs log and nothing else, and is pushed where somebody answers."""

import gzip
import http.server
import json
import os
import re
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import wandb
from offline_runs import read_back
from rich.console import Console

from resjax.cli import main
from resjax.cli.composition import checked
from resjax.cli.dashboard import not_there, parser
from resjax.config import Config
from resjax.facts import describe, folder_of
from resjax.job import keep
from resjax.progress import Watch
from resjax.records import METRICS_SCHEMA, QUANTITIES, read
from resjax.report import presets
from resjax.rows import Finished, Layers, Metrics, Outcome, Row, Started
from resjax.tracking import Tracking, WandbTracker, dashboard

ROOT = Path(__file__).parents[1]
KEY = "k" * 40
RUN_KEYS = {"displayName", "jobType", "group", "tags"}  # of wandb's own
TINY = "model=mlp model.depth=6 model.width=8 train.steps=2 train.batch_size=16 probes.batch_size=16 probes.at=[0,1]"
PAGE = ROOT / "docs" / "wandb.md"
FACTS = ("weight_layers", "image", "classes")  # of the network, which rows that are told have not all
PARTS = {
    "metric": "|".join(METRICS_SCHEMA),
    "N": "[0-9]+",
    "layer": r"[0-9]{3} \S+",
    "moment": "step [0-9]+|end",
    "number": "ratio|rate|range|class|n",
    "part": "compile|train|probe|evaluation|total",
    "chart": "|".join(presets.TITLES),
}
SCALARS = ("epoch", "learning_rate", "train_loss", "train_error", "grad_norm")


@pytest.fixture(scope="module", params=["told", pytest.param("trained", marks=pytest.mark.slow)])
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one sweep, tiny, of one run, mirrored offline: of rows that are told, or really trained."""
    folder = tmp_path_factory.mktemp("dashboard") / "runs"
    words = [*TINY.split(), "seeds=2", "sweep=tiny", f"runs={folder}", "parallel.devices=1", "tracker=wandb"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_ENTITY", raising=False)
        if request.param == "trained":
            assert main(["train", *words]) == 0
        else:
            tell(checked(words))
    return folder


def tell(config: Config) -> None:
    """A run whose rows are made up: what training would yield of it, and all that becomes of them."""
    facts = describe(config, 1, {"digest": "d", "origin": "nowhere", "verified": None})
    rows: list[Row] = [Started({"parameters": 3, "multiply_adds": 5, "units": 3}, {"kind": "cpu", "count": 1})]
    for step in range(3):
        rows += [Metrics(step, seed, dict.fromkeys(SCALARS, 0.5)) for seed in (0, 1) if step < 2]
        rows += [Layers(step, looked_at())]
    rows += [Metrics(2, seed, {"epoch": 0.1, "test_loss": 2.0, "test_error": 0.5}) for seed in (0, 1)]
    times = dict.fromkeys(("compile", "train", "probe", "evaluation", "total"), 1.0)
    rows += [Finished((Outcome(0), Outcome(1)), times, 100.0, "e")]
    with Watch(1, Console(quiet=True)) as watch:
        watch.start(config.sweep, config.train.steps, config.seeds)
        assert keep(config, rows, folder_of(config, 1), facts, watch, Tracking()) == "done"


def looked_at() -> dict[str, np.ndarray]:
    """One probe of six weight layers and five units, of two seeds; |dL/dh| doubles from a unit to the one before."""
    units = [f"unit{number}" for number in range(5)]
    one = {
        "layer": [*range(6), *range(5)],
        "name": [*(f"{unit}.dense" for unit in units), "head", *units],
        "stage": [1] * 11,
        "kind": ["dense"] * 6 + ["unit"] * 5,
        "layer_depth": [*range(1, 7), *range(1, 6)],
    }
    columns = {name: np.tile(np.array(values), 2) for name, values in one.items()}
    known = {name: np.full(22, 0.5) for name in QUANTITIES}
    known["act_grad_norm"] = np.tile([np.nan] * 6 + [16.0, 8.0, 4.0, 2.0, 1.0], 2)
    return {"seed": np.repeat([0, 1], 11)} | columns | known


@pytest.fixture(scope="module")
def logged(runs: Path) -> dict[str, Any]:
    """What the run sent: its settings, and every key of its history and summary."""
    (folder,) = (path.parent for path in runs.glob("tiny/*/run.json"))
    found = read_back(folder)
    return {"config": found["config"], "keys": {*found["summary"], *(key for row in found["history"] for key in row)}}


def made(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What `resjax dashboard --json` prints."""
    capsys.readouterr()
    assert main(["dashboard", *words, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def panels(workspace: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Every section's panels."""
    sections = workspace["spec"]["section"]["panelBankConfig"]["sections"]
    return {section["name"]: section["panels"] for section in sections}


def named(config: dict[str, Any]) -> Iterator[str]:
    """What a panel names: kind:key of a run, its settings or its summary, a bare key of its history, a ^pattern."""
    yield from (config[key] for key in ("xAxis", "yAxis", "metricRegex") if key in config)
    yield from (*config.get("metrics", []), *config.get("mediaKeys", []), *config.get("legendFields", []))
    yield from (column["accessor"] for column in config.get("columns", []))
    for query in config.get("userQuery", {}).get("queryFields", []):
        yield from (arg["value"] for field in query["fields"] for arg in field.get("args", []))


def is_logged(name: str, logged: dict[str, Any]) -> bool:
    """Whether a run has it."""
    kind, _, key = name.partition(":")
    if kind == "run":
        return key in RUN_KEYS
    if kind == "config":
        value = logged["config"]
        for part in key.split("."):
            value = value if part == "value" else value.get(part, {})
        return value != {}
    if name.startswith("^"):
        return any(re.match(name, key) for key in logged["keys"])
    key = key if kind == "summary" else name
    return any(one == key or one.startswith((f"{key}._type", f"{key}.path")) for one in logged["keys"])


@pytest.mark.parametrize("entity", [(), ("--entity", "someone")])
def test_every_key_of_every_panel_is_one_that_runs_log(
    entity: tuple[str, ...], logged: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = made(capsys, "resjax", *entity)["workspace"]
    shown = panels(workspace)
    assert list(shown) == ["Verdicts", "Depth sweep", "Gradient atlas", "Health", "Speed"]
    names = {name for section in shown.values() for panel in section for name in named(panel["config"])}
    (runset,) = workspace["spec"]["section"]["runSets"]
    names |= set(runset["runFeed"]["columnOrder"])
    for key in [*runset["grouping"], *(sort["key"] for sort in runset["sort"]["keys"])]:
        names.add(f"{key['section']}:{key['name']}")
    assert len(names) > 30
    assert {name for name in names if not is_logged(name, logged)} == set()
    assert not is_logged("summary:train_error/median", logged), "else it would not see a wrong one"
    tables = [name for name in names if name.endswith("_table")]
    assert len(tables) == (len(presets.TITLES) if entity else 0)


def test_the_page_names_every_key_that_is_logged_and_no_other(logged: dict[str, Any]) -> None:
    """The first column of its tables, with what stands between < and > filled in."""
    page = PAGE.read_text().partition("## What is sent")[0]
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    said = [key for cell in cells for key in re.findall("`([^`]+)`", cell) if not key.startswith("tracker")]
    patterns = {key: re.sub("<([a-zN]+)>", lambda found: f"(?:{PARTS[found[1]]})", key) for key in said}
    keys = {re.sub(r"\._?\w+$", "", key) for key in logged["keys"] if not key.startswith("_")}
    assert [key for key in keys if not any(re.fullmatch(one, key) for one in patterns.values())] == []
    unseen = [key for key, one in patterns.items() if not any(re.fullmatch(one, key) for key in keys)]
    assert set(unseen) <= {"train_grad_norm/<layer>", *FACTS}
    for name in presets.TITLES:
        assert f"`{name}`" in page


def test_the_pages_commands_can_be_typed() -> None:
    commands = re.findall(r"^    resjax (dashboard .+)$", PAGE.read_text(), re.MULTILINE)
    assert [parser().parse_args(shlex.split(words)[1:]).project for words in commands] == ["depth"] * 3


def test_each_series_has_its_layers_and_not_the_whole_nets(
    logged: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """`grad_norm/mean` is of the net; a layer's begins with its number."""
    atlas = panels(made(capsys, "resjax")["workspace"])["Gradient atlas"]
    patterns = [panel["config"]["metricRegex"] for panel in atlas if "metricRegex" in panel["config"]]
    found = {pattern: sorted(key for key in logged["keys"] if re.match(pattern, key)) for pattern in patterns}
    assert len(found) == 6
    weights = [keys for pattern, keys in found.items() if pattern.startswith("^grad_norm")]
    assert [len(keys) for keys in weights] == [6], "six weight layers"


def test_a_custom_chart_is_drawn_as_in_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The same preset, fields, words and table as wandb's own `plot_table` sets for the run."""
    atlas = panels(made(capsys, "resjax", "--entity", "someone")["workspace"])["Gradient atlas"]
    charts = {panel["config"]["panelDefId"]: panel["config"] for panel in atlas if panel["viewType"] == "Vega2"}
    tracker = SimpleNamespace(wandb=wandb, mirror=SimpleNamespace(entity="someone"))
    for name in presets.TITLES:
        _, chart = WandbTracker.chart(tracker, name, pl.DataFrame({"step": [0]}))  # type: ignore[arg-type]
        theirs = chart.spec.config_value["panel_config"]
        ours = charts[theirs["panelDefId"]]
        assert ours["fieldSettings"] == theirs["fieldSettings"]
        assert ours["stringSettings"] == theirs["stringSettings"]
        assert chart.spec.table_key in named(ours)


def test_a_sweeps_verdicts_and_runs_are_shown(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--arm", "residual", "--norm", "batch", "--depth", "6"]
    workspace = made(capsys, "resjax", "--sweep", "tiny", "--runs", str(runs), *asked)["workspace"]
    assert (workspace["project"], workspace["displayName"]) == ("resjax", "tiny")
    said = panels(workspace)["Verdicts"][0]["config"]["value"]
    assert re.search(r"^- Batch norm, residual: .*at depth 6 \(ratio \d", said, re.MULTILINE)
    assert "No seed diverged (n = 2)." in said
    assert "`resjax report tiny`" in said
    (runset,) = workspace["spec"]["section"]["runSets"]
    asked_for = [(item["key"]["name"], item["op"], item["value"]) for item in runset["filters"]["filters"]]
    tags = [("tags", "IN", [tag]) for tag in ("tiny", "norm-batch", "depth-6")]
    assert asked_for == [*tags, ("jobType", "IN", ["residual"])]


def test_runs_that_the_project_lacks_are_told(runs: Path) -> None:
    (run,) = read(runs / "tiny").runs
    bare = run | {"config": run["config"] | {"tracker": {"name": "none", "project": "resjax"}}}
    assert not_there([run, run], "resjax") == []
    assert not_there([run, bare], "resjax") == ["1 of 2 runs were not mirrored (tracker=none)"]
    assert "for the project resjax and not other" in "".join(not_there([run], "other"))


def test_the_file_is_the_workspace_that_was_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from wandb_workspaces.workspaces import internal

    out = tmp_path / "new" / "workspace.json"
    printed = made(capsys, "resjax", "--name", "depth sweep", "--out", str(out))
    assert json.loads(out.read_text()) == printed["workspace"]
    assert internal.View.model_validate_json(out.read_text()).display_name == "depth sweep"
    assert (printed["pushed"], printed["why_not"], printed["url"]) == (False, "WANDB_MODE=offline", None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a/b"], r"PROJECT 'a/b' .* with '/'\.\nExpected .*\nType for example: resjax dashboard"),
        ([""], "PROJECT ''"),
        (["resjax", "--entity", "a b\n"], "--entity"),
        (["resjax", "--name", "a + b"], r"--name 'a \+ b' .* with '\+'"),
        (["resjax", "--out", "file"], r"--out file is no JSON file's name\.\nType: --out file.json"),
        (["resjax", "--sweep", "nothing"], "nothing is no sweep with runs"),
        (
            ["resjax", "--sweep", "tiny", "--depth", "20"],
            "tiny has no run of --depth 20.\nExpected: 6\nType: --depth 6",
        ),
        (["resjax", "--sweep", "tiny", "--arm", "plain"], "Type: --arm residual"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], told: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", *words, "--runs", str(runs)]) == 2
    assert re.search(told, capsys.readouterr().err)


def test_a_secret_is_neither_told_nor_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    out = tmp_path / "workspace.json"
    assert main(["dashboard", "resjax", "--name", f"of {KEY}", "--out", str(out)]) == 2
    told = capsys.readouterr()
    assert "the value of $WANDB_API_KEY" in told.err
    assert KEY not in told.err + told.out
    assert not out.exists()


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    assert main(["dashboard", "resjax"]) == 2
    assert "Type: pip install 'resjax[dashboard]'" in capsys.readouterr().err


class Server(http.server.BaseHTTPRequestHandler):
    """What answers in wandb's place: it lets everybody in, and keeps what it is told."""

    told: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        answer: dict[str, Any] = {}
        if self.path == "/graphql":
            asked = json.loads(body)
            self.told.append(asked)
            viewer = {"id": "1", "entity": "someone", "username": "someone", "email": "", "flags": "{}"}
            view = {"view": {"id": "2", "name": asked.get("variables", {}).get("name")}, "inserted": True}
            chart = {"chart": {"id": "3"}}
            answer = {
                "data": {"viewer": viewer | {"teams": {"edges": []}}, "upsertView": view, "createCustomChart": chart}
            }
        sent = json.dumps(answer, allow_nan=False).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its address, and what it is told."""
    told: list[dict[str, Any]] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Mine", (Server,), {"told": told})) as answering:
        threading.Thread(target=answering.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{answering.server_port}", told
        answering.shutdown()


@pytest.fixture
def online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """wandb as in a process of its own, online, without a key, and with two seconds' patience."""
    wandb.teardown()
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(dashboard, "CONNECT_SECONDS", 2)
    monkeypatch.chdir(tmp_path)
    yield monkeypatch
    wandb.teardown()


def test_it_is_pushed_to_a_server_that_answers(
    online: pytest.MonkeyPatch, server: tuple[str, list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    address, told = server
    online.setenv("WANDB_BASE_URL", address)
    online.setenv("WANDB_API_KEY", KEY)
    assert main(["dashboard", "resjax", "--out", "workspace.json"]) == 0
    (view,) = (asked["variables"] for asked in told if "upsertView" in asked["query"])
    assert (view["entityName"], view["projectName"], view["displayName"]) == ("someone", "resjax", "resjax")
    written = json.loads(Path("workspace.json").read_text())
    assert json.loads(view["spec"]) == written["spec"]
    charts = [asked["variables"]["chartName"] for asked in told if "createCustomChart" in asked["query"]]
    assert charts == [presets.preset(name) for name in presets.TITLES]
    atlas = panels(written)["Gradient atlas"]
    drawn = [panel["config"]["panelDefId"] for panel in atlas if panel["viewType"] == "Vega2"]
    assert drawn == [f"someone/{chart}" for chart in charts]
    said = capsys.readouterr()
    assert f"Pushed: {address}/someone/resjax?nw=" in said.out
    assert KEY not in said.out + said.err


def test_a_server_that_is_not_there_is_waited_for_in_seconds(
    online: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    online.setenv("WANDB_BASE_URL", "http://user:passw0rd@127.0.0.1:9")
    online.setenv("WANDB_API_KEY", KEY)
    began = time.perf_counter()
    assert main(["dashboard", "resjax", "--out", "workspace.json"]) == 1
    assert time.perf_counter() - began < 20, "two seconds, and what a busy machine adds"
    said = capsys.readouterr()
    assert said.err.startswith("resjax: wandb's server is not reached within 2 s")
    assert "Type: wandb login" in said.err
    assert not [secret for secret in ("passw0rd", KEY) if secret in said.out + said.err]
    assert Path("workspace.json").exists(), "it is built all the same"


def test_without_a_key_it_stays_here_and_says_what_to_type(
    online: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dashboard", "resjax", "--name", "depth sweep", "--depth", "20", "56"]) == 0
    said = capsys.readouterr().out
    assert "Not pushed: wandb has no key here." in said
    assert "Type: wandb login, then: resjax dashboard resjax --name 'depth sweep' --depth 20 56\n" in said

"""resjax reproduce: what it would run, what it refuses, and one item from its command to its page."""

import html
import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resjax.cli import main
from resjax.cli.composition import checked
from resjax.cli.planning import Plan, changes, dry_run, next_round, plan, rows_of, together_with
from resjax.identity import arm, canonical, run_id
from resjax.models import build
from resjax.papers.loading import find, items
from resjax.records import LAYERS_SCHEMA, METRICS_SCHEMA, Sweep

Out = pytest.CaptureFixture[str]
LIMIT_S = 180.0  # of a smoke, on two cores


def said(capsys: Out, *words: str) -> Any:
    assert main(["reproduce", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: Out, *words: str) -> str:
    assert main(["reproduce", *words]) == 2
    return capsys.readouterr().err


@cache
def planned(name: str, size: str, part: str | None = None) -> Plan:
    """Without settings of one's own; composed once."""
    return plan(items()[name], part, size, [], "runs")


def test_without_an_item_it_lists_them(capsys: Out, here: Path) -> None:
    assert {row["item"] for row in said(capsys)} == set(items())


def test_a_dry_run_counts_as_the_paper_does(capsys: Out, here: Path) -> None:
    found = {row["row"]: row for row in said(capsys, "he2015/table6", "--preset", "paper", "--dry-run")}
    published = {r.row: r.value for r in items()["he2015/table6"].references if r.quantity == "parameters"}
    assert {row: numbers["parameters"] for row, numbers in found.items()} == published
    assert found["ResNet-20"]["multiply_adds"] == pytest.approx(40.55e6, rel=1e-3)
    assert {numbers["steps"] for numbers in found.values()} == {64_000}
    assert found["ResNet-110"]["seconds"] > found["ResNet-20"]["seconds"]
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("item", "says"),
    [("he2015/fig7", "4 runs in runs/he2015_fig7_smoke"),
     ("trainable_depth", "2 runs in runs/trainable_depth_smoke")],
)  # fmt: skip
def test_a_dry_run_opens_no_device(item: str, says: str, here: Path) -> None:
    """A process of its own: what an earlier command told Hydra is not there."""
    code = (
        "import sys; from resjax.cli import main; code = main(sys.argv[1:]); from jax._src import xla_bridge; "
        "sys.exit(code or xla_bridge.backends_are_initialized())"
    )
    words = ["reproduce", item, "--preset", "smoke", "--dry-run"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert "data.name=digits (cifar10 in the " in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [(["he2015/fig9"], "he2015/fig9 is no figure"),
     (["he2015/fig6", "he2015/fig7"], "are several"),
     (["seeds=5", "--dry-run"], "No item is named"),
     (["--dry-run"], "No item is named"),
     (["trainable_depth", "model.depth=20", "--dry-run"], "the search decides model.depth"),
     (["he2015/fig6/right", "--preset", "laptop", "--dry-run"], "has no row at the size laptop"),
     (["he2015/fig6", "seeds=1,2", "--dry-run"], "several values"),
     (["he2015/fig6", "model.dept=3", "--dry-run"], "there is no setting model.dept"),
     (["he2015/fig6", "seeds=many", "--dry-run"], "has the wrong type")],
)  # fmt: skip
def test_what_is_refused(words: list[str], message: str, capsys: Out, here: Path) -> None:
    told = refused(capsys, *words)
    assert message in told
    assert "Type: " in told or "Did you mean: " in told
    assert not list(here.iterdir())


def test_what_is_not_the_papers_is_told(here: Path) -> None:
    item, _ = find("he2015/fig6")
    quarter = plan(item, None, "quarter", ["seeds=1"], "runs").reproduction
    assert quarter.changed == ["train.steps=16000 (64000 in the paper)"]
    own = plan(item, "left", "paper", ["seeds=2", "train.log_every=5"], "runs").reproduction
    assert own.changed == []
    assert [entry.row for entry in own.entries] == [f"plain {depth}" for depth in (20, 32, 44, 56, 110)]


def test_the_papers_recipe(here: Path) -> None:
    jobs = {job.model.depth: job for job in planned("he2015/fig6", "paper", "left").jobs}
    job = jobs[56]
    assert (job.train.steps, job.train.batch_size, job.model.norm_group) == (64_000, 128, 64)
    assert (job.schedule.learning_rate, job.schedule.boundaries, job.schedule.decay) == (0.1, [0.5, 0.75], 0.1)
    assert (job.optimizer.momentum, job.optimizer.weight_decay, job.data.augment) == (0.9, 1e-4, True)
    assert job.schedule.warmup_learning_rate is None
    assert (jobs[110].schedule.warmup_learning_rate, jobs[110].schedule.warmup_error) == (0.01, 0.8)


SHORTCUTS = {"plain-18": "none", "plain-34": "none", "ResNet-18": "identity", "ResNet-34": "identity"}
SHORTCUTS |= {"ResNet-34 A": "identity", "ResNet-34 B": "projection_b", "ResNet-34 C": "projection_c"}
SHORTCUTS |= dict.fromkeys(("ResNet-50", "ResNet-101", "ResNet-152"), "projection_b")


@pytest.mark.parametrize("name", ["he2015/table2", "he2015/table3"])
@pytest.mark.parametrize(("size", "steps"), [("paper", 600_000), ("quarter", 150_000)])
def test_the_imagenet_recipe_of_he_2015(name: str, size: str, steps: int, here: Path) -> None:
    made = planned(name, size)
    for entry, job in zip(made.reproduction.entries, made.jobs, strict=True):
        data, train, schedule, optimizer = job.data, job.train, job.schedule, job.optimizer
        assert (data.name, data.crop, data.shorter_side, data.augment) == ("imagenet2012", 224, [256, 480], True)
        assert (train.steps, train.batch_size, train.precise_statistics, job.model.norm_group) == (steps, 256, 200, 32)
        assert (schedule.name, schedule.learning_rate, schedule.decay) == ("step", 0.1, 0.1)
        assert (schedule.boundaries, schedule.warmup_learning_rate) == ([0.25, 0.5], None)
        assert (optimizer.momentum, optimizer.weight_decay, optimizer.nesterov) == (0.9, 1e-4, False)
        assert (job.model.layout, job.model.width, job.model.shortcut) == ("imagenet", 64, SHORTCUTS[entry.row])
        assert (job.model.norm, job.model.bottleneck) == ("batch", "v1")
    assert made.reproduction.changed == ([] if size == "paper" else ["train.steps=150000 (600000 in the paper)"])


def test_the_imagenet_recipes_of_densenet_and_vgg(here: Path) -> None:
    for job in planned("densenet/table3", "paper").jobs:
        boundaries = [round(at * job.train.steps * 256 / 1_281_167) for at in job.schedule.boundaries]
        assert (job.train.batch_size, round(job.train.steps * 256 / 1_281_167), boundaries) == (256, 90, [30, 60])
        assert (job.optimizer.nesterov, job.optimizer.weight_decay, job.data.name) == (True, 1e-4, "imagenet2012")
        assert job.model.growth == (48 if job.model.depth == 161 else 32)
    for job in planned("vgg/table3", "paper").jobs:
        model, data = job.model, job.data
        assert (model.norm, model.head, model.dropout, model.width) == ("none", "fc", 0.5, 64)
        assert (data.name, data.shorter_side, job.train.steps) == ("imagenet2012", [256, 256], 370_000)
    for job in planned("vgg/table3", "laptop").jobs:
        assert (job.model.norm, job.model.head, job.data.name, job.data.streamed) == ("batch", "pool", "cifar10", False)


ON_IMAGENET = ("he2015/table2", "he2015/table3", "densenet/table3", "vgg/table3")


@pytest.mark.parametrize("size", ["smoke", "quarter", "paper"])
@pytest.mark.parametrize("name", ON_IMAGENET)
def test_imagenets_items_are_planned_without_the_images(name: str, size: str, here: Path) -> None:
    """At a smoke on the made set; and where a number of ten crops stands beside, ten crops are made."""
    made = planned(name, size)
    assert dry_run(replace(made, jobs=made.jobs[:1]))  # the others' nets take seconds to build
    assert not list(here.iterdir())
    ten = {r.row for r in items()[name].references if r.quantity == "test_error_10crop"}
    for entry, job in zip(made.reproduction.entries, made.jobs, strict=True):
        assert job.data.name == ("mock_imagenet" if size == "smoke" else "imagenet2012")
        assert job.data.ten_crop or entry.row not in ten


@pytest.mark.parametrize("name", ["he2015/table2", "he2015/table3", "he2015/table3/depth", "densenet/table3"])
def test_a_laptop_is_no_place_for_imagenet(name: str, capsys: Out, here: Path) -> None:
    told = refused(capsys, name, "--dry-run")
    assert "no size laptop" in told
    assert f"Type: resjax reproduce {name} --preset " in told


def test_imagenet_nets_have_the_published_parameters(here: Path) -> None:
    for name in ("he2015/table2", "he2015/table3"):
        found = {row["row"]: row["parameters"] for row in dry_run(planned(name, "paper"))}
        published = {r.row: r.value for r in items()[name].references if r.quantity == "parameters"}
        assert {row: found[row] for row in published} == published


def test_clusters_are_taken(here: Path) -> None:
    item, _ = find("he2015/fig6")
    assert plan(item, None, "smoke", ["hydra/launcher=submitit_slurm"], "runs").launch.launcher.where == "slurm"


@pytest.mark.parametrize(("size", "steps"), [("paper", 400), ("quarter", 400), ("laptop", 25), ("smoke", 2)])
def test_he_2016_warm_up_for_a_stated_number_of_steps(size: str, steps: int, here: Path) -> None:
    for name in ("table1", "table2", "table3", "fig1"):
        item, _ = find(f"he2016/{name}")
        for row in item.rows_of(size):
            schedule = checked(item.words_of(row, size)).schedule
            assert (schedule.warmup_learning_rate, schedule.warmup_error, schedule.warmup_max_steps) == (0.01, 0, steps)


@pytest.mark.parametrize(
    ("row", "left"), [("plain 20", 7_259_064), ("plain 56", 39_811_706), ("residual 56", 20_366_599)]
)
def test_the_disk_that_is_foretold_is_enough(row: str, left: int, here: Path) -> None:
    """Beside what runs of experiments/article_claims left, wandb's mirror among it; two of them kept one checkpoint."""
    item, _ = find("article")
    digits = ["data=digits", "data.resize=null", "data.train_examples=null", "data.test_examples=null"]
    foretold = {one["row"]: one["disk_bytes"] for one in dry_run(plan(item, None, "laptop", digits, "runs"))}
    assert 0.4 < left / foretold[row] < 1


@pytest.mark.parametrize("size", ["quarter", "paper"])
def test_forty_runs_can_be_carried_away(size: str, here: Path) -> None:
    """By the bytes that a row has in the compact records of real runs (experiments/degradation), in 16 MiB."""
    kept = Path(__file__).parents[2] / "experiments" / "degradation" / "records"
    tables = [kept / name for name in ("metrics.parquet", "layers.parquet")]
    bytes_a_row = [path.stat().st_size / len(pl.read_parquet(path)) for path in tables]
    jobs, taken = planned("he2015/fig6", size, "left").jobs, []
    for job in jobs:
        model = build(job.model, (32, 32, 3), 10)
        rows = rows_of(job, len(model.weight_layers) + len(model.units))
        taken.append(sum(one * count for one, count in zip(bytes_a_row, rows, strict=True)))
    facts = (kept / "runs.json").stat().st_size / len(json.loads((kept / "runs.json").read_text()))
    assert {job.seeds for job in jobs} == {5}
    assert 40 * (sum(taken) / len(taken) + facts) < 16 * 2**20


def test_parts_of_an_item_share_their_rows(here: Path) -> None:
    left, middle = (planned("he2015/fig6", "paper", part).reproduction for part in ("left", "middle"))
    both = together_with(left.as_json(), middle)
    assert {entry.row for entry in both.entries} == {e.row for of in (left, middle) for e in of.entries}
    other = planned("he2015/fig6", "quarter", "left").reproduction
    assert together_with(other.as_json(), middle) == middle


def test_a_search_of_more_seeds_tries_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item, _ = find("trainable_depth")
    first = plan(item, None, "smoke", [], "runs")
    done = [
        {
            "id": f"{n}",
            "group": f"{n}",
            "status": "done",
            "config": asdict(job),
            "canonical": canonical(job),
            "arm": arm(job),
        }
        | {"seeds": [{"seed": s, "outcome": "finite", "diverged_at": None, "first_bad_layer": None} for s in range(2)]}
        for n, job in enumerate(first.jobs)
    ]
    rows = [
        {"run": run["id"], "step": 39, "seed": s, "train_loss": 1.0, "train_error": 0.1}
        for run in done
        for s in range(2)
    ]
    metrics = pl.DataFrame(rows, schema={"run": pl.String} | METRICS_SCHEMA)
    made = Sweep((here,), done, metrics, pl.DataFrame(schema={"run": pl.String} | LAYERS_SCHEMA))
    monkeypatch.setattr("resjax.cli.planning.records.read", lambda *folders: made)
    assert [job.model.depth for job in first.jobs] == [20, 20]
    again = next_round(first)
    assert [job.model.depth for job in again.jobs] == [56, 56]
    assert {(e.row, e.depth) for e in again.reproduction.entries} == {(r, d) for r in item.rows for d in (20, 56)}
    more = plan(item, None, "smoke", ["seeds=3"], "runs")
    assert [job.model.depth for job in more.jobs] == [20, 20]


def test_what_null_says_of_examples_is_told() -> None:
    """All of a set, or none that are held out."""
    item, _ = find("he2015/fig6")
    said = changes({"data": {"train_examples": None}}, {"data": {"train_examples": 9, "validation_examples": 5}}, item)
    assert list(said) == [
        "data.train_examples=all (9 in the paper)",
        "data.validation_examples=null (5 in the paper)",
    ]


def test_a_sweep_by_hand_has_the_same_runs(here: Path) -> None:
    from resjax.cli.overrides import launch

    item, _ = find("he2015/fig6")
    words = ["model.shortcut=none", "model.depth=56", "data=cifar10", "train.steps=16000", "seeds=5"]
    by_hand = launch([*words, "train.log_every=25", "train.evaluate_every=400", "probes.every=4000"]).jobs[0]
    planned = [job for job in plan(item, None, "quarter", [], "runs").jobs if job.model.depth == 56]
    assert run_id(by_hand) in {run_id(job) for job in planned}


def check_page(folder: Path, item: str, size: str = "smoke") -> dict[str, Any]:
    """The page is there, says what it is, and holds every statement; what `resjax reproduce --json` said."""
    page = html.unescape((folder / "report" / "report.html").read_text())
    assert items()[item].title in page or item == "x"
    asked = json.loads((folder / "reproduction.json").read_text())
    assert (asked["item"], asked["size"]) == (item, size)
    assert not any((folder / "report").glob(".report-*"))
    return asked


def test_an_item_from_its_command_to_its_page(here: Path, capsys: Out) -> None:
    words = ["he2016/fig1", "--preset", "smoke", "train.steps=8", "train.evaluate_every=4"]
    words += ["model.depth=8", "model.branch=basic", "model.shortcut=identity", "hydra/launcher=in_process"]
    assert main(["reproduce", *words]) == 0
    first = capsys.readouterr()
    folder = here / "runs" / "he2016_fig1_smoke"
    asked = check_page(folder, "he2016/fig1")
    rows = ["original 1001", "pre-activation 1001"]
    assert [row["row"] for row in asked["rows"]] == rows
    assert "not comparable at this size" in " ".join(first.out.split())
    assert "model.depth=8 (1001 in the paper)" in first.out
    for row in said(capsys, *words, "--dry-run"):
        (run,) = folder.glob(f"{row['run']}-*")
        left = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
        assert 0.3 < left / row["disk_bytes"] < 1, (row["row"], left)
    begun = time.monotonic()
    found = said(capsys, *words)
    assert time.monotonic() - begun < 30, "it trained again"
    loss, error, _ = found["statements"]
    assert (loss["method"], loss["n"], error["method"]) == ("paired t", 2, "paired t")
    assert [row["row"] for row in found["beside_paper_numbers"]] == rows
    assert [row["paper"] for row in found["beside_paper_numbers"]] == [7.61, 4.92]
    (folder / "report" / "report.html").unlink()
    assert main(["report", "he2016_fig1_smoke"]) == 0
    check_page(folder, "he2016/fig1")


@pytest.mark.parametrize("item", ["he2015/fig7", "trainable_depth"])
@pytest.mark.parametrize(("left_with", "code"), [(130, 130), (143, 143), (1, 1)])
def test_a_sweep_that_ended_early_writes_no_page(
    item: str, left_with: int, code: int, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exit code stays: 130 and 143 say that the same command goes on."""
    monkeypatch.setattr("resjax.cli.reproduce.start", lambda *_, **__: left_with)
    assert main(["reproduce", item, "--preset", "smoke"]) == code
    (folder,) = (here / "runs").iterdir()
    assert [path.name for path in folder.iterdir()] == ["reproduction.json"]


def test_a_search_whose_round_brings_nothing_ends(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when every run of it was skipped: not the same round for ever."""
    rounds: list[int] = []
    monkeypatch.setattr("resjax.cli.reproduce.start", lambda *_, **__: rounds.append(1) or 0)
    assert main(["reproduce", "trainable_depth", "--preset", "smoke"]) == 1
    assert len(rounds) == 1


PARTS = [f"{name}/{part}" for name, item in items().items() for part in item.parts]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*items(), *PARTS])
def test_every_item_at_smoke(name: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    words = [sys.executable, "-m", "resjax.cli", "reproduce", name, "--preset", "smoke"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begun
    assert done.returncode == 0, done.stdout + done.stderr
    item, _ = find(name)
    (folder,) = (tmp_path / "runs").iterdir()
    check_page(folder, item.name)
    assert "The page: " in done.stdout
    assert seconds < LIMIT_S, f"{name} took {seconds:.0f} s"
    print(f"{name}: {seconds:.0f} s")

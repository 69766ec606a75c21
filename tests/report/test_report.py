import ast
import html.parser
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import resjax.report
from resjax import report
from resjax.records import Sweep
from resjax.report.provenance import images

Make = Callable[..., tuple[dict, pl.DataFrame, pl.DataFrame]]
Join = Callable[..., Sweep]
MEGABYTE = 10**6


class Page(html.parser.HTMLParser):
    """What a page would fetch, and its visible text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.text: list[str] = []
        self.inside: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.inside = [*self.inside, tag][-1:]
        wanted = {"script": "src", "img": "src", "link": "href", "iframe": "src"}.get(tag)
        self.fetched += [value or "" for name, value in attributes if name == wanted]

    def handle_data(self, data: str) -> None:
        if self.inside != ["script"] and self.inside != ["style"]:
            self.text.append(data)


@pytest.fixture(scope="module")
def written(full: Sweep, tmp_path_factory: pytest.TempPathFactory) -> report.Report:
    return report.write(full, tmp_path_factory.mktemp("sweep") / "report")


def test_everything_is_there(written: report.Report) -> None:
    folder = written.page.parent
    figures = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert figures == {path.stem for path in (folder / "figures").glob("*.png")}
    assert len(figures) == 9
    tables = {path.stem for path in (folder / "tables").glob("*.csv")}
    assert tables == figures | {"summary", "gradient_health", "theory", "comparisons"}
    assert sorted(path.name for path in folder.iterdir()) == ["figures", "report.html", "tables"]
    assert len(written.rows) == 16
    assert written.verdict


def test_the_page_needs_nothing_else(written: report.Report) -> None:
    source = written.page.read_text()
    assert Page(source).fetched == []
    assert "default-src 'none'" in source
    assert "@import" not in source
    assert not re.search(r"url\(", source[: source.index("</style>")])
    assert len(source) < 6 * MEGABYTE
    assert "prefers-color-scheme: dark" in source


def test_the_page_says_what_the_verdict_says(written: report.Report) -> None:
    text = " ".join(Page(written.page.read_text()).text)
    for sentence in written.verdict:
        assert sentence in text
    assert text.index(written.verdict[0]) < text.index("parameters") < text.index("Error against step")


@pytest.mark.usefixtures("undrawn")
def test_other_runs_and_unverified_data_are_told(make: Make, sweep_of: Join, tmp_path: Path) -> None:
    runs = [make(depth=depth, seeds=range(1)) for depth in (20, 32, 44)]
    runs[0][0]["data"]["verified"] = False
    runs[1][0]["status"], runs[2][0]["status"] = "failed", "running"
    for run, _, _ in runs[1:]:
        del run["model"], run["devices"], run["images_per_s"], run["times"]
    text = " ".join(Page(report.write(sweep_of(*runs), tmp_path).page.read_text()).text)
    assert "2 more runs not counted here: 1 failed, 1 running" in text
    assert "The data of digits are not verified" in text


@pytest.mark.usefixtures("undrawn")
def test_names_are_escaped(make: Make, sweep_of: Join, tmp_path: Path) -> None:
    run, metrics, layers = make(seeds=range(1))
    run["data"]["origin"] = "</script><script>alert(1)</script>"
    layers = layers.with_columns(name=pl.lit("</script><b>"))
    sweep = sweep_of((run, metrics, layers), name="a<b>&c")
    source = report.write(sweep, tmp_path).page.read_text()
    assert "<script>alert" not in source
    assert "</script><b>" not in source
    assert "<h1>a&lt;b&gt;&amp;c</h1>" in source


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_report_leaves_the_old_one_whole(
    make: Make, sweep_of: Join, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = sweep_of(make(seeds=range(1)))
    report.write(sweep, tmp_path)
    old = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(resjax.report, "page", interrupt)
    with pytest.raises(KeyboardInterrupt):
        report.write(sweep_of(make(depth=32)), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == old
    monkeypatch.undo()
    report.write(sweep_of((*make(seeds=range(1))[:2], make()[2].clear())), tmp_path)
    assert not (tmp_path / "figures" / "gradient_by_unit.svg").exists()


def test_what_could_not_be_read_is_said(make: Make, sweep_of: Join) -> None:
    """Of every split by name, as many as fit a line; how tests see an image; and that made ones tell nothing."""
    run, *_ = make()
    assert images([run]) == []
    run["name"], run["config"]["data"]["name"] = "the run", "mock_imagenet"
    run["data"] |= {"test_view": "centre crop 64", "train_examples": 2048, "test_examples": 256}
    run["corrupted"] = {"train": [f"train[{number}]" for number in range(12)], "test": ["validation[3]"]}
    view, made, train, test = images([run, run])[:4]
    assert view == "The test error is of one crop, unless ten are named: centre crop 64."
    assert made.startswith("The images of mock_imagenet are patterns that resjax makes")
    assert train.startswith(
        "the run: 12 of 2048 train images could not be read, and were replaced by others: train[0], "
    )
    assert train.endswith("train[9] and 2 more.")
    assert test == "the run: 1 of 256 test images could not be read, and were left out: validation[3]."


def test_nothing_done(sweep_of: Join, tmp_path: Path) -> None:
    found = report.write(sweep_of(), tmp_path)
    assert (found.rows, found.verdict) == (
        [],
        ["No layer was looked at (probes.at, probes.every, probes.last): nothing is said of gradients."],
    )


def test_records_are_all_it_imports() -> None:
    allowed = {"resjax.records", "resjax.config", "resjax.errors", "resjax.identity", "resjax.power"}
    allowed |= {"resjax.datarules"}  # which settings decide nothing
    allowed |= {"resjax.rows"}  # how images are named that could not be read
    allowed |= {f"resjax.papers.{name}" for name in ("bisection", "item", "loading")}
    allowed |= {
        f"resjax.{name}"
        for name in ("shortcuts", "settings", "fits", "classes", "statistics", "theory", "theory.summary")
    }
    for path in Path(resjax.report.__file__).parent.glob("*.py"):
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        ours = {str(node.module) for node in nodes if str(node.module).split(".")[0] == "resjax"}
        assert {name for name in ours if not name.startswith("resjax.report")} <= allowed | {"resjax"}
        assert not {str(node.module).split(".")[0] for node in nodes} & {"jax", "hydra", "wandb", "flax"}

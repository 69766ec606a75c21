"""The page as a reader meets it: opened from disk in a browser without a network. Run by `make browser`."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import MISSING, Chromium, Tab, program

from resjax import records, report

pytestmark = [pytest.mark.browser, pytest.mark.skipif(program() is None, reason=MISSING)]

MEGABYTE = 10**6
OPENS = 3.0  # seconds until its text and every figure are there
LOADS = 3  # the best counts: the machine may be busy
DRAWN = 60.0  # seconds that all figures may take on a busy machine; they are drawn while the page is read
FAILED = "could not be drawn"

# Of each figure: its size, the colour of its text, and what its place says.
LOOK = """[...document.querySelectorAll(".drawing")].map(place => {
  const picture = place.querySelector("svg, canvas"), box = picture?.getBoundingClientRect();
  const ink = place.querySelector("svg text");
  return { name: place.id, size: picture ? Math.min(box.width, box.height) : 0,
           ink: ink ? getComputedStyle(ink).fill : "", text: place.textContent };
})"""
# Frame by frame: seconds until the figures had appeared, and the longest that a frame took to come.
WATCH = """const seen = {}; let last = 0, longest = 0;
function frame() {
  const now = performance.now() / 1000;
  [longest, last] = [Math.max(longest, now - last), now];
  document.querySelectorAll(".drawing svg, .drawing canvas").forEach(p => seen[p.closest(".drawing").id] ??= now);
  requestAnimationFrame(frame);
}
frame();"""
TIMES = """({ seen, frame: longest,
  text: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd / 1000 })"""
FAULTY = """<!doctype html><p>Faulty</p><img src="http://example.org/picture.png">
<script>console.error("said"); setTimeout(() => { throw new Error("thrown"); });</script>"""


# Clicks on a filter's choice, and what is left then: rows of tables, runs, and the words in figures.
CLICK = """[...document.querySelectorAll("#filters button")]
  .find(button => button.dataset.filter == %r && button.textContent == %r).click()"""
LEFT = """({ rows: [...document.querySelectorAll("tr[data-arm]:not([hidden])")].map(row => ({ ...row.dataset })),
  runs: [...document.querySelectorAll("details.run:not([hidden])")].map(run => run.dataset.arm),
  networks: document.getElementById("shown").textContent,
  words: [...document.querySelectorAll(".drawing svg [aria-roledescription=title] text")].map(t => t.textContent) })"""
# Whether every figure is of the choice that so many clicks have made.
CURRENT = """[...document.querySelectorAll(".drawing")].every(place => place.dataset.state?.endsWith(" %d"))"""
# Clicks on a heading of a part's first table, and what its column says then.
SORT = """(() => { const th = [...document.querySelectorAll("#%s th")].find(th => th.textContent == %r);
  th.click(); return [...th.closest("table").tBodies[0].rows].map(row => row.cells[th.cellIndex].textContent); })()"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> report.Report:
    """Of forty real runs, two arms, two norms, five depths, twice two seeds, in compact records:

    resjax train -m model=plain,resnet model.depth=8,14,20,32,44 model.norm=batch,none seed=0,2 seeds=2 data=digits
    train.steps=60 train.evaluate_every=20 train.batch_size=64 schedule=constant schedule.learning_rate=0.02
    probes.at=[0,1,10] probes.batch_size=64 tracker=none sweep=forty; resjax export forty tests/report/forty, whose
    runs.json was set on one line
    """
    sweep = records.read(Path(__file__).parent / "forty")
    assert len(sweep.runs) == 40
    return report.write(sweep, tmp_path_factory.mktemp("sweep") / "report")


@pytest.fixture(scope="module")
def names(written: report.Report) -> set[str]:
    """Of the figures that the report has as files."""
    return {path.stem for path in (written.page.parent / "figures").glob("*.svg")}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(program() or "", tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def tab(browser: Chromium) -> Iterator[Tab]:
    opened = Tab(browser)
    yield opened
    opened.close()


def wait(tab: Tab, met: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The figures as soon as they are so."""
    end = time.monotonic() + DRAWN
    while not met(figures := tab.evaluate(LOOK)):
        assert time.monotonic() < end, f"Not within {DRAWN:.0f} s: {figures}"
        time.sleep(0.01)
    return figures


def done(figure: dict[str, Any]) -> bool:
    return figure["size"] > 0 or FAILED in figure["text"]


def inks(figures: list[dict[str, Any]]) -> dict[str, str]:
    return {figure["name"]: figure["ink"] for figure in figures}


def load(browser: Chromium, page: Path, count: int) -> dict[str, float]:
    """Seconds until the text, the first figure and the last one are there, and of the longest frame."""
    tab, end = Tab(browser), time.monotonic() + DRAWN
    tab.open(page, WATCH)
    while len((times := tab.evaluate(TIMES))["seen"]) < count:
        assert time.monotonic() < end, f"Of {count} figures these appeared within {DRAWN:.0f} s: {times['seen']}"
        time.sleep(0.1)
    tab.close()
    appeared = times.pop("seen").values()
    return times | {"first figure": min(appeared), "last figure": max(appeared)}


def test_it_is_no_more_than_ten_megabytes(written: report.Report) -> None:
    assert written.page.stat().st_size < 10 * MEGABYTE


def test_it_opens_within_three_seconds(browser: Chromium, written: report.Report, names: set[str]) -> None:
    """Its text and every figure are there, and scrolling never stands still for so long."""
    for _ in range(LOADS):
        seconds = load(browser, written.page, len(names))
        print(", ".join(f"{what} {value:.2f} s" for what, value in seconds.items()))
        within = {what: value < OPENS for what, value in seconds.items()}
        if all(within.values()):
            break
    assert all(within.values()), seconds


def test_every_figure_is_drawn_without_an_error(tab: Tab, written: report.Report, names: set[str]) -> None:
    tab.open(written.page)
    figures = wait(tab, lambda figures: bool(figures) and all(done(figure) for figure in figures))
    assert {figure["name"] for figure in figures} == names
    for figure in figures:
        assert FAILED not in figure["text"]
        assert figure["size"] > 100, figure["name"]
    assert tab.errors() == []
    assert tab.fetched() == [written.page.as_uri()]


def test_dark_and_on_paper(tab: Tab, written: report.Report, names: set[str]) -> None:
    """Figures change with the theme. On paper they are the light ones, and all there, without a wait."""
    tab.open(written.page)
    light = inks(wait(tab, lambda figures: bool(figures) and all(inks(figures).values())))
    tab.prefer("dark")
    dark = inks(wait(tab, lambda figures: all(ink not in ("", light[name]) for name, ink in inks(figures).items())))
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert inks(tab.evaluate(LOOK)) == light
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    wait(tab, lambda figures: inks(figures) == dark)
    assert set(light) == names
    assert tab.errors() == []


def settled(tab: Tab, clicks: int) -> dict[str, Any]:
    """What is left once every figure is drawn anew."""
    end = time.monotonic() + DRAWN
    while not tab.evaluate(CURRENT % clicks):
        assert time.monotonic() < end
        time.sleep(0.05)
    return tab.evaluate(LEFT)


def test_filters_leave_what_was_chosen(tab: Tab, written: report.Report) -> None:
    """In every table, in the list of runs, and in every figure; and all comes back."""
    tab.open(written.page)
    wait(tab, lambda figures: bool(figures) and all(done(figure) for figure in figures))
    before = settled(tab, 0)
    assert before["networks"] == "20 of 20 networks"
    assert len(before["runs"]) == 40
    tab.evaluate(CLICK % ("arm", "plain"))
    plain = settled(tab, 1)
    assert plain["networks"] == "10 of 20 networks"
    assert plain["runs"] == ["plain"] * 20
    assert {row["arm"] for row in plain["rows"]} == {"plain"}
    assert "residual" in before["words"]
    assert "residual" not in plain["words"]
    assert "plain" in plain["words"]
    tab.evaluate(CLICK % ("norm", "no norm"))
    tab.evaluate(CLICK % ("depth", "44"))
    one = settled(tab, 3)
    assert one["networks"] == "1 of 20 networks"
    assert {(row["depth"], row["panel"]) for row in one["rows"] if "depth" in row} == {("44", "no norm")}
    assert "batch norm" not in one["words"]
    for name, choice in (("arm", "plain"), ("norm", "no norm"), ("depth", "44")):
        tab.evaluate(CLICK % (name, choice))
    after = settled(tab, 6)
    assert {key: after[key] for key in ("rows", "runs", "networks")} == {
        key: before[key] for key in ("rows", "runs", "networks")
    }
    assert sorted(after["words"]) == sorted(before["words"])
    assert tab.errors() == []


def natural(cell: str) -> float | tuple[str, int] | None:
    """The number that a cell begins with, else a network's arm and depth; None of a dash."""
    arm, _, depth = cell.partition("-")
    if arm and depth.isdigit():
        return arm, int(depth)
    return None if cell == "–" else float(cell.split()[0].replace("\u2212", "-"))  # noqa: RUF001


def test_a_theme_can_be_chosen_and_a_table_sorted(tab: Tab, written: report.Report) -> None:
    tab.open(written.page)
    light = inks(wait(tab, lambda figures: bool(figures) and all(inks(figures).values())))
    tab.evaluate("""const choice = document.querySelector("#theme select");
        choice.value = "dark"; choice.dispatchEvent(new Event("change", { bubbles: true }))""")
    wait(tab, lambda figures: all(ink not in ("", light[name]) for name, ink in inks(figures).items()))
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
    for part, column in (("verdicts", "depth"), ("statistics", "network"), ("statistics", "difference")):
        up, down = ([natural(cell) for cell in tab.evaluate(SORT % (part, column))] for _ in range(2))
        known = [value for value in up if value is not None]
        assert up == sorted(known) + [None] * (len(up) - len(known)), "what is no number comes last"
        assert down == sorted(known, reverse=True) + [None] * (len(up) - len(known))
        assert known[0] != known[-1]
    assert tab.errors() == []


def test_faults_are_found(tab: Tab, tmp_path: Path) -> None:
    """The checks above fail on a page that deserves it."""
    page = tmp_path / "faulty.html"
    page.write_text(FAULTY)
    tab.open(page)
    end = time.monotonic() + DRAWN
    while len(tab.errors()) < 3 and time.monotonic() < end:
        tab.evaluate("0")
    assert [word for word in ("said", "thrown", "ERR_INTERNET_DISCONNECTED") if word not in str(tab.errors())] == []
    assert tab.fetched() == [page.as_uri(), "http://example.org/picture.png"]

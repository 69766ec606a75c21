"""The page as a reader meets it: opened from disk in a browser without a network. Run by `make browser`."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import MISSING, Chromium, Tab, program

from resjax import report
from resjax.records import Sweep

pytestmark = [pytest.mark.browser, pytest.mark.skipif(program() is None, reason=MISSING)]

MEGABYTE = 10**6
OPENS = 2.0  # seconds that the page may take to open
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


@pytest.fixture(scope="module")
def written(
    make: Callable[..., Any], sweep_of: Callable[..., Sweep], tmp_path_factory: pytest.TempPathFactory
) -> report.Report:
    """Of 20 runs with three seeds each: two arms, two norms, five depths."""
    runs = [
        make(arm, depth, norm, level=0.01 + (depth / 300 if arm == "plain" else 0), ends=(1 / depth, 1))
        for arm in ("plain", "residual")
        for norm in ("batch", "none")
        for depth in (20, 32, 44, 56, 110)
    ]
    return report.write(sweep_of(*runs), tmp_path_factory.mktemp("sweep") / "report")


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


def test_it_opens_within_two_seconds(browser: Chromium, written: report.Report, names: set[str]) -> None:
    """Its text and the first figure are there, and scrolling never stands still for longer."""
    for _ in range(LOADS):
        seconds = load(browser, written.page, len(names))
        print(", ".join(f"{what} {value:.2f} s" for what, value in seconds.items()))
        within = {what: value < OPENS for what, value in seconds.items() if what != "last figure"}
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

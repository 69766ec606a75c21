"""Figures, tables and sentences, from a sweep's records alone."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import vl_convert
from altair.utils.schemapi import debug_mode

from resjax.records import Sweep
from resjax.report import claims, health, lab, theme
from resjax.report.charts import VEGA_LITE, Figure, still
from resjax.report.expected import beside
from resjax.report.figures import atlas, curves
from resjax.report.groups import Pool, pool
from resjax.report.page import Content, page
from resjax.report.paper import Paper, paper
from resjax.report.paper import tables as paper_tables
from resjax.report.paper_figures import paper_figures
from resjax.report.reproduction import Reproduction
from resjax.report.tables import rows as summary_rows
from resjax.report.tables import terminal, write_csv
from resjax.report.verdict import Sections, verdict

__all__ = ["Report", "terminal", "write"]

PAGE, FIGURES, TABLES = "report.html", "figures", "tables"
PIXELS = 2.0  # of a PNG, for each of the figure's


@dataclass(frozen=True)
class Report:
    """Where the page is, the summary table's rows, the verdict's sentences by heading, what is said beside a paper."""

    page: Path
    rows: list[dict[str, Any]]
    sections: Sections
    paper: Paper | None = None

    @property
    def verdict(self) -> list[str]:
        """Every sentence."""
        return [sentence for said in self.sections.values() for sentence in said]


def write(sweep: Sweep, folder: Path, theory: bool = True, reproduction: Reproduction | None = None) -> Report:
    """Write folder/report.html, folder/figures/*.svg|png and folder/tables/*.csv; beside a paper's item where one is.

    Everything is written beside and then renamed: what interrupts it before leaves the old report whole.
    """
    content = assemble(sweep, theory, reproduction)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".report-") as name:
        new = Path(name) / "new"
        write_tables(content, new / TABLES)
        for figure in content.drawn:
            draw(figure, new / FIGURES)
        (new / FIGURES).mkdir(exist_ok=True)
        (new / PAGE).write_text(page(content), encoding="utf-8")
        put(new, Path(name) / "old", folder)
    sections = content.sections | {part.heading: part.sentences for part in content.lab if part.sentences}
    return Report(folder / PAGE, content.rows, sections, content.paper)


def assemble(sweep: Sweep, theory: bool = True, reproduction: Reproduction | None = None) -> Content:
    """All that is computed; without `theory` nothing is said of what it expects."""
    pooled = pool(sweep) if theory else silent(pool(sweep))
    seen, deeper, treated = health.assess(pooled), claims.depths(pooled), claims.shortcuts(pooled)
    compared = beside(pooled, seen)
    sections = verdict(pooled, seen, deeper, treated, compared)
    beside_it = paper(reproduction, sweep, pooled) if reproduction else None
    with debug_mode(False):  # altair checks every part of a chart against its schema: tests do that
        papers = paper_figures(beside_it) if beside_it else []
        return Content(
            sweep=sweep,
            pool=pooled,
            rows=summary_rows(pooled),
            sections=sections,
            health=seen,
            claims=[*deeper, *treated],
            curves=[*papers, *curves(pooled)],
            atlas=atlas(pooled, seen),
            beside=compared,
            paper=beside_it,
            lab=lab.parts(pooled, sweep),
        )


def silent(pooled: Pool) -> Pool:
    """The pool, of whose networks theory is told nothing."""
    return replace(pooled, groups=[replace(group, network=None) for group in pooled.groups])


def write_tables(content: Content, folder: Path) -> None:
    """The summary, what the verdict rests on, and the data behind every figure."""
    folder.mkdir(parents=True)
    write_csv(folder / "summary.csv", content.rows)
    write_csv(folder / "gradient_health.csv", [item.row() for item in content.health])
    write_csv(folder / "theory.csv", [item.row() for item in content.beside])
    write_csv(folder / "comparisons.csv", [item.row() for item in content.claims])
    for figure in content.drawn:
        write_csv(folder / f"{figure.name}.csv", figure.data)
    for name, rows in paper_tables(content.paper).items() if content.paper else ():
        write_csv(folder / f"{name}.csv", rows)


def draw(figure: Figure, folder: Path) -> None:
    """One figure as SVG and PNG, on white."""
    folder.mkdir(exist_ok=True)
    config = theme.config(dark=False, background="white", font=theme.STATIC_FONT)
    settings: dict[str, Any] = {"vl_version": VEGA_LITE, "config": config, "allowed_base_urls": []}
    svg = vl_convert.vegalite_to_svg(still(figure.spec), **settings)
    (folder / f"{figure.name}.svg").write_text(svg, encoding="utf-8")
    (folder / f"{figure.name}.png").write_bytes(vl_convert.svg_to_png(svg, scale=PIXELS))


def put(new: Path, old: Path, folder: Path) -> None:
    """Rename the new parts into their places, the page last; the old ones go with the temporary folder."""
    old.mkdir()
    for part in (TABLES, FIGURES):
        if (folder / part).exists():
            (folder / part).rename(old / part)
        (new / part).rename(folder / part)
    (new / PAGE).replace(folder / PAGE)

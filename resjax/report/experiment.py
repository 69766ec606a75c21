"""An experiment's page, from the records beside it alone: README.md's tables, and its figures.

A folder of experiments/ has README.md, figure.py and records/; regions of README.md stand between
`<!-- table: NAME -->` and `<!-- end -->`: errors, sentences, verdicts, paper, degradation, search.
"""

import sys
from collections.abc import Callable, Collection
from pathlib import Path

import resjax.report as report
from resjax import records
from resjax.report import markdown, searched
from resjax.report.page import Content
from resjax.report.paper import Paper
from resjax.report.paper_page import COLUMNS, degradation_cells
from resjax.report.paper_words import degradation_sentences, many, statement_cells
from resjax.report.reproduction import from_json
from resjax.report.tables import cell, columns

KEPT, PAGE = "records", "README.md"


def main(folder: Path, figures: Collection[str], seeds: int, usage: str) -> None:
    """Fill the page and draw the figures; with a sweep's folder on the command line, take its records first."""
    if len(sys.argv) > 2:
        raise SystemExit(usage)
    if sys.argv[1:]:
        records.keep(records.read(Path(sys.argv[1])), folder / KEPT)
    write(folder, figures, seeds)


def write(folder: Path, figures: Collection[str], seeds: int) -> None:
    """The page and the figures of the records in `folder`. SystemExit where a number has too few runs behind it."""
    content = content_of(folder / KEPT)
    require(content, seeds)
    page = folder / PAGE
    page.write_text(markdown.fill(page.read_text(encoding="utf-8"), makers(content)), encoding="utf-8")
    missing = set(figures) - {figure.name for figure in content.figures}
    if missing:
        raise SystemExit(f"there is no figure {', '.join(sorted(missing))}: the records have nothing to draw of it")
    for figure in content.figures:
        if figure.name in figures:
            report.draw(figure, folder)
            (folder / f"{figure.name}.png").unlink()  # the page shows the other


def content_of(kept: Path) -> Content:
    """Everything that is computed of the records."""
    asked = records.asked_of(kept)
    return report.assemble(records.kept(kept), reproduction=from_json(asked) if asked else None)


def require(content: Content, seeds: int) -> None:
    """Every row that was asked for has its runs, and every network its seeds."""
    few = [group.label for group in content.pool.groups if len(group.seeds) < seeds]
    if few:
        raise SystemExit(f"Of these there are fewer than {seeds} seeds: {', '.join(few)}")
    if content.paper is not None:
        asked = content.paper.asked
        there = {*content.paper.found.groups, *(row for row, _ in content.paper.found.searched)}
        missing = [entry.row for entry in asked.entries if entry.row not in there]
        if missing:
            raise SystemExit(f"These rows have no run: {', '.join(missing)}")


def makers(content: Content) -> dict[str, Callable[[], str]]:
    """What makes each region."""
    made = content.paper
    found = {"errors": lambda: errors(content), "sentences": lambda: sentences(content)}
    if made is not None:
        found |= {
            "verdicts": lambda: verdicts(made),
            "paper": lambda: beside(made),
            "degradation": lambda: degraded(made),
            "search": lambda: search(made),
        }
    return found


def errors(content: Content) -> str:
    """Training error over the last tenth of the steps, and test error at the last, in percent."""
    names = ("arm", "depth", "norm", "setting", "train_error", "test_error", "n_finished", "n_diverged")
    shown = [(key, title) for key, title in columns(content.rows) if key in names]
    rows = [[cell(row, key, 1) for key, _ in shown] for row in content.rows]
    return markdown.table((title for _, title in shown), rows)


def sentences(content: Content) -> str:
    """What the report says."""
    found = [f"**{heading}**\n\n" + "".join(f"- {s}\n" for s in said) for heading, said in content.sections.items()]
    return "\n".join(found)


def verdicts(made: Paper) -> str:
    """Every statement with its numbers, but for those that this size does not run."""
    rows = [statement_cells(one, made.asked) for one in made.statements if one.verdict != "not run"]
    return markdown.table((title for title, _ in COLUMNS), rows) + f"\n{many(made.statements)}\n"


def beside(made: Paper) -> str:
    """The paper's numbers beside ours."""
    return markdown.table(
        ("row", "quantity", "paper", "ours, mean ± std (n)", "difference", "verdict"),
        (one.cells() for one in made.published),
    )


def degraded(made: Paper) -> str:
    """Gap, onset, iterations."""
    titles, rows = degradation_cells(made)
    return markdown.table(titles, rows) + "\n" + "".join(f"- {s}\n" for s in degradation_sentences(made))


def search(made: Paper) -> str:
    """Every depth that was tried."""
    tried = [(one.row, step) for one in made.searched for step in one.tried]
    rows = [
        [
            row,
            str(step.group.depth),
            percents(step.group.final("train_error")),
            f"{step.trained}/{len(step.group.seeds)}",
        ]
        for row, step in tried
    ]
    lines = "".join(f"- {one.sentence(made.asked.preset.fails)}\n" for one in made.searched)
    body = markdown.table(("row", "depth", "training error, % by seed", "trained"), rows)
    return f"{body}\n{lines}\n{searched.NOTE}\n"


def percents(values: dict[int, float]) -> str:
    """Every seed's."""
    return ", ".join(f"{100 * value:.1f}" for value in values.values()) or "diverged"

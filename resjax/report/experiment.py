"""An experiment's page, from the records beside it alone: README.md's tables, and its figures.

A folder of experiments/ has README.md, figure.py and records/; regions of README.md stand between
`<!-- table: NAME -->` and `<!-- end -->`: errors, sentences, verdicts, paper, degradation, search, and lab_ with an
instrument's name. A second question to the same runs is a folder with `of`, the other folder's records; its own
records/ has at most the question.
"""

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import resjax.report as report
from resjax import records
from resjax.report import markdown, published, searched
from resjax.report.lab import Part
from resjax.report.page import Content
from resjax.report.page.paper import COLUMNS, degradation_cells, search_cells
from resjax.report.paper import Paper
from resjax.report.paper_words import degradation_sentences, many, statement_cells
from resjax.report.reproduction import from_json
from resjax.report.tables import cell, columns

KEPT, PAGE = "records", "README.md"
Makers = dict[str, Callable[[], str]]  # what makes each region


@dataclass(frozen=True)
class Experiment:
    """A page: the figures that it shows, the seeds that every network needs.

    of: whose records, where they are another page's. tables: what makes the regions that this page alone has.
    """

    folder: Path
    figures: Collection[str]
    seeds: int
    of: Path | None = None
    tables: Callable[[Content], Makers] | None = None

    def main(self, usage: str) -> None:
        """Fill the page and draw the figures; with sweeps' folders on the command line, take their records first."""
        words = sys.argv[1:]
        if any(word.startswith("-") for word in words):
            raise SystemExit(usage)
        if words:
            self.take(*map(Path, words))
        self.write()

    def take(self, *sweeps: Path) -> None:
        """Keep the sweeps' records beside the page. SystemExit, and the old ones stay, where they are not all there."""
        if self.of is not None:
            other = self.of.parent
            raise SystemExit(
                f"{self.folder.name} has the records of {other.name}.\nType: python {other}/figure.py SWEEP"
            )
        kept = self.folder / KEPT
        for sweep in sweeps:
            if not records.read(sweep).runs:
                raise SystemExit(f"{sweep} holds no run. Expected a sweep's folder.\nType: resjax status {sweep.name}")
            if kept.exists() and records.asked_of(kept) and not records.asked_of(sweep):
                raise SystemExit(f"{sweep} is not of resjax reproduce, and the records in {kept} are.")
            if records.asked_of(sweep) != records.asked_of(sweeps[0]):
                raise SystemExit(f"{sweep} has another question than {sweeps[0]}.\nType: python figure.py {sweeps[0]}")
        found = records.read(*sweeps)
        with TemporaryDirectory() as place:
            records.keep(found, Path(place))
            self.filled(content_of(Path(place)))
        records.keep(found, kept)

    def write(self) -> None:
        """The page and the figures. SystemExit where a number has too few runs behind it."""
        content = content_of(self.of or self.folder / KEPT, self.folder / KEPT)
        (self.folder / PAGE).write_text(self.filled(content), encoding="utf-8")
        for figure in content.drawn:
            if figure.name in self.figures:
                report.draw(figure, self.folder)
                (self.folder / f"{figure.name}.png").unlink()  # the page shows the other

    def filled(self, content: Content) -> str:
        """The page's text. SystemExit where a number has too few runs behind it."""
        require(content, self.figures, self.seeds)
        own = self.tables(content) if self.tables else {}
        return markdown.fill((self.folder / PAGE).read_text(encoding="utf-8"), makers(content) | own)


def content_of(kept: Path, question: Path | None = None) -> Content:
    """Everything that is computed of the records; question: the folder that says what was asked, if another."""
    asked = records.asked_of(question or kept)
    return report.assemble(records.kept(kept), reproduction=from_json(asked) if asked else None)


def require(content: Content, figures: Collection[str], seeds: int) -> None:
    """Every row that was asked for has its runs, every network its seeds, every figure something to draw."""
    few = [group.label for group in content.pool.groups if len(group.seeds) < seeds]
    if few:
        raise SystemExit(f"Of these there are fewer than {seeds} seeds: {', '.join(few)}")
    if content.paper is not None:
        found = content.paper.found
        there = {(row, None) for row in found.groups} | found.searched.keys()
        missing = [entry.name for entry in found.reproduction.entries if (entry.row, entry.depth) not in there]
        if missing:
            raise SystemExit(f"These rows have no run: {', '.join(missing)}")
    undrawn = set(figures) - {figure.name for figure in content.drawn}
    if undrawn:
        raise SystemExit(f"there is no figure {', '.join(sorted(undrawn))}: the records have nothing to draw of it")


def makers(content: Content) -> Makers:
    """What makes each region."""
    made = content.paper
    found: Makers = {"errors": lambda: errors(content), "sentences": lambda: sentences(content)}
    found |= {f"lab_{part.name}": partial(told, part) for part in content.lab}
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


def told(part: Part) -> str:
    """What one instrument found."""
    return "".join(f"- {sentence}\n" for sentence in part.sentences)


def verdicts(made: Paper) -> str:
    """Every statement with its numbers, but for those that this size does not run."""
    rows = [statement_cells(one, made.asked) for one in made.statements if one.verdict != "not run"]
    return markdown.table((title for title, _ in COLUMNS), rows) + f"\n{many(made.statements)}\n"


def beside(made: Paper) -> str:
    """The paper's numbers beside ours."""
    return markdown.table(published.TITLES, (one.cells() for one in made.published))


def degraded(made: Paper) -> str:
    """Gap, onset, iterations."""
    titles, rows = degradation_cells(made)
    return markdown.table(titles, rows) + "\n" + "".join(f"- {s}\n" for s in degradation_sentences(made))


def search(made: Paper) -> str:
    """Every depth that was tried."""
    lines = "".join(f"- {one.sentence(made.asked.preset.fails)}\n" for one in made.searched)
    body = markdown.table(*search_cells(made))
    return f"{body}\n{lines}\n{searched.NOTE}\n"

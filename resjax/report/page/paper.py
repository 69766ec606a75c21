"""What a reproduction adds to the page: its question, verdicts, the paper's numbers, degradation."""

from typing import Any

from resjax.report import degradation, published, searched, statements
from resjax.report.page.markup import CALM, OPEN, WARN, Chip, bullets, folded, note, table, text
from resjax.report.paper import CHOSEN, Paper, biased_rows
from resjax.report.paper_words import degradation_sentences, effect, heading, many, statement_cells

BIASED = (
    "The least test error of all steps at which it was evaluated is chosen on the test set, hence too low, and no part "
    "of any verdict. That at the step of the least validation error is unbiased; it needs data.validation_examples."
)

TONES = {statements.SUPPORTED: CALM, statements.CONTRADICTED: WARN}
YES = {True: "yes", False: "no"}
COLUMNS = (
    ("statement", "long"),
    ("verdict", ""),
    ("difference", "long"),
    ("test", ""),
    ("n", "number"),
    ("p (Holm)", "number"),
    ("detectable", "number"),
    ("seeds needed", "number"),
    ("said in", "long"),
)


def section(made: Paper) -> str:
    """The page's first part."""
    parts = [f"<h3>{text(made.asked.item.title)}</h3>", *(f"<p>{text(line)}</p>" for line in heading(made.asked))]
    if made.statements:
        parts += ["<h3>What it says, tested</h3>", statement_table(made)]
        parts.append(reading(f"{statements.RULE} {many(made.statements)}"))
    if made.published:
        kinds = ["", "", "", "", "", "long"]
        titles = list(zip(published.TITLES, kinds, strict=True))
        cells = [list(zip(one.cells(), kinds, strict=True)) for one in made.published]
        parts += ["<h3>Beside the paper</h3>", table(titles, cells), reading(published.NOTE)]
    if made.searched:
        limit = made.asked.preset.fails
        parts += ["<h3>The largest depth that trains</h3>", bullets([one.sentence(limit) for one in made.searched])]
        parts += [search_table(made), reading(searched.NOTE)]
    elif made.degradation:
        parts += ["<h3>Degradation as a quantity</h3>", degradation_table(made), bullets(degradation_sentences(made))]
        parts.append(reading(degradation.NOTE))
    return "".join([*parts, biased_table(made)])


def statement_table(made: Paper) -> str:
    """A row a statement, those that were tested first."""
    rows = []
    for one in sorted(made.statements, key=lambda one: one.verdict == statements.ABSENT):
        said, verdict, *rest = statement_cells(one, made.asked)
        word = Chip(verdict, TONES.get(one.verdict, OPEN)).html()
        rows.append(list(zip((said, word, *rest), (kind for _, kind in COLUMNS), strict=True)))
    return table(COLUMNS, rows)


def reading(words: str) -> str:
    """How to read what stands above."""
    return folded("How to read this", note(words))


def degradation_table(made: Paper) -> str:
    """Every arm by depth."""
    titles, rows = degradation_cells(made)
    kinds = ("", "", "number", "", "number", "number")
    return table(list(zip(titles, kinds, strict=True)), [list(zip(row, kinds, strict=True)) for row in rows])


def degradation_cells(made: Paper) -> tuple[tuple[str, ...], list[list[str]]]:
    """The titles, and a row a depth."""
    rows = []
    for one in made.degradation:
        for step in one.steps:
            gap = step.gap.comparison if step.gap else None
            told = "" if gap is None or gap.difference is None else effect(gap.difference, "train_error", "lower")
            if gap is not None and gap.low is not None and gap.high is not None and gap.p is not None:
                ends = [effect(end, "train_error", "lower", bare=True) for end in (gap.low, gap.high)]
                told += f" [{', '.join(ends)}]"
            mean, std = step.iterations.mean, step.iterations.std
            count = "" if mean is None else f"{mean:,.0f}" + ("" if std is None else f" ± {std:,.0f}")
            reached = f"{step.reached}/{len(step.group.seeds)}"
            rows.append([one.panel, one.arm, str(step.group.depth), told, count, reached])
    names = ("settings", "arm", "depth", "training error less the shallowest's", "iterations to the loss", "reached")
    return names, rows


def search_table(made: Paper) -> str:
    """Every depth that was tried."""
    titles, rows = search_cells(made)
    kinds = ("", "number", "number", "number", "")
    return table(list(zip(titles, kinds, strict=True)), [list(zip(row, kinds, strict=True)) for row in rows])


def search_cells(made: Paper) -> tuple[tuple[str, ...], list[list[str]]]:
    """The titles, and a row a depth that was tried."""
    rows = []
    for one in made.searched:
        for step in one.tried:
            ended = step.group.final("train_error")
            errors = [f"{100 * ended[s.number]:.1f}" if s.number in ended else "diverged" for s in step.group.seeds]
            trained = f"{step.trained}/{len(step.group.seeds)}"
            rows.append([one.row, str(step.group.depth), ", ".join(errors), trained, YES[step.trains]])
    return ("row", "depth", "training error, %, by seed", "seeds that trained", "trains"), rows


def biased_table(made: Paper) -> str:
    """Apart, and folded."""
    rows = biased_rows(made)
    if not rows:
        return ""
    names = [
        ("row", ""),
        ("at the last step", "number"),
        ("at the best validation error", "number"),
        ("at the best test error (biased)", "number"),
    ]
    cells = [
        [
            (row["row"], ""),
            *((spread(row, q), "number") for q in CHOSEN),
        ]
        for row in rows
    ]
    body = table(names, cells) + note(BIASED)
    return folded("Test error of one view, %, by the step that is chosen", body)


def spread(row: dict[str, Any], quantity: str) -> str:
    """mean ± std (n) in percent."""
    mean, std, n = (row[f"{quantity}_{key}"] for key in ("mean", "std", "n"))
    if mean is None:
        return "–"  # noqa: RUF001
    return f"{100 * mean:.2f}" + ("" if std is None else f" ± {100 * std:.2f}") + f" ({n})"

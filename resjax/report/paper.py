"""A reproduction with everything that was computed of it, as tables."""

from dataclasses import dataclass
from typing import Any

from resjax.records import Sweep
from resjax.report import degradation, published, searched, statements
from resjax.report.degradation import Degradation
from resjax.report.groups import Pool
from resjax.report.measures import measure
from resjax.report.published import BesidePaper
from resjax.report.reproduction import Found, Reproduction, match
from resjax.report.searched import Largest
from resjax.report.statements import Judged
from resjax.statistics import estimate

CHOSEN = ("test_error", "selected_test_error", "best_test_error")


@dataclass(frozen=True)
class Paper:
    """What was made of an item's rows."""

    found: Found
    published: list[BesidePaper]
    statements: list[Judged]
    degradation: list[Degradation]
    searched: list[Largest]

    @property
    def asked(self) -> Reproduction:
        """What was asked for."""
        return self.found.reproduction


def paper(reproduction: Reproduction, sweep: Sweep, pool: Pool) -> Paper:
    """Everything that is computed of a reproduction."""
    found = match(reproduction, sweep, pool)
    return Paper(
        found,
        published.beside_paper(found),
        statements.statements(found),
        degradation.degradation(pool, reproduction.preset.loss),
        searched.searches(found),
    )


def as_json(made: Paper) -> dict[str, Any]:
    """For programs: what was asked, how it differs from the paper, and every table."""
    return {"item": made.asked.item.name, "size": made.asked.size, "changed": made.asked.changed} | tables(made)


def tables(made: Paper) -> dict[str, list[dict[str, Any]]]:
    """By their files' names: published numbers beside ours, statements, degradation, chosen steps, the search."""
    loss = made.asked.preset.loss
    return {
        "beside_paper_numbers": [one.row() for one in made.published],
        "statements": [one.row() for one in made.statements],
        "degradation": [step.row(loss) for one in made.degradation for step in one.steps],
        "chosen_step": biased_rows(made),
        "trainable_depth": searched.rows(made.searched),
    }


def biased_rows(made: Paper) -> list[dict[str, Any]]:
    """Row, best test error, and where there is a validation split the error that it chooses."""
    found = []
    for row, group in made.found.groups.items():
        values = {q: estimate(measure(made.found.pool, group, q).values()) for q in CHOSEN}
        found.append(
            {"row": row} | {f"{q}_{k}": getattr(v, k) for q, v in values.items() for k in ("mean", "std", "n")}
        )
    return [row for row in found if row["best_test_error_n"]]

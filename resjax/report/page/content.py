"""What the page shows: everything that was computed of a sweep."""

from dataclasses import dataclass, field
from typing import Any

from resjax.records import Sweep
from resjax.report.charts import Figure
from resjax.report.claims import Claim
from resjax.report.expected import Beside
from resjax.report.groups import Pool
from resjax.report.health import Health
from resjax.report.lab import Part
from resjax.report.paper import Paper
from resjax.report.verdict import Sections


@dataclass(frozen=True)
class Content:
    """Tables, sentences and figures: curves of errors, those of the gradient atlas, and the lab's."""

    sweep: Sweep
    pool: Pool
    rows: list[dict[str, Any]]
    sections: Sections
    health: list[Health]
    claims: list[Claim]
    curves: list[Figure]
    atlas: list[Figure]
    beside: list[Beside]
    paper: Paper | None = None
    lab: list[Part] = field(default_factory=list)

    @property
    def drawn(self) -> list[Figure]:
        """Every figure, the lab's last."""
        return [*self.curves, *self.atlas, *(figure for part in self.lab for figure in part.figures)]

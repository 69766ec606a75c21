"""The largest trainable depth, from the depths that a bisection has tried."""

from collections.abc import Mapping
from dataclasses import dataclass

from resjax.papers.bisection import border, largest
from resjax.report.groups import Group
from resjax.report.reproduction import Found
from resjax.statistics import estimate

MAJORITY = 0.5
NOTE = (
    "A depth trains if more than half of its seeds finish with a training error, over the last tenth of the steps, at "
    "the stated one or below. Bisection takes it that what is deeper than a net that failed fails, too; the depths "
    "that were tried are those of the table."
)


@dataclass(frozen=True)
class Tried:
    """One depth of a row: how many of its seeds trained."""

    group: Group
    trained: int

    @property
    def trains(self) -> bool:
        """Whether most seeds did."""
        return self.trained > MAJORITY * len(self.group.seeds)


@dataclass(frozen=True)
class Largest:
    """A row's search: every depth that was tried, the deepest that trained, and the next that failed."""

    row: str
    tried: tuple[Tried, ...]
    depth: int | None
    next_failed: int | None

    def sentence(self, limit: float) -> str:
        """For people."""
        if self.depth is None:
            return f"{self.row}: no depth that was tried trains (training error at or below {limit:g} %)"
        above = f"{self.next_failed} does not" if self.next_failed else "no deeper one was tried, or allowed"
        return f"{self.row}: {self.depth} layers train (training error at or below {limit:g} %), {above}"


def searches(found: Found) -> list[Largest]:
    """Every row of the search."""
    search = found.reproduction.item.search
    return [largest_of(row, found) for row in search.rows] if search else []


def largest_of(row: str, found: Found) -> Largest:
    """One row."""
    tried = tries(row, found)
    depths = found.reproduction.preset.depths
    known = {one.group.depth: one.trains for one in tried}
    _, high = border(known, depths)
    return Largest(row, tuple(tried), largest(known, depths), depths[high] if high < len(depths) else None)


def tries(row: str, found: Found) -> list[Tried]:
    """The depths of a row that were tried, from the shallowest."""
    limit = found.reproduction.preset.fails / 100
    groups = [group for (name, _), group in found.searched.items() if name == row]
    return [
        Tried(group, sum(error <= limit for error in group.final("train_error").values()))
        for group in sorted(groups, key=lambda group: group.depth)
    ]


def known(row: str, found: Found) -> Mapping[int, bool]:
    """Depths with whether they train."""
    return {one.group.depth: one.trains for one in tries(row, found)}


def rows(found: list[Largest]) -> list[dict[str, object]]:
    """The table."""
    return [
        {
            "row": one.row,
            "depth": step.group.depth,
            "train_error": estimate(step.group.final("train_error").values()).mean,
            "trained": step.trained,
            "seeds": len(step.group.seeds),
            "trains": step.trains,
            "largest": step.group.depth == one.depth,
        }
        for one in found
        for step in one.tried
    ]

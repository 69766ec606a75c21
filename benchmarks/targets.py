"""The goals on one GPU beside what results/gpu.json holds.  python -m benchmarks.targets

Exit code 1 where one is missed; what is not measured is not missed. Ratios are of float32 with float32; where several
of our ways were measured, the fastest one counts.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.table import NAMES, digits

RESULTS = Path(__file__).parent / "results" / "gpu.json"
OURS = ("ours", "ours_scanned")
DEPTH, SEEDS, UPDATES = 20, 5, 64_000
Rows = list[dict[str, Any]]
Found = tuple[float, str]


@dataclass(frozen=True)
class Goal:
    """most: whether the limit is one from above. find: the number and what it was measured of; None: not measured."""

    text: str
    section: str
    limit: float
    most: bool
    find: Callable[[Rows], Found | None]

    def met(self, number: float) -> bool:
        """Whether it is."""
        return number <= self.limit if self.most else number >= self.limit


def whole(rows: Rows) -> Found | None:
    """Seconds of a whole training, of the full length only."""
    return min(((row["seconds"]["median"], row["precision"]) for row in rows if row["steps"] == UPDATES), default=None)


def over(other: str) -> Callable[[Rows], Found | None]:
    """Images/s of ours over theirs, from the medians, of the residual net."""

    def find(rows: Rows) -> Found | None:
        same = [
            row for row in rows if (row["depth"], row["shortcut"]) == (DEPTH, "identity") and "statistics" not in row
        ]
        rates = {row["contestant"]: row["images_per_s"]["median"] for row in same}
        if other not in rates:
            return None
        return max(((rates[name] / rates[other], NAMES[name]) for name in OURS if name in rates), default=None)

    return find


def seeds(rows: Rows) -> Found | None:
    """Time of all seeds over that of one alone."""
    asked = [row for row in rows if row["seeds"] == SEEDS and row["over_one_seed"]]
    return min(((row["over_one_seed"]["median"], f"{row['axis']}, {row['precision']}") for row in asked), default=None)


GOALS = (
    Goal("ResNet-20, 64,000 updates: at most 90 s", "long", 90.0, True, whole),
    Goal("ResNet-20: at least 2.0 times PyTorch eager", "speed", 2.0, False, over("torch")),
    Goal("ResNet-20: at least 1.2 times torch.compile", "speed", 1.2, False, over("torch_compile")),
    Goal("ResNet-20: five seeds at most 2.5 times one", "seeds", 2.5, True, seeds),
)


def judged(results: dict[str, Any]) -> tuple[list[str], bool]:
    """A line a goal, and whether none of those measured is missed."""
    lines, missed = [], False
    for goal in GOALS:
        found = goal.find(results[goal.section]["rows"]) if goal.section in results else None
        said = "not measured"
        if found:
            met = goal.met(found[0])
            missed |= not met
            said = f"{digits(found[0])} ({found[1]}): {'met' if met else 'MISSED'}"
        lines.append(f"{goal.text:<46} {said}")
    return lines, not missed


def main() -> int:
    """Print the goals."""
    lines, good = judged(json.loads(RESULTS.read_text()) if RESULTS.exists() else {})
    print("\n".join(lines))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

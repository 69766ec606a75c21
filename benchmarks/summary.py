"""A measured quantity in few numbers."""

from collections.abc import Sequence
from statistics import median
from typing import Any

DIGITS = 5
Summary = dict[str, Any]


def summary(values: Sequence[float]) -> Summary:
    """Median, smallest, largest and count, to five significant digits. ValueError where there is nothing."""
    if not values:
        raise ValueError("nothing was measured, so there is no median")
    return {
        "median": rounded(median(values)),
        "min": rounded(min(values)),
        "max": rounded(max(values)),
        "n": len(values),
    }


def ratio(ours: Sequence[float], other: Sequence[float]) -> Summary:
    """ours / other, round by round: what changes the machine's speed for both cancels. ValueError: other counts."""
    return summary([a / b for a, b in zip(ours, other, strict=True)])


def rounded(value: float) -> float:
    """To five significant digits."""
    return float(f"{value:.{DIGITS}g}")

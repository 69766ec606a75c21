"""The largest depth that trains, by bisection: the next depth to try, from those that were tried."""

from collections.abc import Mapping, Sequence


def next_depth(tried: Mapping[int, bool], depths: Sequence[int]) -> int | None:
    """The depth to try next, of `depths` in ascending order; None where the border lies between two neighbours.

    tried: depths with whether they trained. What is deeper than one that failed is taken to fail, too, unless it was
    tried and trained.
    """
    low, high = border(tried, depths)
    return depths[(low + high) // 2] if high - low > 1 else None


def largest(tried: Mapping[int, bool], depths: Sequence[int]) -> int | None:
    """The deepest that trained; None where none did."""
    low, _ = border(tried, depths)
    return depths[low] if low >= 0 else None


def border(tried: Mapping[int, bool], depths: Sequence[int]) -> tuple[int, int]:
    """The places of the deepest that trained (-1: none) and of the next one that failed (the number of them: none)."""
    low = max((place for place, depth in enumerate(depths) if tried.get(depth) is True), default=-1)
    failed = [place for place, depth in enumerate(depths) if place > low and tried.get(depth) is False]
    return low, min(failed, default=len(depths))

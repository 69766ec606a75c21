"""Bisection against every border there can be."""

import math

import pytest

from resjax.papers.bisection import largest, next_depth

DEPTHS = (8, 14, 20, 26, 32, 44, 56, 80)


@pytest.mark.parametrize("border", range(len(DEPTHS) + 1))
def test_it_finds_the_border_in_few_tries(border: int) -> None:
    tried: dict[int, bool] = {}
    while (depth := next_depth(tried, DEPTHS)) is not None:
        assert depth not in tried
        tried[depth] = DEPTHS.index(depth) < border
    assert largest(tried, DEPTHS) == (DEPTHS[border - 1] if border else None)
    assert len(tried) <= math.ceil(math.log2(len(DEPTHS) + 1))


def test_what_trained_deeper_than_a_failure_counts() -> None:
    assert largest({20: False, 56: True}, DEPTHS) == 56
    assert next_depth({20: False, 56: True, 80: False}, DEPTHS) is None

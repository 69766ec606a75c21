"""The paper's numbers beside ours, on made records."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from reproduced import reproduced

from resjax.papers.item import Reference
from resjax.report.published import BesidePaper, beside_paper

Make = Callable[..., Any]


def one(reference: Reference, made: Any, join: Make, changed: tuple[str, ...] = (), **said: Any) -> BesidePaper:
    found = reproduced({"a": made}, [], join, references=(reference,), **said)
    entries = tuple(replace(entry, changed=changed) for entry in found.reproduction.entries)
    (beside,) = beside_paper(replace(found, reproduction=replace(found.reproduction, entries=entries)))
    return beside


def ref(value: float | None = None, **said: Any) -> Reference:
    return Reference("a", said.pop("quantity", "test_error"), "read", value, **said)


def test_a_single_published_run_gives_a_difference_and_no_test(make: Make, sweep_of: Make) -> None:
    found = one(ref(3.0), make(seeds=range(5), level=0.3), sweep_of)
    assert (found.verdict, found.difference.p) == ("difference only", None)
    assert found.difference.difference == pytest.approx(29.3, abs=0.3)
    assert found.cells()[2] == "3 (read in the paper)"


def test_a_published_spread_is_tested(make: Make, sweep_of: Make) -> None:
    spread = {"std": 0.16, "n": 5, "statistic": "mean"}
    far = one(ref(6.61, **spread), make(seeds=range(5), level=0.3), sweep_of)
    near = one(ref(4.3, **spread), make(seeds=range(5)), sweep_of)
    assert (far.verdict, far.difference.method) == ("higher", "Welch t, published")
    assert near.verdict == "no difference shown"
    assert "± 0.16 (5)" in far.cells()[2]


def test_a_median_is_not_tested(make: Make, sweep_of: Make) -> None:
    found = one(ref(6.61, n=5, statistic="median"), make(seeds=range(5)), sweep_of)
    assert found.verdict == "difference only"
    assert "median of 5" in found.cells()[2]


@pytest.mark.parametrize(("level", "word"), [(0.095 - 0.0235, "in the band"), (0.2, "outside the band")])
def test_a_band(level: float, word: str, make: Make, sweep_of: Make) -> None:
    found = one(ref(band=(9.0, 10.0)), make(level=level, seeds=range(5)), sweep_of)
    assert found.verdict == word
    assert (found.difference.difference == 0) == (word == "in the band")


@pytest.mark.parametrize(
    ("level", "lost", "word"),
    [(0.8, {}, "fails, too"), (0.01, {}, "does not fail"), (0.01, {0: 3}, "1 of 3 seeds fail"),
     (0.01, dict.fromkeys(range(3), 3), "fails, too")],
)  # fmt: skip
def test_what_fails_in_the_paper(level: float, lost: dict[int, int], word: str, make: Make, sweep_of: Make) -> None:
    assert one(ref(fails=True), make(level=level, outcomes=lost), sweep_of).verdict == word


def test_nothing_is_comparable_that_was_run_otherwise(make: Make, sweep_of: Make) -> None:
    smaller = one(ref(3.0), make(), sweep_of, changed=("train.steps=3 (64000 in the paper)",))
    elsewhere = one(ref(3.0), make(), sweep_of, elsewhere="ImageNet")
    assert smaller.verdict == "not comparable at this size"
    assert elsewhere.verdict == "not comparable: the paper's is of ImageNet"
    assert smaller.difference.difference is not None


def test_counts_are_equal_or_not(make: Make, sweep_of: Make) -> None:
    assert one(ref(96_000.0, quantity="parameters"), make(depth=20), sweep_of).verdict == "equal"
    assert one(ref(96_001.0, quantity="parameters"), make(depth=20), sweep_of).verdict == "not equal"


def test_diverged_seeds_are_told(make: Make, sweep_of: Make) -> None:
    found = one(ref(3.0), make(outcomes={1: 3}), sweep_of)
    assert found.verdict == "1 of 3 seeds diverged"
    assert "(2), 1 diverged" in found.cells()[3]

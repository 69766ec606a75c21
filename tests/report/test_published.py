"""The paper's numbers beside ours, on made records."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from reproduced import reproduced

from resjax.papers.item import Claim, Reference
from resjax.report.paper import Paper
from resjax.report.paper_figures import paper_figures
from resjax.report.published import BesidePaper, beside_paper
from resjax.report.statements import statements

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


def ten_crops(made: Any, less: float) -> Any:
    """The run with an error of ten crops that is so much less than that of one."""
    run, metrics, layers = made
    return run, metrics.with_columns(test_error_10crop=pl.col("test_error") - less), layers


def test_one_crop_never_stands_beside_ten(make: Make, sweep_of: Make) -> None:
    single, made = make(level=0.3), ten_crops(make(level=0.3), 0.02)
    one_crop = one(ref(32.0), made, sweep_of)
    ten_crop = one(ref(30.0, quantity="test_error_10crop"), made, sweep_of)
    assert one_crop.ours.mean == pytest.approx((ten_crop.ours.mean or 0) + 2)
    assert one_crop.difference.difference == pytest.approx(ten_crop.difference.difference)
    assert (one_crop.cells()[1], ten_crop.cells()[1]) == ("test error", "test error, mean of ten crops")
    without = one(ref(30.0, quantity="test_error_10crop"), single, sweep_of)
    assert (without.verdict, without.ours.mean, without.difference.difference) == ("not measured", None, None)
    assert without.cells()[3:] == ["not measured", "", "not measured"]


def test_a_statement_of_ten_crops_takes_no_error_of_one(make: Make, sweep_of: Make) -> None:
    claim = Claim("", "", "lower", "test_error_10crop", ("a",), ("b",))
    both = {"a": ten_crops(make(level=0.1), 0.0), "b": ten_crops(make("plain", level=0.4), 0.0)}
    assert statements(reproduced(both, [claim], sweep_of))[0].verdict == "supported"
    (found,) = statements(reproduced(both | {"b": make("plain", level=0.4)}, [claim], sweep_of))
    assert (found.verdict, found.p) == ("undecided", None)


def test_errors_of_one_crop_and_of_ten_are_drawn_apart(make: Make, sweep_of: Make) -> None:
    references = (ref(32.0), ref(30.0, quantity="test_error_10crop"))
    found = reproduced({"a": ten_crops(make(level=0.3), 0.02)}, [], sweep_of, references=references)
    figures = paper_figures(Paper(found, beside_paper(found), [], [], []))
    assert [figure.name for figure in figures] == ["beside_paper", "beside_paper_10crop"]
    first, second = (dict(figure.data.filter(what="ours").select("seed", "value").iter_rows()) for figure in figures)
    assert first == pytest.approx({seed: value + 2 for seed, value in second.items()})


def test_diverged_seeds_are_told(make: Make, sweep_of: Make) -> None:
    found = one(ref(3.0), make(outcomes={1: 3}), sweep_of)
    assert found.verdict == "1 of 3 seeds diverged"
    assert "(2), 1 diverged" in found.cells()[3]

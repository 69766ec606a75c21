"""Verdicts on made records whose answer is known."""

import math
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from reproduced import iterations, reproduced

from resjax.papers.item import Claim, Reference
from resjax.report.reproduction import Found
from resjax.report.statements import Judged, holm, statements
from resjax.statistics import Comparison

Make = Callable[..., Any]
FIVE = range(5)


def verdict(found: Found) -> list[str]:
    return [one.verdict for one in statements(found)]


def lower(of: str, beside: str, quantity: str = "train_error") -> Claim:
    return Claim("", "", "lower", quantity, (of,), (beside,))


def test_lower_is_supported_contradicted_or_undecided(make: Make, sweep_of: Make) -> None:
    rows = {
        "good": make("residual", 20, seeds=FIVE, level=0.02),
        "bad": make("plain", 20, seeds=FIVE, level=0.3),
        "alike": make("projection_b", 20, seeds=FIVE, level=0.02),
    }
    claims = [lower("good", "bad"), lower("bad", "good"), lower("alike", "good"), lower("good", "nobody")]
    found = reproduced(rows, claims, sweep_of)
    assert verdict(found) == ["supported", "contradicted", "undecided", "not run"]
    first = statements(found)[0]
    assert first.comparison is not None
    assert first.comparison.difference == pytest.approx(0.28, abs=0.02)
    assert (first.comparison.method, first.comparison.n, first.needed) == ("paired t", 5, 2)
    assert first.detectable is not None
    assert 0 < first.detectable < 0.05


def test_what_was_not_looked_at_is_told(make: Make, sweep_of: Make) -> None:
    run, metrics, layers = make("residual")
    rows = {"seen": make("plain"), "not": (run, metrics, layers.filter(pl.col("step") == 0))}
    at = [lower("not", "seen", f"gradient_unsteadiness@{moment}") for moment in ("0", "end")]
    first, last = statements(reproduced(rows, at, sweep_of))
    assert "recorded" not in first.told
    assert last.verdict == "undecided"
    assert last.told.startswith("not: 3 of 3 seeds have no ln of the largest |dL/dh|")
    assert last.told.endswith(" recorded")


def test_one_seed_decides_nothing(make: Make, sweep_of: Make) -> None:
    rows = {"good": make("residual", seeds=range(1)), "bad": make("plain", seeds=range(1), level=0.5)}
    (found,) = statements(reproduced(rows, [lower("good", "bad")], sweep_of))
    assert (found.verdict, found.p, found.detectable) == ("undecided", None, None)


def test_who_lost_seeds_does_not_win(make: Make, sweep_of: Make) -> None:
    rows = {"good": make("residual", seeds=FIVE, outcomes={4: 3}), "bad": make("plain", seeds=FIVE, level=0.5)}
    found = statements(reproduced(rows, [lower("good", "bad"), lower("bad", "good")], sweep_of))
    assert [one.verdict for one in found] == ["undecided", "undecided"]
    assert found[0].told == "good: 1 of 5 seeds diverged"


def test_the_rise_with_depth(make: Make, sweep_of: Make) -> None:
    rows = {
        f"{arm} {depth}": make(arm, depth, seeds=range(3), level=level)
        for arm, depth, level in (
            ("plain", 20, 0.1),
            ("plain", 56, 0.5),
            ("residual", 20, 0.05),
            ("residual", 56, 0.06),
        )
    }
    more = Claim("", "", "grows_more", "train_error", ("plain 20", "plain 56"), ("residual 20", "residual 56"))
    less = Claim("", "", "grows_more", "train_error", ("residual 20", "residual 56"), ("plain 20", "plain 56"))
    found = statements(reproduced(rows, [more, less], sweep_of))
    assert [one.verdict for one in found] == ["supported", "contradicted"]
    assert found[0].comparison is not None
    assert found[0].comparison.difference == pytest.approx(0.39, abs=0.03)


def test_slopes_against_depth(make: Make, sweep_of: Make) -> None:
    rows = {f"{depth}": make("plain", depth, seeds=FIVE, level=0.01 * depth) for depth in (20, 32, 44, 56)}
    rows |= {f"flat {depth}": make("residual", depth, seeds=FIVE, level=0.05) for depth in (20, 32, 44, 56)}
    rising = Claim("", "", "rises", "train_error", ("20", "32", "44", "56"))
    flat = Claim("", "", "rises", "train_error", ("flat 20", "flat 32", "flat 44", "flat 56"))
    cost = Claim("", "", "rises", "parameters", ("20", "32", "44", "56"))
    found = statements(reproduced(rows, [rising, flat, cost], sweep_of))
    assert [one.verdict for one in found] == ["supported", "undecided", "supported"]
    assert found[0].comparison is not None
    assert found[0].comparison.difference == pytest.approx(0.01, rel=0.1)
    assert found[2].comparison is None
    assert found[2].told == "counted: 96,000, 153,600, 211,200, 268,800"


def test_a_level_slope_is_shown_by_its_whole_interval(make: Make, sweep_of: Make) -> None:
    rows = {
        f"{depth}": iterations(make("plain", depth, seeds=FIVE), {s: 50 + s * depth // 20 for s in FIVE})
        for depth in (20, 56)
    }
    steep = {
        f"steep {depth}": iterations(make("residual", depth, seeds=FIVE), {s: 3 * depth + s for s in FIVE})
        for depth in (20, 56)
    }
    claims = [Claim("", "", "level", "iterations_to_loss", of) for of in (("20", "56"), ("steep 20", "steep 56"))]
    found = reproduced(rows | steep, claims, sweep_of, loss=1.0)
    assert verdict(found) == ["supported", "contradicted"]


@pytest.mark.parametrize(
    ("level", "lost", "expected"),
    [(0.9, {}, ["supported", "contradicted"]), (0.1, {}, ["contradicted", "supported"]),
     (0.1, {0: 3}, ["undecided", "undecided"]), (0.1, dict.fromkeys(FIVE, 3), ["supported", "contradicted"])],
)  # fmt: skip
def test_failing_is_counted(
    level: float, lost: dict[int, int], expected: list[str], make: Make, sweep_of: Make
) -> None:
    claims = [Claim("", "", test, "train_error", ("a",)) for test in ("fails", "trains")]
    found = statements(reproduced({"a": make("plain", seeds=FIVE, level=level, outcomes=lost)}, claims, sweep_of))
    assert [one.verdict for one in found] == expected
    assert f"{5 if level == 0.9 else len(lost)} of 5 seeds" in found[0].told


def test_who_never_got_to_the_loss_does_not_win(make: Make, sweep_of: Make) -> None:
    never = 10**6
    rows = {
        "some": iterations(make("residual", seeds=FIVE), {0: 20, 1: 21, 2: never, 3: never, 4: never}),
        "slow": iterations(make("plain", seeds=FIVE), {s: 100 + s for s in FIVE}),
        "deep": iterations(make("plain", 56, seeds=FIVE), dict.fromkeys(FIVE, never)),
    }
    claims = [lower("some", "slow", "iterations_to_loss"), lower("slow", "deep", "iterations_to_loss")]
    claims += [Claim("", "", "rises", "iterations_to_loss", ("slow", "deep"))]
    claims += [Claim("", "", "level", "iterations_to_loss", ("slow", "deep"))]
    found = statements(reproduced(rows, claims, sweep_of, loss=1.0))
    # What never got there took at least the steps there were: enough to lose, not to win.
    assert [one.verdict for one in found] == ["undecided", "supported", "supported", "undecided"]
    assert found[0].told == "some: 3 of 5 seeds never got to the loss"
    assert found[3].told == "deep: 5 of 5 seeds never got to the loss"


def test_a_slope_is_contradicted_by_its_whole_interval(make: Make, sweep_of: Make) -> None:
    def at(depth: int) -> dict[int, int]:
        slopes = (0.006, 0.009, 0.011, 0.012, 0.0135)
        return {seed: round(100 * math.exp(slope * (depth - 20))) for seed, slope in enumerate(slopes)}

    rows = {f"{depth}": iterations(make("plain", depth, seeds=FIVE), at(depth)) for depth in (20, 56)}
    (found,) = statements(
        reproduced(rows, [Claim("", "", "level", "iterations_to_loss", ("20", "56"))], sweep_of, loss=1.0)
    )
    assert found.comparison is not None
    assert found.comparison.sign == 1
    assert (found.verdict, found.p) == ("undecided", None)


def test_a_claim_may_say_what_failing_is(make: Make, sweep_of: Make) -> None:
    rows = {"a": make("plain", seeds=FIVE, level=0.4)}
    claims = [Claim("", "", "fails", "train_error", ("a",), above=above) for above in (None, 60.0)]
    assert verdict(reproduced(rows, claims, sweep_of)) == ["supported", "contradicted"]


def test_what_cannot_be_tested_says_why(make: Make, sweep_of: Make) -> None:
    claim = Claim("", "", "untested", why="nothing reads it out")
    (found,) = statements(reproduced({"a": make()}, [claim], sweep_of))
    assert (found.verdict, found.told) == ("not tested", "nothing reads it out")


def test_the_papers_difference_decides_the_seeds_that_are_needed(make: Make, sweep_of: Make) -> None:
    references = (Reference("good", "test_error", "read", 6.97), Reference("bad", "test_error", "read", 6.98))
    rows = {"good": make("residual", seeds=FIVE), "bad": make("plain", seeds=FIVE, level=0.5)}
    claim = lower("good", "bad", "test_error")
    (found,) = statements(reproduced(rows, [claim], sweep_of, references=references))
    (seen,) = statements(reproduced(rows, [claim], sweep_of))
    assert found.of_paper
    assert not seen.of_paper
    assert seen.needed == 2
    assert found.needed is None or found.needed > 100


def test_holms_correction() -> None:
    claim = Claim("", "", "lower")
    given = [Judged(claim, "", Comparison(3, "t", 1.0, p=p)) for p in (0.01, 0.04, 0.03)]
    corrected = holm([*given, Judged(claim, "")])
    assert [one.p_holm for one in corrected] == [pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.06), None]
    assert [one.keeps_holm for one in corrected] == [True, False, False, None]


def test_a_verdict_that_stands_only_alone_says_so() -> None:
    claim = Claim("", "", "lower")
    given = [Judged(claim, "supported", Comparison(3, "t", 1.0, p=p)) for p in (0.001, 0.04)]
    given += [Judged(claim, "undecided", Comparison(3, "t", 1.0, p=0.3)), Judged(claim, "supported")]
    assert [one.word for one in holm(given)] == ["supported", "supported, uncorrected", "undecided", "supported"]


def test_what_is_not_recorded_decides_no_count(make: Make, sweep_of: Make) -> None:
    runs = {depth: make("plain", depth, seeds=range(2), level=0.1) for depth in (20, 56)}
    run, metrics, layers = runs[56]
    error = pl.when(pl.col("seed") == 0).then(None).otherwise(pl.col("train_error"))
    runs[56] = ({**run, "model": {**run["model"], "parameters": None}}, metrics.with_columns(train_error=error), layers)
    rows = {str(depth): run for depth, run in runs.items()}
    claims = [Claim("", "", "rises", "parameters", ("20", "56")), Claim("", "", "trains", "train_error", ("56",))]
    cost, count = statements(reproduced(rows, claims, sweep_of))
    assert (cost.verdict, cost.told) == ("undecided", "parameters not recorded")
    assert count.verdict == "undecided"
    assert count.told.endswith("; 1 have no number")


def test_numbers_of_two_kinds_make_no_difference_of_the_papers(make: Make, sweep_of: Make) -> None:
    rows = {"good": make("residual", level=0.02), "bad": make("plain", level=0.3)}
    median = Reference("good", "train_error", "read", 1.0, statistic="median", n=5)
    mean = Reference("bad", "train_error", "read", 3.0, statistic="mean", n=5)
    found = reproduced(rows, [lower("good", "bad")], sweep_of, references=(median, mean))
    assert not statements(found)[0].of_paper

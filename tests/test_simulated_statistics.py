"""Intervals and tests on made data whose truth is known: how often are they right?

Each share is over 1,000 simulations, where no other number is said, and has to lie within the binomial's 0.1 % and
99.9 % quantiles of the rate beside it. That rate is the theory's (95 %, 5 %, `power`) or, where the method is known to
miss it, what 4,000 to 200,000 other simulations gave. A fixed generator makes each share the same every time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats

from resjax.power import POWER, detectable, power, seeds_needed
from resjax.statistics import (
    BOOTSTRAP_FROM,
    CONFIDENCE,
    SIGNIFICANT,
    Array,
    Comparison,
    bca_interval,
    compare,
    estimate,
    interaction,
    paired,
)

SIMULATIONS = 1000
Random = np.random.Generator
NORMAL = "normal"
DRAWS: dict[str, Callable[[Random, int], Array]] = {
    NORMAL: lambda random, n: random.normal(size=n),
    "exponential": lambda random, n: random.exponential(size=n) - 1,
    "lognormal": lambda random, n: random.lognormal(size=n) - np.exp(0.5),
}


def assert_rate(hits: list[bool], rate: float) -> None:
    low, high = scipy.stats.binom.ppf([0.001, 0.999], len(hits), rate)
    assert low <= sum(hits) <= high, f"{sum(hits)} of {len(hits)}, and not {rate:.1%}"


def by_seed(values: Array, first: int = 0) -> dict[int, float]:
    return dict(enumerate(values.tolist(), first))


def unpaired(x: Array, y: Array) -> Comparison:
    return compare(by_seed(x), by_seed(y, 100))


def holds(low: float | None, high: float | None, truth: float = 0) -> bool:
    return low is not None and high is not None and low < truth < high


def repeat(once: Callable[[Random], Comparison], seed: int, times: int = SIMULATIONS) -> list[Comparison]:
    random = np.random.default_rng(seed)
    return [once(random) for _ in range(times)]


@pytest.mark.parametrize(
    ("draw", "n", "rate"),
    [
        (NORMAL, 3, CONFIDENCE),
        (NORMAL, 5, CONFIDENCE),
        (NORMAL, 8, CONFIDENCE),
        ("exponential", 3, 0.886),
        ("exponential", 5, 0.881),
        ("exponential", 8, 0.892),
        ("lognormal", 3, 0.836),
        ("lognormal", 5, 0.820),
        ("lognormal", 8, 0.830),
    ],
)
def test_t_intervals_cover_the_mean_unless_it_is_skewed(draw: str, n: int, rate: float) -> None:
    random = np.random.default_rng(n)
    found = [estimate(DRAWS[draw](random, n)) for _ in range(SIMULATIONS)]
    assert_rate([holds(e.low, e.high) for e in found], rate)


@pytest.mark.parametrize(
    ("draw", "n", "rate"),
    [
        (NORMAL, 10, 0.896),
        (NORMAL, 20, 0.926),
        ("exponential", 10, 0.871),
        ("exponential", 20, 0.909),
        ("lognormal", 10, 0.822),
        ("lognormal", 20, 0.872),
    ],
)
def test_bootstrap_intervals_cover_less_than_they_say(draw: str, n: int, rate: float) -> None:
    """With 1,000 resamples for time; the 10,000 of `estimate` cover as often within 0.7 points."""
    random = np.random.default_rng(n)
    assert_rate([holds(*bca_interval(DRAWS[draw](random, n), 1000)) for _ in range(SIMULATIONS)], rate)


def test_at_ten_the_bootstrap_covers_less_than_t() -> None:
    random, n = np.random.default_rng(3), BOOTSTRAP_FROM
    found = [estimate(random.normal(size=n)) for _ in range(300)]
    assert_rate([holds(e.low, e.high) for e in found], 0.899)
    critical = scipy.stats.t.ppf(0.975, n - 1)
    halves = [critical * e.std / np.sqrt(n) for e in found if e.std is not None]
    assert np.mean([e.half for e in found]) < 0.92 * np.mean(halves)


@pytest.mark.parametrize(
    ("n", "rate"),
    [(3, SIGNIFICANT), (5, SIGNIFICANT), (6, 0.0266), (8, 0.0427), (10, 50 / 1024), (12, 204 / 4096)],
)
def test_equal_arms_paired_differ_in_one_of_twenty(n: int, rate: float) -> None:
    """In fewer at six pairs, which all have to point one way (p = 2 / 64), and at eight; from ten the flips decide."""
    found = repeat(lambda random: compare(by_seed(random.normal(size=n)), by_seed(random.normal(size=n))), n)
    assert {c.n for c in found} == {n}
    assert_rate([c.sign != 0 for c in found], rate)


@pytest.mark.parametrize(
    ("n", "rate", "unequal"),
    [
        (3, 0.036, 0.058),
        (5, 0.044, 0.052),
        (6, 0.044, 0.052),
        (8, 0.047, 0.051),
        (10, 0.048, 0.051),
        (12, SIGNIFICANT, SIGNIFICANT),
    ],
)
def test_equal_arms_of_other_seeds_differ_in_one_of_twenty(n: int, rate: float, unequal: float) -> None:
    """unequal: where one arm's std is five times the other's."""
    found = repeat(lambda random: unpaired(random.normal(size=n), random.normal(size=n)), n)
    assert {c.method for c in found} == {"Welch t"}
    assert_rate([c.sign != 0 for c in found], rate)
    found = repeat(lambda random: unpaired(random.normal(size=n), random.normal(scale=5, size=n)), n)
    assert_rate([c.sign != 0 for c in found], unequal)


@pytest.mark.parametrize("n", [3, 5])
def test_skewed_errors_make_no_more_false_findings(n: int) -> None:
    """Exponential arms: their differences are symmetric with heavy tails, for which t is on the safe side."""
    draw = DRAWS["exponential"]
    found = repeat(lambda random: compare(by_seed(draw(random, n)), by_seed(draw(random, n))), n)
    assert_rate([c.sign != 0 for c in found], 0.035)


@pytest.mark.parametrize("difference", [5.0, 3.5, 2.2, 1.8])
def test_seeds_needed_find_the_difference(difference: float) -> None:
    """Up to five pairs, where t alone decides."""
    std = 0.3
    n = seeds_needed(difference * std, std)
    assert n is not None
    assert n < 6
    promised = power(difference * std, std, n)
    found = repeat(lambda random: paired(random.normal(-difference * std, std, n)), n)
    assert promised >= POWER
    assert_rate([c.sign == -1 for c in found], promised)


@pytest.mark.parametrize(
    ("n", "rate"), [(3, POWER), (4, POWER), (5, POWER), (6, 0.612), (7, 0.752), (8, 0.767), (9, 0.776)]
)
def test_detectable_differences_of_pairs_are_found(n: int, rate: float) -> None:
    """In four of five while t alone decides; from six pairs the flips have to agree, at six all of them."""
    difference = detectable(0.3, n)
    assert difference is not None
    found = repeat(lambda random: paired(random.normal(difference, 0.3, n)), n)
    assert_rate([c.sign == 1 for c in found], rate)
    assert not any(c.sign == -1 for c in found)


def test_ten_pairs_find_nearly_what_they_should() -> None:
    """Over 300 simulations, for each costs 10,000 resamples."""
    difference = detectable(1, 10)
    assert difference is not None
    found = repeat(lambda random: paired(random.normal(difference, 1, 10)), 10, 300)
    assert_rate([c.sign == 1 for c in found], 0.788)


@pytest.mark.parametrize(("n", "rate"), [(3, 0.694), (4, 0.759), (5, 0.777), (8, 0.791), (12, 0.797)])
def test_detectable_differences_of_two_samples_are_found_by_welch(n: int, rate: float) -> None:
    """`detectable` is Student's; Welch's test, which does not know that the stds are equal, finds less at three."""
    difference = detectable(0.3, n, paired=False)
    assert difference is not None
    found = repeat(lambda random: unpaired(random.normal(difference, 0.3, n), random.normal(0, 0.3, n)), n)
    assert_rate([c.sign == 1 for c in found], rate)


@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_the_wrong_sign_is_practically_never_claimed(n: int) -> None:
    """Half of what is detectable is found in a third of the cases, and taken for its opposite in 0.03 % at most."""
    whole = detectable(1, n)
    assert whole is not None
    found = repeat(lambda random: paired(random.normal(whole / 2, 1, n)), n)
    assert sum(c.sign == -1 for c in found) <= 2
    assert sum(c.sign == 1 for c in found) > 200


@dataclass(frozen=True)
class Design:
    """Errors of two shortcuts at two depths. A seed's luck, std 3, differs between depths and is both shortcuts'."""

    n: int
    effect: float

    def cells(self, random: Random) -> list[dict[int, float]]:
        deep, shallow = random.normal(0, 3, (2, self.n))
        noise = random.normal(0, 0.5, (4, self.n))
        luck = np.stack([deep + 2 + self.effect, shallow, deep - 1, shallow - 3])
        return [by_seed(row) for row in luck + noise]

    def interaction(self, random: Random) -> Comparison:
        return interaction(*self.cells(random))

    def unpaired(self, random: Random) -> Comparison:
        a_deep, a_shallow, b_deep, b_shallow = (np.array(list(c.values())) for c in self.cells(random))
        return unpaired(a_deep - a_shallow, b_deep - b_shallow)


@pytest.mark.parametrize("n", [3, 5])
def test_additive_effects_interact_in_one_of_twenty(n: int) -> None:
    found = repeat(Design(n, 0).interaction, n)
    assert_rate([c.sign != 0 for c in found], SIGNIFICANT)


@pytest.mark.parametrize("n", [3, 5])
def test_a_known_interaction_is_recovered(n: int) -> None:
    """Four independent errors of std 0.5 make a difference of differences of std 1."""
    effect = detectable(1, n)
    assert effect is not None
    found = repeat(Design(n, effect).interaction, n)
    assert_rate([holds(c.low, c.high, effect) for c in found], CONFIDENCE)
    assert_rate([c.sign == 1 for c in found], POWER)
    differences = [c.difference for c in found if c.difference is not None]
    assert np.mean(differences) == pytest.approx(effect, abs=4 / np.sqrt(SIMULATIONS * n))
    assert np.std(differences) == pytest.approx(1 / np.sqrt(n), rel=0.1)


def test_pairing_takes_the_seeds_luck_out_of_an_interaction() -> None:
    design = Design(5, 2.0)
    ours, apart = repeat(design.interaction, 5), repeat(design.unpaired, 5)
    assert [c.difference for c in ours] == pytest.approx([c.difference for c in apart])
    widths = [
        np.median([c.high - c.low for c in found if c.low is not None and c.high is not None])
        for found in (ours, apart)
    ]
    assert widths[0] < widths[1] / 2
    assert np.mean([c.sign == 1 for c in ours]) > 0.8 > 0.3 > np.mean([c.sign == 1 for c in apart])


def test_an_interaction_by_hand() -> None:
    """Seeds 5 to 8 are each missing in one of the four."""
    a_deep = {0: 9.0, 1: 8.0, 2: 9.5, 6: 50.0, 7: 50.0, 8: 50.0}
    a_shallow = {0: 8.0, 1: 8.5, 2: 8.0, 5: 9.0, 7: 9.0, 8: 9.0}
    b_deep = {8: 1.0, 6: 1.0, 5: 1.0, 2: 6.0, 1: 6.5, 0: 7.0}
    b_shallow = {7: 1.0, 6: 1.0, 5: 1.0, 2: 8.5, 1: 7.0, 0: 8.0}
    found = interaction(a_deep, a_shallow, b_deep, b_shallow)
    assert found == paired(np.array([1 - -1, -0.5 - -0.5, 1.5 - -2.5]))
    assert interaction(b_deep, b_shallow, a_deep, a_shallow).difference == -2.0
    assert interaction(a_deep, a_shallow, b_deep, {1: 7.0, 9: 0.0}) == Comparison(1, "none", 0.0)
    assert interaction(a_deep, a_shallow, b_deep, {9: 7.0}) == Comparison(0, "none", None)
    assert interaction({}, {}, {}, {}) == Comparison(0, "none", None)


def test_additive_to_the_last_digit_is_no_interaction() -> None:
    luck = np.random.default_rng(0).uniform(0, 0.2, (2, 5))
    deep, shallow = 0.1 + luck[0], 0.3 + luck[1]
    found = interaction(by_seed(deep + 0.1), by_seed(shallow + 0.1), by_seed(deep + 0.7), by_seed(shallow + 0.7))
    assert (found.method, found.sign) == ("no spread", 0)

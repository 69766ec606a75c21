"""What the papers say, tested on the rows: supported, contradicted or undecided, from a named test."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from resjax.papers.item import Claim
from resjax.power import detectable, seeds_needed
from resjax.report.measures import Values, kind_of, measure, missing, scaled
from resjax.report.reproduction import Found
from resjax.report.words import listing
from resjax.statistics import SIGNIFICANT, Comparison, compare, deviation, interaction, paired

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
UNTESTED, ABSENT = "not tested", "not run"
LEVEL = math.log(1.1) / 10  # of a logarithm a layer: within 10 % for 10 layers
RULE = (
    "A positive difference favours the statement. Differences are by seed where two seeds or more are shared (paired "
    "t; sign-flip permutation from 10 pairs, beside the t test from 6), else Welch's. Supported or contradicted: the "
    "95 % interval excludes zero and every p is below 0.05; everything else is undecided, and so is what favours a net "
    "that lost seeds to divergence, or some of whose seeds never got to the loss (such a seed counts with the steps it "
    "had). That something stays level is supported where the whole interval is within 10 % for 10 layers, and "
    "contradicted where all of it is beyond; that a net trains or fails is counted. One seed gives a difference and no "
    "test. Detectable: the difference that this many seeds find in 80 of 100 tries, were the spread the one seen; "
    "needed: the seeds for the paper's difference, where these runs are the paper's and it printed both numbers as one "
    "statistic, else for the one seen; both are the t test's, and from six pairs, where the permutations have to "
    "agree, a little short. p (Holm): corrected for the tests in this table; uncorrected: it stands by its own p, not "
    "by that."
)

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Judged:
    """A statement with what its test says. detectable: in the test's unit; needed: seeds, for the paper's difference
    where `of_paper`, else for the one seen. p_holm: corrected for the tests beside it.
    """

    claim: Claim
    verdict: str
    comparison: Comparison | None = None
    told: str = ""
    detectable: float | None = None
    needed: int | None = None
    of_paper: bool = False
    p_holm: float | None = None

    @property
    def keeps_holm(self) -> bool | None:
        """Whether the corrected p is below 0.05; None where there is none."""
        return None if self.p_holm is None else self.p_holm < SIGNIFICANT

    @property
    def word(self) -> str:
        """The verdict, and whether it stands only where it is the one test that was made."""
        alone = self.verdict in (SUPPORTED, CONTRADICTED) and self.keeps_holm is False
        return f"{self.verdict}, uncorrected" if alone else self.verdict

    @property
    def p(self) -> float | None:
        """The largest p of the tests that decide it; that of `level` is its interval alone."""
        found = self.comparison if self.claim.test != "level" else None
        tests = [p for p in (found.p, found.p_permutation) if p is not None] if found else []
        return max(tests, default=None)

    def row(self) -> dict[str, object]:
        """A row of the table behind it."""
        c = self.comparison or Comparison(0, "", None)
        claim = self.claim
        told: dict[str, object] = {"says": claim.says, "source": claim.source, "test": claim.test}
        told |= {"quantity": claim.quantity, "of": "; ".join(claim.of), "beside": "; ".join(claim.beside)}
        numbers = {"difference": c.difference, "low": c.low, "high": c.high, "p": self.p, "p_holm": self.p_holm}
        tail = {"n": c.n, "method": c.method, "detectable": self.detectable, "needed": self.needed, "told": self.told}
        return told | numbers | tail | {"verdict": self.verdict, "keeps_holm": self.keeps_holm}


def statements(found: Found) -> list[Judged]:
    """Every claim of the item."""
    return holm([judge(claim, found) for claim in found.reproduction.item.claims])


def judge(claim: Claim, found: Found) -> Judged:
    """One claim, by the test that it names."""
    if claim.test == "untested":
        return Judged(claim, UNTESTED, told=claim.why)
    absent = [row for row in (*claim.of, *claim.beside) if row not in found.groups]
    if claim.test in SLOPES:
        claim = replace(claim, of=tuple(row for row in claim.of if row in found.groups))
        absent = [] if len({found.groups[row].depth for row in claim.of}) > 1 else absent
    if absent:
        return Judged(claim, ABSENT, told=why_absent(absent, found))
    return BY_NAME[claim.test](claim, found)


def why_absent(rows: Sequence[str], found: Found) -> str:
    """Rows that nobody asked for, and those that were asked for and have no run."""
    asked = {entry.row for entry in found.reproduction.entries}
    parts = {"not asked for": [r for r in rows if r not in asked], "no run is done": [r for r in rows if r in asked]}
    return "; ".join(f"{why}: {', '.join(of)}" for why, of in parts.items() if of)


def values_of(row: str, claim: Claim, found: Found) -> Values:
    """A row's quantity by seed, as it is tested; a seed that never got to the loss has its number of steps."""
    group, loss = found.groups[row], found.reproduction.preset.loss
    own = measure(found.pool, group, claim.quantity, loss)
    return scaled(own | dict.fromkeys(never(row, claim, found), float(group.steps)), claim.quantity)


def never(row: str, claim: Claim, found: Found) -> list[int]:
    """The seeds that trained to the end and never got to the loss."""
    loss = found.reproduction.preset.loss
    counts = claim.quantity == "iterations_to_loss" and loss is not None
    return missing(found.pool, found.groups[row], claim.quantity, loss) if counts else []


def lower(claim: Claim, found: Found) -> Judged:
    """`of` below `beside`."""
    own, other = values_of(claim.of[0], claim, found), values_of(claim.beside[0], claim, found)
    spread = deviation([other[seed] - own[seed] for seed in sorted(own.keys() & other.keys())])
    return decided(claim, found, compare(other, own), spread, {claim.of[0]: -1.0, claim.beside[0]: 1.0})


def grows_more(claim: Claim, found: Found) -> Judged:
    """The rise from the first to the last row of `of` above that of `beside`."""
    rows = (claim.of[-1], claim.of[0], claim.beside[-1], claim.beside[0])
    deep, shallow, other_deep, other = (values_of(row, claim, found) for row in rows)
    shared = sorted(deep.keys() & shallow.keys() & other_deep.keys() & other.keys())
    spread = deviation([deep[s] - shallow[s] - other_deep[s] + other[s] for s in shared])
    told = interaction(deep, shallow, other_deep, other)
    return decided(claim, found, told, spread, dict(zip(rows, (1.0, -1.0, -1.0, 1.0), strict=True)))


def rises(claim: Claim, found: Found) -> Judged:
    """A positive slope against depth."""
    if kind_of(claim.quantity).exact:
        return in_order(claim, found)
    slopes, weights = slopes_of(claim, found)
    return decided(claim, found, paired(slopes), deviation(slopes.tolist()), weights)


def level(claim: Claim, found: Found) -> Judged:
    """A slope whose whole interval is within 10 % for 10 layers, or beyond."""
    slopes, weights = slopes_of(claim, found)
    told = paired(slopes)
    ends = (told.low, told.high)
    beyond = None not in ends and ((told.low or 0.0) > LEVEL or (told.high or 0.0) < -LEVEL)
    word = SUPPORTED if told.within(LEVEL) else CONTRADICTED if beyond else UNDECIDED
    why = "; ".join(filter(None, (lost_in(row, claim, found) for row in weights)))
    return Judged(claim, UNDECIDED if why else word, told, why)


def in_order(claim: Claim, found: Found) -> Judged:
    """Known without error: whether each deeper row has more."""
    groups = sorted((found.groups[row] for row in claim.of), key=lambda group: group.depth)
    numbers = [next(iter(measure(found.pool, group, claim.quantity).values()), math.nan) for group in groups]
    if any(map(math.isnan, numbers)):
        return Judged(claim, UNDECIDED, told=f"{kind_of(claim.quantity).title} not recorded")
    word = SUPPORTED if all(a < b for a, b in pairwise(numbers)) else CONTRADICTED
    return Judged(claim, word, told=f"counted: {', '.join(f'{number:,.0f}' for number in numbers)}")


def fails(claim: Claim, found: Found) -> Judged:
    """Every seed of `of` diverged, or ends above the error that counts as failed; no test, a count."""
    group, limit = found.groups[claim.of[0]], claim.above or found.reproduction.preset.fails
    known = measure(found.pool, group, claim.quantity).values()
    failed, total = sum(100 * value > limit for value in known) + len(group.diverged), len(group.seeds)
    unknown = total - len(known) - len(group.diverged)
    word = SUPPORTED if failed == total > 1 else CONTRADICTED if failed == unknown == 0 and total > 1 else UNDECIDED
    told = f"{failed} of {total} seeds diverged or end above {limit:g} %"
    return Judged(claim, word, told=f"{told}; {unknown} have no number" if unknown else told)


def trains(claim: Claim, found: Found) -> Judged:
    """The opposite of `fails`."""
    opposite = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}
    other = fails(claim, found)
    return replace(other, verdict=opposite.get(other.verdict, other.verdict))


SLOPES = ("rises", "level")
BY_NAME: Mapping[str, Callable[[Claim, Found], Judged]] = {
    "lower": lower,
    "grows_more": grows_more,
    "rises": rises,
    "level": level,
    "fails": fails,
    "trains": trains,
}


def decided(claim: Claim, found: Found, told: Comparison, spread: float | None, weights: Mapping[str, float]) -> Judged:
    """By the comparison's sign, positive where the claim holds.

    weights: with what sign each row's value counts in it. A row that lost seeds, or whose seeds never got to the loss,
    looks better than it is: where that favours the verdict, it is undecided.
    """
    favoured = [row for row, weight in weights.items() if weight * told.sign < 0 or not told.sign]
    why = "; ".join(filter(None, (lost_in(row, claim, found) for row in favoured)))
    word = {1: SUPPORTED, -1: CONTRADICTED, 0: UNDECIDED}[told.sign]
    told_by_paper = paper_difference(claim, found)
    wanted = told.difference if told_by_paper is None else told_by_paper
    if told.p is None or wanted is None:
        return Judged(claim, UNDECIDED, told, why)
    needed, least = seeds_needed(wanted, spread), detectable(spread, told.n)
    return Judged(claim, UNDECIDED if why else word, told, why, least, needed, told_by_paper is not None)


def lost_in(row: str, claim: Claim, found: Found) -> str:
    """Seeds of a row that diverged, never got to the loss, or have no number; nothing where there are none."""
    group = found.groups[row]
    unknown = len(group.finished) - len(values_of(row, claim, found).keys() & {s.number for s in group.finished})
    counts = {
        "diverged": len(group.diverged),
        "never got to the loss": len(never(row, claim, found)),
        f"have no {kind_of(claim.quantity).title} recorded": unknown,
    }
    told = [f"{count} of {len(group.seeds)} seeds {what}" for what, count in counts.items() if count]
    return f"{row}: {listing(told)}" if told else ""


def paper_difference(claim: Claim, found: Found) -> float | None:
    """What the paper's numbers differ by, in the test's unit; None where they are not both known and of one statistic,
    or not of these runs.
    """
    kind, made = kind_of(claim.quantity), found.reproduction
    rows = (*claim.of, *claim.beside)
    if claim.test != "lower" or kind.log or made.item.elsewhere or any(made.changed_of(row) for row in rows):
        return None
    known = {r.row: r for r in made.item.references if r.quantity == claim.quantity and r.value is not None}
    of, beside = known.get(rows[0]), known.get(rows[1])
    if of is None or beside is None or of.statistic != beside.statistic:
        return None
    return ((beside.value or 0.0) - (of.value or 0.0)) / kind.scale


def slopes_of(claim: Claim, found: Found) -> tuple[Array, dict[str, float]]:
    """Each seed's least-squares slope against depth, of the seeds that every row has, and each row's weight in it."""
    values = [values_of(row, claim, found) for row in claim.of]
    shared = sorted(set.intersection(*map(set, values)))
    x = np.array([float(found.groups[row].depth) for row in claim.of])
    weights: Any = (x - x.mean()) / ((x - x.mean()) @ (x - x.mean()))
    y = np.array([[own[seed] for own in values] for seed in shared]).reshape(len(shared), len(values))
    return y @ weights, dict(zip(claim.of, weights.tolist(), strict=True))


def holm(tested: list[Judged]) -> list[Judged]:
    """With p corrected for the number of tests (Holm 1979)."""
    order = sorted((place for place, one in enumerate(tested) if one.p is not None), key=lambda at: tested[at].p or 0.0)
    corrected, largest = dict[int, float](), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * (tested[place].p or 0.0)))
        corrected[place] = largest
    return [replace(one, p_holm=corrected.get(place)) for place, one in enumerate(tested)]

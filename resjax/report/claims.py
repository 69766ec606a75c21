"""Pairs of networks that differ in one thing, and what the seeds say of the difference."""

from collections.abc import Iterable
from dataclasses import dataclass

from resjax.report.groups import Group, Pool
from resjax.statistics import Comparison, compare

MARGIN = 0.01  # errors whose whole interval lies within one percentage point count as the same
HIGHER, LOWER, SAME, UNDECIDED, IMPOSSIBLE = "higher", "lower", "same", "undecided", "not comparable"
DEPTH, SHORTCUT = "depth", "shortcut"

RULE = (
    "Two networks are compared on the seeds that finished in both: the mean difference with its 95 % interval "
    "(Student's t; BCa bootstrap from 10 pairs), a paired t test (the sign-flip permutation test from 10 pairs, beside "
    "it from 6), Welch's test where fewer than two seeds are shared. Higher or lower: the interval excludes zero and "
    "every p is below 0.05. Same: the interval of an error lies within one percentage point of zero. Everything else "
    "is undecided, larger differences that are equal in every seed too, which no test can judge, and every outcome in "
    "favour of an arm that lost seeds to divergence. Depths are compared with the shallowest of their arm."
)


@dataclass(frozen=True)
class Claim:
    """What `of` has beside `beside`, in one quantity: difference = of - beside."""

    kind: str
    of: Group
    beside: Group
    quantity: str
    comparison: Comparison
    outcome: str

    def row(self) -> dict[str, object]:
        """A row of the table behind it."""
        a, b, c = self.of, self.beside, self.comparison
        place = {"data": a.data, "model": a.model, "setting": a.setting, "norm": a.norm}
        pair = {"arm": a.arm, "depth": a.depth, "beside_arm": b.arm, "beside_depth": b.depth}
        numbers = {"difference": c.difference, "low": c.low, "high": c.high, "p": c.p, "p_permutation": c.p_permutation}
        tail = {"n": c.n, "method": c.method, "outcome": self.outcome}
        return {"compared": self.kind, **place, **pair, "quantity": self.quantity, **numbers, **tail}


def claim(kind: str, of: Group, beside: Group, quantity: str) -> Claim:
    """Compare two groups."""
    found = compare(of.final(quantity), beside.final(quantity))
    return Claim(kind, of, beside, quantity, found, outcome(found, of, beside, quantity))


def outcome(found: Comparison, of: Group, beside: Group, quantity: str) -> str:
    """The rule. What diverged is no mean's part, so an arm that lost seeds cannot win by those it kept."""
    if found.difference is None:
        return IMPOSSIBLE
    if found.sign > 0:
        return UNDECIDED if beside.diverged else HIGHER
    if found.sign < 0:
        return UNDECIDED if of.diverged else LOWER
    unharmed = not of.diverged and not beside.diverged
    return SAME if unharmed and quantity.endswith("error") and found.within(MARGIN) else UNDECIDED


def series(pool: Pool) -> dict[tuple[str, str], list[Group]]:
    """Groups of one panel and arm, from the shallowest."""
    found: dict[tuple[str, str], list[Group]] = {}
    for group in sorted(pool.groups, key=lambda g: g.depth):
        found.setdefault((group.panel, group.arm), []).append(group)
    order = {panel: place for place, panel in enumerate(pool.panels)}
    return {key: found[key] for key in sorted(found, key=lambda key: (order[key[0]], pool.arms.index(key[1])))}


def depths(pool: Pool) -> list[Claim]:
    """Each arm's deeper networks beside its shallowest: small steps that add up are seen."""
    pairs = [(deeper, groups[0]) for groups in series(pool).values() for deeper in groups[1:]]
    return list(_claims(DEPTH, pairs, ("train_error", "train_loss")))


def shortcuts(pool: Pool) -> list[Claim]:
    """Each network with shortcuts beside the plain one of its depth, norm and settings."""
    plain = {(g.context, g.norm, g.depth): g for g in pool.groups if g.arm == "plain"}
    treated = [g for groups in series(pool).values() for g in groups if g.arm != "plain"]
    keys = {g.id: (g.context, g.norm, g.depth) for g in treated}
    pairs = [(g, plain[keys[g.id]]) for g in treated if keys[g.id] in plain]
    return list(_claims(SHORTCUT, pairs, ("train_error", "train_loss", "test_error")))


def _claims(kind: str, pairs: list[tuple[Group, Group]], quantities: tuple[str, ...]) -> Iterable[Claim]:
    for quantity in quantities:
        for of, beside in pairs:
            yield claim(kind, of, beside, quantity)

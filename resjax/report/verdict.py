"""What happened, in sentences made of the numbers and of nothing else. It takes no side."""

from collections.abc import Iterable

from resjax.classes import DIVERGED, EXPLODING, HEALTHY, VANISHING
from resjax.classes import UNDECIDED as OPEN
from resjax.report.cautions import recipe_sentences, seed_sentences
from resjax.report.claims import HIGHER, IMPOSSIBLE, LOWER, UNDECIDED, Claim, series
from resjax.report.expected import Beside
from resjax.report.groups import END, Group, Pool, arm_order
from resjax.report.health import Health, factors, silent
from resjax.report.words import amount, capital, factor, listing, p_value, signed

RECIPES, DEGRADATION, SHORTCUTS, DIVERGENCE, GRADIENTS, THEORY = (
    "Before comparing",
    "Does the training error rise with depth?",
    "Are the errors of the other arms lower than those of plain?",
    "Divergence",
    "Gradients (ratio: |dL/dh| at the first unit over that at the last; a layer: its factor for one weight layer)",
    "Gradients at step 0: measured / predicted by mean-field theory (rate: the factor for one weight layer)",
)
STATES = (EXPLODING, VANISHING, DIVERGED, HEALTHY, OPEN)
READING = (
    "Differences are means over seeds, of training values over the last tenth of the steps and of test values at the "
    "last step, with 95 % intervals in brackets (Student's t or bootstrap); n is the seeds. Every number and test: "
    "tables/comparisons.csv. What exploding, healthy, vanishing and undecided mean: docs/concepts.md."
)
WORDS = {"train_error": "training error", "train_loss": "training loss", "test_error": "test error"}
SUPPORTED = {LOWER: "supported", HIGHER: "contradicted"}

Sections = dict[str, list[str]]


def verdict(
    pool: Pool, health: list[Health], depths: list[Claim], shortcuts: list[Claim], compared: list[Beside]
) -> Sections:
    """Sentences under their headings; a heading without a sentence is left out."""
    found = {
        RECIPES: [*recipe_sentences(pool), *seed_sentences(pool)],
        DEGRADATION: depth_sentences(pool, depths),
        SHORTCUTS: shortcut_sentences(shortcuts),
        DIVERGENCE: divergence_sentences(pool),
        GRADIENTS: gradient_sentences(health, pool),
        THEORY: [*theory_sentences(compared), *unpredicted_sentences(pool)] if compared else [],
    }
    return {heading: sentences for heading, sentences in found.items() if sentences}


def gradient_sentences(health: list[Health], pool: Pool) -> list[str]:
    """A sentence a norm and arm: its depths by what their gradients do, step by step, and where there are none."""
    if pool.layers.is_empty():
        return ["No layer was looked at (probes.at, probes.every, probes.last): nothing is said of gradients."]
    if not health:
        return ["No gradients were recorded that are finite and not zero: nothing is said of them."]
    by_arm: dict[tuple[str, str], dict[str, list[Health]]] = {}
    for item in health:
        by_arm.setdefault((item.group.panel, item.group.arm), {}).setdefault(item.moment, []).append(item)
    quiet = silent(pool)
    keys = sorted(by_arm.keys() | quiet.keys(), key=lambda key: (pool.panels.index(key[0]), arm_order(key[1])))
    return [f"{capital(key[0])}, {key[1]}: {_by_moment(by_arm.get(key, {}), quiet.get(key, {}))}." for key in keys]


def _by_moment(seen: dict[str, list[Health]], quiet: dict[str, list[int]]) -> str:
    """Clauses, one for each stretch of moments at which the same depths do the same."""
    depths = sorted({item.group.depth for items in seen.values() for item in items})
    stretches: list[tuple[list[str], list[Health], list[int]]] = []
    moments = sorted(seen.keys() | quiet.keys(), key=lambda moment: float("inf") if moment == END else int(moment))
    for moment in moments:
        now, none = seen.get(moment, []), sorted(quiet.get(moment, []))
        if stretches and (_states(stretches[-1][1]), stretches[-1][2]) == (_states(now), none):
            stretches[-1][0].append(moment)
            stretches[-1][1].extend(now)
        else:
            stretches.append(([moment], list(now), none))
    told = []
    for at, items, none in stretches:
        words = [f"no gradient but zero at {_depths(none)}"] if none else []
        words += [_what(items, depths)] if items else []
        told.append(f"{_when(at, len(moments))} {', '.join(words)}")
    return "; ".join(told)


def _depths(depths: list[int]) -> str:
    return f"depth{'s' if len(depths) > 1 else ''} {listing(depths)}"


def _when(at: list[str], probed: int) -> str:
    if len(at) == probed > 1:
        return "at every probed step"
    steps = [moment for moment in at if moment != END]
    words = [f"step{'s' if len(steps) > 1 else ''} {listing(steps)}"] if steps else []
    return "at " + " and ".join([*words, *(["the end"] if END in at else [])])


def _states(items: list[Health]) -> set[tuple[str, int]]:
    return {(item.state, item.group.depth) for item in items}


def _what(items: list[Health], depths: list[int]) -> str:
    """Such as: exploding at depth 56 (ratio 811, 1.21 a layer, n = 3), healthy at depths 20 and 32 (...)."""
    by_state = {state: [item for item in items if item.state == state] for state in STATES}
    return ", ".join(_of_state(state, chosen, depths) for state, chosen in by_state.items() if chosen)


def _of_state(state: str, items: list[Health], all_depths: list[int]) -> str:
    depths = sorted({item.group.depth for item in items})
    start = all_depths.index(depths[0])
    in_a_row = len(depths) > 2 and depths == all_depths[start : start + len(depths)]
    told = f"{depths[0]} to {depths[-1]}" if in_a_row else listing(depths)
    where = f"{state} at depth{'s' if len(depths) > 1 else ''} {told}"
    if state == DIVERGED:
        return f"{where} ({listing(sorted({f'{item.lost} of {len(item.group.seeds)} seeds' for item in items}))})"
    seeds = listing(sorted({item.n for item in items}))
    numbers = [f"ratio {_span(factors(item.ratio)[0] for item in items)}"]
    numbers += [f"{_span(factors(item.rate)[0] for item in items)} a layer"] if all(i.rate.n for i in items) else []
    levels = [factors(item.level)[0] for item in items if item.level.n]
    numbers += [f"level {_span(levels)}"] if levels and state != HEALTHY else []
    return f"{where} ({', '.join(numbers)}, n = {seeds})"


def _span(values: Iterable[float | None]) -> str:
    known = sorted(value for value in values if value is not None)
    texts = list(dict.fromkeys([factor(known[0]), factor(known[-1])]))
    return " to ".join(texts)


def theory_sentences(compared: list[Beside]) -> list[str]:
    """A sentence a norm and arm: the rate and the ratio at each depth, measured and predicted."""
    found: dict[tuple[str, str], dict[int, list[str]]] = {}
    for item in compared:
        words = item.words()
        if words:
            found.setdefault((item.group.panel, item.group.arm), {}).setdefault(item.group.depth, []).append(words)
    return [
        f"{capital(panel)}, {arm}: "
        + "; ".join(f"depth {depth}, {' and '.join(told)}" for depth, told in by_depth.items())
        + "."
        for (panel, arm), by_depth in found.items()
    ]


def unpredicted_sentences(pool: Pool) -> list[str]:
    """A sentence a norm and arm of which theory says nothing at any depth, with the reason."""
    reasons = {(group.panel, group.arm): group.theory for group in pool.groups}
    said = {(group.panel, group.arm) for group in pool.groups if not isinstance(group.theory, str)}
    return [
        f"{capital(panel)}, {arm}: nothing is predicted, {why}."
        for (panel, arm), why in reasons.items()
        if (panel, arm) not in said
    ]


def depth_sentences(pool: Pool, claims: list[Claim]) -> list[str]:
    """A sentence a norm and arm with two depths or more (degradation: He et al. 2015, the TRAINING error rises)."""
    found = []
    for (panel, arm), groups in series(pool).items():
        own = [c for c in claims if (c.of.panel, c.of.arm) == (panel, arm)]
        errors = [c for c in own if c.quantity == "train_error"]
        if errors:
            losses = {c.of.id: c for c in own if c.quantity == "train_loss"}
            found.append(f"{capital(panel)}, {arm}: {_degradation(groups, errors, losses)}.")
    return found


def _degradation(groups: list[Group], errors: list[Claim], losses: dict[str, Claim]) -> str:
    """Begins at the first depth that is worse than the shallowest; else none seen, or what is undecided."""
    higher = [c for c in errors if c.outcome == HIGHER]
    open_ = [c for c in errors if c.outcome in (UNDECIDED, IMPOSSIBLE)]
    before = [c for c in open_ if not higher or c.of.depth < higher[0].of.depth]
    if higher:
        first = higher[0]
        loss = amount(losses[first.of.id].comparison, "train_loss") if first.of.id in losses else ""
        text = f"degradation begins at depth {first.of.depth}{' at the latest' if before else ''} ({_pair(first)}"
        text += f"; training loss {loss})" if loss else ")"
        return text + (f"; undecided: {'; '.join(_pair(c) for c in before)}" if before else "")
    if before:
        return f"undecided: {'; '.join(_pair(c) for c in before)}"
    largest = max(errors, key=lambda c: c.comparison.difference or 0.0)
    return f"none seen from depth {groups[0].depth} to {groups[-1].depth} (largest difference {_pair(largest)})"


def _pair(claim: Claim) -> str:
    """Such as: 44 to 56 +12.3 points, ..."""
    a, b = claim.beside, claim.of
    if claim.outcome == IMPOSSIBLE:
        bare = [f"{len(g.finished)} of {len(g.seeds)} seeds finished at depth {g.depth}" for g in (a, b)]
        return f"{a.depth} to {b.depth} cannot be compared, {' and '.join(bare)}"
    lost = len(a.diverged) + len(b.diverged)
    told = f", {lost} diverged and left out" if lost else ""
    return f"{a.depth} to {b.depth}: {amount(claim.comparison, claim.quantity)}{told}"


def shortcut_sentences(claims: list[Claim]) -> list[str]:
    """A sentence a norm, arm and error: whether it is below the plain network's."""
    found: dict[tuple[str, str, str], list[Claim]] = {}
    for claim in claims:
        if claim.quantity.endswith("error"):
            found.setdefault((claim.of.panel, claim.of.arm, claim.quantity), []).append(claim)
    return [
        f"{capital(panel)}: is the {WORDS[quantity]} of {arm} lower than that of plain? {_shortcut(chosen)}."
        for (panel, arm, quantity), chosen in sorted(found.items(), key=lambda item: item[0][:2])
    ]


def _shortcut(claims: list[Claim]) -> str:
    """Supported, contradicted, undecided, each with its depths and numbers."""
    by_word: dict[str, list[Claim]] = {}
    for claim in claims:
        by_word.setdefault(SUPPORTED.get(claim.outcome, claim.outcome), []).append(claim)
    order = ("supported", "contradicted", "same", UNDECIDED, IMPOSSIBLE)
    return "; ".join(f"{word} at {_at_depths(by_word[word])}" for word in order if word in by_word)


def _at_depths(claims: list[Claim]) -> str:
    """Each depth with its numbers; several at once where they are many and lost no seed."""
    kept = [c for c in claims if not c.of.diverged and not c.beside.diverged and c.comparison.difference is not None]
    whole = [c for c in kept if c.comparison.method != "no spread"]  # of which no p is told
    together = [_together(whole)] if len(whole) > 2 else [_at_depth(c) for c in whole]
    return ", ".join([*together, *(_at_depth(c) for c in claims if c not in whole)])


def _together(claims: list[Claim]) -> str:
    """Such as: depths 32, 44 and 56 (-10.0, -20.0 and -29.8 points, largest p = 0.003, n = 3)."""
    quantity, depths = claims[0].quantity, listing(c.of.depth for c in claims)
    differences = listing(signed(c.comparison.difference or 0.0, quantity) for c in claims)
    tests = [p for c in claims for p in (c.comparison.p, c.comparison.p_permutation) if p is not None]
    largest = f", largest p {p_value(max(tests))}" if tests else ""
    return f"depths {depths} ({differences} points{largest}, n = {listing(sorted({c.comparison.n for c in claims}))})"


def _at_depth(claim: Claim) -> str:
    lost = [g for g in (claim.of, claim.beside) if g.diverged]
    counts = [f"{g.arm} lost {len(g.diverged)} of {len(g.seeds)} seeds to divergence" for g in lost]
    numbers = [] if claim.outcome == IMPOSSIBLE else [amount(claim.comparison, claim.quantity)]
    return f"depth {claim.of.depth} ({', '.join([*numbers, *counts])})"


def divergence_sentences(pool: Pool) -> list[str]:
    """How many, at which step, and the first layer whose values were not finite."""
    total = sum(len(group.seeds) for group in pool.groups)
    if not any(group.diverged for group in pool.groups):
        return [f"No seed diverged (n = {total})."] if total else []
    return [_diverged(group) for group in pool.groups if group.diverged]


def _diverged(group: Group) -> str:
    steps = sorted({seed.diverged_at for seed in group.diverged if seed.diverged_at is not None})
    layers = sorted({seed.first_bad_layer for seed in group.diverged if seed.first_bad_layer})
    where = f", first in {listing(layers)}" if layers else ""
    at = f" at step{'s' if len(steps) > 1 else ''} {listing(steps)}" if steps else ""
    return (
        f"{capital(group.label)}, {group.panel}: {len(group.diverged)} of {len(group.seeds)} seeds diverged{at}{where}."
    )

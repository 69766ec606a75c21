"""The page's first part: how much there is, and of every norm and arm the verdicts at a glance."""

from collections.abc import Callable, Iterable, Sequence

from resjax import classes
from resjax.report import claims
from resjax.report.claims import Claim
from resjax.report.groups import END, Group
from resjax.report.health import Health, factors
from resjax.report.page.content import Content
from resjax.report.page.markup import CALM, OPEN, WARN, Chip, Html, bullets, folded, note, table, text
from resjax.report.verdict import READING
from resjax.report.words import factor, listing, signed

TONES = {
    classes.EXPLODING: WARN,
    classes.VANISHING: WARN,
    classes.DIVERGED: WARN,
    classes.HEALTHY: CALM,
    classes.UNDECIDED: OPEN,
}
OUTCOMES = (claims.LOWER, claims.HIGHER, claims.SAME, claims.UNDECIDED, claims.IMPOSSIBLE)
COLUMNS = (
    "norm",
    "arm",
    "training error with depth",
    "training error beside plain",
    "test error beside plain",
    "gradients at step 0",
    "gradients at the end",
    "seeds diverged",
)
FEW = 3  # depths, each with its difference
GLANCE = (
    "One row a norm and arm. With depth: its deeper networks beside its shallowest; beside plain: at equal depth, norm "
    "and settings; differences in percentage points, of several depths together the smallest and the largest. Every "
    "number, its test and its interval are under Statistics; the rule of the gradients' words is under Atlas."
)


def tiles(content: Content) -> str:
    """How much there is, as numbers with their names."""
    groups = content.pool.groups
    done = [run for run in content.sweep.runs if run["status"] == "done"]
    counts = {
        "runs done": len(done),
        "networks": len(groups),
        "seeds trained": sum(len(group.seeds) for group in groups),
        "seeds diverged": sum(len(group.diverged) for group in groups),
    }
    ranges = {"depth": spanned(g.depth for g in groups), "steps": spanned(g.steps for g in groups)}
    names = {"data": listing(dict.fromkeys(g.data for g in groups))}
    shown = {name: f"{value:,}" for name, value in counts.items()} | ranges | names
    body = "".join(f"<div><dd>{text(value)}</dd><dt>{text(name)}</dt></div>" for name, value in shown.items() if value)
    return f'<dl class="tiles">{body}</dl>'


def spanned(values: Iterable[int]) -> str:
    """The least and the largest."""
    known = sorted(set(values))
    return " to ".join(f"{value:,}" for value in dict.fromkeys([*known[:1], *known[-1:]]))


def glance(content: Content) -> str:
    """A row a norm and arm, a column a question."""
    rows, keys = [], []
    for (panel, arm), groups in claims.series(content.pool).items():
        cells = [Html("<br>".join(chip.html() for chip in make(content, groups))) for make in QUESTIONS]
        rows.append([(panel, ""), (arm, ""), *((cell or "–", "chips") for cell in cells)])  # noqa: RUF001
        keys.append({"panel": panel, "arm": arm})
    if not rows:
        return ""
    return table([(name, "") for name in COLUMNS], rows, keys) + note(GLANCE)


def rise(content: Content, groups: Sequence[Group]) -> list[Chip]:
    """Whether the training error rises with depth."""
    found = about(content.claims, groups, claims.DEPTH, "train_error")
    higher = [one for one in found if one.outcome == claims.HIGHER]
    unsure = [one for one in found if one.outcome in (claims.UNDECIDED, claims.IMPOSSIBLE)]
    if higher:
        first = higher[0].of.depth
        since = "by" if any(one.of.depth < first for one in unsure) else "from"  # what is undecided may have begun it
        return [Chip(f"rises {since} depth {first}", WARN, spread(higher))]
    if unsure:
        return [Chip("undecided", OPEN, differences(unsure))]
    return [Chip("no rise seen", CALM, spread(found))] if found else []


def beside(quantity: str) -> Callable[[Content, Sequence[Group]], list[Chip]]:
    """Whether a quantity is below plain's, by outcome."""

    def chips(content: Content, groups: Sequence[Group]) -> list[Chip]:
        found = about(content.claims, groups, claims.SHORTCUT, quantity)
        by = {outcome: [one for one in found if one.outcome == outcome] for outcome in OUTCOMES}
        tones = {claims.LOWER: CALM, claims.SAME: CALM, claims.HIGHER: WARN}
        return [Chip(outcome, tones.get(outcome, OPEN), differences(ones)) for outcome, ones in by.items() if ones]

    return chips


def gradients(moment: str) -> Callable[[Content, Sequence[Group]], list[Chip]]:
    """What the gradients do at a moment, by state; the rate of the deepest."""

    def chips(content: Content, groups: Sequence[Group]) -> list[Chip]:
        ids = {group.id for group in groups}
        found = [one for one in content.health if one.group.id in ids and one.moment == moment]
        by = {state: [one for one in found if one.state == state] for state in TONES}
        return [Chip(state, TONES[state], at_depths(ones)) for state, ones in by.items() if ones]

    return chips


def diverged(content: Content, groups: Sequence[Group]) -> list[Chip]:
    """How many seeds did."""
    lost, total = sum(len(group.diverged) for group in groups), sum(len(group.seeds) for group in groups)
    return [Chip(f"{lost} of {total}", WARN if lost else CALM)]


QUESTIONS: tuple[Callable[[Content, Sequence[Group]], list[Chip]], ...] = (
    rise,
    beside("train_error"),
    beside("test_error"),
    gradients("0"),
    gradients(END),
    diverged,
)


def about(found: Sequence[Claim], groups: Sequence[Group], kind: str, quantity: str) -> list[Claim]:
    """The comparisons of these networks."""
    ids = {group.id for group in groups}
    return [one for one in found if one.kind == kind and one.quantity == quantity and one.of.id in ids]


def differences(found: Sequence[Claim]) -> str:
    """Such as: at 20 (+0.8), 32 (-25.3); of many depths, which they are and from where to where."""
    if len(found) > FEW:
        return f"at {listing(one.of.depth for one in found)} {spread(found)}"
    return "at " + ", ".join(f"{one.of.depth} {spread([one])}".rstrip() for one in found)


def spread(found: Sequence[Claim]) -> str:
    """The least and the largest, in their unit."""
    known = sorted(one.comparison.difference for one in found if one.comparison.difference is not None)
    ends = dict.fromkeys(signed(value, found[0].quantity) for value in [*known[:1], *known[-1:]])
    return f"({' to '.join(ends)})" if ends else ""


def at_depths(found: Sequence[Health]) -> str:
    """The depths, and the deepest one's rate."""
    deepest = max(found, key=lambda one: one.group.depth)
    rate = f", {factor(factors(deepest.rate)[0])} a layer" if deepest.rate.n else ""
    return f"at {listing(sorted({one.group.depth for one in found}))}{rate}"


def sentences(content: Content) -> str:
    """The verdicts in words, folded."""
    lists = [f"<h3>{text(heading)}</h3>{bullets(said)}" for heading, said in content.sections.items()]
    return folded("What the numbers say, in sentences", "".join(lists) + note(READING)) if lists else ""


def sweeps(content: Content) -> str:
    """Where several sweeps are read together: what each brings. A run that is in two is told where it was found."""
    names = list(dict.fromkeys(run.get("sweep", "") for run in content.sweep.runs))
    if len(names) < 2:
        return ""
    titles = ("sweep", "runs", "done", "arms", "depths", "norms", "data", "seconds")
    rows = [[(cell, "") for cell in sweep_cells(content, name)] for name in names]
    return f"<h3>The sweeps</h3>{table([(title, '') for title in titles], rows)}"


def sweep_cells(content: Content, name: str) -> list[str]:
    """One sweep's."""
    runs = [run for run in content.sweep.runs if run.get("sweep", "") == name]
    done = [run for run in runs if run["status"] == "done"]
    models = [run["config"]["model"] for run in runs]
    words = (
        dict.fromkeys(run["arm"] for run in runs),
        sorted({model["depth"] for model in models}),
        dict.fromkeys(model["norm"] for model in models),
        dict.fromkeys(run["config"]["data"]["name"] for run in runs),
    )
    seconds = sum(run.get("times", {}).get("total") or 0 for run in done)
    return [name, str(len(runs)), str(len(done)), *(listing(word) for word in words), f"{seconds:,.0f}"]

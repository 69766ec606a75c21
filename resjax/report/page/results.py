"""The page's tables: results, gradients by their rule, theory beside the measurement, every comparison."""

from resjax import classes
from resjax.report import claims
from resjax.report.claims import Claim
from resjax.report.expected import NOTE, Beside
from resjax.report.groups import END, TAIL, Group
from resjax.report.health import Health, factors
from resjax.report.page.content import Content
from resjax.report.page.keys import keys
from resjax.report.page.markup import Cell, folded, note, table
from resjax.report.tables import NUMBERS, cell, columns
from resjax.report.words import factor, p_value, signed

IMPORTED = (
    "Of an imported net the training error is that of its weights on the whole training set as it is, with running "
    "statistics. "
)
LEGEND = (
    "r: |dL/dh| at the first unit / at the last; ×: its factor a weight layer towards the input; l: level, where "  # noqa: RUF001
    "compared; n: seeds. Intervals, power laws and depth scales are in tables/gradient_health.csv."
)


NAMES = {"train_error": "training error", "train_loss": "training loss", "test_error": "test error"}
KINDS = {
    claims.SHORTCUT: "Each arm beside plain, at equal depth",
    claims.DEPTH: "Each arm's depths beside its shallowest",
}
COLUMNS = (
    *(("network", ""), ("beside", ""), ("norm", ""), ("quantity", ""), ("difference", "number")),
    *(("95 % interval", "number"), ("p", "number"), ("p, sign-flip", "number"), ("n", "number"), ("outcome", "")),
)


def summary(content: Content) -> str:
    """The table of the networks."""
    found = content.rows
    if not found:
        return ""
    shown = columns(found)
    kinds = {key: "number" if key in NUMBERS else "" for key, _ in shown}
    cells = [[(cell(row, key), kinds[key]) for key, _ in shown] for row in found]
    imported = any("imported" in run for run in content.sweep.runs)
    words = (
        f"Mean ± sample standard deviation over the seeds that finished; what diverged is counted and left out of the "
        f"means. Training values are means over the last {100 * TAIL:.0f} % of steps, test values those of the last "
        f"step. Training errors are those of the batches while the weights move, with batch statistics, and with "
        f"augmentation where it is on; test errors are with running statistics, or true averages of them "
        f"(train.precise_statistics): their difference is not overfitting alone. "
        f"{IMPORTED if imported else ''}Half-widths of the 95 % intervals are in tables/summary.csv."
    )
    titles = [(title, kinds[key]) for key, title in shown]
    return f"<h3>Results</h3>{table(titles, cells, [keys(group) for group in content.pool.groups])}{note(words)}"


def gradient_table(content: Content) -> str:
    """What the gradients of each group do, a column a step."""
    found = content.health
    if not found:
        return ""
    moments = sorted({item.moment for item in found}, key=lambda m: float("inf") if m == END else int(m))
    groups: dict[str, tuple[Group, dict[str, Health]]] = {}
    for item in found:
        groups.setdefault(item.group.id, (item.group, {}))[1][item.moment] = item
    titles = [("norm", ""), ("depth", "number"), ("arm", "")]
    titles += [("end" if moment == END else f"step {moment}", "") for moment in moments]
    rows = [
        [(group.panel, ""), (str(group.depth), "number"), (group.arm, ""), *(_state(by.get(m)) for m in moments)]
        for group, by in groups.values()
    ]
    body = table(titles, rows, [keys(group) for group, _ in groups.values()])
    rule = folded("The rule behind the words", note(classes.RULE))
    return f"<h3>Gradients, by the stated rule</h3>{body}{note(LEGEND)}{rule}"


def _state(item: Health | None) -> Cell:
    if item is None:
        return "–", ""  # noqa: RUF001
    if item.state == classes.DIVERGED:
        return f"{item.state}\n{item.lost} of {len(item.group.seeds)} seeds", f"state {item.state}"
    numbers = [("r", item.ratio), ("×", item.rate), ("l", item.level)]  # noqa: RUF001
    told = [f"{sign} {factor(factors(value)[0])}" for sign, value in numbers if value.n]
    return f"{item.state}\n{', '.join([*told, f'n {item.n}'])}", f"state {item.state}"


def theory_table(found: list[Beside]) -> str:
    """What was measured at step 0 beside what theory expects."""
    if not found:
        return ""
    names = ("norm", "depth", "arm", "quantity at step 0", "measured", "predicted", "measured / predicted", "n")
    kinds = ("", "number", "", "", "number", "number", "number", "number")
    rows = [list(zip(item.cells(), kinds, strict=True)) for item in found]
    body = table(list(zip(names, kinds, strict=True)), rows, [keys(item.group) for item in found])
    return folded(f"Gradients beside theory, {len(found)} numbers", body + note(NOTE))


def claim_tables(found: list[Claim]) -> str:
    """Every comparison that was made, and the rule."""
    if not found:
        return ""
    tests = sum(one.comparison.p is not None for one in found)
    many = (
        f"{tests} tests were made and none is corrected for their number: at 5 % each, about {tests * 0.05:.1f} would "
        f"come out by chance if nothing differed."
    )
    kinds = {heading: [one for one in found if one.kind == kind] for kind, heading in KINDS.items()}
    tables = [f"<h3>{heading}</h3>{claim_table(ones)}" for heading, ones in kinds.items() if ones]
    return f"{note(many)}{''.join(tables)}{folded('The rule behind the outcomes', note(claims.RULE))}"


def claim_table(found: list[Claim]) -> str:
    """A row a comparison, with everything that its test says."""
    rows = [list(zip(claim_cells(one), (kind for _, kind in COLUMNS), strict=True)) for one in found]
    return table(COLUMNS, rows, [keys(one.of) | keys(one.beside, "beside-") for one in found])


def claim_cells(one: Claim) -> list[str]:
    """Its texts; a difference in percentage points or nats."""
    c, quantity = one.comparison, one.quantity
    unit = "nats" if quantity.endswith("loss") else "points"
    difference = "–" if c.difference is None else f"{signed(c.difference, quantity)} {unit}"  # noqa: RUF001
    known = c.low is not None and c.high is not None
    interval = f"[{signed(c.low or 0.0, quantity)}, {signed(c.high or 0.0, quantity)}]" if known else "–"  # noqa: RUF001
    tests = ["–" if p is None else p_value(p).removeprefix("= ") for p in (c.p, c.p_permutation)]  # noqa: RUF001
    names = [one.of.label, one.beside.label, one.of.panel, NAMES[quantity]]
    return [*names, difference, interval, *tests, str(c.n), one.outcome]

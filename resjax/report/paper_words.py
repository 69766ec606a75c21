"""A reproduction for people: its heading, its statements with their numbers, and the lines for a terminal."""

from rich.table import Table

from resjax.report import published
from resjax.report.degradation import Degradation
from resjax.report.measures import kind_of
from resjax.report.paper import Paper
from resjax.report.reproduction import Reproduction
from resjax.report.statements import Judged
from resjax.report.words import factor, listing, minus, p_value


def heading(reproduction: Reproduction) -> list[str]:
    """The question, its source, and how these runs differ from the paper's."""
    item = reproduction.item
    changed = "; ".join(reproduction.changed)
    whose = "the paper's" if item.of_a_paper and not item.elsewhere else "those of the whole recipe"
    differs = (
        f"{changed}. Verdicts are about these runs, not about {whose}." if changed else f"the settings are {whose}."
    )
    said = [f"{item.question} {item.paper}, {item.source}, {item.section}.", f"Protocol: {item.protocol}.", item.note]
    said += [f"The paper's numbers are of {item.elsewhere}."] if item.elsewhere else []
    return [*filter(None, said), f"Size {reproduction.size}: {differs}", f"Made by: {reproduction.command}"]


def statement_cells(one: Judged, made: Reproduction) -> list[str]:
    """A statement's row for people, with what is smaller in its own networks."""
    claim, c, kind = one.claim, one.comparison, kind_of(one.claim.quantity)
    smaller = [word for row in (*claim.of, *claim.beside) for word in made.changed_of(row) if word.startswith("model.")]
    here = f" (here {', '.join(dict.fromkeys(word.split()[0] for word in smaller))})" if smaller else ""
    if c is None or c.difference is None:
        return [claim.says + here, one.word, one.told, "", "", "", "", "", claim.source]
    told = effect(c.difference, claim.quantity, claim.test)
    if c.low is not None and c.high is not None and c.p is not None:
        ends = [effect(end, claim.quantity, claim.test, bare=True) for end in (c.low, c.high)]
        told += f" [{', '.join(ends)}]" + ("" if one.p is None else f", p {p_value(c.p)}")
    holm = "" if one.p_holm is None else f"{one.p_holm:.2g}"
    least = "" if one.detectable is None else effect(one.detectable, claim.quantity, claim.test, bare=True).lstrip("+")
    needed = "" if one.needed is None else f"{one.needed}{' (paper)' if one.of_paper else ''}"
    told += f"; {one.told}" if one.told else ""
    told = f"{kind.title}: {told}" if kind.unit else told
    return [claim.says + here, one.word, told, c.method, str(c.n), holm, least, needed, claim.source]


def effect(value: float, quantity: str, test: str, bare: bool = False) -> str:
    """A difference for people: points, nats, a factor; of a slope, for 10 layers more."""
    kind = kind_of(quantity)
    slope = test in ("rises", "level")
    if kind.log:
        return f"×{factor_of(value * 10 if slope else value)}" + ("" if bare or not slope else " for 10 layers")  # noqa: RUF001
    told = minus(f"{value * kind.scale * (10 if slope else 1):+.{max(kind.digits, 1)}f}")
    return told if bare else f"{told} {kind.unit}{' for 10 layers' if slope else ''}".strip()


def factor_of(logarithm: float) -> str:
    """e^x, held within what can be said."""
    return factor(2.718281828459045 ** min(max(logarithm, -700.0), 700.0))


def many(tested: list[Judged]) -> str:
    """How many tests, and how many would stand corrected."""
    made = sum(one.p is not None for one in tested)
    kept = sum(one.keeps_holm is True for one in tested)
    return f"Tests here: {made}; below 0.05 by Holm's correction: {kept}."


def degradation_sentences(made: Paper) -> list[str]:
    """Onset and growth, an arm a line."""
    return [f"{one.panel}, {one.arm}: {onset(one)}; {growth(one, made.asked.preset.loss)}." for one in made.degradation]


def onset(one: Degradation) -> str:
    """Where degradation begins, and the depths of which seeds diverged."""
    if one.onset is None:
        shown = "no onset shown" + (" (undecided)" if one.at_latest else "")
    else:
        shown = f"onset at depth {one.onset}{' at the latest' if one.at_latest else ''}"
    lost = [
        f"{len(group.diverged)} of {len(group.seeds)} seeds diverged at depth {group.depth}"
        for group in (step.group for step in one.steps)
        if group.diverged
    ]
    return ", ".join([shown, *lost])


def growth(one: Degradation, loss: float | None) -> str:
    """How the iterations grow."""
    mean, low, high = one.factors
    if loss is None or mean is None:
        return f"iterations to a loss of {loss:g} nats: too few depths reach it" if loss else "no loss is stated"
    between = "" if low is None or high is None else f" [{factor(low)}, {factor(high)}]"
    law = f", closer to {'an exponential' if one.law == 'exponential' else 'a power law'}" if one.law else ""
    lost = [f"{s.group.depth} ({len(s.group.seeds) - s.reached})" for s in one.steps if s.reached < len(s.group.seeds)]
    missing = f"; not reached at depth {listing(lost)} (seeds)" if lost else ""
    return f"iterations to {loss:g} nats ×{factor(mean)}{between} for 10 layers{law}, n = {one.growth.n}{missing}"  # noqa: RUF001


def terminal(made: Paper) -> list[Table | str]:
    """The same for a terminal, without what is on the page only."""
    shown: list[Table | str] = list(heading(made.asked)[:1])
    if made.published:
        beside = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        for name in published.TITLES:
            beside.add_column(name, overflow="fold")
        for number in made.published:
            beside.add_row(*number.cells())
        shown.append(beside)
    for statement in made.statements:
        cells = statement_cells(statement, made.asked)
        test = f" ({cells[3]}, n = {cells[4]})" if cells[3] else ""
        shown.append(f"- {statement.word.upper()}: {cells[0]}: {cells[2]}{test}")
    shown += [f"- {row.sentence(made.asked.preset.fails)}" for row in made.searched]
    if not made.searched:
        shown += [f"- {sentence}" for sentence in degradation_sentences(made)]
    return [*shown, heading(made.asked)[-2]]

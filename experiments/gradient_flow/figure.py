"""The experiment's tables and figures, from the records beside it alone.

python experiments/gradient_flow/figure.py          fills README.md, draws the figures
python experiments/gradient_flow/figure.py SWEEP    takes the records from a sweep's folder first
"""

from pathlib import Path

from resjax.report.expected import RATE, RATIO, beside
from resjax.report.experiment import Experiment, Makers
from resjax.report.groups import END, Pool
from resjax.report.health import Health, factors
from resjax.report.markdown import table
from resjax.report.page import Content
from resjax.report.words import factor, percent

NORMS, DEPTHS, ARMS = ("batch", "none"), (20, 56, 110), ("plain", "residual")
MOMENTS = ("0", "1", "10", "50", END)
SEEDS = 5


def tables(content: Content) -> Makers:
    """The regions. SystemExit where a network is not there."""
    require(content.pool)
    return {
        "states": lambda: states(content.health),
        "rates": lambda: rates(content.health),
        "theory": lambda: theory(content.pool, content.health),
    }


def require(pooled: Pool) -> None:
    """Every number has a run behind it."""
    there = {(g.norm, g.depth, g.arm) for g in pooled.groups}
    missing = [key for key in cells() if key not in there]
    if missing or len(there) != len(pooled.groups):
        raise SystemExit(f"Of these there is no run, or several settings: {missing or 'all'}")


def cells() -> list[tuple[str, int, str]]:
    """The experiment's groups."""
    return [(norm, depth, arm) for norm in NORMS for depth in DEPTHS for arm in ARMS]


def at(found: list[Health]) -> dict[tuple[str, int, str, str], Health]:
    """By norm, depth, arm and moment."""
    return {(h.group.norm, h.group.depth, h.group.arm, h.moment): h for h in found}


def heads() -> list[str]:
    """The columns."""
    return ["norm", "depth", "arm", *("end (100)" if moment == END else f"step {moment}" for moment in MOMENTS)]


def states(found: list[Health]) -> str:
    """The word and the ratio at each moment."""
    known = at(found)

    def cell(norm: str, depth: int, arm: str, moment: str) -> str:
        item = known.get((norm, depth, arm, moment))
        if item is None:
            return "-"
        ratio = factors(item.ratio)[0]
        return item.state if ratio is None else f"{item.state}, {factor(ratio)} (n = {item.n})"

    return table(heads(), ([n, str(d), a, *(cell(n, d, a, moment) for moment in MOMENTS)] for n, d, a in cells()))


def rates(found: list[Health]) -> str:
    """The rate a weight layer with its interval."""
    known = at(found)

    def cell(norm: str, depth: int, arm: str, moment: str) -> str:
        item = known.get((norm, depth, arm, moment))
        mean, low, high = factors(item.rate) if item else (None, None, None)
        return "-" if mean is None or low is None or high is None else f"{mean:.3f} [{low:.3f}, {high:.3f}]"

    return table(heads(), ([n, str(d), a, *(cell(n, d, a, moment) for moment in MOMENTS)] for n, d, a in cells()))


def theory(pooled: Pool, found: list[Health]) -> str:
    """Measured beside predicted, at step 0."""
    numbers = {(b.group.norm, b.group.depth, b.group.arm, b.quantity): b for b in beside(pooled, found)}
    rows = []
    for norm, depth, arm in cells():
        rate, ratio = (numbers[norm, depth, arm, quantity] for quantity in (RATE, RATIO))
        measured = [factors(item.measured)[0] for item in (rate, ratio)]
        first = (norm, str(depth), arm, f"{measured[0]:.3f}", f"{rate.predicted:.3f}", percent(rate.deviation or 0.0))
        rows.append([*first, *map(factor, (measured[1], ratio.predicted, ratio.deviation)), str(rate.measured.n)])
    titles = (
        "norm",
        "depth",
        "arm",
        "rate",
        "predicted",
        "deviation",
        "ratio",
        "predicted",
        "measured / predicted",
        "n",
    )
    return table(titles, rows)


EXPERIMENT = Experiment(Path(__file__).parent, ("gradient_by_unit", "rate_by_step"), SEEDS, tables=tables)

if __name__ == "__main__":
    EXPERIMENT.main(str(__doc__))

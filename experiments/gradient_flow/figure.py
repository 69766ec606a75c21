"""The experiment's tables and figures, from records alone: python experiments/gradient_flow/figure.py SWEEP README.md

Fills the regions between `<!-- table: NAME -->` and `<!-- end -->`, and writes the figures beside the page. It stops
where a number has no run behind it: every group that the experiment names has to be there, with its seeds.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from resjax import records
from resjax.report import atlas, draw, gradients, health, markdown, series
from resjax.report.expected import RATE, RATIO, beside
from resjax.report.groups import END, Pool, pool
from resjax.report.health import Health, factors
from resjax.report.markdown import table
from resjax.report.words import factor, percent

NORMS, DEPTHS, ARMS = ("batch", "none"), (20, 56, 110), ("plain", "residual")
MOMENTS = ("0", "1", "10", "50", END)
SEEDS = 5


def main(sweep: Path, page: Path) -> None:
    """Fill the page, draw the figures."""
    pooled = pool(records.read(sweep))
    require(pooled)
    found = health.assess(pooled)
    tables: dict[str, Callable[[], str]] = {
        "states": lambda: states(found),
        "rates": lambda: rates(found),
        "theory": lambda: theory(pooled, found),
    }
    page.write_text(markdown.fill(page.read_text(), tables))
    for figure in (gradients.gradients(pooled, series.UNITS), atlas.rate_by_step(pooled)):
        assert figure is not None
        draw(figure, page.parent)
        (page.parent / f"{figure.name}.png").unlink()  # the page shows the other


def require(pooled: Pool) -> None:
    """Every number has a run behind it."""
    there = {(g.norm, g.depth, g.arm): len(g.seeds) for g in pooled.groups}
    missing = [key for key in cells() if there.get(key, 0) < SEEDS]
    if missing or len(there) != len(pooled.groups):
        raise SystemExit(f"Of these there are fewer than {SEEDS} seeds, or several settings: {missing or 'all'}")


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


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))

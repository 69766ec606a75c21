"""The experiment's table, sentences and figures, from the records beside it alone.

    python experiments/degradation/figure.py          fills README.md, draws the figures
    python experiments/degradation/figure.py SWEEP    takes the records from a sweep's folder first

Regions stand between `<!-- table: NAME -->` and `<!-- end -->`. It stops where a number has no run behind it.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl

from resjax import records
from resjax.records import Sweep
from resjax.report import assemble, draw
from resjax.report.groups import Pool
from resjax.report.page import Content
from resjax.report.tables import cell

FOLDER = Path(__file__).parent
KEPT = FOLDER / "records"
DEPTHS, ARMS, SEEDS = (20, 56), ("plain", "residual"), 3
FIGURES = ("training_curves", "gradient_by_unit")
REGION = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def main(sweep: Path | None) -> None:
    """Fill the page, draw the figures."""
    if sweep:
        keep(records.read(sweep), KEPT)
    content = assemble(kept(KEPT))
    require(content.pool)
    fills: dict[str, Callable[[], str]] = {"errors": lambda: errors(content), "sentences": lambda: sentences(content)}
    page = FOLDER / "README.md"
    page.write_text(REGION.sub(lambda found: f"{found[1]}\n{fills[found[2]]()}\n{found[4]}", page.read_text()))
    for figure in content.figures:
        if figure.name in FIGURES:
            draw(figure, FOLDER)
            (FOLDER / f"{figure.name}.png").unlink()  # the page shows the other


def keep(sweep: Sweep, folder: Path) -> None:
    """The sweep as three files: every step's row in single precision, as it was computed, and every probe's."""
    folder.mkdir(exist_ok=True)
    runs = [run | {"config": run["config"] | {"runs": "runs"}} for run in sweep.runs]  # not a path of the machine
    (folder / "runs.json").write_text(json.dumps(runs, indent=1, allow_nan=False) + "\n")
    floats = pl.selectors.float()
    for name, table in (("metrics", sweep.metrics), ("layers", sweep.layers)):
        table.cast({floats: pl.Float32}).write_parquet(folder / f"{name}.parquet", compression_level=15)


def kept(folder: Path) -> Sweep:
    """What `keep` wrote."""
    floats = pl.selectors.float()
    metrics, layers = (
        pl.read_parquet(folder / f"{name}.parquet").cast({floats: pl.Float64}) for name in ("metrics", "layers")
    )
    return Sweep((folder,), json.loads((folder / "runs.json").read_text()), metrics, layers)


def require(pooled: Pool) -> None:
    """Every number has its runs behind it."""
    there = {(group.arm, group.depth): len(group.seeds) for group in pooled.groups}
    missing = [(arm, depth) for arm in ARMS for depth in DEPTHS if there.get((arm, depth), 0) < SEEDS]
    if missing or len(there) != len(pooled.groups):
        raise SystemExit(f"Of these there are fewer than {SEEDS} seeds, or several settings: {missing or 'all'}")


def errors(content: Content) -> str:
    """Training error over the last tenth of the steps, and test error at the last, in percent."""
    lines = ["| arm | depth | training error, % | test error, % | n |", "|---|---|---|---|---|"]
    for row in content.rows:
        cells = [cell(row, name, 1) for name in ("arm", "depth", "train_error", "test_error", "n_finished")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def sentences(content: Content) -> str:
    """What the report says."""
    found = [f"**{heading}**\n\n" + "".join(f"- {s}\n" for s in said) for heading, said in content.sections.items()]
    return "\n".join(found)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]) if sys.argv[1:] else None)

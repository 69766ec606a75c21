"""The report as one HTML page that needs nothing but a browser: data, figures, styles and Vega itself are inside."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import vl_convert

from resjax import classes
from resjax.records import Sweep
from resjax.report import claims, health, theme
from resjax.report.charts import VEGA_LITE, Figure
from resjax.report.expected import NOTE, Beside
from resjax.report.groups import END, TAIL, Group, Pool
from resjax.report.lab import Part
from resjax.report.markup import bullets, embedded, read, table, text
from resjax.report.paper import Paper
from resjax.report.paper_page import section
from resjax.report.provenance import facts, notices, settings
from resjax.report.tables import NUMBERS, cell, columns
from resjax.report.verdict import READING, Sections
from resjax.report.words import amount, factor

# A page that could reach nothing even if it tried; Vega compiles its expressions, hence eval.
POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
IMPORTED = (
    "Of an imported net the training error is that of its weights on the whole training set as it is, with running "
    "statistics. "
)
LEGEND = (
    "r: |dL/dh| at the first unit / at the last; ×: its factor a weight layer towards the input; l: level, where "  # noqa: RUF001
    "compared; n: seeds. Intervals, power laws and depth scales are in tables/gradient_health.csv."
)
SNIPPET = "window.vegaEmbed = vegaEmbed;"
CREDIT = (
    "Figures: Vega, Vega-Lite and Vega-Embed (copyright University of Washington Interactive Data Lab and "
    "contributors, BSD 3-Clause licence), inside this file."
)


@dataclass(frozen=True)
class Content:
    """What the page shows."""

    sweep: Sweep
    pool: Pool
    rows: list[dict[str, Any]]
    sections: Sections
    health: list[health.Health]
    claims: list[claims.Claim]
    figures: list[Figure]
    beside: list[Beside]
    paper: Paper | None = None
    lab: list[Part] = field(default_factory=list)

    @property
    def drawn(self) -> list[Figure]:
        """Every figure, the lab's last."""
        return [*self.figures, *(figure for part in self.lab for figure in part.figures)]


def page(content: Content) -> str:
    """The whole HTML document."""
    name = ", ".join(folder.resolve().name for folder in content.sweep.folders) or "no sweep"
    parts = [
        f"<h1>{text(name)}</h1>",
        *notices(content.sweep, content.pool),
        section(content.paper) if content.paper else "",
        verdict(content.sections),
        summary(content.rows, any("imported" in run for run in content.sweep.runs)),
        gradient_table(content.health),
        theory_table(content.beside),
        claim_table(content.claims),
        "<h2>Figures</h2>",
        *(drawing(figure) for figure in content.figures),
        "" if content.figures else "<p>No finished run has left data to draw.</p>",
        laboratory(content.lab),
        how(content.sweep),
        f"<footer><p>{text(CREDIT)}</p></footer>",
        scripts(content.drawn),
    ]
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{text(name)}: resjax report</title>'
        f"<style>{read('page.css')}</style>"
    )
    body = "\n".join(part for part in parts if part)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def verdict(sections: Sections) -> str:
    """The sentences under their headings."""
    note = f'<p class="soft">{text(READING)}</p>'
    lists = [f"<h3>{text(heading)}</h3>{bullets(sentences)}" for heading, sentences in sections.items()]
    return "<h2>What the numbers say</h2>" + "".join(lists) + note if lists else ""


def summary(rows: list[dict[str, Any]], imported: bool) -> str:
    """The table of the runs."""
    if not rows:
        return ""
    shown = columns(rows)
    kinds = {key: "number" if key in NUMBERS else "" for key, _ in shown}
    cells = [[(cell(row, key), kinds[key]) for key, _ in shown] for row in rows]
    note = (
        f"Mean ± sample standard deviation over the seeds that finished; what diverged is counted and left out of the "
        f"means. Training values are means over the last {100 * TAIL:.0f} % of steps, test values those of the last "
        f"step. Training errors are those of the batches while the weights move, with batch statistics, and with "
        f"augmentation where it is on; test errors are with running statistics, or true averages of them "
        f"(train.precise_statistics): their difference is not overfitting alone. "
        f"{IMPORTED if imported else ''}Half-widths of the 95 % intervals are in tables/summary.csv."
    )
    return f'<h2>Results</h2>{table([(title, kinds[key]) for key, title in shown], cells)}<p class="soft">{note}</p>'


def gradient_table(found: list[health.Health]) -> str:
    """What the gradients of each group do, a column a step."""
    if not found:
        return ""
    moments = sorted({item.moment for item in found}, key=lambda m: float("inf") if m == END else int(m))
    groups: dict[str, tuple[Group, dict[str, health.Health]]] = {}
    for item in found:
        groups.setdefault(item.group.id, (item.group, {}))[1][item.moment] = item
    titles = [("norm", ""), ("depth", "number"), ("arm", "")]
    titles += [("end" if moment == END else f"step {moment}", "") for moment in moments]
    rows = [
        [(group.panel, ""), (str(group.depth), "number"), (group.arm, ""), *(_state(by.get(m)) for m in moments)]
        for group, by in groups.values()
    ]
    note = f'<details><summary>The rule behind the words</summary><p class="soft">{text(classes.RULE)}</p></details>'
    lead = f'<p class="soft">{text(LEGEND)}</p>'
    return f"<h2>Gradients, by the stated rule</h2>{table(titles, rows)}{lead}{note}"


def _state(item: health.Health | None) -> tuple[str, str]:
    if item is None:
        return "–", ""  # noqa: RUF001
    if item.state == classes.DIVERGED:
        return f"{item.state}\n{item.lost} of {len(item.group.seeds)} seeds", f"state {item.state}"
    numbers = [("r", item.ratio), ("×", item.rate), ("l", item.level)]  # noqa: RUF001
    told = [f"{sign} {factor(health.factors(value)[0])}" for sign, value in numbers if value.n]
    return f"{item.state}\n{', '.join([*told, f'n {item.n}'])}", f"state {item.state}"


def theory_table(found: list[Beside]) -> str:
    """What was measured at step 0 beside what theory expects."""
    if not found:
        return ""
    names = ("norm", "depth", "arm", "quantity at step 0", "measured", "predicted", "measured / predicted", "n")
    kinds = ("", "number", "", "", "number", "number", "number", "number")
    rows = [list(zip(item.cells(), kinds, strict=True)) for item in found]
    note = f'<p class="soft">{text(NOTE)}</p>'
    body = table(list(zip(names, kinds, strict=True)), rows)
    return f"<details><summary>Gradients beside theory, {len(found)} numbers</summary>{body}{note}</details>"


def claim_table(found: list[claims.Claim]) -> str:
    """Every comparison that was made."""
    if not found:
        return ""
    names = {"train_error": "training error", "train_loss": "training loss", "test_error": "test error"}
    titles = [("network", ""), ("beside", ""), ("norm", ""), ("quantity", ""), ("difference", ""), ("outcome", "")]
    rows = [
        [
            (c.of.label, ""),
            (c.beside.label, ""),
            (c.of.panel, ""),
            (names[c.quantity], ""),
            (amount(c.comparison, c.quantity), ""),
            (c.outcome, "undecided" if c.outcome == claims.UNDECIDED else ""),
        ]
        for c in found
    ]
    tests = sum(c.comparison.p is not None for c in found)
    many = (
        f" {tests} tests were made and none is corrected for their number: at 5 % each, about {tests * 0.05:.1f} would "
        f"come out by chance if nothing differed."
    )
    rule = f'<p class="soft">{text(claims.RULE)}{many}</p>'
    return (
        f"<details><summary>All {len(found)} comparisons, and their rule</summary>{table(titles, rows)}{rule}</details>"
    )


def laboratory(parts: list[Part]) -> str:
    """What the instruments found, one after the other."""
    found = [
        f"<h3>{text(part.heading)}</h3>{bullets(part.sentences)}{''.join(map(drawing, part.figures))}"
        f'<details><summary>How it was measured</summary><p class="soft">{text(part.note)}</p></details>'
        for part in parts
    ]
    return "<h2>The lab</h2>" + "".join(found) if found else ""


def drawing(figure: Figure) -> str:
    """A figure's place, with how to read it."""
    link = f'<a href="figures/{figure.name}.svg">figures/{figure.name}.svg</a>'
    return (
        f'<figure><h3>{text(figure.title)}</h3><div class="drawing" id="{figure.name}">'
        f"<noscript>Drawn by script; as a picture: {link}</noscript></div>"
        f"<figcaption>{text(figure.caption)}</figcaption></figure>"
    )


def how(sweep: Sweep) -> str:
    """How it was run: what differs, what is common, and where."""
    differing, common = settings(sweep)
    plain = [("setting", ""), ("value", "long")]
    differ = table([("setting", ""), ("values", "long")], [[(key, ""), (value, "long")] for key, value in differing])
    shared = table(plain, [[(key, ""), (value, "long")] for key, value in common])
    where = table([("fact", ""), ("value", "long")], [[(key, ""), (value, "long")] for key, value in facts(sweep)])
    return (
        f"<h2>How it was run</h2>{where}"
        + (f"<h3>Settings that differ between the runs</h3>{differ}" if differing else "")
        + f"<details><summary>Settings that all runs share ({len(common)})</summary>{shared}</details>"
    )


def scripts(figures: list[Figure]) -> str:
    """The specifications, both themes, Vega, and what draws them."""
    if not figures:
        return ""
    specs = embedded("specs", {figure.name: figure.spec for figure in figures})
    themes = embedded("themes", {"light": theme.config(dark=False), "dark": theme.config(dark=True)})
    return f'{specs}{themes}<script type="module">{vega()}</script><script type="module">{read("page.js")}</script>'


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which takes seconds to put together."""
    return str(vl_convert.javascript_bundle(SNIPPET, VEGA_LITE)).replace("</script", "<\\/script")

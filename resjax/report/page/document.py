"""The page's frame: its head, its parts in their order, the data of its figures, and the scripts that draw them."""

from functools import cache
from pathlib import Path

import vl_convert

from resjax.report import theme
from resjax.report.charts import VEGA_LITE, Figure
from resjax.report.page import overview, results, runs
from resjax.report.page.content import Content
from resjax.report.page.keys import networks
from resjax.report.page.markup import bullets, embedded, folded, note, read, text
from resjax.report.page.paper import section as paper_section
from resjax.report.provenance import notices

# A page that could reach nothing even if it tried; Vega compiles its expressions, hence eval.
POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
SNIPPET = "window.vegaEmbed = vegaEmbed;"
CREDIT = (
    "Figures: Vega, Vega-Lite and Vega-Embed (copyright University of Washington Interactive Data Lab and "
    "contributors, BSD 3-Clause licence), inside this file."
)
KEPT = "records"
THEMES = ("auto", "light", "dark")


def page(content: Content) -> str:
    """The whole HTML document."""
    name = ", ".join(map(named, content.sweep.folders)) or "no sweep"
    there = {heading: body for heading, body in parts(content).items() if body}
    sections = [
        f'<section id="{anchor(heading)}"><h2>{text(heading)}</h2>{body}</section>' for heading, body in there.items()
    ]
    body = "\n".join(
        [header(name, list(there)), "<main>", *sections, "</main>", f"<footer><p>{text(CREDIT)}</p></footer>"]
    )
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{text(name)}: resjax report</title>'
        f"<style>{read('page.css')}</style>"
    )
    whole = f"{body}\n{scripts(content)}"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{whole}\n</body></html>\n'


def parts(content: Content) -> dict[str, str]:
    """Every part's heading with its body, empty where there is nothing to say."""
    return {
        "Overview": overview.tiles(content) + "".join(notices(content.sweep)),
        "Paper": paper_section(content.paper) if content.paper else "",
        "Verdicts": overview.glance(content)
        + overview.sentences(content)
        + overview.sweeps(content)
        + results.summary(content),
        "Curves": "".join(map(drawing, content.curves)) or "<p>No finished run has left errors to draw.</p>",
        "Atlas": results.gradient_table(content)
        + "".join(map(drawing, content.atlas))
        + results.theory_table(content.beside),
        "Statistics": results.claim_tables(content.claims),
        "Lab": laboratory(content),
        "Runs": runs.how(content),
    }


def named(folder: Path) -> str:
    """A sweep's name; compact records have that of the folder that they are in."""
    whole = folder.resolve()
    return whole.parent.name if whole.name == KEPT else whole.name


def anchor(heading: str) -> str:
    """What a link to a part names it by."""
    return heading.lower()


def header(name: str, headings: list[str]) -> str:
    """What stays in view: the name, the parts, the theme, and a place for the filters."""
    links = "".join(f'<a href="#{anchor(heading)}">{text(heading)}</a>' for heading in headings)
    themes = "".join(f'<option value="{theme}">{theme}</option>' for theme in THEMES)
    return (
        f'<header><h1>{text(name)}</h1><nav aria-label="parts">{links}</nav>'
        f'<label id="theme">theme <select>{themes}</select></label>'
        f'<div id="filters" role="group" aria-label="filters"></div></header>'
    )


def laboratory(content: Content) -> str:
    """What the instruments found, one after the other."""
    return "".join(
        f"<h3>{text(part.heading)}</h3>{bullets(part.sentences)}{''.join(map(drawing, part.figures))}"
        f"{folded('How it was measured', note(part.note))}"
        for part in content.lab
    )


def drawing(figure: Figure) -> str:
    """A figure's place, with how to read it."""
    link = f'<a href="figures/{figure.name}.svg">figures/{figure.name}.svg</a>'
    return (
        f'<figure><h3>{text(figure.title)}</h3><div class="drawing" id="{figure.name}">'
        f"<noscript>Drawn by script; as a picture: {link}</noscript></div>"
        f"<figcaption>{text(figure.caption)}</figcaption></figure>"
    )


def scripts(content: Content) -> str:
    """The networks, the specifications, both themes, Vega, and what draws and filters."""
    specs = embedded("specs", {figure.name: figure.spec for figure in content.drawn})
    themes = embedded("themes", {"light": theme.config(dark=False), "dark": theme.config(dark=True)})
    bundle = f'<script type="module">{vega()}</script>' if content.drawn else ""
    return f'{networks(content)}{specs}{themes}{bundle}<script type="module">{read("page.js")}</script>'


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which takes seconds to put together."""
    return str(vl_convert.javascript_bundle(SNIPPET, VEGA_LITE)).replace("</script", "<\\/script")

"""Colours and type of the figures, light and dark.

Of LIGHT the first seven are Okabe and Ito's, told apart by the colour-blind; DARK's are lighter ones of the same hues.
The others are for sweeps of many arms.
"""

from typing import Any

LIGHT = (
    *("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7a7a7a"),
    *("#8c510a", "#7b3294", "#a6a000", "#c2185b"),
)
DARK = (
    *("#ff8a3d", "#56b4e9", "#2fc79b", "#e39bc2", "#f0e442", "#4a90d9", "#f2f2f2", "#9a9a9a"),
    *("#c58b4e", "#b98ae0", "#c9d34a", "#ff5c8a"),
)
GREY = "#8a8a8a"  # of rules and of what is not ours
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
STATIC_FONT = "Liberation Sans, Arial, sans-serif"


def config(dark: bool, background: str = "transparent", font: str = FONT) -> dict[str, Any]:
    """A Vega-Lite config."""
    text, soft, grid = ("#e8e8e8", "#b9b9b9", "#3a3d42") if dark else ("#1c1c1c", "#4d4d4d", "#e3e3e3")
    axis = {"domainColor": soft, "tickColor": soft, "gridColor": grid, "labelColor": text, "titleColor": text}
    words = {"labelColor": text, "titleColor": text, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500}
    return {
        "background": background,
        "font": font,
        "view": {"stroke": grid},
        "axis": axis | {"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": 500, "labelOverlap": True},
        "legend": words | {"orient": "top", "symbolStrokeWidth": 3, "gradientLength": 260},
        "header": words,
        "title": {"color": text, "fontSize": 13, "fontWeight": 600, "anchor": "start", "subtitleColor": soft},
        "text": {"color": text},
        "range": {"category": list(DARK if dark else LIGHT)},
        "facet": {"spacing": 14},
        "concat": {"spacing": 22},
    }

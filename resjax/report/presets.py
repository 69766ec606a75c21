"""wandb's custom charts: the Vega-Lite in resjax/wandb_charts, whose ${field:...} and ${string:...} wandb fills in.

A field is a column of the chart's table, by the same name. To every row wandb adds the run's `name` and `color`. It
turns each null of a specification into {}, so these have none, and stretches a chart over its panel, which only single
and layered views allow: none has facets.
"""

import hashlib
import importlib.resources
import json
import re
from typing import Any

import vl_convert

from resjax.report import theme

FOLDER = "wandb_charts"
TITLES = {
    "activation_gradient": "Activation gradient by depth",
    "gradient_map": "Weight gradient by layer and step",
    "growth_rate": "Growth of the activation gradient from a layer to the one before",
    "response": "Response of every layer at the last probed step",
    "variance": "Variance by depth",
}
VEGA_LITE = "5.8"  # the nearest that is at hand to wandb's own
WIDTH, HEIGHT = 640, 400  # pixels of a picture


def chart(name: str) -> dict[str, Any]:
    """The specification of a chart, as it ships."""
    file = importlib.resources.files("resjax") / FOLDER / f"{name}.json"
    return dict(json.loads(file.read_text(encoding="utf-8")))


def fields(name: str) -> list[str]:
    """The columns that a chart asks for."""
    return sorted(set(re.findall(r"\$\{field:(\w+)\}", json.dumps(chart(name), allow_nan=False))))


def preset(name: str) -> str:
    """What the chart's preset is called in wandb: it ends in a digest, so that another chart has another name."""
    digest = hashlib.sha256(json.dumps(chart(name), sort_keys=True, allow_nan=False).encode()).hexdigest()
    return f"resjax-{name.replace('_', '-')}-{digest[:6]}"


def filled(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The chart as wandb would draw it, with rows that have the run's `name` and `color`."""
    text = re.sub(r"\$\{field:(\w+)\}", r"\1", json.dumps(chart(name), allow_nan=False)).replace(
        "${string:title}", TITLES[name]
    )
    size = {"width": WIDTH, "height": HEIGHT, "autosize": {"type": "fit", "contains": "padding"}}
    return json.loads(text) | size | {"data": {"name": "wandb"}, "datasets": {"wandb": rows}}


def picture(name: str, run: str, rows: list[dict[str, Any]]) -> bytes:
    """The chart of one run as a PNG."""
    spec = filled(name, [{"name": run, "color": theme.LIGHT[1]} | row for row in rows])
    config = theme.config(dark=False, background="white", font=theme.STATIC_FONT)
    return bytes(vl_convert.vegalite_to_png(spec, vl_version=VEGA_LITE, config=config, allowed_base_urls=[]))

"""The picture that the tracker shows of one run: the weight gradients by layer and step."""

import altair as alt
import polars as pl
import vl_convert

from resjax.report import theme
from resjax.report.charts import VEGA_LITE
from resjax.report.health import WEIGHTS


def heatmap_png(layers: pl.DataFrame) -> bytes:
    """grad_norm of one run, geometric mean over seeds, as a PNG: rows are layers, columns the probed steps."""
    seen = layers.filter(pl.col("kind").is_in(WEIGHTS) & pl.col("grad_norm").is_finite() & (pl.col("grad_norm") > 0))
    means = seen.group_by("step", "layer", maintain_order=True).agg(pl.col("grad_norm").log().mean().exp())
    chart = (
        alt.Chart(alt.InlineData(means.to_dicts()), title="Norm of the weight gradient, geometric mean over seeds")
        .mark_rect()
        .encode(
            x=alt.X("step:O", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("layer:O", title="weight layer, 0 nearest the input", axis=alt.Axis(labelOverlap="greedy")),
            color=alt.Color("grad_norm:Q", title="|dL/dw|", scale=alt.Scale(type="log", scheme="viridis")),
        )
        .properties(width=420, height=360)
    )
    config = theme.config(dark=False, background="white", font=theme.STATIC_FONT)
    return bytes(vl_convert.vegalite_to_png(chart.to_dict(), vl_version=VEGA_LITE, config=config, allowed_base_urls=[]))

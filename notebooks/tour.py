# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A tour: the same network with and without its shortcuts
#
# Two arms, one network: `shortcut="none"` is plain, `shortcut="identity"` is residual. Everything else is equal, and so
# are, seed by seed, the initial values of all weights. `fit` is a generator of rows: it prints nothing and writes
# nothing, and you decide what becomes of its rows.
#
# It is small on purpose (20 layers, 20 updates, 2 seeds). No conclusion rests on it.

# %%
import altair as alt
import polars as pl

from resjax.config import Config
from resjax.data import source
from resjax.rows import Layers, Metrics
from resjax.training.loop import fit

alt.renderers.enable("png", scale_factor=1.5)

# %% [markdown]
# ## One network, two settings
#
# Every setting is a field of `Config`, with the same name as on the command line (`resjax train --help`). The data are
# 1,797 real images of digits, which come with scikit-learn.

# %%
arms = {"plain": Config(seeds=2), "residual": Config(seeds=2)}
arms["plain"].model.shortcut, arms["residual"].model.shortcut = "none", "identity"
for config in arms.values():
    config.model.depth = 20
    config.train.steps, config.train.batch_size, config.train.evaluate_every = 20, 64, 20
    config.schedule.name, config.schedule.learning_rate = "constant", 0.05
    config.probes.at, config.probes.batch_size = [0, 1, 10], 64
digits = source.load(arms["plain"].data)

# %% [markdown]
# ## Step by step
#
# The first row says what will run. Then each step gives a row a seed, and each probe a row with every layer of every
# seed, looked at before that step's update.

# %%
rows = {"plain": [], "residual": []}
for name, config in arms.items():
    for row in fit(config, digits):
        rows[name].append(row)
        if isinstance(row, Layers):
            print(f"{name}, step {row.step}: {len(row.columns['layer'])} rows of layers and units")
        if isinstance(row, Metrics) and row.values.get("test_error") is not None:
            print(f"{name}, step {row.step}, seed {row.seed}: test error {row.values['test_error']:.3f}")

# %%
sizes = {name: made[0].model["parameters"] for name, made in rows.items()}
assert sizes["plain"] == sizes["residual"]
print(f"Both arms have {sizes['plain']:,} parameters.")

# %% [markdown]
# ## Errors
#
# `Metrics` becomes a table: a row a step and seed.

# %%
metrics = pl.DataFrame(
    [
        {"arm": name, "step": row.step, "seed": row.seed, **row.values}
        for name, made in rows.items()
        for row in made
        if isinstance(row, Metrics)
    ],
    infer_schema_length=None,
)
metrics.filter(pl.col("test_error").is_not_null()).select("arm", "seed", "step", "test_error")

# %%
trained = metrics.filter(pl.col("train_error").is_not_null())
curves = trained.select("arm", "step", "seed", error=100 * pl.col("train_error"))
alt.Chart(curves).mark_line().encode(
    x=alt.X("step", title="step (parameter updates)"),
    y=alt.Y("error", title="training error of the batch (%)"),
    color=alt.Color("arm", scale=alt.Scale(range=["#d55e00", "#0072b2"])),
    strokeDash="seed:N",
).properties(width=460, height=220)

# %% [markdown]
# ## Gradients, unit by unit
#
# `Layers` has columns of equal length. `act_grad_norm` of a unit is |dL/dh|, the norm of the gradient at its output,
# and unit 0 is the one nearest the input. Read from right to left, as the gradient flows.

# %%
layers = pl.concat(
    [
        pl.DataFrame(row.columns).with_columns(arm=pl.lit(name), step=pl.lit(row.step))
        for name, made in rows.items()
        for row in made
        if isinstance(row, Layers)
    ]
)
units = layers.filter(pl.col("kind") == "unit").select("arm", "step", "seed", "layer", "act_grad_norm")
alt.Chart(units.filter(pl.col("step").is_in([0, 10, 20]))).mark_line().encode(
    x=alt.X("layer", title="unit, input to output"),
    y=alt.Y("act_grad_norm", title="|dL/dh|", scale=alt.Scale(type="log")),
    color=alt.Color("arm", scale=alt.Scale(range=["#d55e00", "#0072b2"])),
    strokeDash="seed:N",
    column=alt.Column("step", title="step"),
).properties(width=190, height=200)

# %% [markdown]
# The ratio of the first unit's gradient to the last one's says in one number whether it grows or shrinks on its way to
# the input. With batch norm a plain net's gradient *grows* at step 0 (Yang et al. 2019, arXiv:1902.08129).

# %%
ends = units.sort("layer").group_by("arm", "step", "seed", maintain_order=True)
ratios = ends.agg(ratio=pl.col("act_grad_norm").first() / pl.col("act_grad_norm").last()).sort("arm", "step", "seed")
at_start = ratios.filter(pl.col("step") == 0)
assert at_start.filter(arm="plain")["ratio"].min() > at_start.filter(arm="residual")["ratio"].max()
ratios.pivot("step", index=["arm", "seed"], values="ratio")

# %% [markdown]
# ## Go on
#
# - Set `config.model.norm = "none"`: which way does the plain net's gradient go now?
# - As a sweep, recorded, with a page: `resjax train -m model=plain,resnet model.depth=20,32 seeds=3 sweep=mine`,
#   then `resjax report mine`.
# - What such runs leave behind, read with polars: [reading_a_sweep.ipynb](reading_a_sweep.ipynb).
# - A shortcut of your own: [own_shortcut.ipynb](own_shortcut.ipynb).

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
# # Reading a finished sweep with polars
#
# `resjax report` is a function of the records alone, and so can your own analysis be. The records read here are those
# of figure 6 of He et al. 2015 at a quarter of its updates: plain-20, plain-56, ResNet-20 and ResNet-56 on CIFAR-10,
# three seeds each ([experiments/degradation](../experiments/degradation/README.md)). They lie in the repository, as
# three compact tables that `resjax export SWEEP FOLDER` writes. A sweep of your own is read by
# `records.read(Path("runs/mine"))`.

# %%
from pathlib import Path

import altair as alt
import polars as pl

from resjax import records
from resjax.report.tables import summary
from resjax.statistics import compare

alt.renderers.enable("png", scale_factor=1.5)
sweep = records.read(Path("../experiments/degradation/records"))
len(sweep.runs), sweep.metrics.shape, sweep.layers.shape

# %% [markdown]
# ## Three tables
#
# `runs` has every run's facts (config, versions, outcome of each seed, times). `metrics` has a row a logged step and
# seed, `layers` a row a probed step, seed and layer. The column `run` joins them.

# %%
arms = pl.DataFrame(
    [{"run": run["id"], "arm": run["arm"], "depth": run["config"]["model"]["depth"]} for run in sweep.runs]
)
metrics = sweep.metrics.join(arms, on="run")
metrics.select("arm", "depth", "seed", "step", "train_error", "test_error").tail(3)

# %% [markdown]
# ## The final training error, seed by seed
#
# As in the report: the mean over the last tenth of the steps.

# %%
trained = metrics.filter(pl.col("train_error").is_not_null())
last = trained.filter(pl.col("step") >= 0.9 * metrics["step"].max())
final = last.group_by("arm", "depth", "seed").agg(error=pl.col("train_error").mean()).sort("arm", "depth", "seed")
final.pivot("seed", index=["arm", "depth"], values="error")

# %% tags=["deterministic"]
ours = final.group_by("arm", "depth").agg(pl.col("error").mean()).sort("arm", "depth")
theirs = {(row["arm"], row["depth"]): row["train_error_mean"] for row in summary(sweep)}
for arm, depth, error in ours.iter_rows():
    assert abs(error - theirs[arm, depth]) < 1e-6
    print(f"{arm}-{depth}: {100 * error:.2f} %, as the report says")

# %% [markdown]
# ## Paired by seed
#
# From one seed, both depths of an arm see the same batches, and both arms of a depth have the same initial values. So
# differences are taken seed by seed: `compare` gives their mean with its 95 % interval and its test.

# %% tags=["deterministic"]
values = {
    (arm, depth): dict(part.select("seed", "error").iter_rows())
    for (arm, depth), part in final.group_by("arm", "depth")
}
for arm in ("plain", "residual"):
    told = compare(values[arm, 56], values[arm, 20])
    low, high = 100 * told.low, 100 * told.high
    print(f"{arm}, 56 less 20 layers: {100 * told.difference:+.2f} points [{low:+.2f}, {high:+.2f}], p = {told.p:.2g}")

# %% [markdown]
# The rise of the one less the rise of the other, seed by seed, is what the README says: +27.5 points [+21.5, +33.5].

# %% tags=["deterministic"]
rises = {
    arm: {seed: values[arm, 56][seed] - values[arm, 20][seed] for seed in values[arm, 20]}
    for arm in ("plain", "residual")
}
told = compare(rises["plain"], rises["residual"])
assert [round(100 * value, 1) for value in (told.difference, told.low, told.high)] == [27.5, 21.5, 33.5]
print(f"{100 * told.difference:+.1f} points [{100 * told.low:+.1f}, {100 * told.high:+.1f}], p = {told.p:.2g}")

# %% [markdown]
# The plain net's training error rises with depth. Whether the residual one's does is left open: the interval has zero
# in it, which is not the same as "no rise".

# %% [markdown]
# ## Curves

# %%
smooth = (
    trained.with_columns(step=pl.col("step") // 400 * 400)
    .group_by("arm", "depth", "step")
    .agg(error=100 * pl.col("train_error").mean())
    .sort("arm", "depth", "step")
)
alt.Chart(smooth).mark_line().encode(
    x=alt.X("step", title="step (parameter updates)"),
    y=alt.Y("error", title="training error (%), mean of 3 seeds"),
    color="depth:N",
    column=alt.Column("arm", title=None),
).properties(width=290, height=220)

# %% [markdown]
# ## Gradients
#
# Of each probed step the ratio of |dL/dh| at the first unit to that at the last, as a geometric mean over seeds.

# %%
units = sweep.layers.filter(pl.col("kind") == "unit").join(arms, on="run").sort("layer")
ends = units.group_by("arm", "depth", "seed", "step", maintain_order=True)
ratio = ends.agg(log=(pl.col("act_grad_norm").first() / pl.col("act_grad_norm").last()).log())
ratios = ratio.group_by("arm", "depth", "step").agg(ratio=pl.col("log").mean().exp()).sort("arm", "depth", "step")
named = ratios.with_columns(net=pl.format("{}-{}", "arm", "depth"))
named.pivot("net", index="step", values="ratio").sort("step")

# %% [markdown]
# At step 0 plain-56's gradient is ten thousand times larger near the input than near the output: with batch norm it
# *explodes*, and within ten updates that is over. The smallest ratio of all is not the plain net's: it is ResNet-56's
# at step 100. By the report's threshold, a hundredth, none of them vanishes. What that says, with its limits, is in
# [experiments/degradation](../experiments/degradation/README.md).

# %% tags=["deterministic"]
smallest, largest = ratios.sort("ratio").row(0, named=True), ratios.sort("ratio").row(-1, named=True)
assert (largest["arm"], largest["depth"], largest["step"]) == ("plain", 56, 0)
assert (smallest["arm"], smallest["depth"], smallest["step"]) == ("residual", 56, 100)
print(f"from {smallest['ratio']:.2g} to {largest['ratio']:.2g}")

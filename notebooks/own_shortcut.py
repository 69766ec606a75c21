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
# # A shortcut of your own, and its test
#
# The treatment is one function: `shortcut(x, f, at)` gets a unit's input x and its branch f = F(x), of one shape, and
# returns the unit's h. `none` returns f, `identity` returns x + f. Here is a third: half the branch.

# %%
import altair as alt
import jax
import jax.numpy as jnp
import polars as pl

from resjax.config import Config
from resjax.data import source
from resjax.rows import Metrics
from resjax.shortcuts import SHORTCUTS, Shortcut
from resjax.training.loop import fit

alt.renderers.enable("png", scale_factor=1.5)


# %%
def half(x, f, at):
    """Half the branch, h = x + f / 2."""
    return x + f / 2


# %% [markdown]
# What can be chosen is a table, and a row is enough: the function, its equation, where it is from, and the settings
# that it needs (`pad_channels`: x has f's shape by option A where the unit subsamples). In a notebook the row is there
# until the kernel stops. To keep it, put function and row into `resjax/shortcuts.py` of a checkout, as CONTRIBUTING.md
# shows; then the command line, the report and the documents know it, too.

# %%
SHORTCUTS["half"] = Shortcut(half, "h = x + f / 2", "an example", settings=("pad_channels",))
sorted(SHORTCUTS)

# %% [markdown]
# ## Its test
#
# The value is that of the equation, and the gradient that flows to x has the 1 of the identity in it:
# dh/dx = 1 + F'(x) / 2.


# %%
def test_half_is_its_equation():
    """By value and gradient."""
    x, f = jax.random.normal(jax.random.key(0), (2, 4, 8, 8, 3))
    assert jnp.array_equal(half(x, f, None), x + f / 2)
    branch = jnp.tanh  # of which the derivative is known
    slope = jax.vmap(jax.grad(lambda x: half(x, branch(x), None)))(x.ravel())
    assert jnp.allclose(slope, 1 + (1 - jnp.tanh(x.ravel()) ** 2) / 2, atol=1e-6)


test_half_is_its_equation()
print("passed")

# %% [markdown]
# ## Beside the others, paired by seed
#
# Three arms of one small network, from the same initial values, on the same batches. It is a check that it trains, no
# result: 20 layers, 20 updates, 2 seeds.

# %%
digits = source.load(Config().data)
rows = {}
for shortcut in ("none", "identity", "half"):
    config = Config(seeds=2)
    config.model.depth, config.model.shortcut = 20, shortcut
    config.train.steps, config.train.batch_size, config.train.evaluate_every = 20, 64, 20
    config.schedule.name, config.schedule.learning_rate = "constant", 0.05
    config.probes.at, config.probes.last = [], False
    rows[shortcut] = list(fit(config, digits))
metrics = pl.DataFrame(
    [
        {"shortcut": name, "step": row.step, "seed": row.seed, **row.values}
        for name, made in rows.items()
        for row in made
        if isinstance(row, Metrics)
    ],
    infer_schema_length=None,
)
assert metrics["train_loss"].drop_nulls().is_finite().all()
tested = metrics.filter(pl.col("test_error").is_not_null(), pl.col("step") == 20)
tested.pivot("seed", index="shortcut", values="test_error")

# %%
alt.Chart(metrics.filter(pl.col("train_loss").is_not_null())).mark_line().encode(
    x=alt.X("step", title="step (parameter updates)"),
    y=alt.Y("train_loss", title="training loss of the batch (nats)"),
    color="shortcut",
    strokeDash="seed:N",
).properties(width=460, height=220)

# %% [markdown]
# The plain arm and the two others have the same parameters, so the comparison is of the shortcut alone.

# %%
sizes = {name: made[0].model["parameters"] for name, made in rows.items()}
assert len(set(sizes.values())) == 1
sizes

# %% [markdown]
# ## Go on
#
# - A shortcut with a weight of its own (`needs=("scale",)`): CONTRIBUTING.md, Add a shortcut.
# - In a checkout, with the row in place: `resjax train -m model.shortcut=none,identity,half seeds=5 sweep=half`, then
#   `resjax report half`, with intervals and tests.

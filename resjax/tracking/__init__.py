"""wandb as a mirror of the records: one run a seed ensemble. Nothing depends on it, and it may fail at any time.

While a run goes on: every metric of every seed and their mean, and <quantity>/<layer> <name> at every probed step.
At its end: what the gradients do as summary scalars, gradient/<moment>/<ratio, rate, range, class, n>, to sort runs by,
and custom charts, charts/<chart>, each with its table.

wandb draws a custom chart by a preset that an account owns, <entity>/<preset>: `register(entity)` makes those that ship
as resjax/wandb_charts/*.json, once an account. Without an entity (offline, with tracker.entity=null) no preset can be
named: the tables are sent all the same, and the heat-map as a picture.

`dashboard` makes a workspace that shows these keys; it needs wandb-workspaces, an extra, and is imported by itself.
"""

from resjax.tracking.mirror import NoTracker, Tracking, WandbTracker
from resjax.tracking.presets import register

__all__ = ["NoTracker", "Tracking", "WandbTracker", "register"]

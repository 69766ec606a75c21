"""All probes of one network on one batch: what layers.parquet holds for one step and seed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from resjax.models import Mode, Model
from resjax.models.build import Pass
from resjax.models.types import Hidden, Within
from resjax.probes.activations import act_correlation, act_rms, act_var, dead_fraction, response_std
from resjax.probes.gradients import cosine_before, norm, per_layer, rms
from resjax.probes.passes import Backward, backward, cotangents, no_taps, tapped

Quantities = dict[str, Float[Array, " layer"]]
Losses = Callable[[Pass, Array], Float[Array, " batch"]]


class Looks(NamedTuple):
    """The loss on the probe batch; each weight layer's quantities and each unit's, both in forward order."""

    loss: Float[Array, ""]
    weights: Quantities
    units: Quantities


class Seen(NamedTuple):
    """What is kept of a unit's forward pass."""

    units: dict[str, Array]
    response_std: tuple[Array, ...]


def observe(h: Hidden, within: Within) -> Seen:
    """The statistics of one unit's output, branch, shortcut and responses."""
    branch, skip = within.branch, within.skip
    nothing = jnp.full((), jnp.nan, h.dtype)
    units = {
        "act_rms": act_rms(h),
        "act_var": act_var(h),
        "act_correlation": act_correlation(h),
        "dead_fraction": dead_fraction(h),
        "branch_var": act_var(branch),
        "skip_var": nothing if skip is None else act_var(skip),
        "branch_ratio": nothing if skip is None else rms(branch) / rms(skip),
    }
    return Seen(units, tuple(response_std(response) for response in within.responses))


def look(
    model: Model,
    mode: Mode,
    losses: Losses,
    step_of: Callable[[Any], Any],
    params: Any,
    batch_stats: Any,
    x: Hidden,
    labels: Int[Array, " batch"],
    parts: int = 0,
    each: bool = False,
) -> Looks:
    """Every quantity of every layer, in the train mode given (records/quantities.py says what each is).

    losses: each example's, of a forward pass and the labels; their mean is what is looked at. step_of: the change of
    the weights that a gradient would make. parts: of the batch, between which the gradient's noise is seen (0: not).
    each: also the smallest and largest gradient of an example, a backward pass each. Batch statistics are the whole
    groups' in every pass; the running ones that this pass would leave are dropped.
    """

    def forward(params: Any, taps: list[Array]) -> tuple[Array, list[Seen]]:
        out = model.apply(params, batch_stats, x, mode, taps, observe, tapped)
        return losses(out, labels), out.seen

    values, pull, seen = jax.vjp(forward, params, no_taps(model), has_aux=True)
    found = backward(model, pull, params, cotangents(len(x), parts, each, values.dtype))
    weights, units = of_gradients(model, found, params, step_of), of_units(model, seen)
    weights["response_std"] = _in_forward_order(model, seen)
    units |= {"act_grad_norm": found.act_grad_norm[0], "act_grad_cosine": found.act_grad_cosine[0]}
    if parts:
        weights["grad_snr"] = signal_to_noise(found, parts)
    if each:
        weights |= extremes("example_grad_norm", found.grad_norm[1 + parts :])
        units |= extremes("example_act_grad_norm", found.act_grad_norm[1 + parts :])
    return Looks(values.mean(), weights, units)


def of_gradients(model: Model, found: Backward, params: Any, step_of: Callable[[Any], Any]) -> Quantities:
    """What follows from the gradient of the mean loss, a number a weight layer."""
    layers, grads = model.weight_layers, found.grads
    entries = per_layer(lambda grad: jnp.full((), grad.size, grad.dtype), layers, grads)
    return {
        "grad_norm": found.grad_norm[0],
        "grad_rms": found.grad_norm[0] / jnp.sqrt(entries),
        "weight_norm": per_layer(norm, layers, params),
        "update_ratio": per_layer(lambda u, w: norm(u) / norm(w), layers, step_of(grads), params),
        "grad_cosine": cosine_before(layers, grads),
    }


def of_units(model: Model, seen: list[Seen]) -> Quantities:
    """What was seen going forward, a number a unit."""
    units = {name: jnp.concatenate([part.units[name] for part in seen]) for name in seen[0].units}
    last = [_last_response(part, len(run.plan.paths)) for part, run in zip(seen, model.runs, strict=True)]
    return units | {"response_std": jnp.concatenate(last)}


def signal_to_noise(found: Backward, parts: int) -> Float[Array, " layer"]:
    """|g| / sqrt(sum_k |g_k - g|^2 / (K - 1)) of the K parts; of noise alone about 1 / sqrt(K)."""
    away = found.away[1 : 1 + parts]
    largest = jnp.max(away, axis=0)
    safe = jnp.where(largest > 0, largest, 1)  # its square may not be a number of float32
    noise = largest * jnp.sqrt(jnp.sum(jnp.square(away / safe[None]), axis=0) / (parts - 1))
    return found.grad_norm[0] / noise


def extremes(name: str, values: Float[Array, "row layer"]) -> Quantities:
    """The least and the largest over the rows."""
    return {f"{name}_min": values.min(0), f"{name}_max": values.max(0)}


def _last_response(part: Seen, paths: int) -> Float[Array, " unit"]:
    """response_std of each unit's last response; nan where paths side by side have one each."""
    last = part.response_std[-1]
    return last if paths == 1 else jnp.full_like(last, jnp.nan)


def _in_forward_order(model: Model, seen: list[Seen]) -> Float[Array, " layer"]:
    """Each weight layer's response_std; nan for shortcuts' weights and heads, which have no response."""
    responses = jnp.concatenate([jnp.stack(part.response_std, axis=1).reshape(-1) for part in seen])
    padded = jnp.append(responses, jnp.nan)
    places, count = [], 0
    for info in model.weight_layers:
        places.append(count if info.responds else -1)
        count += info.responds
    return padded[jnp.array(places)]

"""All probes of one network on one batch: what layers.parquet holds for one step and seed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from resjax.models import Mode, Model
from resjax.models.build import Pass
from resjax.models.stages import Perturb
from resjax.models.types import Hidden, Responses
from resjax.probes.activations import act_rms, dead_fraction, response_std
from resjax.probes.gradients import norm, per_layer, rms

Quantities = dict[str, Float[Array, " layer"]]
Objective = Callable[[Pass, Array], Array]


class Looks(NamedTuple):
    """The loss on the probe batch; each weight layer's quantities and each unit's, both in forward order."""

    loss: Float[Array, ""]
    weights: Quantities
    units: Quantities


class Seen(NamedTuple):
    """What is kept of a unit's forward pass."""

    act_rms: Array
    dead_fraction: Array
    response_std: tuple[Array, ...]


def observe(h: Hidden, responses: Responses) -> Seen:
    """The statistics of one unit's output and responses."""
    return Seen(act_rms(h), dead_fraction(h), tuple(response_std(response) for response in responses))


def hidden_grads(
    model: Model,
    mode: Mode,
    objective: Objective,
    params: Any,
    batch_stats: Any,
    x: Hidden,
    labels: Int[Array, " batch"],
    only_norms: bool = False,
) -> tuple[Array, list[Seen], Any, list[Array]]:
    """The loss, what was observed, dL/dw, and dL/dh_l of every unit's output, one array a segment (units, batch, ...).

    Each output gets + eps_l with eps = 0: the gradient in eps is the gradient in h. With only_norms |dL/dh_l|, (units,)
    a segment, and no gradient is kept for its norm. Batch statistics; the running ones that this pass would leave are
    dropped.
    """
    perturb: Perturb = _tapped if only_norms else jnp.add
    shapes = [(run.count,) for run in model.runs] if only_norms else [h.shape for h in model.hidden_shapes(len(x))]
    zeros = [jnp.zeros(shape, model.dtype) for shape in shapes]

    def perturbed(params: Any, perturbations: list[Array]) -> tuple[Array, list[Seen]]:
        out = model.apply(params, batch_stats, x, mode, perturbations, observe, perturb)
        return objective(out, labels), out.seen

    (value, seen), (grads, in_hidden) = jax.value_and_grad(perturbed, (0, 1), has_aux=True)(params, zeros)
    return value, seen, grads, in_hidden


@jax.custom_vjp
def _tapped(h: Hidden, tap: Float[Array, ""]) -> Hidden:
    """h. The gradient "in tap" is the norm of the gradient in h; there is no forward mode."""
    return h


_tapped.defvjp(lambda h, tap: (h, None), lambda _, dh: (dh, norm(dh)))


def look(
    model: Model,
    mode: Mode,
    objective: Objective,
    step_of: Callable[[Any], Any],
    params: Any,
    batch_stats: Any,
    x: Hidden,
    labels: Int[Array, " batch"],
) -> Looks:
    """Every quantity of every layer, in the train mode given.

    objective: of a forward pass and the labels. step_of: the change of the weights that a gradient would make.
    """
    value, seen, grads, norms = hidden_grads(model, mode, objective, params, batch_stats, x, labels, only_norms=True)
    layers = model.weight_layers
    weights = {
        "grad_norm": per_layer(norm, layers, grads),
        "grad_rms": per_layer(rms, layers, grads),
        "weight_norm": per_layer(norm, layers, params),
        "update_ratio": per_layer(lambda u, w: norm(u) / norm(w), layers, step_of(grads), params),
        "response_std": _in_forward_order(model, seen),
    }
    units = {
        "act_grad_norm": jnp.concatenate(norms),
        "act_rms": jnp.concatenate([part.act_rms for part in seen]),
        "response_std": jnp.concatenate(
            [_last_response(part, len(run.plan.paths)) for part, run in zip(seen, model.runs, strict=True)]
        ),
        "dead_fraction": jnp.concatenate([part.dead_fraction for part in seen]),
    }
    return Looks(value, weights, units)


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

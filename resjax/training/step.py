"""One training step of one seed: state, data -> state, metrics. Pure, and the same under pmap and jit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from resjax.config import Config
from resjax.data.augment import crop_flip
from resjax.data.stream import Arrays, Fed, Orders, Scale, batch_indices, standardize, standardize_fed
from resjax.models import Mode, Model
from resjax.models.build import Pass
from resjax.probes.gradients import norm, per_layer
from resjax.training.packing import packings
from resjax.training.parallel import Layout, group_size
from resjax.training.precision import precision
from resjax.training.schedules import learning_rate, still_warming, track_error
from resjax.training.seeds import as_products
from resjax.training.state import ALIVE, Keys, TrainState

Metrics = dict[str, Array]
Draw = Callable[[Config, Layout, Keys, Any, Array, Any], tuple[Array, Array]]
Step = Callable[[TrainState, Keys, Any, Array, Any], tuple[TrainState, Metrics]]


def cross_entropy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """The mean of -log softmax(logits)[label], in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def error_rate(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """The fraction whose largest logit is not the label's."""
    return jnp.mean(logits.argmax(-1) != labels, dtype=logits.dtype)


def example_losses(model: Model, out: Pass, labels: Int[Array, " batch"]) -> Float[Array, " batch"]:
    """Each example's cross-entropy, and that of each auxiliary head with its weight (GoogLeNet: 0.3), in nats."""
    own, *others = (optax.softmax_cross_entropy_with_integer_labels(y, labels) for y in (out.logits, *out.auxiliary))
    return own + model.config.auxiliary_weight * sum(others, start=jnp.zeros_like(own))


def objective(model: Model, out: Pass, labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """What training descends: the mean of `example_losses`."""
    return example_losses(model, out, labels).mean()


def with_noise(mode: Mode, key: Array, step: Array, places: Int[Array, " batch"]) -> Mode:
    """`mode` with the noise of a step, for the examples in these places of the batch."""
    return replace(mode, key=jax.random.fold_in(key, step), places=places)


def training_batch(
    config: Config, layout: Layout, keys: Keys, orders: Orders, step: Array, data: Arrays
) -> tuple[Array, Array]:
    """The images and labels of `step`, augmented; under pmap this device's part of them."""
    places = jnp.arange(config.train.batch_size)
    indices = layout.part(batch_indices(orders, step, len(data.labels), config.train.batch_size))
    images = standardize(data, data.images[indices])
    if config.data.augment:
        step_key = jax.random.fold_in(keys.augment, step)
        images = crop_flip(jax.vmap(lambda place: jax.random.fold_in(step_key, place))(layout.part(places)), images)
    return images, data.labels[indices]


def fed_batch(config: Config, layout: Layout, keys: Keys, fed: Fed, step: Array, data: Scale) -> tuple[Array, Array]:
    """The images and labels that the host has read for this step; under pmap this device's part of them."""
    images, color, labels = fed if layout.axis else map(layout.part, fed)
    return standardize_fed(data, images, color), labels


def make_step(
    config: Config, model: Model, tx: optax.GradientTransformation, layout: Layout, draw: Draw = training_batch
) -> Step:
    """The function (state, keys, feed, step, data) -> (state, metrics) of one seed; `draw` makes a batch of the feed.

    metrics: scalars, and with probes.train_grad_norm the gradient's norm of every weight layer, in forward order.
    """
    mode = Mode(True, group_size(config, layout), layout.axis, products=as_products(config))
    params_packing, stats_packing = packings(model)
    computes = precision(config).computes

    def loss(params: Any, state: TrainState, images: Array, labels: Array, mode: Mode) -> tuple[Array, Any]:
        out = model.apply(params, stats_packing.unpack(state.batch_stats), images.astype(computes), mode)
        seen = stats_packing.pack(out.batch_stats), cross_entropy(out.logits, labels), error_rate(out.logits, labels)
        return objective(model, out, labels), seen

    def one_seed(state: TrainState, keys: Keys, feed: Any, step: Array, data: Any) -> tuple[TrainState, Metrics]:
        images, labels = draw(config, layout, keys, feed, step, data)
        value_and_grads = jax.value_and_grad(loss, has_aux=True)
        params = params_packing.unpack(state.params)
        noisy = with_noise(mode, keys.noise, step, layout.part(jnp.arange(config.train.batch_size)))
        (descended, seen), grads = value_and_grads(params, state, images, labels, noisy)
        # Every device holds the same running statistics before, so their mean after is over the whole batch.
        descended, seen, grads = layout.mean((descended, seen, params_packing.pack(grads)))
        batch_stats, value, error = seen
        rate = learning_rate(config.schedule, step, config.train.steps, state.warming).astype(model.dtype)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        running_error = track_error(state.running_error, error)
        updated = TrainState(
            params=state.params - rate * updates,
            batch_stats=batch_stats,
            opt_state=opt_state,
            running_error=running_error,
            warming=still_warming(config.schedule, step, state.warming, running_error),
            diverged_at=state.diverged_at,
        )
        grad_norm = norm(grads)
        finite = jnp.isfinite(descended) & jnp.isfinite(grad_norm) & jnp.isfinite(updated.params).all()
        metrics = {
            "train_loss": value,
            "train_error": error,
            "grad_norm": grad_norm,
            "learning_rate": rate,
            "alive": state.diverged_at == ALIVE,
            "finite": finite,
        }
        if config.probes.train_grad_norm:
            metrics["train_grad_norm"] = per_layer(norm, model.weight_layers, params_packing.unpack(grads))
        return freeze(state, updated, step, finite), metrics

    return one_seed


def freeze(old: TrainState, new: TrainState, step: Array, finite: Bool[Array, ""]) -> TrainState:
    """`new` while all is finite; else the last finite state, for good, with the step at which it went wrong."""
    alive = old.diverged_at == ALIVE
    kept = jax.tree.map(lambda before, after: jnp.where(alive & finite, after, before), old, new)
    return kept._replace(diverged_at=jnp.where(alive & ~finite, step, old.diverged_at).astype(jnp.int32))

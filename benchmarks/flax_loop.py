"""A stepwise Flax loop as a worker: one jitted train_step a Python step, on one device.  python -m benchmarks.flax_loop

As in the Flax examples: a TrainState, optax, batches from a permutation of arrays in memory, nothing clever.
"""

import importlib.metadata
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training import train_state
from jax import Array

from benchmarks import data
from benchmarks.flax_network import ResNet
from benchmarks.jax_peaks import cost_of, device_memory, peaks, platform
from benchmarks.protocol import Job, Reply, serve

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")
PAD = 4


class TrainState(train_state.TrainState):
    """With batch norm's running statistics."""

    batch_stats: Any


def create_state(job: Job, key: Array) -> TrainState:
    """Initial values: SGD with momentum 0.9, weight decay 1e-4 on everything, rate 0.1."""
    network = ResNet(job.depth, job.shortcut == "identity", data.CLASSES)
    variables = network.init(key, jnp.zeros((1, *data.SHAPE)))
    tx = optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(0.1, momentum=0.9))
    return TrainState.create(
        apply_fn=network.apply, params=variables["params"], batch_stats=variables["batch_stats"], tx=tx
    )


def crop_flip(key: Array, image: Array) -> Array:
    """Pad 4, a random window of the old size, mirrored with probability 1/2."""
    crop_key, flip_key = jax.random.split(key)
    top, left = jax.random.randint(crop_key, (2,), 0, 2 * PAD + 1)
    window = jax.lax.dynamic_slice(jnp.pad(image, [(PAD, PAD), (PAD, PAD), (0, 0)]), (top, left, 0), image.shape)
    return jnp.where(jax.random.bernoulli(flip_key), window[:, ::-1], window)


def train_step(
    moments: tuple[float, float], augment: bool, state: TrainState, key: Array, images: Array, labels: Array
) -> tuple[TrainState, Array]:
    """One update; the state and the loss."""
    x = (images.astype(jnp.float32) - moments[0]) / moments[1]
    if augment:
        x = jax.vmap(crop_flip)(jax.random.split(jax.random.fold_in(key, state.step), len(x)), x)

    def loss_of(params: Any) -> tuple[Array, Any]:
        variables = {"params": params, "batch_stats": state.batch_stats}
        logits, updated = state.apply_fn(variables, x, mutable=["batch_stats"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), updated["batch_stats"]

    (loss, batch_stats), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    return state.apply_gradients(grads=grads, batch_stats=batch_stats), loss


class FlaxLoop:
    """The contestant."""

    def about(self) -> Reply:
        """See `Contestant`."""
        versions = {name: importlib.metadata.version(name) for name in PACKAGES}
        return {"versions": versions, "platform": platform(), "device": jax.devices()[0].device_kind, "devices": 1}

    def prepare(self, job: Job) -> Reply:
        """See `Contestant`."""
        self.job, (self.images, self.labels) = job, data.arrays(job.examples)
        self.key, self.random = jax.random.key(0), np.random.default_rng(0)
        self.order = np.empty(0, int)
        moments = data.moments(self.images)
        start = time.perf_counter()
        self.state = jax.jit(partial(create_state, job))(self.key)
        step = jax.jit(partial(train_step, moments, job.augment), donate_argnums=0)
        batch = self.images[: job.batch], self.labels[: job.batch]
        self.train_step = step.lower(self.state, self.key, *batch).compile()
        jax.block_until_ready(self.state)
        seconds = time.perf_counter() - start
        return {"compile_s": seconds, "parameters": sum(leaf.size for leaf in jax.tree.leaves(self.state.params))}

    def steps(self, count: int) -> Reply:
        """See `Contestant`."""
        loss, start = jnp.zeros(()), time.perf_counter()
        for _ in range(count):
            places = self.next_places()
            self.state, loss = self.train_step(self.state, self.key, self.images[places], self.labels[places])
        value = float(loss)
        return {"seconds": time.perf_counter() - start, "steps": count, "loss": value}

    def next_places(self) -> np.ndarray:
        """The next batch of the permutation, or of a new one; the incomplete batch at the end is left out."""
        if len(self.order) < self.job.batch:
            self.order = self.random.permutation(len(self.labels))
        places, self.order = self.order[: self.job.batch], self.order[self.job.batch :]
        return places

    def peaks(self, repeats: int) -> Reply:
        """See `Contestant`."""
        return peaks(repeats)

    def memory(self) -> int | None:
        """See `Contestant`."""
        return device_memory()

    def more(self) -> dict[str, Callable[[], Reply]]:
        """`cost`: what XLA counts for one step."""
        return {"cost": lambda: cost_of(self.train_step, 1)}


if __name__ == "__main__":
    serve(FlaxLoop())

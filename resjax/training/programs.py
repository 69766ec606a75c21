"""Everything that `fit` needs compiled and on the device before its first step."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.stages import Wrapped
from jaxtyping import Array

from resjax import faults
from resjax.config import Config
from resjax.data.source import Source
from resjax.data.stream import Arrays, Orders, epoch_orders, no_orders, standardize, to_arrays
from resjax.errors import InputError
from resjax.legal import check_probe_batch
from resjax.models import Mode, Model, build, counts
from resjax.probes.look import Looks, look
from resjax.probes.table import columns, first_bad_layer
from resjax.rows import Started
from resjax.stopping import Poll, StopError, never
from resjax.training import agenda, hosts
from resjax.training.chunk import first_orders, make_chunk
from resjax.training.evaluation import make_evaluate
from resjax.training.packing import packings
from resjax.training.parallel import Layout, choose, group_size
from resjax.training.precision import EXACT, precision
from resjax.training.schedules import learning_rate
from resjax.training.seeds import as_products, over_seeds
from resjax.training.state import Keys, TrainState, create, optimizer
from resjax.training.step import example_losses, make_step, training_batch, with_noise


class Clock:
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Count the seconds of a `with` block as `what`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] += time.perf_counter() - start


@dataclass(frozen=True)
class Instruments:
    """A network with its initial states, the data on the device, and what measures it: evaluation and probes.

    evaluated: what no training sees, by name, test and perhaps validation.
    """

    config: Config
    model: Model
    layout: Layout
    clock: Clock
    started: Started
    seeds: range
    states: TrainState
    keys: Keys
    train: Arrays
    evaluated: dict[str, Arrays]
    probe_batch: tuple[Array, Array]
    evaluate: Callable[..., dict[str, Array]]
    probe: Wrapped
    stop: Poll

    def check(self) -> None:
        """Raises StopError where the caller asks to stop."""
        if hosts.any_of(self.stop()):
            raise StopError

    def root_keys(self) -> dict[int, list[int]]:
        """What each seed's random numbers come from."""
        return {seed: jax.random.key_data(jax.random.key(seed)).tolist() for seed in self.seeds}

    def holding(self, params: Any, batch_stats: Any) -> TrainState:
        """The initial states with these values instead, the same for every seed."""
        trees = zip(packings(self.model), (params, batch_stats), strict=True)
        values, statistics = (jnp.stack([packing.pack(tree)] * len(self.seeds)) for packing, tree in trees)
        return self.states._replace(params=values, batch_stats=statistics)

    def look(self, states: TrainState, step: int, seeds: list[int]) -> dict[str, np.ndarray]:
        """What the probes see of `seeds` on the probe batch, as columns of equal length."""
        with self.clock("probe"):
            looks = jax.device_get(self.probe(*self.at_home((states, self.keys)), jnp.asarray(step), *self.probe_batch))
        return columns(self.model, looks, {seed: self.seeds.index(seed) for seed in seeds})

    def first_bad_layer(self, states: TrainState, seed: int, step: int) -> str | None:
        """Where the values of `seed`, frozen before update number `step`, stop being finite on that step's batch."""
        index = self.seeds.index(seed)
        keys = jax.tree.map(lambda leaf: leaf[index], self.keys)
        images, labels = self.batch_of(keys, jnp.asarray(step), self.train)
        at_home = self.at_home((states, self.keys, images, labels))
        with self.clock("probe"):
            looks = jax.device_get(self.probe(*at_home[:2], jnp.asarray(step), *at_home[2:]))
        return first_bad_layer(self.model, jax.tree.map(lambda leaf: leaf[index], looks))

    @cached_property
    def batch_of(self) -> Callable[[Keys, Array, Arrays], tuple[Array, Array]]:
        """The function (keys, step, data) -> images and labels of one step and seed, compiled once."""
        whole = replace(self.layout, strategy="jit")

        def batch_of(keys: Keys, step: Array, data: Arrays) -> tuple[Array, Array]:
            batch = self.config.train.batch_size
            orders = epoch_orders(keys.order, no_orders(1, len(data.labels), batch), step, 1, batch)
            return training_batch(self.config, whole, keys, orders, step, data)

        return jax.jit(batch_of)

    def test_all(self, states: TrainState) -> dict[str, Any]:
        """Loss and error on the test set, and on the validation set where there is one, one entry a seed."""
        return self.errors_on(self.evaluated, states)

    def train_all(self, states: TrainState) -> dict[str, Any]:
        """Loss and error on the whole training set, as it is and with running statistics, one entry a seed."""
        return self.errors_on({"train": self.train}, states)

    def errors_on(self, splits: dict[str, Arrays], states: TrainState) -> dict[str, Any]:
        """NAME_loss and NAME_error of every split by its name, one entry a seed."""
        with self.clock("evaluation"):
            return jax.device_get(self.evaluate(hosts.place(states, self.layout.replicated()), splits))

    def at_home(self, tree: Any) -> Any:
        """`tree` on this process's first device, where the probes run."""
        return hosts.at_home(tree, self.layout.home)


@dataclass(frozen=True)
class Programs(Instruments):
    """The instruments, and the compiled chunk of training steps."""

    advance: Callable[..., tuple[TrainState, Orders, dict[str, Array]]]
    orders: Orders


def prepare(config: Config, source: Source, stop: Poll = never) -> Programs:
    """Build, place and compile. InputError where the data set or the devices are too small for the settings.

    StopError, between two compilations, where `stop` says so.
    """
    ready = instruments(config, source, stop)
    ready.check()
    faults.point("compiling")
    with ready.clock("compile"):
        step = make_step(config, ready.model, optimizer(config.optimizer), ready.layout)
        orders = hosts.place(first_orders(config, len(ready.train.labels)), ready.layout.replicated())
        chunk, numbers = make_chunk(config, step), (np.asarray(0), np.asarray(1))
        with ThreadPoolExecutor(1) as pool:  # while one program compiles, the next one is traced
            advance = pool.submit(ready.layout.compile, chunk, ready.states, ready.keys, orders, *numbers, ready.train)
            if agenda.ever_probed(config):  # compiled and not run; JAX keeps it for the calls to come (a test counts)
                at_home = ready.at_home((ready.states, ready.keys))
                ready.probe.lower(*at_home, jnp.asarray(0), *ready.probe_batch).compile()
            compiled = advance.result()
        faults.point("compiled")
        ready.check()
        ready.evaluate(ready.states, ready.evaluated, parts=1)
    return Programs(**vars(ready), advance=compiled, orders=orders)


def instruments(config: Config, source: Source, stop: Poll = never) -> Instruments:
    """Build and place; what measures compiles at its first use. InputError as in `prepare`."""
    clock, layout, types = Clock(), choose(config), precision(config)
    require_examples(config, source, group_size(config, layout))
    with clock("compile"):
        model = build(config.model, source.train.images.shape[1:], source.classes, types.keeps)
        tx, seeds = optimizer(config.optimizer), range(config.seed, config.seed + config.seeds)
        place = partial(hosts.place, sharding=layout.replicated())
        states, keys = (place(tree) for tree in create(model, tx, seeds))
        train = place(to_arrays(source.train, source.train, types.keeps, config.data.mean, config.data.std))
        evaluated = {name: train._replace(**place(vars(split))) for name, split in source.evaluated.items()}
        probe_batch = hosts.at_home(fixed_batch(train, config.probes.batch_size), layout.home)
        probe = make_probe(config, model, tx, layout)
        evaluate = make_evaluate(model, layout, types.computes, largest_batch(config), stop)
    started = Started(counts.describe(model), {"kind": layout.devices[0].device_kind, "count": len(layout.devices)})
    return Instruments(
        config, model, layout, clock, started, seeds, states, keys, train, evaluated, probe_batch, evaluate, probe, stop
    )


def largest_batch(config: Config) -> int:
    """The most examples that are looked at together: in evaluation no more, which so needs no more memory."""
    return max(config.train.batch_size, config.probes.batch_size)


def require_examples(config: Config, source: Source, group: int) -> None:
    """Raises InputError where less than a batch is not held out, or the probe batch is larger than the data set, or
    cuts a group of batch statistics.
    """
    there_are, batch, held_out = len(source.train.labels), config.train.batch_size, config.data.validation_examples
    if held_out is not None and there_are < batch:
        raise InputError(
            f"data.validation_examples={held_out} leaves {there_are} to train on, less than train.batch_size={batch}.\n"
            f"Type: data.validation_examples={max(held_out + there_are - batch, 0) or 'null'}"
        )
    if config.model.norm == "batch":
        check_probe_batch(config, group)
    if config.probes.batch_size > there_are:
        raise InputError(
            f"probes.batch_size={config.probes.batch_size} is more than the {there_are} training examples.\n"
            f"Type: probes.batch_size={there_are}"
        )


def make_probe(config: Config, model: Model, tx: optax.GradientTransformation, layout: Layout) -> Wrapped:
    """The function (states, keys, step, images, labels) -> Looks, one entry a seed in every leaf.

    Its noise is that of the training step, for the examples in their places of the probe batch. What trains in bfloat16
    or TF32 is looked at in float32 all the same: the instrument does not change with the run.
    """
    group, each, settings = group_size(config, layout), over_seeds(config), config.probes
    params_packing, stats_packing = packings(model)

    def one_seed(state: TrainState, keys: Keys, step: Array, images: Array, labels: Array) -> Looks:
        rate = learning_rate(config.schedule, step, config.train.steps, state.warming)

        def step_of(grads: Any) -> Any:
            updates, _ = tx.update(params_packing.pack(grads), state.opt_state, state.params)
            return params_packing.unpack(rate * updates)

        params, batch_stats = params_packing.unpack(state.params), stats_packing.unpack(state.batch_stats)
        quiet = Mode(True, min(group, len(images)), products=as_products(config))
        mode = with_noise(quiet, keys.noise, step, jnp.arange(len(images)))
        return look(
            model,
            mode,
            partial(example_losses, model),
            step_of,
            params,
            batch_stats,
            images,
            labels,
            settings.parts if settings.parts <= len(images) else 0,
            settings.per_example,
        )

    @jax.jit
    def probe(states: TrainState, keys: Keys, step: Array, images: Array, labels: Array) -> Looks:
        with jax.default_matmul_precision(EXACT):
            return each(lambda state, keys: one_seed(state, keys, step, images, labels), states, keys)

    return probe


def fixed_batch(train: Arrays, size: int) -> tuple[Array, Array]:
    """The probe batch: the same `size` training examples for every seed and arm, drawn once from a fixed key."""
    places = jax.random.permutation(jax.random.key(0), len(train.labels))[:size]
    return standardize(train, train.images[places]), train.labels[places]

"""Everything that `fit` needs compiled and on the device before its first step."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.stages import Wrapped
from jaxtyping import Array

from resjax import faults
from resjax.config import Config
from resjax.data.resident import Source
from resjax.data.source import Images
from resjax.models import Mode, Model, build, counts
from resjax.probes.look import Looks, look
from resjax.probes.table import columns, first_bad_layer
from resjax.rows import Started
from resjax.stopping import Poll, StopError, never
from resjax.training import agenda, hosts
from resjax.training.evaluation import make_evaluate
from resjax.training.packing import packings
from resjax.training.parallel import Layout, choose, group_size
from resjax.training.precise import Precise, make_precise
from resjax.training.precision import EXACT, precision
from resjax.training.resident import Resident
from resjax.training.schedules import learning_rate
from resjax.training.seeds import as_products, over_seeds
from resjax.training.state import Keys, TrainState, create, optimizer
from resjax.training.step import example_losses, make_step, with_noise
from resjax.training.supply import Supply, require_examples

FEED = 2  # the place of what the supply gives among the program's arguments


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
    """A network with its initial states, its supply of data, and what measures it: evaluation and probes."""

    config: Config
    model: Model
    layout: Layout
    clock: Clock
    started: Started
    seeds: range
    states: TrainState
    keys: Keys
    supply: Supply
    probe_batch: tuple[Array, Array]
    evaluate: Callable[..., dict[str, Array]]
    probe: Wrapped
    precise: Precise | None
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
        batch = next(iter(self.supply.batches(keys, seed, range(step, step + 1))))
        at_home = self.at_home((states, self.keys, *hosts.whole(batch, self.layout.replicated())))
        with self.clock("probe"):
            looks = jax.device_get(self.probe(*at_home[:2], jnp.asarray(step), *at_home[2:]))
        return first_bad_layer(self.model, jax.tree.map(lambda leaf: leaf[index], looks))

    def test_all(self, states: TrainState, last: bool = False) -> dict[str, Any]:
        """Loss and error on the test set, and on the validation set where there is one, one entry a seed.

        last: with ten crops too, where the settings ask for them.
        """
        return self.errors_on(self.supply.evaluated, states, last and self.config.data.ten_crop)

    def train_all(self, states: TrainState) -> dict[str, Any]:
        """Loss and error on the whole training set, as it is and with running statistics, one entry a seed."""
        return self.errors_on({"train": self.supply.split("train")}, states)

    def errors_on(self, splits: Mapping[str, Any], states: TrainState, ten: bool = False) -> dict[str, Any]:
        """NAME_loss and NAME_error of every split by its name, one entry a seed."""
        with self.clock("evaluation"):
            states = hosts.place(states, self.layout.replicated())
            if self.precise:
                states = self.precise(states, self.supply)
            return jax.device_get(self.evaluate(states, splits, ten=ten))

    def at_home(self, tree: Any) -> Any:
        """`tree` on this process's first device, where the probes run."""
        return hosts.at_home(tree, self.layout.home)


@dataclass(frozen=True)
class Programs(Instruments):
    """The instruments, and the compiled chunk of training steps."""

    advance: Callable[..., tuple[TrainState, Any, dict[str, Array]]]


def prepare(config: Config, source: Images, stop: Poll = never) -> Programs:
    """Build, place and compile. InputError where the data set or the devices are too small for the settings.

    StopError, between two compilations, where `stop` says so.
    """
    ready = instruments(config, source, stop)
    ready.check()
    faults.point("compiling")
    with ready.clock("compile"):
        supply, numbers = ready.supply, (np.asarray(0), np.asarray(1))
        step = make_step(config, ready.model, optimizer(config.optimizer), ready.layout, supply.draw)
        arguments = ready.states, ready.keys, supply.like(), *numbers, supply.data
        fed = FEED if supply.fed else None
        with ThreadPoolExecutor(1) as pool:  # while one program compiles, the next one is traced
            advance = pool.submit(ready.layout.compile, supply.chunk(step), *arguments, fed=fed)
            if agenda.ever_probed(config):  # compiled and not run; JAX keeps it for the calls to come (a test counts)
                at_home = ready.at_home((ready.states, ready.keys))
                ready.probe.lower(*at_home, jnp.asarray(0), *ready.probe_batch).compile()
            compiled = advance.result()
        faults.point("compiled")
        ready.check()
        ready.evaluate(ready.states, supply.evaluated, parts=1, ten=config.data.ten_crop)
    return Programs(**vars(ready), advance=compiled)


def instruments(config: Config, source: Images, stop: Poll = never) -> Instruments:
    """Build and place; what measures compiles at its first use. InputError as in `prepare`."""
    clock, layout, types = Clock(), choose(config), precision(config)
    require_examples(config, source.examples, group_size(config, layout))
    with clock("compile"):
        model = build(config.model, source.shape, source.classes, types.keeps)
        tx, seeds = optimizer(config.optimizer), range(config.seed, config.seed + config.seeds)
        place = partial(hosts.place, sharding=layout.replicated())
        states, keys = (place(tree) for tree in create(model, tx, seeds))
        supply = supply_of(config, source, layout)
        probe_batch = supply.probe_batch(config.probes.batch_size)
        probe = make_probe(config, model, tx, layout)
        evaluate = make_evaluate(model, layout, types.computes, largest_batch(config), stop)
        precise = make_precise(config, model, layout) if model.shapes[1] and config.train.precise_statistics else None
    started = Started(counts.describe(model), {"kind": layout.devices[0].device_kind, "count": len(layout.devices)})
    return Instruments(
        config, model, layout, clock, started, seeds, states, keys, supply, probe_batch, evaluate, probe, precise, stop
    )


def supply_of(config: Config, source: Images, layout: Layout) -> Supply:
    """The supply that a set needs."""
    if isinstance(source, Source):
        return Resident(config, source, layout)
    from resjax.training.streaming import Streaming  # decoders, which only this needs

    return Streaming(config, source, layout)


def largest_batch(config: Config) -> int:
    """The most examples that are looked at together: in evaluation no more, which so needs no more memory."""
    return max(config.train.batch_size, config.probes.batch_size)


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

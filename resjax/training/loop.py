"""The training loop, a generator of rows: it prints and writes nothing."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from resjax.config import Config
from resjax.data.source import Source
from resjax.rows import Finished, Layers, Metrics, Outcome, Row, Snapshot
from resjax.training.programs import Programs, prepare
from resjax.training.state import TrainState, digest, to_arrays

# Virtual CPU devices deadlock when many steps are queued (jaxlib 0.10); four keep any device busy.
STEPS_IN_FLIGHT = 4


def fit(config: Config, source: Source) -> Iterator[Row]:
    """Train every seed of `config` on `source`; yield what happens, in order.

    First Started; Metrics a logged step and seed, at most four steps late; Layers at each probed step, before its
    update; Snapshots; last Finished. Step s is the state after s updates. A seed whose loss or gradient is not
    finite keeps its last finite state and yields no more; when no seed is left, training ends.
    """
    programs = prepare(config, source)
    yield programs.started
    run = Run(config, programs)
    for step in range(config.train.steps):
        yield from run.look_if_due(step)
        yield from run.advance(step)
        if not run.alive:
            break
    yield from run.finish()


class Run:
    """The moving part of one `fit`: the states, and the steps whose metrics are still on the device."""

    def __init__(self, config: Config, programs: Programs) -> None:
        self.config, self.programs = config, programs
        self.states: TrainState = programs.states
        self.step = 0
        self.pending: deque[tuple[int, dict[str, Array], dict[str, Any]]] = deque()
        self.outcomes = {seed: Outcome(seed) for seed in programs.seeds}

    @property
    def alive(self) -> list[int]:
        """The seeds that are known to be finite."""
        return [seed for seed, outcome in self.outcomes.items() if outcome.diverged_at is None]

    def look_if_due(self, step: int) -> Iterator[Row]:
        """The probes, and the checkpoint, of the state before update number `step`."""
        probes, every = self.config.probes, self.config.checkpoint.every
        if step in probes.at or (probes.every and step % probes.every == 0):
            yield from self.drain()
            yield from self.look(step)
        if every and step and step % every == 0:
            yield from self.drain()
            yield Snapshot(step, to_arrays(self.programs.model, self.states))

    def advance(self, step: int) -> Iterator[Row]:
        """Update number `step`, and the metrics of a step some time ago."""
        every, tested = self.config.train.evaluate_every, {}
        if every and step % every == 0:
            yield from self.drain()
            tested = self.programs.test_all(self.states)
        with self.programs.clock("train"):
            self.states, metrics = self.programs.step(
                self.states, self.programs.keys, jnp.asarray(step), self.programs.train
            )
        self.step = step + 1
        self.pending.append((step, metrics, tested))
        if len(self.pending) > STEPS_IN_FLIGHT:
            yield from self.rows(*self.pending.popleft())

    def finish(self) -> Iterator[Row]:
        """What is left on the device, the last probe, the test, the last checkpoint, and the outcomes."""
        yield from self.drain()
        if self.alive:
            yield from self.look(self.step)
            yield from self.last_test()
        arrays = to_arrays(self.programs.model, self.states)
        yield Snapshot(self.step, arrays)
        times = dict(self.programs.clock.seconds)
        images = self.step * self.config.train.batch_size * len(self.programs.seeds)
        yield Finished(tuple(self.outcomes.values()), times, images / max(times["train"], 1e-9), digest(arrays))

    def last_test(self) -> Iterator[Row]:
        """The test at the end. A seed whose loss there is not finite has diverged, whatever its weights."""
        tested = self.programs.test_all(self.states)
        rows = list(self.metric_rows(self.step, tested))
        for index in np.flatnonzero(~np.isfinite(tested["test_loss"])):
            seed = self.programs.seeds[index]
            if self.outcomes[seed].diverged_at is None:
                self.outcomes[seed] = Outcome(seed, self.step, None)
        yield from rows

    def drain(self) -> Iterator[Row]:
        """The metrics of every step that was dispatched."""
        while self.pending:
            yield from self.rows(*self.pending.popleft())

    def rows(self, step: int, metrics: dict[str, Array], tested: dict[str, Any]) -> Iterator[Row]:
        """One step's metrics, a row a seed that was alive; a seed that went wrong just here is examined."""
        with self.programs.clock("train"):
            values = jax.device_get(metrics)
        was_alive = values.pop("alive")
        wrong = was_alive & ~values.pop("finite")
        for index in np.flatnonzero(wrong):
            seed = self.programs.seeds[index]
            self.outcomes[seed] = Outcome(seed, step, self.programs.first_bad_layer(self.states, seed, step))
        logged = was_alive if tested or step % self.config.train.log_every == 0 else wrong
        yield from self.metric_rows(step, values | tested, logged)

    def metric_rows(self, step: int, values: dict[str, Any], which: np.ndarray | None = None) -> Iterator[Metrics]:
        """A row for each of the seeds `which` (those alive)."""
        epoch = step * self.config.train.batch_size / len(self.programs.train.labels)
        if which is None:
            which = np.array([seed in self.alive for seed in self.programs.seeds])
        for index in np.flatnonzero(which):
            scalars = {name: float(value[index]) for name, value in values.items()}
            yield Metrics(step, self.programs.seeds[index], {"epoch": epoch} | scalars)

    def look(self, step: int) -> Iterator[Layers]:
        """The probes' rows of the seeds that are alive."""
        if self.alive:
            yield Layers(step, self.programs.look(self.states, step, self.alive))

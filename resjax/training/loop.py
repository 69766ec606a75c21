"""The training loop, a generator of rows: it prints and writes nothing."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from resjax import faults
from resjax.config import Config
from resjax.data.source import Images
from resjax.errors import InputError
from resjax.probes.table import train_columns
from resjax.rows import Finished, Layers, Metrics, Outcome, Row, Snapshot, Stopped, TrainLayers
from resjax.stopping import Poll, StopError, never
from resjax.training import agenda, hosts, memory
from resjax.training.programs import Programs, prepare
from resjax.training.state import digest, from_arrays, to_arrays

# The next chunk is dispatched before the last one's metrics are read, so that the device never waits for the host.
# Not more: virtual CPU devices deadlock when many programs are queued (jaxlib 0.10).
CHUNKS_IN_FLIGHT = 2
# A chunk lasts about so long, so that slow networks, too, tell how they fare, and a signal is heard.
CHUNK_SECONDS = 1.0


def fit(config: Config, source: Images, resume: Snapshot | None = None, stop: Poll = never) -> Iterator[Row]:
    """Train every seed of `config` on `source`; yield what happens, in order.

    First Started; Metrics a logged step and seed, and TrainLayers where probes.train_grad_norm asks for them, at most
    two chunks late; Layers at each probed step, before its update; Snapshots; last Finished. Step s is the state after
    s updates. A seed whose loss or gradient is not finite keeps its last finite state and yields no more; when no seed
    is left, training ends.

    With `resume` it goes on from a Snapshot of a run with the same settings and data, and yields bit for bit the rows
    that the run would have yielded from there; InputError where the arrays are of another network, or this JAX draws
    other random numbers. Where `stop` says so (it is polled between chunks, probes, tests and compilations), the rows
    end with a Snapshot and Stopped. OutOfMemoryError says what was wanting.
    """
    run = None
    try:
        programs = prepare(config, source, stop)
        yield programs.started
        run = Run(config, programs)
        if resume:
            run.restore(resume)
        while run.alive and run.step < config.train.steps:
            yield from run.look_if_due()
            if run.alive:
                yield from run.advance()
        yield from run.finish()
    except StopError:
        if run is not None:
            yield from run.leave()
        yield Stopped(run.step if run else resume.step if resume else 0)
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if memory.is_wanting(error):
            raise memory.explained(error, config, source) from error
        raise
    finally:
        if run is not None:
            run.supply.close()


@dataclass(frozen=True)
class Flight:
    """A chunk that was dispatched: its first step, its steps, its metrics on the device, and the test before it."""

    start: int
    count: int
    began: float
    metrics: dict[str, Array]
    tested: dict[str, Any]


class Run:
    """The moving part of one `fit`: the states, and the chunks whose metrics are still on the device."""

    def __init__(self, config: Config, programs: Programs) -> None:
        self.config, self.programs = config, programs
        self.states, self.supply = programs.states, programs.supply
        self.step = 0
        self.pending: deque[Flight] = deque()
        self.outcomes = {seed: Outcome(seed) for seed in programs.seeds}
        self.landed, self.pace = 0.0, CHUNK_SECONDS  # when the last chunk was done; seconds a step
        self.saved: int | None = None  # the step of the last Snapshot
        self.saved_at = time.perf_counter()

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`."""
        keys = self.programs.root_keys()
        if snapshot.root_keys and snapshot.root_keys != keys:
            raise InputError(
                f"the random numbers come from {keys} here, from {snapshot.root_keys} in the checkpoint.\n"
                "Expected JAX's generator to be the same.\nType: rerun=all to begin anew"
            )
        states = from_arrays(self.programs.model, self.states, snapshot.arrays)
        self.states = hosts.place(states, self.programs.layout.replicated())
        self.supply.restore(snapshot.stream)
        self.step = self.saved = snapshot.step
        self.outcomes |= {outcome.seed: outcome for outcome in snapshot.outcomes}
        for what, seconds in snapshot.seconds.items():
            self.programs.clock.seconds[what] += seconds

    def snapshot(self) -> Snapshot:
        """Everything as it is now. Every row before belongs to earlier steps."""
        epoch, place = divmod(self.step * self.config.train.batch_size, self.supply.examples)
        arrays, self.saved, self.saved_at = to_arrays(self.programs.model, self.states), self.step, time.perf_counter()
        seconds = dict(self.programs.clock.seconds)
        outcomes = tuple(self.outcomes.values())
        keys = self.programs.root_keys()
        return Snapshot(self.step, arrays, outcomes, keys, epoch, place, seconds, self.supply.state())

    @property
    def alive(self) -> list[int]:
        """The seeds that are known to be finite."""
        return [seed for seed, outcome in self.outcomes.items() if outcome.diverged_at is None]

    def look_if_due(self) -> Iterator[Row]:
        """The checkpoint and the probes of the state before the next update; what came before it is told first."""
        late = hosts.any_of(agenda.late(self.config, time.perf_counter() - self.saved_at))
        if late or agenda.is_due(self.config, self.step):
            yield from self.drain()
        self.programs.check()
        # The checkpoint first: what is looked at from there on is looked at again by whoever goes on from it.
        if self.alive and (late or agenda.saved(self.config, self.step)) and self.step not in (0, self.saved):
            yield self.snapshot()
        if self.alive and agenda.probed(self.config, self.step):
            yield from self.look(self.step)

    def advance(self) -> Iterator[Row]:
        """Updates until something is due, or for about a second; and the metrics of the chunk before."""
        tested = self.programs.test_all(self.states) if agenda.tested(self.config, self.step) else {}
        start, most = self.step, self.supply.most
        if not hosts.several():  # whose clocks differ
            most = min(most, max(int(CHUNK_SECONDS / self.pace), 1))
        count = min(agenda.steps_until_due(self.config, start), most)
        began = time.perf_counter()
        feed, numbers = self.supply.take(start), (np.asarray(start), np.asarray(count))
        self.states, left, metrics = self.programs.advance(
            self.states, self.programs.keys, feed, *numbers, self.supply.data
        )
        self.supply.give(left)
        self.step = start + count
        self.pending.append(Flight(start, count, began, metrics, tested))
        self.supply.fetch()
        yield from self.supply.news()
        if len(self.pending) >= CHUNKS_IN_FLIGHT:
            yield from self.rows(self.pending.popleft())

    def finish(self) -> Iterator[Row]:
        """What is left on the device, the last checkpoint, the last probe if any, the test, and the outcomes."""
        yield from self.drain()
        known = self.saved == self.step
        last = self.snapshot()
        if not known:
            yield last
        if self.alive:
            self.programs.check()
            if self.config.probes.last:
                yield from self.look(self.step)
            yield from self.last_test()
            yield from self.supply.news()
        times = dict(self.programs.clock.seconds)
        images = self.step * self.config.train.batch_size * len(self.programs.seeds)
        yield Finished(tuple(self.outcomes.values()), times, images / max(times["train"], 1e-9), digest(last.arrays))

    def leave(self) -> Iterator[Row]:
        """What is left on the device, and the state, unless the last Snapshot holds it."""
        yield from self.drain()
        if self.saved != self.step and self.step > 0:
            yield self.snapshot()

    def last_test(self) -> Iterator[Row]:
        """The test at the end. A seed whose loss there is not finite has diverged, whatever its weights."""
        tested = self.programs.test_all(self.states, last=True)
        rows = list(self.metric_rows(self.step, tested))
        for index in np.flatnonzero(~np.isfinite([*tested.values()]).all(0)):
            seed = self.programs.seeds[index]
            if self.outcomes[seed].diverged_at is None:
                self.outcomes[seed] = Outcome(seed, self.step, None)
        yield from rows

    def drain(self) -> Iterator[Row]:
        """The metrics of every chunk that was dispatched. The device waits for the caller meanwhile, which counts."""
        waiting = bool(self.pending)
        while self.pending:
            yield from self.rows(self.pending.popleft())
        if waiting:
            self.count_until(time.perf_counter())

    def rows(self, flight: Flight) -> Iterator[Row]:
        """A chunk's metrics, a row a logged step and seed that was alive; a seed that went wrong is examined."""
        values = self.landing(flight)
        was_alive, finite = values.pop("alive"), values.pop("finite")
        norms = values.pop("train_grad_norm", None)
        wrong = was_alive & ~finite
        self.examine(flight.start, wrong)
        if not self.alive:  # the device stopped there, whatever was asked for
            self.step = min(self.step, flight.start + int(was_alive.any(1).sum()))
        logged = was_alive & self.is_logged(flight)[:, None] | wrong
        for index in np.flatnonzero(logged.any(1)):
            here = {name: rows[index] for name, rows in values.items()}
            tested = flight.tested if index == 0 else {}
            yield from self.metric_rows(flight.start + int(index), here | tested, logged[index])
        if norms is not None and logged.any():
            columns = train_columns(self.programs.model, flight.start, norms, logged, list(self.programs.seeds))
            yield TrainLayers(columns)

    def landing(self, flight: Flight) -> dict[str, np.ndarray]:
        """A chunk's metrics on the host, and its seconds: since the one before it was done, or since its own start.

        So what the caller does with the rows meanwhile counts where the device waits for it, as it does for a user.
        """
        values = jax.device_get(flight.metrics)
        faults.point("chunk")
        self.landed = max(flight.began, self.landed)
        self.pace = self.count_until(time.perf_counter()) / flight.count
        return values

    def count_until(self, now: float) -> float:
        """Count the seconds since the last call as training's, and return them."""
        seconds, self.landed = now - self.landed, now
        self.programs.clock.seconds["train"] += seconds
        return seconds

    def examine(self, start: int, wrong: np.ndarray) -> None:
        """Note the seeds that went wrong, (steps, seeds) from `start` on, and where in the network they did."""
        began = time.perf_counter()
        for index, place in np.argwhere(wrong):
            seed, step = self.programs.seeds[place], start + int(index)
            self.outcomes[seed] = Outcome(seed, step, self.programs.first_bad_layer(self.states, seed, step))
        self.landed += time.perf_counter() - began  # no time of training

    def is_logged(self, flight: Flight) -> np.ndarray:
        """Which of the program's rows are logged whoever is alive: every so many steps, and where there was a test."""
        rows = np.arange(self.supply.most)
        due = (flight.start + rows) % self.config.train.log_every == 0
        due[0] |= bool(flight.tested)
        return due & (rows < flight.count)

    def metric_rows(self, step: int, values: dict[str, Any], which: np.ndarray | None = None) -> Iterator[Metrics]:
        """A row for each of the seeds `which` (those alive)."""
        epoch = step * self.config.train.batch_size / self.supply.examples
        if which is None:
            which = np.array([seed in self.alive for seed in self.programs.seeds])
        for index in np.flatnonzero(which):
            scalars = {name: float(value[index]) for name, value in values.items()}
            yield Metrics(step, self.programs.seeds[index], {"epoch": epoch} | scalars)

    def look(self, step: int) -> Iterator[Layers]:
        """The probes' rows of the seeds that are alive."""
        if self.alive:
            yield Layers(step, self.programs.look(self.states, step, self.alive))
            faults.point("probe")
            self.programs.check()

"""What bounds training on streamed images: how fast they are read, how fast the devices step, and both together.

Each is measured on this machine with the run's own settings: the set, the views, the batch, the network, the devices.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import numpy as np

from resjax.config import Config
from resjax.data import source
from resjax.data.pipeline import Pipeline, Training, batch_bytes
from resjax.data.resident import Source
from resjax.data.views import Views
from resjax.data.workers import SHARED, cores, fitting, room
from resjax.errors import InputError
from resjax.training.loop import Run
from resjax.training.programs import Programs, prepare

PIPELINE, STEP, BOTH = "pipeline alone", "step alone", "both"
NOISE = 0.25  # of a rate: both together are no faster than the slower one, and no slower where each has its cores
LEAST = 3  # batches or steps that are timed, however long they take
MOST_STEPS = 10**9  # that a stream is made for: it is left before


@dataclass(frozen=True)
class Rate:
    """Images a second, the mean over so many batches or steps; workers: processes that read, None where none do."""

    what: str
    workers: int | None
    images_per_s: float
    seconds: float
    count: int


def rates(config: Config, seconds: float, say: Callable[[str], None]) -> Iterator[Rate]:
    """The pipeline by itself, with threads and then with 1, 2, 4, ... workers up to the cores; the step; and both.

    Each for about so many seconds. Numbers of workers that shared memory has no room for are left out, which is said.
    InputError where the set is not streamed, or there is no room for the workers that the settings name.
    """
    if not config.data.streamed:
        raise InputError(
            f"data={config.data.name} is read at once: nothing is read while training.\n"
            "Expected a set that is streamed.\nType: resjax data speed data=imagenet2012, or data=mock_imagenet"
        )
    bare = replace(
        config,
        train=replace(config.train, steps=MOST_STEPS, evaluate_every=0, log_every=1),
        probes=replace(config.probes, at=[], every=0, last=False, batch_size=1),
        checkpoint=replace(config.checkpoint, every=0, every_minutes=0),
    )
    images = source.load(bare.data)
    programs = prepare(bare, images)  # what is refused is refused before anything is timed
    chosen = programs.supply.workers  # type: ignore[attr-defined]
    most, wanted = fitting(batch_bytes(elements_of(bare, images)), room()), sorted({*counts(), chosen})
    if left := [workers for workers in wanted if workers > most]:
        say(f"data.workers={', '.join(map(str, left))} left out: {SHARED} has room for the batches of {most}.")
    for workers in wanted[: len(wanted) - len(left)]:
        yield pipeline(elements_of(bare, images), workers, seconds)
    yield step(programs, seconds)
    programs.supply.close()
    bare = replace(bare, data=replace(bare.data, workers=chosen))  # what was measured alone
    yield both(bare, prepare(bare, images), seconds)


def counts() -> list[int]:
    """0 for threads, then twice as many each time, and as many as there are cores."""
    doubled = [2**power for power in range(20) if 2**power < cores()]
    return [0, *doubled, cores()]


def elements_of(config: Config, images: Any) -> Training:
    """Every seed's examples, step by step."""
    assert not isinstance(images, Source)
    batch, seeds = config.train.batch_size, tuple(range(config.seed, config.seed + config.seeds))
    return Training(images.train, Views.of(config.data), seeds, batch, range(batch), MOST_STEPS)


def pipeline(elements: Training, workers: int, seconds: float) -> Rate:
    """What reading and decoding a step's batches takes, as training sees them, on the host alone."""
    batches = iter(Pipeline(elements, workers))
    for _ in range(1 + 2 * workers):  # until every worker is at work, and what was ready before is gone
        next(batches)
    count, taken = timed(lambda: next(batches), seconds)
    batches.close()  # type: ignore[attr-defined]
    return Rate(PIPELINE, workers, count * elements.batch / taken, taken, count)


def step(programs: Programs, seconds: float) -> Rate:
    """Updates of every seed on one and the same batch, which is on the devices already."""
    feed, states = programs.supply.take(0), programs.states
    numbers = np.asarray(0), np.asarray(1)

    def update() -> None:
        nonlocal states
        states, _, metrics = programs.advance(states, programs.keys, feed, *numbers, programs.supply.data)
        jax.block_until_ready(metrics)

    update()
    count, taken = timed(update, seconds)
    return Rate(STEP, None, count * per_step(programs.config) / taken, taken, count)


def both(config: Config, programs: Programs, seconds: float) -> Rate:
    """Training as it is, from one told step to the next."""
    run = Run(config, programs)

    def advance() -> None:
        for _ in run.advance():
            pass

    try:
        for _ in range(2 + 2 * programs.supply.workers):  # type: ignore[attr-defined]
            advance()
        count, taken = timed(advance, seconds)
    finally:
        programs.supply.close()
    return Rate(BOTH, programs.supply.workers, count * per_step(config) / taken, taken, count)  # type: ignore[attr-defined]


def per_step(config: Config) -> int:
    """Images of a step, of all seeds."""
    return config.train.batch_size * config.seeds


def timed(work: Callable[[], Any], seconds: float) -> tuple[int, float]:
    """How often it was done, and in how many seconds."""
    began, count = time.perf_counter(), 0
    while count < LEAST or time.perf_counter() - began < seconds:
        work()
        count += 1
    return count, time.perf_counter() - began


def verdict(found: list[Rate]) -> str:
    """What bounds training, in a sentence."""
    stepped = next(rate for rate in found if rate.what == STEP)
    together = next(rate for rate in found if rate.what == BOTH)
    read = next(rate for rate in found if (rate.what, rate.workers) == (PIPELINE, together.workers))
    best = max((rate for rate in found if rate.what == PIPELINE), key=lambda rate: rate.images_per_s)
    slower, name = (read, "reading") if read.images_per_s < stepped.images_per_s else (stepped, "the devices")
    share = together.images_per_s / slower.images_per_s
    if share > 1 + NOISE:
        return f"both together were {share:.2f} times as fast as {name} alone: the machine was busy. Measure again"
    more = f"; reading was fastest with data.workers={best.workers}" if best.workers != read.workers else ""
    if share < 1 - NOISE:
        return f"both together reach {share:.0%} of {name} alone: they share cores, or wait for one another{more}"
    bounds = "bounds" if name == "reading" else "bound"
    return f"{name} {bounds} training: both together reach {share:.0%} of it alone{more}"


def as_rows(found: list[Rate]) -> list[dict[str, Any]]:
    """Plain JSON."""
    return [asdict(rate) for rate in found]

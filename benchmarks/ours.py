"""resjax as a worker: what `fit` does between two looks, row for row.  python -m benchmarks.ours [--devices N]"""

import argparse
import importlib.metadata
import math
import os
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from benchmarks import data, trace
from benchmarks.jax_peaks import cost_of, device_memory, peaks, platform
from benchmarks.protocol import Job, Reply, serve
from resjax.config import Config
from resjax.data.resident import Source, Split
from resjax.legal import check
from resjax.rows import Finished, Metrics, Row
from resjax.training.loop import Run, fit
from resjax.training.parallel import start_devices
from resjax.training.programs import prepare

FOREVER = 1_000_000  # steps of a schedule that does not end
PROFILED_STEPS = 10
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def train(run: Run, count: int) -> tuple[int, float]:
    """At least `count` steps, in chunks as `fit` cuts them; how many they were, and the last loss. NaN: it diverged."""
    start, rows = run.step, list[Row]()
    while run.step < start + count and run.alive:
        rows += run.advance()
    rows += run.drain()
    losses = [row.values["train_loss"] for row in rows if isinstance(row, Metrics)]
    return run.step - start, losses[-1] if run.alive else math.nan


class Ours:
    """The contestant."""

    def about(self) -> Reply:
        """See `Contestant`."""
        devices = jax.devices()
        versions = {name: importlib.metadata.version(name) for name in PACKAGES}
        return {"versions": versions, "platform": platform(), "device": devices[0].device_kind, "devices": len(devices)}

    def prepare(self, job: Job) -> Reply:
        """See `Contestant`. `fit` compiles the probes and the evaluation too, and so does this."""
        config, source = config_of(job), source_of(job.examples, job.test_examples)
        start = time.perf_counter()
        self.programs = prepare(config, source)
        jax.block_until_ready(self.programs.states)
        seconds = time.perf_counter() - start
        self.run = Run(config, self.programs)
        model = self.programs.started.model
        return {
            "compile_s": seconds,
            "parameters": model["parameters"],
            "multiply_adds": model["multiply_adds"],
            "devices": len(self.programs.layout.devices),
        }

    def steps(self, count: int) -> Reply:
        """See `Contestant`."""
        start = time.perf_counter()
        done, loss = train(self.run, count)
        return {"seconds": time.perf_counter() - start, "steps": done, "loss": loss}

    def peaks(self, repeats: int) -> Reply:
        """See `Contestant`."""
        return peaks(repeats)

    def memory(self) -> int | None:
        """See `Contestant`."""
        return device_memory()

    def more(self) -> dict[str, Callable[[], Reply]]:
        """`probe`: the seconds of all probes, once. `cost`: what XLA counts for one step. `profile`: its parts.

        `whole`: a training from its first compilation to its last test.
        """
        return {"probe": self.probe, "cost": self.cost, "profile": self.profile, "whole": self.whole}

    def whole(self, **job: Any) -> Reply:
        """The seconds in all, those of its parts, and the images/s while it trained. ValueError where it diverges."""
        wanted = Job(**job)
        config, source = config_of(wanted), source_of(wanted.examples, wanted.test_examples)
        begun = time.perf_counter()
        last = deque(fit(config, source), maxlen=1).pop()
        assert isinstance(last, Finished)
        if any(outcome.diverged_at is not None for outcome in last.outcomes):
            raise ValueError(f"{last.outcomes}: it diverged, so its speed says nothing")
        return {
            "seconds": time.perf_counter() - begun,
            "times": last.times,
            "images_per_s": last.images_per_s,
        }

    def probe(self) -> Reply:
        """All the probes of one step, with their rows."""
        start = time.perf_counter()
        self.programs.look(self.run.states, self.run.step, list(self.programs.seeds))
        return {"seconds": time.perf_counter() - start}

    def cost(self) -> Reply:
        """FLOPs and bytes of one step on all devices. Meant for model.unroll=true: a scan's body is counted once."""
        return cost_of(self.compiled(), len(self.programs.layout.devices))

    def profile(self) -> Reply:
        """Where the time of some steps goes, once the chunks have found their length."""
        train(self.run, PROFILED_STEPS)
        return {"rows": trace.rows(lambda: train(self.run, PROFILED_STEPS)[0], self.compiled().as_text())}

    def compiled(self) -> Any:
        """The program of a chunk of steps."""
        advance = self.programs.advance
        return advance.func if isinstance(advance, partial) else advance  # under pmap it knows its ranks


def config_of(job: Job) -> Config:
    """resjax's settings for `job`: the defaults, but for what the contestants share and job.settings."""
    config = Config(seeds=job.seeds)
    config.model.depth, config.model.shortcut = job.depth, job.shortcut
    config.data.name, config.data.augment = "synthetic", job.augment
    config.train.batch_size, config.train.precision = job.batch, job.precision
    config.train.steps, config.schedule.name, config.probes.at = FOREVER, "constant", []
    for name, value in job.settings.items():
        *sections, last = name.split(".")
        place: Any = config
        for section in sections:
            place = getattr(place, section)
        if not hasattr(place, last):
            raise ValueError(f"{name} is no setting of this resjax")
        setattr(place, last, value)
    return check(config)


def source_of(examples: int, test_examples: int) -> Source:
    """The shared data as resjax takes it; the test set is its first images."""
    images, labels = data.arrays(examples)
    test = Split(images[:test_examples], labels[:test_examples])
    return Source("random", Split(images, labels), test, data.CLASSES, {})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one-core", action="store_true", help="run on one core, whatever there are")
    parser.add_argument("--devices", type=int, help="virtual CPU devices; default: as the command makes them")
    options = parser.parse_args()
    wanted: int | None = options.devices
    if options.one_core:  # before JAX starts its threads
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if wanted:
        jax.config.update("jax_num_cpu_devices", wanted)
    else:
        start_devices(None)
    serve(Ours())

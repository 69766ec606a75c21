"""Some steps of the net that one will train: whether they compile, repeat themselves and stay finite, and how fast."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from resjax import speed
from resjax.config import Config
from resjax.data import source
from resjax.doctor.check import FAILED, OK, SLOW, WARN, Check
from resjax.training import hosts
from resjax.training.programs import Programs, prepare

CHUNKS, CHUNK_SECONDS = 5, 1.0  # that are timed, about so long each
TRACED_STEPS = 3
SHAKY = 1.5  # the slowest chunk over the fastest, from where on something else is at work
LATE = 3.0  # a step over its estimate, from where on it is slow
SHORT = 0.05  # seconds of a step below which the estimate, which counts multiply-adds, says nothing
CACHE_EVENTS = {"/jax/compilation_cache/cache_hits": "hits", "/jax/compilation_cache/cache_misses": "misses"}
VIEW = "pip install xprof && xprof --logdir"


@dataclass(frozen=True)
class Timing:
    """seconds: of a step, in each chunk; steps: in all of them; loss: the last, a mean over seeds; None: not finite."""

    seconds: tuple[float, ...]
    steps: int
    loss: float | None


def checks(config: Config, trace: Path | None) -> Iterator[Check]:
    """Compile, step, and leave a trace in that folder."""
    bare = replace(config, probes=replace(config.probes, at=[], every=0, last=False))
    with cache_events() as events:
        programs = prepare(bare, source.load(bare.data))
    yield compilation(programs.clock.seconds["compile"], **events)
    yield repetition(programs)
    yield pace(bare, timed(programs), programs.started.model, jax.default_backend())
    if trace is not None:
        yield traced(programs, trace)


@contextmanager
def cache_events() -> Iterator[dict[str, int]]:
    """How many programs came from the cache of compiled programs, and how many did not, while the block lasts."""
    counts = dict.fromkeys(CACHE_EVENTS.values(), 0)

    def count(event: str, **_: Any) -> None:
        if event in CACHE_EVENTS:
            counts[CACHE_EVENTS[event]] += 1

    jax.monitoring.register_event_listener(count)
    try:
        yield counts
    finally:
        jax.monitoring.unregister_event_listener(count)


def compilation(seconds: float, hits: int, misses: int) -> Check:
    """The seconds, and whether they were compiled now."""
    new = f"{misses} programs made, {hits} kept from before" if hits + misses else "nothing kept"
    told = f"{seconds:.1f} s for training and evaluation, without probes ({new})"
    numbers = {"compile_s": round(seconds, 3), "programs_compiled": misses, "programs_from_cache": hits}
    return Check("compile", OK, told, numbers=numbers)


def repetition(programs: Programs) -> Check:
    """Whether the first step, and so its gradient, comes out the same when done twice."""
    one, two = (first_step(programs) for _ in range(2))
    same = all(a.tobytes() == b.tobytes() for a, b in zip(one, two, strict=True))
    numbers = {"same_bits": same}
    if same:
        return Check("one step twice", OK, "the same bits twice", numbers=numbers)
    advice = "XLA_FLAGS=--xla_gpu_deterministic_ops=true before the command (slower)"
    return Check("one step twice", WARN, "not the same bits: no run can be repeated exactly", advice, numbers)


def first_step(programs: Programs) -> list[np.ndarray]:
    """Everything that the first update makes, on the host."""
    states, _, metrics = advance(programs, copied(programs.states), programs.supply.take(0), 0, 1)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(jax.device_get((states, metrics)))]


def copied(states: Any) -> Any:
    """For a program that takes its argument's memory."""
    return jax.tree.map(jnp.copy, states)


def advance(programs: Programs, states: Any, orders: Any, step: int, count: int) -> Any:
    """The compiled chunk of `count` steps."""
    numbers = np.asarray(step), np.asarray(count)
    return programs.advance(states, programs.keys, orders, *numbers, programs.supply.data)


def timed(programs: Programs) -> Timing:
    """Several chunks, once the first has said how long a step is; fewer where all seeds diverge."""
    states, orders, step, count = copied(programs.states), programs.supply.take(0), 0, 1
    seconds, loss = list[float](), float("nan")
    for _ in range(1 + CHUNKS):
        began = time.perf_counter()
        states, orders, metrics = advance(programs, states, orders, step, count)
        rows = jax.device_get(metrics)
        seconds.append((time.perf_counter() - began) / count)
        step += count
        healthy = rows["alive"][count - 1] & rows["finite"][count - 1]
        if not healthy.all():
            return Timing(tuple(seconds[1:]), step, None)
        loss = float(rows["train_loss"][count - 1].mean())
        count = hosts.decided(max(1, min(programs.config.parallel.chunk, int(CHUNK_SECONDS / seconds[-1]))))
    return Timing(tuple(seconds[1:]), step, loss)


def pace(config: Config, timing: Timing, model: dict[str, Any], platform: str) -> Check:
    """Seconds a step and images a second, beside what is expected of a CPU; and whether the loss is finite."""
    numbers: dict[str, Any] = {"steps": timing.steps, "loss": timing.loss, "multiply_adds": model["multiply_adds"]}
    if timing.loss is None:
        told = f"the loss is not finite after {timing.steps} steps"
        advice = "resjax doctor, without settings: where that is well, this net diverges by itself"
        return Check("step", FAILED, told, advice, numbers)
    middle, least, most = median(timing.seconds), min(timing.seconds), max(timing.seconds)
    images = config.train.batch_size * config.seeds / middle
    flops = 2 * speed.PASSES * model["multiply_adds"] * images
    numbers |= {"step_ms": 1e3 * middle, "step_ms_range": [1e3 * least, 1e3 * most]}
    numbers |= {"images_per_s": images, "flops_per_s": flops}
    told = f"{1e3 * middle:.4g} ms ({1e3 * least:.4g} to {1e3 * most:.4g} in {len(timing.seconds)} chunks)"
    told += f", {images:.4g} images/s, {flops / 1e9:.4g} GFLOP/s; loss {timing.loss:.3g} after {timing.steps} steps"
    expected = expected_seconds(config, model) if platform == "cpu" else None
    if expected and expected > SHORT and middle > LATE * expected:
        told += f"; about {1e3 * expected:.3g} ms were expected of this CPU"
        return Check("step", SLOW, told, "top, for what else runs here; nproc, for how many cores there are", numbers)
    if most > SHAKY * least:
        return Check("step", WARN, told, "top, for what else runs here: the times differ", numbers)
    return Check("step", OK, told, numbers=numbers)


def expected_seconds(config: Config, model: dict[str, Any]) -> float:
    """Of a step of all seeds on this CPU, an estimate."""
    work, layers, train = model["multiply_adds"], model["weight_layers"], config.train
    return speed.estimate(work, layers, train.batch_size, train.steps, config.seeds).step * config.seeds


def traced(programs: Programs, folder: Path) -> Check:
    """A few steps under JAX's profiler."""
    states, count = copied(programs.states), min(TRACED_STEPS, programs.config.parallel.chunk)
    with jax.profiler.trace(folder, create_perfetto_trace=True):
        jax.block_until_ready(advance(programs, states, programs.supply.take(0), 0, count))
    found = max(folder.rglob("perfetto_trace.json.gz"), key=lambda path: path.stat().st_mtime)
    told = f"{count} steps in {found.parent}; perfetto_trace.json.gz there is for https://ui.perfetto.dev"
    return Check("trace", OK, told, f"{VIEW} {folder}", {"trace": str(found.parent)})

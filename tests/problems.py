"""Small problems on real digits, and what comes of them."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from resjax.config import Config, DataConfig
from resjax.data import source
from resjax.data.resident import Source
from resjax.data.stream import epoch_orders, no_orders, to_arrays
from resjax.models import Model, build
from resjax.rows import Finished, Layers, Metrics, Row, Snapshot, TrainLayers
from resjax.training.chunk import first_orders, make_chunk
from resjax.training.loop import fit
from resjax.training.parallel import choose
from resjax.training.precision import precision
from resjax.training.state import create, optimizer
from resjax.training.state import to_arrays as state_arrays
from resjax.training.step import make_step

State = dict[str, np.ndarray]


def small(**sections: dict[str, object]) -> Config:
    """ResNet-14 of width 4 on digits, batches of 16 with batch statistics over 8; then what `sections` say."""
    config = Config()
    settings: dict[str, dict[str, object]] = {
        "model": {"depth": 14, "width": 4, "norm_group": 8},
        "train": {"batch_size": 16, "steps": 4},
        "schedule": {"name": "constant", "learning_rate": 0.05},
        "probes": {"at": [0], "batch_size": 16},
        "parallel": {"devices": 1, "chunk": 16},
    }
    for section, values in [*settings.items(), *sections.items()]:
        for key, value in values.items():
            setattr(getattr(config, section), key, value)
    return config


@cache
def digits(held_out: int | None = None) -> Source:
    """The bundled data set, with so many of its training examples held out."""
    return source.load(DataConfig(validation_examples=held_out))


def rows_of(config: Config) -> list[Row]:
    """Everything that training on digits yields."""
    return list(fit(config, digits(config.data.validation_examples)))


def steps_of(config: Config, steps: int) -> tuple[State, list[float]]:
    """The state and the losses of seed 0 after so many steps, `parallel.chunk` a dispatch, without probes and tests."""
    model, advance, states, keys, orders, data = chunked(config)
    losses: list[float] = []
    while len(losses) < steps:
        count = min(config.parallel.chunk, steps - len(losses))
        states, orders, metrics = advance(states, keys, orders, jnp.asarray(len(losses)), jnp.asarray(count), data)
        losses += np.asarray(metrics["train_loss"])[:count, 0].tolist()
    return state_arrays(model, states), losses


def stepped(config: Config, steps: int) -> State:
    """The state after so many steps of the first seed, the step called by hand, one at a time."""
    model, states, keys, data = started(config)
    state, key = (jax.tree.map(lambda leaf: leaf[0], tree) for tree in (states, keys))
    step = jax.jit(make_step(config, model, optimizer(config.optimizer), choose(config)))
    batch = config.train.batch_size
    nothing = no_orders(1, len(data.labels), batch)
    for number in range(steps):
        state, _ = step(state, key, epoch_orders(key.order, nothing, number, 1, batch), jnp.asarray(number), data)
    return state_arrays(model, jax.tree.map(lambda leaf: leaf[None], state))


def chunked(config: Config) -> tuple[Model, Any, Any, Any, Any, Any]:
    """The model, the compiled chunk of training steps, and what it takes: states, keys, orders and data."""
    model, states, keys, data = started(config)
    layout = choose(config)
    chunk = make_chunk(config, make_step(config, model, optimizer(config.optimizer), layout))
    orders = jax.device_put(first_orders(config, len(data.labels)), layout.replicated())
    taken = (states, keys, orders, jnp.asarray(0), jnp.asarray(1), data)
    return model, layout.compile(chunk, *taken), states, keys, orders, data


def started(config: Config) -> tuple[Model, Any, Any, Any]:
    """The model, and its initial states, keys and the data on every device."""
    source, dtype = digits(), precision(config).keeps
    model = build(config.model, source.train.images.shape[1:], source.classes, dtype)
    place = partial(jax.device_put, device=choose(config).replicated())
    seeds = range(config.seed, config.seed + config.seeds)
    states, keys = (place(tree) for tree in create(model, optimizer(config.optimizer), seeds))
    return model, states, keys, place(to_arrays(source.train, source.train, dtype, config.data.mean, config.data.std))


def last_state(rows: list[Row]) -> State:
    """The state at the end."""
    return [row.arrays for row in rows if isinstance(row, Snapshot)][-1]


def series(rows: list[Row], name: str, seed: int = 0) -> list[float]:
    """One metric of one seed, step by step."""
    return [row.values[name] for row in rows if isinstance(row, Metrics) and row.seed == seed and name in row.values]


def furthest(one: State, other: State) -> float:
    """The largest difference of two states, in units of each array's largest entry."""
    assert one.keys() == other.keys()
    pairs = [(np.asarray(one[name], np.float64), np.asarray(other[name], np.float64)) for name in one]
    return max(float(np.max(np.abs(a - b), initial=0) / max(np.max(np.abs(a), initial=0), 1e-12)) for a, b in pairs)


def plain(row: Row) -> object:
    """A row that can be compared, without seconds."""
    match row:
        case Metrics():
            return row.step, row.seed, sorted(row.values.items())
        case Layers():
            return row.step, {name: column.tobytes() for name, column in row.columns.items()}
        case TrainLayers():
            return {name: column.tobytes() for name, column in row.columns.items()}
        case Snapshot():
            return row.step, {name: array.tobytes() for name, array in row.arrays.items()}, row.outcomes, row.epoch
        case Finished():
            return row.outcomes, row.digest
    return row

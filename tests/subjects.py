"""Subjects of the lab without a run: a network as it is drawn, which is its end too."""

import jax
import pytest
from problems import small

from resjax.config import completed
from resjax.data import source
from resjax.data.stream import to_arrays as on_device
from resjax.lab.subject import Subject
from resjax.models import build
from resjax.training.parallel import Layout
from resjax.training.precision import precision
from resjax.training.state import create, optimizer, to_arrays

# Small nets of every family, as sections of settings.
FAMILIES: dict[str, dict[str, dict[str, object]]] = {
    "plain": {"model": {"shortcut": "none", "depth": 8, "branch": "single"}},
    "no_norm": {"model": {"norm": "none", "depth": 8}},
    "projections": {"model": {"shortcut": "projection_c", "depth": 5, "branch": "single"}},
    "preact": {"model": {"order": "full_preactivation", "depth": 5, "branch": "single"}},
    "highway": {
        "model": {
            "branch": "single",
            "order": "relu_before_addition",
            "shortcut": "highway",
            "norm": "none",
            "depth": 8,
        }
    },
    "stochastic_depth": {"model": {"shortcut": "stochastic_depth", "depth": 5, "branch": "single"}},
    "article": {"model": {"name": "article", "depth": 7, "dropout": 0.5, "init": "glorot"}},
    "densenet": {"model": {"name": "densenet", "shortcut": "concat", "depth": 7, "growth": 4}},
    "mlp": {"model": {"name": "mlp", "depth": 4}},
    "vgg": {"model": {"name": "vgg", "shortcut": "none", "depth": 11}, "data": {"resize": 32}},
    "googlenet": {"model": {"name": "googlenet", "shortcut": "none", "depth": 22}, "data": {"resize": 32}},
}
# Their names for a test of all. Those whose units all differ take half a minute each to compile; highway has no norm
# either; preact and mlp are built of what plain and projections have, and article's chance has a test of its own.
RARER = ("vgg", "googlenet", "no_norm", "stochastic_depth", "preact", "mlp", "article")
EVERY = [pytest.param(name, marks=pytest.mark.slow) if name in RARER else name for name in FAMILIES]


def untrained(devices: int = 1, **sections: dict[str, object]) -> Subject:
    """The network of tests/problems.py's `small` settings, with what `sections` say, on digits or data.name."""
    config = small(**sections)
    config.model = completed(config.model)
    data, dtype = source.load(config.data), precision(config).keeps
    model = build(config.model, data.train.images.shape[1:], data.classes, dtype)
    numbers = range(config.seed, config.seed + config.seeds)
    states, _ = create(model, optimizer(config.optimizer), numbers)
    layout = Layout("jit", tuple(jax.devices()[:devices]))
    train = jax.device_put(on_device(data.train, data.train, dtype), layout.replicated())
    test = jax.device_put(on_device(data.test, data.train, dtype), layout.replicated())
    run = {"name": "untrained", "id": "untrained", "devices": {"count": 1}, "data": data.provenance}
    seeds = {seed: place for place, seed in enumerate(numbers)}
    return Subject(run, config, model, layout, train, test, seeds, to_arrays(model, states))

"""bfloat16 computes what passes through the network; all that is kept, added up over many, or looked at is float32."""

from collections.abc import Iterator
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from by_hand import drawn
from problems import digits, rows_of, small

from resjax.config import Config
from resjax.models import Mode, build
from resjax.models.convolution import conv2d
from resjax.models.norms import BatchNorm, Bias
from resjax.models.types import Within
from resjax.rows import Layers, Metrics, Snapshot
from resjax.shortcuts import SHORTCUTS
from resjax.training import precision
from resjax.training.programs import instruments

STEPS, SEEDS, WINDOW = 64, 5, 16
CIFAR = (32, 32, 3)
TRAIN = Mode(train=True, group=4, key=jax.random.key(0), places=jnp.arange(4))
NETS: list[dict[str, object]] = [
    *({"shortcut": name} for name in SHORTCUTS if name != "concat"),
    {"norm": "group", "norm_channel_groups": 4, "order": "full_preactivation"},
    {"norm": "none", "shortcut": "rezero"},
    {"norm": "none", "init": "fixup"},
    {"activation": "gelu", "branch": "bottleneck", "depth": 11},
    {"name": "mlp", "depth": 4, "shortcut": "scaled"},
    {"name": "vgg", "depth": 11, "head": "fc", "dropout": 0.5, "shortcut": "none"},
    {"name": "googlenet", "depth": 22, "shortcut": "none"},
    {"name": "densenet", "depth": 10, "shortcut": "concat", "dropout": 0.2, "compression": 0.5},
    {"name": "article", "depth": 11, "dropout": 0.2},
]


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """JAX's own settings again, after a test that starts a run's."""
    yield
    precision.start(Config())


# In testing, batch norm and stochastic depth go other ways.
WAYS = [*((net, True) for net in NETS), ({"shortcut": "stochastic_depth"}, False)]


@pytest.mark.parametrize(("settings", "train"), WAYS, ids=lambda value: str(value).replace(" ", ""))
def test_what_passes_is_of_16_bits_and_what_is_kept_of_32(settings: dict[str, object], train: bool) -> None:
    model = build(small(model={"depth": 8} | settings).model, CIFAR, 10)
    params, stats = model.shapes
    x = jax.ShapeDtypeStruct((4, *CIFAR), jnp.bfloat16)

    def forward(params: object, stats: object, x: jax.Array) -> object:
        mode = TRAIN if train else Mode(train=False, group=1)
        return model.apply(params, stats, x, mode, observe=lambda h, within: (h, within.f, within.responses))

    def loss(params: object, stats: object, x: jax.Array) -> jax.Array:
        out = model.apply(params, stats, x, TRAIN)
        return out.logits.sum() + sum(logits.sum() for logits in out.auxiliary)

    out, grads = jax.eval_shape(forward, params, stats, x), jax.eval_shape(jax.grad(loss), params, stats, x)
    types = [{leaf.dtype.name for leaf in jax.tree.leaves(part)} for part in (out.seen, out[:2], out.auxiliary, grads)]
    assert types[0] == {"bfloat16"}
    assert types[1] == types[3] == {"float32"}
    assert types[2] <= {"float32"}


def test_a_gate_that_is_nearly_shut_is_not_rounded_to_shut() -> None:
    """With a bias of -7 a gate of 16 bits would be one at which 1 - g is 1."""
    config = small(model={"depth": 8, "shortcut": "exclusive_gate", "gate_bias": -7.0}).model
    model = build(config, CIFAR, 10)

    def gate(_: jax.Array, within: Within) -> jax.Array:
        zero, one = jnp.zeros_like(within.x), jnp.ones_like(within.x)
        return within.join(zero, one).astype(jnp.float32)

    @jax.jit
    def gates(key: jax.Array) -> list[jax.Array]:
        return model.apply(*model.init(key), jnp.zeros((4, *CIFAR), jnp.bfloat16), TRAIN, observe=gate).seen

    np.testing.assert_allclose(gates(jax.random.key(0))[1], 1 / (1 + np.exp(7.0)), rtol=2**-7)


@pytest.mark.parametrize("backward", [True, False])
def test_batch_norm_computes_in_float32_and_rounds_at_the_end(backward: bool) -> None:
    x, dy = (jnp.asarray(drawn(64, 8, 8, 3), jnp.bfloat16) for _ in range(2))

    def run(x: jax.Array) -> jax.Array:
        return BatchNorm(3, jnp.float32)(x, Mode(train=True, group=32))

    def found(x: jax.Array, dy: jax.Array) -> jax.Array:
        return jax.vjp(run, x)[1](dy)[0] if backward else run(x)

    exact = found(x.astype(jnp.float32), dy.astype(jnp.float32))
    np.testing.assert_array_equal(found(x, dy), exact.astype(jnp.bfloat16))


def test_the_sum_of_many_gradients_loses_nothing() -> None:
    """The sum of 2^16 ones is 256 in bfloat16, where one more changes nothing."""
    ones = jnp.ones((2**10, 8, 8, 1), jnp.bfloat16)

    def total(values: tuple[jax.Array, jax.Array]) -> jax.Array:
        bias, norm = Bias(1, jnp.float32), BatchNorm(1, jnp.float32)
        bias.bias.set_value(values[0])
        norm.bias.set_value(values[1])
        return norm(bias(0 * ones, TRAIN), TRAIN).astype(jnp.float32).sum() + bias(0 * ones, TRAIN).sum(dtype=float)

    of_bias, of_norm = jax.grad(total)((jnp.zeros(1), jnp.zeros(1)))
    assert (float(of_bias[0]), float(of_norm[0])) == (2**16, 2**16)


@pytest.mark.parametrize(("side", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_a_convolutions_gradients_are_as_good_as_their_inputs(side: int, stride: int) -> None:
    """Against the same rounded inputs in float32: an error of the last rounding, 2^-8, and no more."""
    x, kernel = drawn(64, 16, 16, 16), drawn(side, side, 16, 16)
    x, kernel = (jnp.asarray(value, jnp.bfloat16) for value in (x, kernel))

    dy = jnp.asarray(drawn(64, 16 // stride, 16 // stride, 16), jnp.bfloat16)

    def passed(x: jax.Array, kernel: jax.Array) -> list[jax.Array]:
        y, pull = jax.vjp(lambda x, kernel: conv2d(x, kernel, stride), x, kernel)
        return [y, *pull(dy.astype(y.dtype))]

    rounded, exact = passed(x, kernel), passed(x.astype(jnp.float32), kernel.astype(jnp.float32))
    for one, other in zip(rounded, exact, strict=True):
        assert one.dtype == jnp.bfloat16
        assert jnp.linalg.norm(one.astype(jnp.float32) - other) < 2**-7 * jnp.linalg.norm(other)


def config_of(**train: object) -> Config:
    config = small(
        model={"depth": 5, "branch": "single", "width": 4},
        train={"steps": STEPS, "batch_size": 32} | train,
        probes={"batch_size": 32, "last": False},
        parallel={"chunk": 64},
    )
    config.seeds = SEEDS
    return config


@cache
def trained(name: str, rate: float = 0.05) -> list[object]:
    config = config_of(precision=name)
    if rate != 0.05:
        config.schedule.learning_rate, config.probes.at = rate, []
    return rows_of(config)


def curves(rows: list[object]) -> np.ndarray:
    """log training loss, (seeds, windows): the mean over WINDOW steps."""
    losses = [row.values["train_loss"] for row in rows if isinstance(row, Metrics) and row.step < STEPS]
    return np.log(losses).reshape(STEPS // WINDOW, WINDOW, SEEDS).mean(1).T


@pytest.mark.slow
def test_bfloat16s_curves_lie_within_the_noise_of_float32s_seeds() -> None:
    """At every window the means differ by less than a seed's standard deviation; those of half the rate do not."""
    exact, rounded, other = curves(trained("float32")), curves(trained("bfloat16")), curves(trained("float32", 0.025))
    spread = exact.std(0, ddof=1)
    assert not np.array_equal(exact, rounded)
    assert (np.abs(rounded.mean(0) - exact.mean(0)) < spread).all()
    assert (np.abs(other.mean(0) - exact.mean(0)) > spread).any()


def test_the_state_is_float32_and_the_probes_do_not_know_the_precision() -> None:
    snapshot = next(row for row in trained("bfloat16") if isinstance(row, Snapshot))
    assert {
        array.dtype.name for name, array in snapshot.arrays.items() if name.startswith(("params", "batch", "opt"))
    } == {"float32"}
    looks = [next(row for row in trained(name) if isinstance(row, Layers)).columns for name in ("float32", "bfloat16")]
    assert len(looks[0]["grad_norm"]) > SEEDS
    np.testing.assert_array_equal(looks[0]["grad_norm"], looks[1]["grad_norm"])
    np.testing.assert_array_equal(looks[0]["act_rms"], looks[1]["act_rms"])


@pytest.mark.usefixtures("as_it_was")
@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_for_training_and_never_for_probes(tf32: bool) -> None:
    """In what is handed to XLA; only a GPU or TPU takes notice."""
    config = small(model={"name": "mlp", "depth": 3}, train={"tf32": tf32})
    precision.start(config)
    ready = instruments(config, digits())
    probe = ready.probe.lower(ready.states, ready.keys, jnp.asarray(0), *ready.probe_batch).as_text()
    convolution = jax.jit(conv2d).lower(jnp.zeros((1, 8, 8, 4)), jnp.zeros((3, 3, 4, 4))).as_text()
    assert "HIGHEST" in probe
    assert "DEFAULT" not in probe
    assert ("HIGHEST" in convolution) is not tf32


def test_double_precision_is_switched_on_and_off(as_it_was: None) -> None:
    for name in ("float64", "bfloat16"):
        config = small(train={"precision": name})
        precision.start(config)
        assert jnp.zeros(()).dtype == precision.precision(config).keeps

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.models import Mode, build
from resjax.models.norms import NoNorm
from resjax.models.shortcuts import Projection, identity, none, option_a

MODE = Mode(train=True, group=2)


def drawn(*shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(sum(shape)), shape)


@pytest.mark.parametrize(("size", "after"), [((8, 8), (4, 4)), ((9, 11), (5, 6)), ((7, 10), (4, 5))])
def test_option_a_takes_every_second_pixel_and_appends_zero_channels(
    size: tuple[int, int], after: tuple[int, int]
) -> None:
    x = np.asarray(drawn(2, *size, 3))
    out = np.asarray(option_a(jnp.asarray(x), (2, *after, 5)))
    assert out.shape == (2, *after, 5)
    np.testing.assert_array_equal(out[..., :3], x[:, ::2, ::2])
    np.testing.assert_array_equal(out[..., 3:], 0)


def test_option_a_of_equal_shapes_is_the_identity() -> None:
    x = drawn(2, 4, 4, 3)
    np.testing.assert_array_equal(option_a(x, x.shape), x)


def test_option_a_of_rows_appends_zeros() -> None:
    x = drawn(2, 3)
    np.testing.assert_array_equal(option_a(x, (2, 5)), np.pad(x, [(0, 0), (0, 2)]))


def test_none_gives_f_and_identity_adds_x() -> None:
    x, f = drawn(2, 8, 8, 3), drawn(2, 4, 4, 5)
    np.testing.assert_array_equal(none(x, f, MODE), f)
    np.testing.assert_array_equal(identity(x, f, MODE), option_a(x, f.shape) + f)


def test_projection_is_a_strided_product_with_a_matrix() -> None:
    projection = Projection(jax.random.key(0), (3, 5), 2, NoNorm, jnp.float32)
    projection.norm.bias[...] = jnp.arange(5.0)
    x, f = np.asarray(drawn(2, 9, 11, 3)), drawn(2, 5, 6, 5)
    weight = np.asarray(projection.conv.kernel[...])[0, 0]
    expected = x[:, ::2, ::2] @ weight + np.arange(5) + np.asarray(f)
    np.testing.assert_allclose(projection(jnp.asarray(x), f, MODE), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shortcut", "projected"),
    [
        ("none", []),
        ("identity", []),
        ("projection_b", ["stage2.unit1", "stage3.unit1"]),
        ("projection_c", [f"stage{stage}.unit{unit}" for stage in (1, 2, 3) for unit in (1, 2)]),
    ],
)
def test_units_with_a_projection(shortcut: str, projected: list[str]) -> None:
    model = build(ModelConfig(depth=14, width=4, shortcut=shortcut), (8, 8, 3), 10)
    found = [info.name for info in model.weight_layers if info.kind == "projection"]
    assert found == [f"{unit}.projection" for unit in projected]
    segments = jax.eval_shape(model.init, jax.random.key(0))[0]["segments"]
    shapes = [part["units"]["shortcut"]["conv"]["kernel"].shape for part in segments.values() if has_weights(part)]
    widths = {"projection_b": [(1, 4, 8), (1, 8, 16)]}
    widths["projection_c"] = [(2, 4, 4), (1, 4, 8), (1, 8, 8), (1, 8, 16), (1, 16, 16)]
    assert shapes == [(count, 1, 1, *channels) for count, *channels in widths.get(shortcut, [])]


def has_weights(part: dict[str, dict[str, object]]) -> bool:
    return "shortcut" in part["units"]

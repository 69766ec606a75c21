"""The recursions on whole networks: constants in closed form, shapes that change, and what is not known."""

import numpy as np
import pytest

from resjax.config import ModelConfig
from resjax.plans.table import plan_of
from resjax.theory import Unpredicted, profile
from resjax.theory.profile import inside

IMAGE, BATCH = (16, 16, 1), 4096
HALF = {"norm": "none", "shortcut": "scaled", "shortcut_scale": 0.5, "branch_scale": 0.0, "order": "bare_addition"}


def mlp(depth: int = 60, **settings: object) -> ModelConfig:
    return ModelConfig(**{"name": "mlp", "depth": depth, "width": 256, "shortcut": "none"} | settings)


def rates(model: ModelConfig, image: tuple[int, ...] = IMAGE) -> np.ndarray:
    """The factor of |dL/dh| from each unit to the one before."""
    return np.exp(-np.diff([unit.log_grad for unit in profile(model, image, BATCH).units]))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, np.sqrt(np.pi / (np.pi - 1))),
        ({"norm": "none"}, 1.0),
        ({"norm": "none", "init": "lecun"}, np.sqrt(0.5)),
        ({"norm": "none", "activation": "linear", "init": "lecun"}, 1.0),
        (HALF, 0.5),
        ({"norm": "none", "shortcut": "rezero"}, 1.0),
        ({"norm": "none", "init": "fixup", "shortcut": "identity", "order": "bare_addition"}, 1.0),
    ],
)  # fmt: skip
def test_constants(settings: dict, expected: float) -> None:
    """Yang et al. 2019; He et al. 2015; variance 1/n; lambda^L with the branches at zero (He et al. 2016)."""
    np.testing.assert_allclose(rates(mlp(**settings))[1:], expected, rtol=1e-3)


def test_preactivation_is_a_power_law() -> None:
    """Var(h_l) = Var(h_0) + 0.682 l, and |dL/dh|^2 grows by 1 + 1 / Var(h_l) a block: exponent -0.733 at last."""
    model = mlp(2000, shortcut="identity", order="full_preactivation")
    units = profile(model, IMAGE, BATCH).units
    steps = np.diff([unit.act_var for unit in units])
    np.testing.assert_allclose(steps, (np.pi - 1) / np.pi, rtol=1e-3)
    np.testing.assert_allclose(rates(model) ** 2, [1 + 1 / unit.act_var for unit in units[:-1]], rtol=1e-6)
    far = slice(500, None)
    slope = np.polyfit(np.log(np.arange(len(units))[far]), [unit.log_grad for unit in units][far], 1)[0]
    assert slope == pytest.approx(-np.pi / (2 * (np.pi - 1)), rel=0.01)


def test_linear_residual_nets_grow_by_one_plus_the_branch() -> None:
    model = mlp(shortcut="identity", activation="linear", norm="none", init_gain=0.5, init="lecun")
    np.testing.assert_allclose(rates(model), np.sqrt(1 + 0.25), rtol=1e-9)
    q = [unit.act_q for unit in profile(model, IMAGE, BATCH).units]
    np.testing.assert_allclose(np.diff(np.log(q)), np.log(1.25), rtol=1e-9)


def test_stochastic_depth_is_between_its_ends() -> None:
    kept, some, gone = (
        profile(ModelConfig(depth=20, shortcut="stochastic_depth", survival=p), (8, 8, 1), BATCH).units[0].log_grad
        for p in (1.0, 0.5, 0.0)
    )
    assert kept > some > gone
    whole = profile(ModelConfig(depth=20), (8, 8, 1), BATCH).units[0].log_grad
    assert kept == pytest.approx(whole, abs=0.02)


@pytest.mark.parametrize("shortcut", ["identity", "projection_b"])
def test_option_a_passes_the_share_of_its_channels(shortcut: str) -> None:
    """With the branches scaled to nothing, each of the two borders halves |dL/dh|^2 on its way back."""
    settings = {"shortcut": "scaled", "branch_scale": 0.0} if shortcut == "identity" else {"shortcut": shortcut}
    model = ModelConfig(depth=20, norm="none", order="bare_addition", **settings)
    found = profile(model, (32, 32, 3), BATCH).units
    logs = np.array([unit.log_grad for unit in found])
    if shortcut == "identity":
        assert np.exp(logs[0]) == pytest.approx(0.5)
    else:
        assert np.isfinite(logs).all()


@pytest.mark.parametrize(("pixels", "share"), [(8, (22 / 24) ** 2), (2, (4 / 6) ** 2), (1, 1 / 9)])
def test_the_zeros_around_a_map_are_counted(pixels: int, share: float) -> None:
    unit = plan_of(ModelConfig(depth=8), (32, 32, 3)).units[1]
    assert inside(unit, (pixels, pixels), [(pixels, pixels)] * 2) == pytest.approx((share, share))


def test_small_maps_take_from_every_layer_of_a_plain_net() -> None:
    """At 1x1 a 3x3 kernel has one entry on the image in nine: |dL/dh| falls to a third a layer."""
    model = ModelConfig(depth=20, shortcut="none", norm="none")
    np.testing.assert_allclose(rates(model, (1, 1, 3))[1:], 1 / 9, rtol=1e-6)  # units of two layers


def test_names_and_depths_are_those_of_the_records() -> None:
    from resjax.models import build  # JAX

    for settings in ({"depth": 20}, {"depth": 29, "branch": "bottleneck", "order": "full_preactivation"}):
        model = ModelConfig(**settings)
        built, found = build(model, (8, 8, 1), 10), profile(model, (8, 8, 1), 64)
        assert [(u.name, u.stage, u.layer_depth) for u in found.units] == [
            (info.name, info.stage, info.layer_depth) for info in built.units
        ]
        of_branches = [info for info in built.weight_layers if info.responds]
        assert [(w.name, w.stage, w.layer_depth) for w in found.weights] == [
            (info.name, info.stage, info.layer_depth) for info in of_branches
        ]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"name": "vgg", "depth": 16}, "pooling"),
        ({"name": "googlenet", "depth": 22, "shortcut": "none"}, "pooling|side by side"),
        ({"name": "densenet", "depth": 40, "shortcut": "concat"}, "concat"),
        ({"shortcut": "exclusive_gate"}, "exclusive_gate"),
        ({"shortcut": "none", "init": "looks_linear", "norm": "none"}, "looks-linear"),
    ],
)
def test_what_is_not_known_is_said(settings: dict, reason: str) -> None:
    with pytest.raises(Unpredicted, match=reason):
        profile(ModelConfig(**settings), (64, 64, 3), BATCH)

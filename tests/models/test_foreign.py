"""Files from elsewhere: names, axes and values, against nets that are written out here in PyTorch's axes."""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from resjax import combinations
from resjax.config import ModelConfig
from resjax.errors import InputError
from resjax.models import Model, build
from resjax.models.foreign import from_file, leaves, to_file
from resjax.models.types import EVALUATE
from resjax.shortcuts import SHORTCUTS

Arrays = dict[str, np.ndarray]
IMAGES = (32, 32, 3)
SMALL = {"depth": 8, "width": 4}
BC = {"depth": 10, "growth": 4, "branch": "bottleneck", "compression": 0.5}
CASES: dict[str, dict[str, Any]] = {
    **{name: SMALL | {"shortcut": name} for name, row in SHORTCUTS.items() if not row.widens and name != "skipinit"},
    "skipinit": SMALL | {"shortcut": "skipinit", "norm": "none"},
    **{f"{norm} norm": SMALL | {"norm": norm, "norm_channel_groups": 2} for norm in ("none", "group", "layer")},
    "relu only": SMALL | {"order": "relu_only_preactivation"},
    "norm after addition": SMALL | {"order": "norm_after_addition"},
    "preact": SMALL | {"order": "full_preactivation"},
    "preact bottleneck": {
        "depth": 11,
        "width": 4,
        "branch": "bottleneck",
        "order": "full_preactivation",
        "shortcut": "projection_b",
    },
    "preact without norm": SMALL | {"order": "full_preactivation", "norm": "none"},
    "fixup": SMALL | {"init": "fixup", "norm": "none", "shortcut": "projection_c"},
    "fixup preact": SMALL | {"init": "fixup", "norm": "none", "order": "full_preactivation"},
    "deep": {"depth": 20, "width": 2},
    "imagenet": {"depth": 50, "width": 2, "layout": "imagenet", "stem": "7x7", "shortcut": "projection_b"},
    "highway": {"depth": 5, "width": 4, "branch": "single", "order": "relu_before_addition", "shortcut": "highway"},
    "mlp": {"name": "mlp", "depth": 5, "width": 4},
    "mlp gate": {"name": "mlp", "depth": 5, "width": 4, "shortcut": "shortcut_gate", "norm": "none"},
    "fixup mlp": {"name": "mlp", "depth": 5, "width": 4, "init": "fixup", "norm": "none", "order": "original"},
    "vgg": {"name": "vgg", "depth": 13, "width": 3, "shortcut": "identity"},
    "vgg fc": {"name": "vgg", "depth": 11, "width": 1, "shortcut": "none", "head": "fc", "norm": "none"},
    "googlenet": {"name": "googlenet", "depth": 22, "width": 8, "shortcut": "none"},
    "densenet": {"name": "densenet", "depth": 7, "growth": 4, "shortcut": "concat"},
    "densenet bc": {"name": "densenet", "shortcut": "concat", **BC},
    "article": {"name": "article", "depth": 9, "width": 4},
}


def model_of(settings: dict[str, Any], shape: tuple[int, ...] = IMAGES, dtype: Any = jnp.float32) -> Model:
    config = ModelConfig(**settings)
    combinations.check(config)
    return build(config, shape, 10, dtype)


def drawn(model: Model) -> tuple[Any, Any]:
    """Values that are all different, variances above zero."""
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: random.uniform(0.5, 1.5, leaf.shape).astype(leaf.dtype),
        model.shapes,
    )


def entries(arrays: list[np.ndarray]) -> np.ndarray:
    return np.sort(np.concatenate([array.ravel() for array in arrays]))


@pytest.mark.parametrize("name", CASES)
def test_every_network_goes_to_a_file_and_comes_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resjax.plans.vgg.FC_WIDTH", 8)
    model = model_of(CASES[name])
    values = drawn(model)
    arrays = to_file(model, *values)
    np.testing.assert_array_equal(entries(list(arrays.values())), entries(jax.tree.leaves(values)))
    back = from_file(model, arrays, "net.npz")
    assert jax.tree.structure(back) == jax.tree.structure(values)
    jax.tree.map(np.testing.assert_array_equal, back, values)


def names_of(settings: dict[str, Any], first: str) -> list[str]:
    """The names that begin so, each norm's once."""
    found = [re.sub(r"(bn\d*)/.*", r"\1", leaf.name) for leaf in leaves(model_of(settings))]
    return list(dict.fromkeys(name.removeprefix(first) for name in found if name.startswith(first)))


def test_the_names_of_a_residual_net() -> None:
    """The layout of the files that exist (He et al. 2015's nets): nine units at depth 20, numbered through."""
    found = {leaf.name: leaf.file_shape for leaf in leaves(model_of({"depth": 20}))}
    expected: dict[str, tuple[int, ...]] = {"stem/conv": (16, 3, 3, 3), "head/weight": (10, 64), "head/bias": (10,)}
    norms = {"stem/bn": 16}
    for unit in range(9):
        width, before = 16 * 2 ** (unit // 3), 16 * 2 ** (max(unit - 1, 0) // 3)
        expected |= {f"unit0{unit}/conv1": (width, before, 3, 3), f"unit0{unit}/conv2": (width, width, 3, 3)}
        norms |= {f"unit0{unit}/bn1": width, f"unit0{unit}/bn2": width}
    for norm, width in norms.items():
        expected |= {f"{norm}/{word}": (width,) for word in ("scale", "bias", "mean", "var")}
    assert found == expected
    assert "unit26/conv2" in {leaf.name for leaf in leaves(model_of({"depth": 56}))}


@pytest.mark.parametrize(
    ("case", "first", "expected"),
    [
        ("preact", "unit00/", ["bn1", "conv1", "bn2", "conv2"]),
        ("preact", "head/", ["bn", "weight", "bias"]),
        ("preact", "stem/", ["conv"]),
        ("preact without norm", "head/", ["pre_bias", "weight", "bias"]),
        ("norm after addition", "unit00/", ["conv1", "bn1", "conv2", "bn2"]),
        ("none norm", "unit02/", ["conv1", "bias1", "conv2", "bias2"]),
        ("article", "unit00/", ["conv1", "bn1", "conv2", "bias1"]),
        ("projection_b", "unit00/shortcut/", []),
        ("projection_b", "unit01/shortcut/", ["conv", "bn"]),
        ("conv1x1", "unit01/shortcut/", ["conv"]),
        ("exclusive_gate", "unit01/shortcut/", ["gate", "gate_bias"]),
        ("rezero", "unit01/shortcut/", ["scale"]),
        ("fixup", "unit00/", ["conv1", "shift1", "bias1", "conv2", "shift2", "multiplier2", "bias2"]),
        ("mlp", "unit00/", ["dense1", "bn1"]),
        ("vgg fc", "head/", ["fc1/weight", "fc1/bias", "fc2/weight", "fc2/bias", "weight", "bias"]),
        ("googlenet", "auxiliary1/", ["conv/weight", "conv/bn", "fc/weight", "fc/bias", "weight", "bias"]),
        ("googlenet", "unit01/", [f"{kind}{number}" for number in range(1, 7) for kind in ("conv", "bn")]),
    ],
)
def test_names_follow_the_forward_order(case: str, first: str, expected: list[str]) -> None:
    own = [name for name in names_of(CASES[case], first) if first.endswith("shortcut/") or "shortcut/" not in name]
    assert own == expected


def test_a_dense_layer_takes_images_channel_by_channel() -> None:
    """torch.flatten's order, where the network's own images end with the channel."""
    random = np.random.default_rng(0)
    stem = next(leaf for leaf in leaves(model_of(CASES["mlp"], (4, 5, 3))) if leaf.name == "stem/dense")
    heads = {leaf.name: leaf for leaf in leaves(model_of(CASES["vgg fc"], (64, 96, 3)))}
    head = heads["head/fc1/weight"]
    assert heads["head/fc2/weight"].kernel == (4096, 4096, 1, 1), "what follows has no pixels"
    for leaf, pixels in ((stem, (4, 5, 3)), (head, (2, 3, 8))):
        images = random.standard_normal((2, *pixels))
        kernel = random.standard_normal(leaf.file_shape)
        expected = images.transpose(0, 3, 1, 2).reshape(2, -1) @ kernel.T
        np.testing.assert_allclose(images.reshape(2, -1) @ leaf.taken(kernel), expected, rtol=1e-10, atol=1e-10)
        np.testing.assert_array_equal(leaf.given(leaf.taken(kernel)), kernel)


def by_hand(order: str, projected: bool) -> Arrays:
    """The arrays of a net of depth 8 and width 2 on two channels, written as PyTorch's export would be."""
    random = np.random.default_rng(1)
    preact = order == "full_preactivation"
    arrays: Arrays = {"stem/conv": random.standard_normal((2, 2, 3, 3)) / 3}

    def norm(name: str, channels: int) -> None:
        for word, low in (("scale", 0.5), ("bias", -0.5), ("mean", -0.5), ("var", 0.5)):
            arrays[f"{name}/{word}"] = random.uniform(low, low + 1, channels)

    norm(*(("head/bn", 8) if preact else ("stem/bn", 2)))
    for unit, (before, width) in enumerate([(2, 2), (2, 4), (4, 8)]):
        arrays[f"unit0{unit}/conv1"] = random.standard_normal((width, before, 3, 3)) / np.sqrt(9 * before)
        arrays[f"unit0{unit}/conv2"] = random.standard_normal((width, width, 3, 3)) / np.sqrt(9 * width)
        norm(f"unit0{unit}/bn1", before if preact else width)
        norm(f"unit0{unit}/bn2", width)
        if projected and before != width:
            arrays[f"unit0{unit}/shortcut/conv"] = random.standard_normal((width, before, 1, 1))
            if not preact:
                norm(f"unit0{unit}/shortcut/bn", width)
    arrays["head/weight"], arrays["head/bias"] = random.standard_normal((10, 8)), random.standard_normal(10)
    return arrays


def reference(arrays: Arrays, x: np.ndarray, order: str, shortcut: str) -> np.ndarray:
    """The logits of images (batch, channel, height, width), as He et al. 2015 and 2016 write the units."""

    def conv(x: np.ndarray, name: str, stride: int = 1) -> np.ndarray:
        side = arrays[name].shape[-1]
        pads = [(side // 2, side // 2)] * 2
        layout = ("NCHW", "OIHW", "NCHW")
        return np.asarray(lax.conv_general_dilated(x, arrays[name], (stride, stride), pads, dimension_numbers=layout))

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        scale, bias, mean, var = (arrays[f"{name}/{w}"].reshape(-1, 1, 1) for w in ("scale", "bias", "mean", "var"))
        return (x - mean) / np.sqrt(var + 1e-5) * scale + bias

    def relu(x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0)

    preact = order == "full_preactivation"
    h = conv(x, "stem/conv")
    h = h if preact else relu(norm(h, "stem/bn"))
    for unit, stride in (("unit00", 1), ("unit01", 2), ("unit02", 2)):
        if preact:
            entered = relu(norm(h, f"{unit}/bn1"))
            # The first unit and those that project share norm and activation with the shortcut (He et al. 2016).
            before = entered if unit == "unit00" or shortcut == "projection_b" else h
            f = conv(relu(norm(conv(entered, f"{unit}/conv1", stride), f"{unit}/bn2")), f"{unit}/conv2")
        else:
            before = h
            f = relu(norm(conv(h, f"{unit}/conv1", stride), f"{unit}/bn1"))
            f = norm(conv(f, f"{unit}/conv2"), f"{unit}/bn2")
        if f"{unit}/shortcut/conv" in arrays:
            kept = conv(before, f"{unit}/shortcut/conv", stride)
            kept = kept if preact else norm(kept, f"{unit}/shortcut/bn")
        else:
            kept = before[:, :, ::stride, ::stride]
            kept = np.pad(kept, [(0, 0), (0, f.shape[1] - kept.shape[1]), (0, 0), (0, 0)])
        h = f + (0 if shortcut == "none" else kept)
        h = h if preact else relu(h)
    h = relu(norm(h, "head/bn")) if preact else h
    return h.mean((2, 3)) @ arrays["head/weight"].T + arrays["head/bias"]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("order", ["original", "full_preactivation"])
@pytest.mark.parametrize("shortcut", ["none", "identity", "projection_b"])
def test_a_file_written_by_hand_gives_the_logits_of_its_net(order: str, shortcut: str) -> None:
    arrays = by_hand(order, shortcut == "projection_b")
    settings = {"depth": 8, "width": 2, "order": order, "shortcut": shortcut}
    model = model_of(settings, (8, 10, 2), jnp.float64)
    x = np.random.default_rng(2).standard_normal((3, 2, 8, 10))
    params, batch_stats = from_file(model, arrays, "net.npz")
    logits = jax.jit(partial(model.apply, mode=EVALUATE))(params, batch_stats, x.transpose(0, 2, 3, 1)).logits
    expected = reference(arrays, x, order, shortcut)
    assert expected.std() > 0.1
    np.testing.assert_allclose(logits, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_any_floating_point_type_becomes_that_of_the_run(kind: str) -> None:
    model = model_of(SMALL)
    arrays = {name: array.astype(kind) for name, array in to_file(model, *drawn(model)).items()}
    found = from_file(model, arrays, "net.npz")
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype("float32")}
    kernel = found[0]["segments"][0]["units"]["branch"][0]["layers"][0]["weight"]["kernel"]
    assert kernel[0, 1, 2, 0, 3] == arrays["stem/conv"][3, 0, 1, 2]


def refusal(changes: dict[str, Any], settings: dict[str, Any] = SMALL) -> str:
    """What is said of a file with arrays changed (None: taken out)."""
    model = model_of(settings)
    arrays = to_file(model, *drawn(model)) | changes
    with pytest.raises(InputError) as refused:
        from_file(model, {name: array for name, array in arrays.items() if array is not None}, "net.npz")
    return str(refused.value)


def test_every_array_that_does_not_fit_is_named() -> None:
    said = refusal(
        {
            "stem/bn/mean": None,
            "unit01/conv1": np.zeros((8, 4, 3, 5), np.float32),
            "unit00/bn1/num_batches_tracked": np.array(7),
            "head/bias": np.arange(10),
            "unit02/conv2": np.full((16, 16, 3, 3), np.nan, np.float32),
            "unit02/bn1/scale": np.full(16, 1e300),
            "unit02/bn1/var": np.full(16, -1.0, np.float32),
        }
    ).splitlines()
    assert "net.npz does not hold the 37 arrays" in said[0]
    assert said[1:7] == [
        "  missing: stem/bn/mean (4,)",
        "  left over: unit00/bn1/num_batches_tracked ()",
        "  of another shape: unit01/conv1 (8, 4, 3, 5), expected (8, 4, 3, 3)",
        "  no floating-point numbers: head/bias int64",
        "  not finite: unit02/bn1/scale; unit02/conv2",
        "  below 0: unit02/bn1/var",
    ]
    assert "model.depth=8" in said[7]
    assert said[8].startswith("Type the settings")


def test_of_many_arrays_the_first_are_named_and_the_others_counted() -> None:
    deeper = model_of({"depth": 14, "width": 4})
    said = refusal(to_file(deeper, *drawn(deeper)))
    assert "  left over: unit03/bn1/bias (8,); " in said
    assert said.count("; and 22 more") == 1  # three units of ten arrays are left over, eight named
    assert "3 numbered units; the file has 6 numbered units" in said

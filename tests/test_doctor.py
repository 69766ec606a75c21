"""The doctor's checks, each with a machine that is not well."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest
from packaging.requirements import Requirement

from resjax.config import Config, TrainConfig
from resjax.doctor import arithmetic, examination, training
from resjax.doctor.check import FAILED, OK, SLOW, WARN
from resjax.doctor.machine import GPU, TPU, Devices, accelerator, devices
from resjax.doctor.room import compile_cache, room
from resjax.doctor.versions import Installation, installation, versions
from resjax.models.convolution import conv2d
from resjax.training.compile_cache import FOLDER_VARIABLE

SOUND = Installation(
    "3.12.1", ">=3.11", {"jax": "0.10.2", "jaxlib": "0.10.2", "flax": "0.13"}, [Requirement("jax>=0.10,<0.13")]
)
MODEL = {"multiply_adds": 1_000_000, "weight_layers": 8}


def with_packages(**more: str) -> Installation:
    return replace(SOUND, packages={**SOUND.packages, **{name.replace("_", "-"): has for name, has in more.items()}})


def test_this_installation_is_in_its_ranges() -> None:
    found = installation()
    assert {"jax", "flax", "hydra-core", "jaxlib"} <= {one.name for one in found.wanted}
    assert "submitit" not in {one.name for one in found.wanted}  # an extra's
    assert versions(found).status == OK
    assert versions(found).numbers["versions"]["jax"] == jax.__version__


@pytest.mark.parametrize(
    ("found", "says", "types"),
    [
        (with_packages(jax="0.9.2"), "jax 0.9.2, not <0.13,>=0.10", "pip install 'jax<0.13,>=0.10'"),
        (with_packages(jax="0.13"), "jax 0.13, not <0.13,>=0.10", "pip install 'jax<0.13,>=0.10'"),
        (replace(SOUND, wanted=[Requirement("optax>=1")]), "optax is missing, not >=1", "pip install 'optax>=1'"),
        (replace(SOUND, python="3.10.4"), "python 3.10.4, not >=3.11", "python3.12 -m venv"),
    ],
)
def test_versions_out_of_range_fail(found: Installation, says: str, types: str) -> None:
    check = versions(found)
    assert check.status == FAILED
    assert check.found.startswith(says)
    assert check.advice.startswith(types)
    assert versions(SOUND).status == OK


def test_a_plugin_of_another_version_fails() -> None:
    other = with_packages(jax_cuda13_plugin="0.10.1", jax_cuda13_pjrt="0.10.2")
    check = accelerator(other, {}, "cpu", None)
    assert (check.status, check.found) == (FAILED, "jax-cuda13-plugin 0.10.1 beside jaxlib 0.10.2")
    assert check.advice == "pip install -U 'resjax[cuda13]'"
    same = with_packages(jax_cuda13_plugin="0.10.2", jax_cuda13_pjrt="0.10.2")
    assert accelerator(same, {"/dev/nvidia0": GPU}, "gpu", None).status == OK


@pytest.mark.parametrize(
    ("found", "seen", "asked", "types"),
    [
        (SOUND, {"/dev/nvidia0": GPU}, None, "pip install 'resjax[cuda12]'"),
        (SOUND, {"nvidia-smi": GPU}, "", "pip install 'resjax[cuda12]'"),
        (SOUND, {"/dev/accel0": TPU}, None, "pip install 'resjax[tpu]'"),
        (SOUND, {"/dev/nvidia0": GPU}, "cpu", "unset JAX_PLATFORMS"),
        (with_packages(jax_cuda12_plugin="0.10.2"), {}, None, "nvidia-smi"),
        (with_packages(jax_cuda12_plugin="0.10.2"), {"/dev/nvidia0": GPU}, None, "python -c"),
        (with_packages(libtpu="0.0.42"), {"/dev/vfio/0": TPU}, None, "python -c \"import jax; jax.devices('tpu')\""),
    ],
)
def test_an_accelerator_that_is_not_used_is_told(
    found: Installation, seen: dict[str, str], asked: str | None, types: str
) -> None:
    check = accelerator(found, seen, "cpu", asked)
    assert check.status == WARN
    assert check.found.endswith("but JAX computes on the CPU")
    assert check.advice.startswith(types)
    assert accelerator(SOUND, {}, "cpu", asked).status == OK


def test_devices_that_stay_idle_are_told() -> None:
    config = Config()
    found = Devices("gpu", "NVIDIA X", 3, 2, 1, 80_000_000_000)
    check = devices(config, found)
    assert (check.status, check.advice) == (WARN, "train.batch_size=192 takes all")
    assert check.found.startswith("3 gpu (NVIDIA X) of 80.0 GB; this run takes 2")
    config.parallel.devices = 2  # as was asked for
    assert devices(config, found).status == OK
    assert devices(Config(), replace(found, used=3, processes=2)).found.endswith("2 processes; this run takes 3")


def bfloat16(x: jax.Array) -> jax.Array:
    return x.astype(jnp.bfloat16).astype(x.dtype)


def tf32(x: jax.Array) -> jax.Array:
    """To 10 bits behind the point."""
    bits = jax.lax.bitcast_convert_type(x, jnp.uint32)
    return jax.lax.bitcast_convert_type((bits + 0x1000) & jnp.uint32(0xFFFFE000), jnp.float32)


@pytest.mark.parametrize(
    ("rounded", "word", "status"),
    [(lambda x: x, "float32", OK), (tf32, "like TF32", WARN), (bfloat16, "like bfloat16", WARN)],
)
def test_arithmetic_is_told_by_its_digits(rounded: arithmetic.Compute, word: str, status: str) -> None:
    """Fewer digits than float32's are well where train.tf32, or bfloat16, lets the device round."""
    product = arithmetic.product_error(lambda a, b: jnp.matmul(rounded(a), rounded(b)), "float32")
    convolution = arithmetic.convolution_error(lambda x, k: conv2d(rounded(x), rounded(k)), "float32")
    for name, error in (("product", product), ("convolution", convolution)):
        check = arithmetic.verdict(name, error, TrainConfig(tf32=False))
        assert (check.numbers[f"{name}_is"], check.status) == (word, status), error
        assert bool(check.advice) == (status != OK)
        for train in (TrainConfig(), TrainConfig(precision="bfloat16")):
            assert arithmetic.verdict(name, error, train).status == OK


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a, b: jnp.matmul(a, b).at[0, 0].add(1e4),
        lambda a, b: jnp.matmul(a, b) * jnp.nan,
        lambda a, b: jnp.matmul(b, a),
        lambda a, b: 1.05 * jnp.matmul(a, b),
    ],
)
def test_a_wrong_product_fails(wrong: arithmetic.Compute) -> None:
    check = arithmetic.verdict("product", arithmetic.product_error(wrong, "float32"), TrainConfig())
    assert check.status == FAILED
    assert check.found.startswith("wrong: ")


def test_a_wrong_convolution_fails() -> None:
    error = arithmetic.convolution_error(lambda x, kernel: conv2d(x, kernel[::-1, ::-1]), "float32")
    assert arithmetic.verdict("convolution", error, TrainConfig()).status == FAILED


def test_single_precision_is_too_little_for_float64(float64: None) -> None:
    assert (
        arithmetic.verdict(
            "product", arithmetic.product_error(jnp.matmul, "float64"), TrainConfig(precision="float64")
        ).status
        == OK
    )
    single = arithmetic.product_error(lambda a, b: jnp.matmul(a, b, preferred_element_type=jnp.float32), "float64")
    assert arithmetic.verdict("product", single, TrainConfig(precision="float64")).status == WARN


def test_bfloat16_is_examined_in_bfloat16() -> None:
    rows = list(arithmetic.checks(jax.devices()[:1], TrainConfig(precision="bfloat16")))
    assert [row.status for row in rows] == [OK, OK]
    assert {row.numbers[f"{row.name}_is"] for row in rows} == {"like bfloat16"}


def test_every_device_is_asked() -> None:
    rows = list(arithmetic.checks(jax.devices(), TrainConfig()))
    assert [(row.name, row.status) for row in rows] == [("product", OK), ("convolution", OK)]


def test_a_step_is_slow_or_shaky_or_well() -> None:
    config, heavy = Config(), MODEL | {"multiply_adds": 40_000_000}
    expected = training.expected_seconds(config, heavy)
    steady = (expected, 1.1 * expected, 1.2 * expected)
    well = training.pace(config, training.Timing(steady, 9, 2.0), heavy, "cpu")
    assert well.status == OK
    assert well.numbers["step_ms"] == pytest.approx(1.1e3 * expected)
    assert well.numbers["images_per_s"] == pytest.approx(128 / (1.1 * expected))
    assert well.numbers["flops_per_s"] == pytest.approx(2.4e8 * 128 / (1.1 * expected))
    slow = training.Timing(tuple(5 * second for second in steady), 9, 2.0)
    assert training.pace(config, slow, heavy, "cpu").status == SLOW
    assert training.pace(config, slow, heavy, "gpu").status == OK  # nothing is expected of one
    shaky = training.Timing((expected, 2 * expected), 9, 2.0)
    assert training.pace(config, shaky, heavy, "cpu").status == WARN
    assert training.pace(config, training.Timing((), 1, None), heavy, "cpu").status == FAILED
    short = training.Timing((5 * training.expected_seconds(config, MODEL),), 9, 2.0)
    assert training.pace(config, short, MODEL, "cpu").status == OK  # too short for the estimate to say anything


def test_room(tmp_path: Path) -> None:
    assert room(str(tmp_path / "new" / "runs")).numbers["free_bytes"] > 0
    assert not list(tmp_path.iterdir())
    low = room(str(tmp_path), 500_000_000)
    assert (low.status, low.found) == (WARN, f"0.5 GB free for {tmp_path}")
    (tmp_path / "file").touch()
    assert room(str(tmp_path / "file" / "runs")).status == FAILED


def test_a_cache_that_others_can_write_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compile_cache().status == OK
    tmp_path.chmod(0o777)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    check = compile_cache()
    assert (check.status, check.advice) == (WARN, f"chmod 700 {tmp_path}")
    assert check.found.startswith(f"{tmp_path} can be written by others")


def test_what_breaks_is_told_by_its_kind() -> None:
    memory = examination.broken(Config(), RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes\nmore"))
    assert (memory.status, memory.advice) == (FAILED, "train.batch_size=64, or model.remat=true")
    assert memory.found == "RuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes"
    assert examination.broken(Config(), RuntimeError("INTERNAL: something")).name == "step"


def test_a_backend_that_does_not_start_fails(tmp_path: Path) -> None:
    environment = os.environ | {"JAX_PLATFORMS": "cuda", "XLA_FLAGS": ""}
    command = [sys.executable, "-m", "resjax.cli", "doctor"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "devices        FAILED  JAX_PLATFORMS=cuda: " in done.stdout
    assert "type: unset JAX_PLATFORMS" in done.stdout


def test_two_steps_that_differ_are_told() -> None:
    class Drifting:
        states, keys, supply = jnp.zeros(3), None, SimpleNamespace(take=lambda step: None, data=None)
        calls = 0

        def advance(self, states: jax.Array, *rest: object) -> tuple[jax.Array, None, dict[str, jax.Array]]:
            self.calls += 1
            return states + self.calls, None, {"train_loss": jnp.zeros(1)}

    assert training.repetition(Drifting()).status == WARN  # type: ignore[arg-type]

"""Which devices a run takes, and how much of their memory: by settings, before JAX starts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from problems import small

from resjax.cli.overrides import launch
from resjax.config import Config, ModelConfig
from resjax.errors import InputError
from resjax.identity import run_id
from resjax.models import stages
from resjax.starting import FRACTION, OLD_FRACTION, claim
from resjax.sweep.child import environment
from resjax.sweep.launcher import Launcher
from resjax.sweep.sweeping import of_processes
from resjax.training.parallel import choose


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """JAX's settings and variables as they were, afterwards."""
    kept = {name: jax.config.values[name] for name in ("jax_platforms", "jax_cuda_visible_devices")}
    for name in (FRACTION, OLD_FRACTION):
        monkeypatch.delenv(name, raising=False)
    yield monkeypatch
    for name, value in kept.items():
        jax.config.update(name, value)
    for name in (FRACTION, OLD_FRACTION):
        os.environ.pop(name, None)


@pytest.mark.parametrize("strategy", ["pmap", "jit"])
def test_devices_by_their_numbers(strategy: str) -> None:
    config = small(parallel={"device_ids": [3, 1], "devices": None, "strategy": strategy})
    layout = choose(config)
    assert [device.local_hardware_id for device in layout.devices] == [3, 1]
    assert layout.home == layout.devices[0]


def test_devices_that_do_not_divide_the_batch_are_refused_and_not_left_out() -> None:
    with pytest.raises(InputError, match=r"parallel\.devices=3 cannot share"):
        choose(small(parallel={"device_ids": [0, 1, 2], "devices": None}))


def test_devices_are_chosen_once() -> None:
    config = small(parallel={"device_ids": [1], "devices": None})
    with pytest.raises(InputError, match=r"parallel\.device_ids=null"):
        of_processes(config, Launcher(gpus=(0, 1)))


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"no device 9[\s\S]*of: 0, 1, 2, 3[\s\S]*Type: parallel.device_ids=\[0\]"):
        choose(small(parallel={"device_ids": [0, 9], "devices": None}))


def test_a_platform_that_is_not_the_process_s() -> None:
    with pytest.raises(InputError, match=r"computes on the cpu in this process[\s\S]*parallel.platform=cpu"):
        choose(small(parallel={"platform": "gpu"}))
    assert len(choose(small(parallel={"platform": "cpu"})).devices) == 1


def test_a_platform_that_the_machine_has_not(tmp_path: Path) -> None:
    words = ["model=mlp", "model.depth=3", "train.steps=1", "tracker=none", "parallel.platform=gpu"]
    command = [sys.executable, "-m", "resjax.cli", "train", *words]
    kept = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    done = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        pytest.skip("there is a GPU")
    assert done.returncode == 2, done.stderr
    assert "parallel.platform=gpu, but JAX" in done.stderr
    assert "parallel.platform=cpu" in done.stderr
    assert not list(tmp_path.glob("runs/*/*/run.json"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["parallel.device_ids=[]"], "Type: parallel.device_ids="),
        (["parallel.device_ids=[1,1]"], "each once"),
        (["parallel.device_ids=[0,1]", "parallel.devices=1"], "parallel.devices=null"),
        (["parallel=jit", "parallel.processes=2", "parallel.device_ids=[0]"], "parallel.device_ids=null"),
        (["parallel.platform=cuda"], "Expected one of: cpu, gpu, tpu"),
        (["parallel.memory_fraction=1.5"], "parallel.memory_fraction=1"),
        (["parallel.memory_fraction=0"], "is too small"),
    ],
)
def test_what_is_no_choice_is_refused(words: list[str], says: str) -> None:
    with pytest.raises(InputError) as error:
        launch(words)
    assert says in str(error.value)


def test_they_decide_nothing_of_the_result() -> None:
    config = small(parallel={"device_ids": [1], "platform": "cpu", "memory_fraction": 0.5, "processes": 1})
    assert run_id(config) == run_id(small())


def test_what_is_claimed_before_jax_starts(environ: pytest.MonkeyPatch) -> None:
    environ.setenv(OLD_FRACTION, "0.3")
    config = Config()
    config.parallel.platform, config.parallel.device_ids, config.parallel.memory_fraction = "gpu", [2, 3], 0.4
    claim(config.parallel)
    assert jax.config.values["jax_platforms"] == "cuda,cpu"
    assert jax.config.values["jax_cuda_visible_devices"] == "2,3"
    assert (os.environ[FRACTION], os.environ.get(OLD_FRACTION)) == ("0.4", None)


def test_nothing_is_claimed_where_nothing_is_asked(environ: pytest.MonkeyPatch) -> None:
    before = dict(os.environ), dict(jax.config.values)
    claim(Config().parallel)
    assert before == (dict(os.environ), dict(jax.config.values))


@pytest.mark.parametrize(
    ("launcher", "gpu", "share"),
    [
        (Launcher(gpus=(0, 0, 1)), 0, "0.450"),
        (Launcher(gpus=(0, 0, 1)), 1, None),
        (Launcher(jobs=3), None, "0.300"),
        (Launcher(), None, None),
    ],
)
def test_runs_on_one_gpu_share_its_memory(
    environ: pytest.MonkeyPatch, launcher: Launcher, gpu: int | None, share: str | None
) -> None:
    found = environment(Path("code"), launcher, gpu)
    assert found.get(FRACTION) == share
    assert found.get("CUDA_VISIBLE_DEVICES", "none" if gpu is None else "") == ("none" if gpu is None else str(gpu))
    environ.setenv(OLD_FRACTION, "0.2")
    assert FRACTION not in environment(Path("code"), launcher, gpu)  # what somebody says stays


@pytest.mark.parametrize(
    ("backend", "depth", "unroll", "unrolled"),
    [
        ("gpu", 56, None, True),
        ("gpu", 1202, None, False),
        ("cpu", 56, None, False),
        ("tpu", 56, None, False),
        ("cpu", 56, True, True),
        ("gpu", 56, False, False),
    ],
)
def test_units_are_unrolled_where_a_scan_is_slow(
    monkeypatch: pytest.MonkeyPatch, backend: str, depth: int, unroll: bool | None, unrolled: bool
) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert stages.unrolls(ModelConfig(depth=depth, unroll=unroll)) is unrolled

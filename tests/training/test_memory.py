"""What `resjax predict` says of the memory, against what XLA sets aside for the compiled program."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from problems import chunked, digits, small

from resjax.errors import OutOfMemoryError
from resjax.models import build
from resjax.models.counts import activation_bytes, parameters, training_bytes
from resjax.records.files import failure_of
from resjax.rows import Row
from resjax.training import loop, memory


@pytest.mark.parametrize(
    ("devices", "remat", "seeds", "axis"),
    [
        (1, False, 1, "map"),
        pytest.param(2, False, 1, "map", marks=pytest.mark.slow),
        (1, True, 3, "map"),
        (1, False, 3, "product"),
    ],
)
def test_xla_takes_no_more_than_predicted_and_not_much_less(devices: int, remat: bool, seeds: int, axis: str) -> None:
    settings = {"depth": 62, "width": 8, "remat": remat}
    config = small(
        model=settings, train={"batch_size": 64}, parallel={"devices": devices, "strategy": "jit", "seeds_axis": axis}
    )
    config.seeds = seeds
    model, program, *_ = chunked(config)
    taken = devices * (program.memory_analysis().temp_size_in_bytes + seeds * 2 * 4 * parameters(model))
    activations = activation_bytes(model, 64)
    products = axis == "product"
    predicted = training_bytes(model, 64, seeds, devices, 2, products, activations, products)
    assert 0.6 * predicted < taken <= predicted


def test_bfloat16_and_probes_in_float32() -> None:
    """Half the activations in training; a probe batch as large keeps what it was."""
    half, whole = (small(train={"precision": name, "batch_size": 64}) for name in ("bfloat16", "float32"))
    model = build(whole.model, (8, 8, 1), 10)
    assert memory.activation_bytes(half, model) < 0.6 * memory.activation_bytes(whole, model)
    assert memory.training_bytes(half, model, 1) < memory.training_bytes(whole, model, 1)
    for config in (half, whole):
        config.probes.batch_size = 64
    assert memory.training_bytes(half, model, 1) == memory.training_bytes(whole, model, 1)


XLA_SAYS = (
    ("RESOURCE_EXHAUSTED: Out of memory allocating 2715119264 bytes.", 2715119264),
    ("RESOURCE_EXHAUSTED: Failed to allocate request for 64.00GiB (68719476736B) on device ordinal 0", 68719476736),
    ("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes. BufferAssignment 7", 17179869184),
    ("INTERNAL: Allocator (GPU_0_bfc) ran out of memory trying to allocate 5.5GiB with freed_by_count=0", 5905580032),
    ("RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm.", None),
    ("RESOURCE_EXHAUSTED: no words", None),
)


@pytest.mark.parametrize(("said", "wanted"), XLA_SAYS)
def test_want_of_memory_is_told(monkeypatch: pytest.MonkeyPatch, said: str, wanted: int | None) -> None:
    def breaks(*given: object) -> Row:
        raise jax.errors.JaxRuntimeError(said)

    monkeypatch.setattr(loop, "prepare", breaks)
    config = small()
    config.seeds = 3
    with pytest.raises(OutOfMemoryError) as error:
        list(loop.fit(config, digits()))
    facts = failure_of(error.value)
    assert facts["kind"] == "memory"
    assert facts["bytes_wanted"] == wanted
    assert facts["bytes_needed"] == memory.training_bytes(config, build(config.model, (8, 8, 1), 10), 1)
    assert "model.remat=true" in str(error.value)
    assert "seeds=1" in str(error.value)


def test_another_error_of_xla_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*given: object) -> Row:
        raise jax.errors.JaxRuntimeError("INTERNAL: something")

    monkeypatch.setattr(loop, "prepare", breaks)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        list(loop.fit(small(), digits()))


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space")
def test_a_process_that_gets_no_more_memory(tmp_path: Path) -> None:
    """XLA's own error, where the system gives no more: a failed run of kind memory, with the bytes."""
    words = ["model=mlp", "model.depth=3", "model.width=20000", "train.steps=2", "probes.at=[]", "tracker=none"]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -v 8000000; exec "$@"', "sh", sys.executable, "-m", "resjax.cli", "train", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (path,) = tmp_path.glob("runs/default/*/run.json")
    run = json.loads(path.read_text())
    assert (run["status"], run["failure"]["kind"]) == ("failed", "memory")
    assert run["failure"]["bytes_needed"] > 10**9
    assert "model.remat=true" in run["error"]
    assert "out of memory" in done.stderr

"""Four virtual CPU devices, quick compilation instead of quick programs, and shapes checked at every call."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version

# Before JAX starts. The programs of the tests are small: compiling them well would take longer than running them.
os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
)
if version("jaxlib").startswith("0.10."):  # newer ones lack the flag, and XLA ends a process for one it does not know
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["WANDB_MODE"] = "offline"
# Programs that several tests compile are compiled once, by the workers of this run together.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["RESJAX_CACHE"] = tempfile.mkdtemp(prefix="resjax-tests-")  # its workers inherit it

import jax
import pytest
from jaxtyping import install_import_hook

from resjax.training import compile_cache

gc.set_threshold(200_000, 20, 1000)  # tracing makes many objects, and looking through them takes a tenth of the time
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
assert jax.device_count() == 4  # starts JAX: later wishes of the command change nothing
install_import_hook(["resjax.models", "resjax.probes"], "beartype.beartype")
compile_cache.switch_on()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The faults, in full: `make test-faults`."""
    parser.addoption("--full", action="store_true", help="tests/faults in full, which takes long")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The run's programs go with it; a worker leaves them to the process that made their folder."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["RESJAX_CACHE"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder with the longest files first, so that no worker is left alone with one of them at the end."""
    items.sort(key=lambda item: item.path.parent.name != "training")


@pytest.fixture
def float64() -> Iterator[None]:
    """Double precision for one test."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)

"""The same network whatever the strategy and the number of devices: as the config says, and no other."""

from collections.abc import Callable, Iterator
from functools import cache
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from problems import State, furthest, small, steps_of

from resjax.config import Config
from resjax.errors import InputError
from resjax.training import hosts
from resjax.training.parallel import Layout, choose, group_size

COUNTS = (1, 2, 4)
TOLERANCE = 1e-5
Trained = Callable[[str, str, int], tuple[State, list[float]]]


MLP = {"name": "mlp", "depth": 4, "width": 8}  # a norm's groups are the same over pixels, and take long to compile


def laid_out(scope: str, strategy: str, devices: int, precision: str = "float64", **model: object) -> Config:
    return small(
        model={"norm_scope": scope} | (model or MLP),
        train={"precision": precision},
        parallel={"strategy": strategy, "devices": devices},
    )


@pytest.fixture(scope="module")
def trained() -> Iterator[Trained]:
    """The state and the losses after 20 steps in double precision; each layout is trained once."""
    jax.config.update("jax_enable_x64", True)

    @cache
    def train(scope: str, strategy: str, devices: int) -> tuple[State, list[float]]:
        return steps_of(laid_out(scope, strategy, devices), 20)

    yield train
    jax.config.update("jax_enable_x64", False)


# The others have the groups of one of these (test_the_group_is_what_the_scope_says).
LAID_OUT = [("ghost", 1), ("ghost", 2), ("ghost", 4), ("per_device", 4), ("global", 1), ("global", 4)]
AS_THESE = [pytest.param(*of, marks=pytest.mark.slow) for of in (("per_device", 1), ("per_device", 2), ("global", 2))]


@pytest.mark.parametrize(("scope", "devices"), LAID_OUT + AS_THESE)
def test_pmap_and_jit_train_the_same_network(trained: Trained, scope: str, devices: int) -> None:
    (mapped, mapped_losses), (sharded, sharded_losses) = (trained(scope, how, devices) for how in ("pmap", "jit"))
    assert len(mapped_losses) == 20
    assert mapped_losses == pytest.approx(sharded_losses, rel=TOLERANCE)
    assert furthest(mapped, sharded) < TOLERANCE


@pytest.mark.usefixtures("trained")
def test_scanned_units_train_the_same_network() -> None:
    (mapped, _), (sharded, _) = (
        steps_of(laid_out("ghost", how, 2, depth=8, branch="single"), 20) for how in ("pmap", "jit")
    )
    assert furthest(mapped, sharded) < TOLERANCE


@pytest.mark.parametrize("devices", COUNTS[1:])
@pytest.mark.parametrize("scope", ["ghost", "global"])
def test_the_number_of_devices_changes_nothing(trained: Trained, scope: str, devices: int) -> None:
    assert furthest(trained(scope, "pmap", 1)[0], trained(scope, "pmap", devices)[0]) < TOLERANCE


def test_the_scopes_are_different_networks(trained: Trained) -> None:
    ghost, whole = trained("ghost", "pmap", 1)[0], trained("global", "pmap", 1)[0]
    assert furthest(ghost, whole) > 1e-3
    assert furthest(trained("per_device", "pmap", 2)[0], ghost) < TOLERANCE  # 16 examples on two devices: groups of 8
    assert furthest(trained("per_device", "pmap", 4)[0], ghost) > 1e-3


@pytest.mark.parametrize("strategy", ["pmap", pytest.param("jit", marks=pytest.mark.slow)])
def test_one_single_precision_step_agrees(strategy: str) -> None:
    one, four = (steps_of(laid_out("ghost", strategy, count, "float32"), 1)[0] for count in (1, 4))
    assert furthest(one, four) < 1e-4


def test_the_group_is_what_the_scope_says() -> None:
    sizes = {
        scope: group_size(config, choose(config))
        for scope in ("ghost", "per_device", "global")
        if (config := laid_out(scope, "pmap", 4))
    }
    assert sizes == {"ghost": 8, "per_device": 4, "global": 16}


def test_devices_that_do_not_divide_the_batch_are_refused_with_those_that_do() -> None:
    with pytest.raises(InputError, match=r"parallel.devices=1 or 2 or 4"):
        choose(small(parallel={"devices": 3}))


def test_devices_that_cut_a_group_unevenly_are_refused() -> None:
    # 24 examples in groups of 8: three devices hold a group each, two or four would cut groups unevenly.
    config = small(train={"batch_size": 24}, parallel={"devices": 4})
    with pytest.raises(InputError, match=r"parallel.devices=1 or 3"):
        choose(config)


def test_by_default_as_many_devices_as_divide() -> None:
    assert len(choose(small(parallel={"devices": None})).devices) == 4
    assert len(choose(small(train={"batch_size": 24}, parallel={"devices": None})).devices) == 3


def test_a_process_reads_one_part_of_a_batch() -> None:
    """Its devices are neighbours, or it is refused."""

    def layout(*processes: int) -> Layout:
        return Layout("jit", tuple(SimpleNamespace(process_index=process) for process in processes))

    assert layout(0, 0, 1, 1).host_part(64) == range(32)
    assert layout(1, 1, 0, 0).host_part(64) == range(32, 64)
    with pytest.raises(InputError, match=r"has the devices \[0, 2\] of 4(.|\n)*Type: parallel\.processes=1"):
        layout(0, 1, 0, 1).host_part(64)


def test_what_is_cut_over_devices_is_whole_on_each() -> None:
    layout = Layout("jit", tuple(jax.devices()[:4]))
    cut = jax.device_put(np.arange(8.0), layout.sharded())
    found = hosts.whole({"a": cut}, layout.replicated())["a"]
    assert [part.data.shape for part in cut.addressable_shards] == [(2,)] * 4
    assert [part.data.tolist() for part in found.addressable_shards] == [[*range(8)]] * 4

"""A checkpoint is for one run: others are refused with the difference; what only rounds otherwise is said."""

from pathlib import Path
from typing import Any

import pytest

from resjax.errors import InputError
from resjax.resuming import Resume, refuse_another, spent
from resjax.rows import Snapshot

CODE = {"revision": "a" * 40, "changed": False, "sha256": "1" * 64}
VERSIONS = {"jax": "0.10.2", "jaxlib": "0.10.2", "numpy": "2.0", "flax": "0.12", "optax": "0.2"}


def identity(**settings: Any) -> dict[str, Any]:
    return {"id": "a" * 64, "settings": {"model": {"depth": 20}, "seed": 0} | settings, "data": "d" * 64}


def test_another_setting_is_refused_with_the_difference() -> None:
    with pytest.raises(InputError, match=r"model\.depth: 20 in the checkpoint, 56 now") as refusal:
        refuse_another(Path("runs/x/run"), identity(), identity(model={"depth": 56}))
    assert "seed" not in str(refusal.value)
    assert "rerun=all" in str(refusal.value)


def test_other_data_are_refused() -> None:
    with pytest.raises(InputError, match="the data: digest dddddddddddd in the checkpoint, eeeeeeeeeeee now"):
        refuse_another(Path("runs/x/run"), identity(), identity() | {"data": "e" * 64})


def test_seconds_of_the_attempts_before() -> None:
    """What an attempt says that ended; of one that was killed, what it had counted when it was saved last."""
    snapshot = Snapshot(1, {}, seconds={"compile": 2.0, "train": 5.0})
    assert spent({"spent": 30.0, "times": {"total": 41.5}}, snapshot) == 41.5
    assert spent({}, snapshot) == 7.0
    assert spent({"spent": 30.0}, snapshot) == 30.0


def test_the_same_is_not_refused() -> None:
    refuse_another(Path("runs/x/run"), identity(), identity())


def said(before: dict[str, Any], devices: dict[str, Any], **now: Any) -> list[str]:
    facts = {"resumed": [{"code": CODE, "versions": VERSIONS} | now]}
    told: list[str] = []
    Resume(Snapshot(1, {}), {}, facts, before, {}).say_what_differs(devices, told.append)
    return told


def test_other_devices_packages_and_code_are_said() -> None:
    cpu = {"kind": "cpu", "count": 2}
    before = {"devices": cpu, "versions": VERSIONS, "code": CODE}
    assert said(before, cpu) == []
    assert "devices 2 x cpu before, 4 x cpu now: the same but for rounding" in said(before, cpu | {"count": 4})[0]
    assert "jax 0.10.2 before, 0.12 now" in said(before, cpu, versions=VERSIONS | {"jax": "0.12"})[0]
    assert "the code changed since the run began" in said(before, cpu, code=CODE | {"sha256": "2" * 64})[0]

from pathlib import Path

import numpy as np
import pytest

from resjax.durable import DiskFullError
from resjax.errors import InputError
from resjax.rows import Outcome, Snapshot
from resjax.training import checkpoints
from resjax.training.checkpoints import Checkpoints, DamagedError


def arrays(value: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "params/head/kernel": rng.normal(size=(3, 40, 10)).astype(np.float32) * value,
        "diverged_at": np.array([-1, 4, -1], np.int32),
        "warming": np.array([True, False, True]),
        "batch_stats/double": rng.normal(size=(3, 5)),
    }


def snapshot(step: int, value: float = 1.0) -> Snapshot:
    outcomes = (Outcome(0), Outcome(1, 4, "head"), Outcome(2))
    keys = {seed: [0, seed] for seed in range(3)}
    return Snapshot(step, arrays(value), outcomes, keys, 2, 37, {"train": 1.5})


def saved(folder: Path, *steps: int, value: float = 1.0) -> Checkpoints:
    found = Checkpoints(folder)
    for step in steps:
        found.save(snapshot(step, value), {"id": "a" * 64}, {"step": step, "metrics_bytes": 10 * step})
    return found


@pytest.mark.parametrize("name", ["c", "*?[x] y/c"])
def test_what_is_saved_comes_back_bit_for_bit(tmp_path: Path, name: str) -> None:
    found = saved(tmp_path / name, 7).load()
    restored = found.snapshot
    for name, array in arrays().items():
        assert restored.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(restored.arrays[name], array)
    expected = snapshot(7)
    for name in ("step", "outcomes", "root_keys", "epoch", "place", "seconds"):
        assert getattr(restored, name) == getattr(expected, name)
    assert found.identity == {"id": "a" * 64}
    assert found.mark == {"step": 7, "metrics_bytes": 70}


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    found = saved(tmp_path / "c", 1, 2, 3)
    assert found.steps() == [2, 3]
    assert sorted(path.name for path in (tmp_path / "c").iterdir() if path.is_dir()) == ["000000002", "000000003"]
    saved(tmp_path / "c", 4, value=2.0)
    np.testing.assert_array_equal(
        found.load(4).snapshot.arrays["params/head/kernel"], arrays(2.0)["params/head/kernel"]
    )


def test_the_last_finite_one_is_never_rotated_away(tmp_path: Path) -> None:
    saved(tmp_path / "c", 1, 2)
    found = saved(tmp_path / "c", 3, 4, 5, value=np.inf)
    assert found.steps() == [2, 4, 5]
    assert saved(tmp_path / "c", 6, 7).steps() == [6, 7], "until there is another one"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax's own clean-up after a failure
def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    found = saved(tmp_path / "c", 1)
    largest = max((tmp_path / "c" / "000000001").rglob("d/*"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    for place in range(3, len(content), len(content) // 16):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        largest.write_bytes(damaged)
        with pytest.raises(DamagedError, match="is not as saved"):
            found.load()
    largest.write_bytes(content)
    assert found.load().snapshot.step == 1


def test_arrays_are_compared_beside_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """orbax casts types silently, and could give back anything of files that are whole."""
    found, name = saved(tmp_path / "c", 1), "params/head/kernel"
    array = arrays()[name]
    for wrong in (array.astype(np.float64), array[:2], array + np.float32(1e-7)):
        monkeypatch.setattr(checkpoints, "read", lambda place, wrong=wrong: arrays() | {name: wrong})
        with pytest.raises(DamagedError, match=f"{name} is not as saved"):
            found.load()


def test_the_one_before_a_damaged_one_is_used_and_the_damage_is_told(tmp_path: Path) -> None:
    found, said = saved(tmp_path / "c", 1, 2), []
    (tmp_path / "c" / "000000002.json").write_text("{}")
    good = found.newest_good(said.append)
    assert good is not None
    assert good.snapshot.step == 1
    assert "step 2 is not used" in said[0]
    assert found.steps() == [1], "the damaged one is out of the way"
    assert len(list((tmp_path / "c").glob("damaged-000000002-*"))) == 2, "and not deleted"
    assert found.newest_good(said.append, lambda checkpoint: "its records are gone") is None


def test_a_checkpoint_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no checkpoint\.\nExpected what training saves"):
        Checkpoints(tmp_path).load()
    with pytest.raises(InputError, match="Expected one of: 5"):
        saved(tmp_path, 5).load(6)


def test_a_save_that_was_cut_off_is_no_checkpoint(tmp_path: Path) -> None:
    found = saved(tmp_path, 5)
    (tmp_path / "000000006").mkdir()  # killed before the facts were written
    assert found.load().snapshot.step == 5
    assert saved(tmp_path, 6, value=2.0).load().snapshot.step == 6


def test_no_room_is_said_with_the_bytes_and_the_others_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = saved(tmp_path, 5)
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 100})())
    size = sum(array.nbytes for array in arrays().values())
    with pytest.raises(DiskFullError, match=rf"000000006: {size:,} bytes to write, 100 bytes are free"):
        found.save(snapshot(6), {}, {})
    assert found.load().snapshot.step == 5

from pathlib import Path

import numpy as np
import pytest

from resjax.errors import InputError
from resjax.training import checkpoints


def arrays(value: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "params/head/kernel": rng.normal(size=(3, 40, 10)).astype(np.float32) * value,
        "diverged_at": np.array([-1, 4, -1], np.int32),
        "warming": np.array([True, False, True]),
        "batch_stats/double": rng.normal(size=(3, 5)),
    }


def test_what_is_saved_comes_back_bit_for_bit(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "c", 7, arrays())
    step, restored = checkpoints.restore(tmp_path / "c")
    assert step == 7
    for name, array in arrays().items():
        assert restored[name].dtype == array.dtype
        np.testing.assert_array_equal(restored[name], array)


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoints.save(tmp_path / "c", step, arrays(step))
    assert checkpoints.steps(tmp_path / "c") == [2, 3]
    assert sorted(path.name for path in (tmp_path / "c").iterdir() if path.is_dir()) == ["000000002", "000000003"]
    np.testing.assert_array_equal(
        checkpoints.restore(tmp_path / "c", 2)[1]["params/head/kernel"], arrays(2)["params/head/kernel"]
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax's own clean-up after a failure
def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "c", 1, arrays())
    largest = max((tmp_path / "c" / "000000001").rglob("d/*"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    refused = 0
    for place in range(3, len(content), len(content) // 16):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        largest.write_bytes(damaged)
        try:
            _, restored = checkpoints.restore(tmp_path / "c")
        except InputError:
            refused += 1
        else:  # a byte that holds no value
            assert all(np.array_equal(restored[name], array) for name, array in arrays().items())
    assert refused > 8
    largest.write_bytes(content)
    assert checkpoints.restore(tmp_path / "c")[0] == 1


def test_a_checkpoint_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        checkpoints.restore(tmp_path)
    checkpoints.save(tmp_path, 5, arrays())
    with pytest.raises(InputError, match="Expected one of: 5"):
        checkpoints.restore(tmp_path, 6)


def test_a_save_that_was_cut_off_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, 5, arrays())
    (tmp_path / "000000006").mkdir()  # killed before the digests were written
    assert checkpoints.restore(tmp_path)[0] == 5
    checkpoints.save(tmp_path, 6, arrays(2))
    assert checkpoints.restore(tmp_path)[0] == 6

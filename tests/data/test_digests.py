import hashlib
from pathlib import Path

import numpy as np

from resjax.data import digests


def test_file_has_the_published_digest_of_abc(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # the example of FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digests.of_file(tmp_path / "abc") == expected


def test_arrays_are_hashed_by_type_shape_and_bytes() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert digests.of_arrays(array) == hashlib.sha256(b"<i4(2, 3)" + array.tobytes()).hexdigest()


def test_arrays_that_differ_in_anything_have_other_digests() -> None:
    array = np.arange(6, dtype=np.int32)
    others = [array[::-1], array.reshape(2, 3), array.view(np.uint32), array[:5]]
    found = {digests.of_arrays(one) for one in (array, *others)}
    found |= {digests.of_arrays(array, array), digests.of_arrays(array[:3], array[3:])}
    assert len(found) == 7


def test_the_layout_in_memory_does_not_matter() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert digests.of_arrays(np.asfortranarray(array)) == digests.of_arrays(array)

"""SHA-256 of files and of arrays, in hex."""

import hashlib
from pathlib import Path

import numpy as np


def of_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def of_arrays(*arrays: np.ndarray) -> str:
    """SHA-256 of the arrays' types, shapes and bytes (row by row), in the order given."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()

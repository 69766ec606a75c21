"""How large the arrays are with which a machine's peak is measured: far larger than its caches."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """matrix: rows and columns of the product; vector: entries of each of the sum's vectors."""

    matrix: int
    vector: int


SIZES = {"cpu": Size(3072, 1 << 26), "gpu": Size(16384, 1 << 29)}

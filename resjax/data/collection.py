"""Encoded images on disk, read one by one: what a prepared tensorflow-datasets set and a folder have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np


class Encoded(NamedTuple):
    """An example as it is stored: the bytes of an image file, or the pixels, uint8 (height, width, channel)."""

    image: bytes | np.ndarray
    label: int


class Collection(Protocol):
    """Examples in a fixed order. It can be pickled, and opens its files where it is read first."""

    def __len__(self) -> int:
        """Examples."""

    def __getitem__(self, index: int) -> Encoded:
        """The example in this place."""

    def name(self, index: int) -> str:
        """What a person finds it by."""


class Slice(NamedTuple):
    """The examples `first` to `first` + `size` - 1 of a split: `train[:90%]+validation` is two."""

    split: str
    first: int
    size: int


class ImageSet(Protocol):
    """A set of encoded images, wherever it is."""

    @property
    def classes(self) -> int:
        """How many there are."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what tells it apart from others, without its images."""

    def slices(self, spelled: str, setting: str) -> list[Slice]:
        """What a split's name, or a slice of it, says. InputError where there is no such split."""

    def part(self, part: Slice) -> Collection:
        """A slice."""


@dataclass(frozen=True)
class Part:
    """The examples `first` to `first` + `count` - 1 of a collection."""

    whole: Collection
    first: int
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Encoded:
        return self.whole[self.first + self._checked(index)]

    def name(self, index: int) -> str:
        """What a person finds it by."""
        return self.whole.name(self.first + self._checked(index))

    def _checked(self, index: int) -> int:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return index


@dataclass(frozen=True)
class Joined:
    """Collections one after the other."""

    parts: tuple[Collection, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: int) -> Encoded:
        part, place = self._found(index)
        return part[place]

    def name(self, index: int) -> str:
        """What a person finds it by."""
        part, place = self._found(index)
        return part.name(place)

    def _found(self, index: int) -> tuple[Collection, int]:
        for part in self.parts:
            if index < len(part):
                return part, index
            index -= len(part)
        raise IndexError(index)


def joined(parts: Sequence[Collection]) -> Collection:
    """One collection of them."""
    return parts[0] if len(parts) == 1 else Joined(tuple(parts))

"""Folders of images, ROOT/SPLIT/CLASS/image.jpg, as ImageNet is commonly unpacked."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from resjax.data import splits
from resjax.data.collection import Collection, Encoded, Part, Slice
from resjax.errors import InputError

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True, eq=False)
class FolderSplit:
    """The images below a split's folder, in the order of the SHA-256 of their paths.

    So a slice such as train[:90%] mixes the classes, and the order is the same on every machine. Every worker has its
    own copy, so a million paths are one string. paths: relative to the folder, one behind the other; ends: of each.
    """

    folder: Path
    paths: bytes
    ends: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, folder: Path, labels: Mapping[str, int]) -> "FolderSplit":
        """labels: by path."""
        paths = sorted(map(os.fsencode, labels), key=lambda path: hashlib.sha256(path).digest())
        ordered = [labels[os.fsdecode(path)] for path in paths]
        ends = np.cumsum([len(path) for path in paths], dtype=np.int64)
        return cls(folder, b"".join(paths), ends, np.array(ordered, np.int32))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> Encoded:
        return Encoded(self.file(index).read_bytes(), int(self.labels[index]))

    def path(self, index: int) -> bytes:
        """A file's, below the folder."""
        return self.paths[self.ends[index - 1] if index else 0 : self.ends[index]]

    def file(self, index: int) -> Path:
        """Where it lies."""
        return self.folder / os.fsdecode(self.path(index))

    def name(self, index: int) -> str:
        """Its path below the root."""
        return f"{self.folder.name}/{os.fsdecode(self.path(index))}"


@dataclass(frozen=True)
class FolderSet:
    """A folder of splits. trained: those that are trained on, whose folders with images are the classes, in order;
    used: these and the others that are read.
    """

    root: Path
    trained: tuple[str, ...]
    used: tuple[str, ...]

    def require(self) -> None:
        """Raises InputError where the folder is not there."""
        if not self.root.is_dir():
            raise InputError(
                f"data.root={self.root} is not a folder.\nExpected one with a folder a split, in it one a class: "
                f"{self.root}/train/cat/1.jpg\nType: data.root=FOLDER"
            )

    @cached_property
    def names(self) -> list[str]:
        """The splits that there are."""
        self.require()
        return [path.name for path in sorted(self.root.iterdir()) if path.is_dir() and not path.name.startswith(".")]

    @cached_property
    def class_names(self) -> list[str]:
        """In the order of the labels."""
        return sorted({name for split in self.trained if split in self.names for name in self.folders_of(split)})

    def folders_of(self, split: str) -> list[str]:
        """The folders of a split that hold an image; those whose name begins with a dot are not for us."""
        inside = [path for path in (self.root / split).iterdir() if path.is_dir() and not path.name.startswith(".")]
        return [path.name for path in inside if has_image(path)]

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.class_names)

    def split(self, name: str) -> FolderSplit:
        """A whole split, listed once."""
        folder, found = self.root / name, dict[str, int]()
        if name not in self.trained and (others := set(self.folders_of(name)) - set(self.class_names)):
            raise InputError(
                f"{folder} has images in {', '.join(sorted(others)[:3])}, which is no class of training.\n"
                f"Expected those of {', '.join(self.trained)}: {', '.join(self.class_names[:5])}"
                f"{', ...' if len(self.class_names) > 5 else ''}\n"
                "Type: data.test_split=SPLIT, with the same classes"
            )
        for label, of_class in enumerate(self.class_names):
            if (folder / of_class).is_dir():
                entries = os.scandir(folder / of_class)
                found |= {f"{of_class}/{entry.name}": label for entry in entries if is_image(entry)}
        return FolderSplit.of(folder, found)

    @cached_property
    def listed(self) -> dict[str, FolderSplit]:
        """Every split that has images."""
        found = {name: self.split(name) for name in self.names if name in self.used}
        return {name: split for name, split in found.items() if len(split)}

    def slices(self, spelled: str, setting: str) -> list[Slice]:
        """As ImageSet says."""
        for name in splits.named(spelled):
            if name not in self.names or not self.folders_of(name):  # before `listed` looks for the classes of training
                raise self.no_split(name, spelled, setting)
        return splits.parse(spelled, {name: len(split) for name, split in self.listed.items()}, setting)

    def no_split(self, name: str, spelled: str, setting: str) -> InputError:
        """The refusal of a split that is not there, or has no images. spelled: the setting, which names it."""
        if name in self.names:
            return InputError(
                f"{self.root / name} has no folder with images in it.\nExpected one a class: "
                f"{self.root / name}/cat/1.jpg, or {', '.join(ENDINGS[1:])}\nType: data.root=FOLDER, or {setting}=SPLIT"
            )
        return InputError(
            f"{setting}={spelled}: {self.root} has no folder {name}.\n"
            f"Expected one a split, in it one a class; there are: {', '.join(self.names[:10]) or 'none'}\n"
            f"Type: data.root=FOLDER{', or ' + splits.suggestion(setting, self.names) if self.names else ''}"
        )

    def part(self, part: Slice) -> Collection:
        """A slice."""
        whole = self.listed[part.split]
        return whole if part.size == len(whole) else Part(whole, part.first, part.size)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the name and size of every image."""
        digest = hashlib.sha256()
        for name, split in self.listed.items():
            for index in range(len(split)):
                size = split.file(index).stat().st_size
                digest.update(os.fsencode(name) + b"/" + split.path(index) + f" {size}\n".encode())
        return digest.hexdigest()


def has_image(folder: Path) -> bool:
    """Whether one lies there."""
    with os.scandir(folder) as entries:
        return any(map(is_image, entries))


def is_image(entry: os.DirEntry[str]) -> bool:
    """Whether its name says so; files whose name begins with a dot are not for us."""
    return entry.name.lower().endswith(ENDINGS) and not entry.name.startswith(".") and entry.is_file()

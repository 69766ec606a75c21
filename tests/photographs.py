"""A small set in imagenet2012's own layout, written by tensorflow-datasets' writer, and runs on it."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from problems import small

from resjax.config import Config
from resjax.data import mock_imagenet

NAME, VERSION = "imagenet2012", "5.1.0"
SIZES = {"crop": 16, "shorter_side": [20, 40], "test_side": 20}


def written(root: Path, train: int = 60, validation: int = 21, generate: Any = mock_imagenet.examples) -> Path:
    """root, with imagenet2012/5.1.0 in it."""
    counts = {"train": train, "validation": validation}
    mock_imagenet.build(mock_imagenet.builder(root, NAME, VERSION, counts, generate))
    return root


def spoiled(*numbers: int) -> Any:
    """The examples, of which these are cut off in the middle."""

    def examples(split: str, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, example in mock_imagenet.examples(split, count):
            if split == "train" and key in numbers:
                content = example["image"].getvalue()
                example["image"] = io.BytesIO(content[: len(content) // 2])
            yield key, example

    return examples


def streamed(root: Path, **sections: dict[str, object]) -> Config:
    """ResNet-8 of width 4 on 16-pixel crops of the set in `root`, read by no process besides this one."""
    data = {"kind": "tfds", "name": NAME, "root": str(root), "streamed": True, "augment": True, "workers": 0, **SIZES}
    told = {"model": {"depth": 8}, "data": data | {"test_split": "validation"}}
    more = {name: told.get(name, {}) | values for name, values in sections.items()}
    return small(**(told | more))


def tensors(root: Path, image: Any, images: list[np.ndarray]) -> None:
    """The set `tensors` of one split, train, of pixels that the feature `image` holds; labels count them."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import registered

    class Tensors(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
        VERSION = tfds.core.Version("1.0.0")
        name = "tensors"

        def _info(self) -> Any:
            label = tfds.features.ClassLabel(num_classes=len(images))
            features = tfds.features.FeaturesDict({"image": image, "label": label})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, _: Any) -> dict[str, Any]:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
            for index, pixels in enumerate(images):
                yield index, {"image": pixels, "label": index}

    with registered.skip_registration():
        mock_imagenet.build(Tensors(data_dir=root, file_format="array_record"))


def folder_of(root: Path, count: int = 6) -> Path:
    """root, with train and val, each with two classes of so many images; and what is no image beside them."""
    for split in ("train", "val"):
        for number in range(count):
            kind = root / split / ("cat" if number % 2 else "dog")
            kind.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((20 + number, 30, 3), 30 * number, np.uint8)).save(kind / f"{number}.png")
    (root / "train" / "cat" / "notes.txt").write_text("nothing")
    (root / "train" / "cat" / ".hidden.png").write_text("nothing")
    return root

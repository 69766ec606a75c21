"""A small set in exactly the form of imagenet2012 as tensorflow-datasets prepares it, made here from integers alone.

JPEGs of varied sizes, grey and colour, with the features image, label (of 1,000 classes, ten of which occur) and
file_name. It stands in for ImageNet where nobody has the data: to try the path, not to learn anything about nets.
"""

import contextlib
import io
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from resjax.data import prepared as on_disk
from resjax.data import synthetic

NAME, VERSION = "mock_imagenet", "1.0.0"
TRAIN_EXAMPLES, TEST_EXAMPLES = 2048, 256
CLASSES, OCCUR = 1000, 10
SIDES = (72, 200)  # pixels, of either side
BESIDE = f"incomplete-{NAME}-"
ABANDONED_S = 3600  # after which nobody is making it in such a folder any more
STREAMS = {"train": 11, "validation": 12}  # of PCG64


def pixels(patterns: np.ndarray, label: int, words: np.ndarray) -> np.ndarray:
    """An image, uint8 (height, width, 3): the pattern of its class, enlarged, brighter or darker, under noise."""
    low, high = SIDES
    height, width = (low + int(word % np.uint64(high - low + 1)) for word in words[:2])
    pattern = patterns[label]
    rows, columns = (np.arange(length) * len(pattern) // length for length in (height, width))
    raw = np.random.PCG64(int(words[2] >> np.uint64(1))).random_raw(height * width)
    noise = (raw >> np.uint64(58)).astype(np.int64).reshape(height, width, 1) - 32
    lightness = int(words[3] % np.uint64(64)) - 32
    return np.clip(pattern[rows][:, columns] + noise + lightness, 0, 255).astype(np.uint8)


def examples(split: str, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The examples of a split; every sixteenth is grey."""
    from PIL import Image

    patterns = synthetic.class_patterns(64, 3, OCCUR)
    words = np.random.PCG64(STREAMS[split]).random_raw(4 * count).reshape(count, 4)
    for index in range(count):
        label = index % OCCUR
        image = Image.fromarray(pixels(patterns, label, words[index]))
        file = io.BytesIO()
        (image.convert("L") if index % 16 == 15 else image).save(file, "JPEG", quality=90)
        file.seek(0)
        kind = label * (CLASSES // OCCUR)
        yield index, {"image": file, "label": kind, "file_name": f"n{kind:08d}_{index}.JPEG"}


def builder(
    folder: Path,
    name: str = NAME,
    version: str = VERSION,
    counts: dict[str, int] | None = None,
    generate: Callable[[str, int], Iterator[tuple[int, dict[str, Any]]]] = examples,
) -> Any:
    """tensorflow-datasets' builder of it, in `folder`."""
    tfds = on_disk.tensorflow_datasets()
    from tensorflow_datasets.core import registered

    sizes = counts or {"train": TRAIN_EXAMPLES, "validation": TEST_EXAMPLES}

    with registered.skip_registration():  # several of them may be made in one process

        class MockImagenet(tfds.core.GeneratorBasedBuilder):  # type: ignore[name-defined,misc]
            VERSION = tfds.core.Version(version)

            def _info(self) -> Any:
                features = {
                    "image": tfds.features.Image(encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(num_classes=CLASSES),
                    "file_name": tfds.features.Text(),
                }
                return tfds.core.DatasetInfo(
                    builder=self,
                    description="Made by resjax in the form of imagenet2012; its images are patterns under noise.",
                    features=tfds.features.FeaturesDict(features),
                    supervised_keys=("image", "label"),
                )

            def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
                return {split: self._generate_examples(split, count) for split, count in sizes.items()}

            def _generate_examples(self, split: str, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
                yield from generate(split, count)

    MockImagenet.name = name
    return MockImagenet(data_dir=folder, file_format="array_record")


def prepared(root: Path) -> Path:
    """Its folder below `root`, made where it is not there: whole or not at all, whoever else makes it meanwhile."""
    place = root / NAME / VERSION
    if (place / "dataset_info.json").exists():
        return place
    on_disk.make_folder(root)
    for left in root.glob(f"{BESIDE}*"):
        with contextlib.suppress(OSError):  # another process takes it away, or has ended meanwhile
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=BESIDE, dir=root) as beside:
        build(builder(Path(beside)))
        place.parent.mkdir(exist_ok=True)
        try:
            (Path(beside) / NAME / VERSION).rename(place)
        except OSError:
            if not (place / "dataset_info.json").exists():
                raise  # else another process was faster
    return place


def build(made: Any) -> None:
    """Let it write; what it prints is dropped."""
    with contextlib.redirect_stdout(io.StringIO()):
        on_disk.tensorflow_datasets().disable_progress_bar()
        made.download_and_prepare()
    shutil.rmtree(Path(made.data_dir).parents[1] / "downloads", ignore_errors=True)

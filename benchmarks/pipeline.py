"""How fast photographs are read: our views beside Pillow's, on one core, and the whole pipeline by its workers.

    python -m benchmarks.pipeline

The photographs are made: 500 x 375 pixels of smooth noise, about as many bytes as ImageNet's files. Pillow opens,
resizes and cuts them as image loaders commonly do (its bilinear filter averages where an image shrinks), with the same
sides, windows and mirrors. Turns alternate, and a ratio is taken turn by turn.
"""

import argparse
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.machine import processor
from benchmarks.summary import ratio, summary
from resjax.data import mock_imagenet, tfds_sets
from resjax.data.pipeline import Pipeline, Training
from resjax.data.views import Views, draw
from resjax.data.workers import cores
from resjax.facts import code
from resjax.throughput import counts

RESULTS = Path(__file__).parent / "results" / "pipeline.json"
VIEWS = Views(augment=True, crop=224, shorter_side=(256, 480), test_side=256, color=0.1)
IMAGES, BATCH, TURNS = 256, 64, 7
LIBRARIES = ("grain", "simplejpeg", "opencv-python-headless", "pillow", "numpy")


def photograph(index: int) -> bytes:
    """A JPEG of quality 90."""
    random = np.random.default_rng(index)
    coarse, fine = (random.integers(0, 256, (rows, rows * 4 // 3, 3), dtype=np.uint8) for rows in (12, 96))
    layers = [cv2.resize(layer, (500, 375), interpolation=cv2.INTER_CUBIC).astype(int) for layer in (coarse, fine)]
    pixels = (2 * layers[0] + layers[1]) // 3 + random.normal(0, 4, (375, 500, 3)).astype(int)
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def photographs(split: str, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The examples of the set that is read."""
    for index in range(count):
        yield index, {"image": io.BytesIO(photograph(index)), "label": index % 1000, "file_name": f"{index}.JPEG"}


def by_pillow(image: bytes, words: np.ndarray) -> np.ndarray:
    """The same view as `Views.training`, but for Pillow's own resizing."""
    side = 256 + int(words[0]) % 225
    with Image.open(io.BytesIO(image)) as opened:
        whole = opened.convert("RGB")
    scale = side / min(whole.size)
    whole = whole.resize((round(whole.width * scale), round(whole.height * scale)), Image.Resampling.BILINEAR)
    top, left = (int(word) % (length - 223) for word, length in zip(words[1:3], whole.size[::-1], strict=True))
    window = whole.crop((left, top, left + 224, top + 224))
    return np.asarray(window.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if words[3] & np.uint64(1) else window)


def turn(view: Callable[[bytes, np.ndarray], Any], images: list[bytes]) -> float:
    """Images a second."""
    began = time.perf_counter()
    for index, image in enumerate(images):
        view(image, draw(0, index))
    return len(images) / (time.perf_counter() - began)


def alone(images: list[bytes]) -> dict[str, Any]:
    """One core: ours, Pillow's, and their ratio."""
    ours, theirs = [], []
    for _ in range(TURNS):
        ours.append(turn(VIEWS.training, images))
        theirs.append(turn(by_pillow, images))
    return {"ours": summary(ours), "pillow": summary(theirs), "ratio": ratio(ours, theirs)}


def by_workers() -> list[dict[str, Any]]:
    """The pipeline from the records on disk to whole batches; 0 workers: threads. Turns alternate here, too."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = {"train": 2 * IMAGES, "validation": 1}
        mock_imagenet.build(mock_imagenet.builder(Path(folder), "photographs", "1.0.0", sizes, photographs))
        collection = tfds_sets.opened("photographs", [Path(folder)]).split("train")
        elements = Training(collection, VIEWS, (0,), BATCH, range(BATCH), 10**6)
        found: dict[int, list[float]] = {workers: [] for workers in counts()}
        for _ in range(TURNS):
            for workers, rates in found.items():
                rates.append(rate(elements, workers))
    return [{"workers": workers, "images_per_s": summary(rates)} for workers, rates in found.items()]


def rate(elements: Training, workers: int) -> float:
    """Images a second, once every worker is at work and what was ready before is gone."""
    batches, count = iter(Pipeline(elements, workers)), 8 * max(workers, 1)
    for _ in range(1 + 2 * workers):
        next(batches)
    began = time.perf_counter()
    for _ in range(count):
        next(batches)
    taken = time.perf_counter() - began
    batches.close()  # type: ignore[attr-defined]
    return count * elements.batch / taken


def main() -> None:
    """Measure, write, print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=RESULTS, help="default: benchmarks/results/pipeline.json")
    out = options.parse_args().out
    images = [photograph(index) for index in range(IMAGES)]
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": "python -m benchmarks.pipeline",
        "resjax": code(),
        "versions": {name: version(name) for name in LIBRARIES},
        "machine": {"processor": processor(), "cores": cores()},
        "bytes_an_image": round(sum(map(len, images)) / len(images)),
        "one_core": alone(images),
        "pipeline": by_workers(),
    }
    text = json.dumps(found, indent=1, allow_nan=False)
    out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

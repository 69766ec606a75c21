"""CIFAR-10 and CIFAR-100 as tensorflow-datasets builders that need no TensorFlow, neither to build nor to read.

    tfds.data_source("resjax_cifar10", split="train", data_dir=root)

Import this module only where data are prepared: tensorflow-datasets takes more than a second.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from resjax.data import archives

CITATION = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report, 2009"
HOMEPAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"


class Cifar10(tfds.core.GeneratorBasedBuilder):
    """CIFAR-10 in the official order, from arrays already read, or else from the official archive, downloaded.

    Features: image uint8 (32, 32, 3), label 0..9.
    """

    name = "resjax_cifar10"
    VERSION = tfds.core.Version(archives.VERSION)
    DATASET: ClassVar[str] = "cifar10"

    def __init__(
        self,
        *,
        examples: dict[str, dict[str, np.ndarray]] | None = None,
        check: Callable[[], None] = lambda: None,
        **settings: Any,
    ) -> None:
        """`examples` as archives.read gives them; `settings` are tensorflow-datasets' own, such as data_dir.

        check: called at every example, to stop by raising.
        """
        self.examples, self.check = examples, check
        super().__init__(**({"file_format": "array_record"} | settings))

    def _info(self) -> tfds.core.DatasetInfo:
        # Images are stored as bytes: as the numbers that are the default, reading is three times slower.
        image = tfds.features.Tensor(shape=(32, 32, 3), dtype=np.uint8, encoding="bytes")
        labels = archives.ARCHIVES[self.DATASET].labels
        features = {"image": image} | {name: tfds.features.ClassLabel(num_classes=count) for name, count in labels}
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.DATASET}, binary version, in the official order.",
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
            citation=CITATION,
            homepage=HOMEPAGE,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[Any]]:
        official = archives.ARCHIVES[self.DATASET]
        examples = self.examples or archives.read(dl_manager.download(official.url), official)
        return {split: self._generate_examples(arrays) for split, arrays in examples.items()}

    def _generate_examples(self, arrays: dict[str, np.ndarray]) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(len(arrays["image"])):
            self.check()
            yield index, {name: array[index] for name, array in arrays.items()}


class Cifar100(Cifar10):
    """CIFAR-100, likewise. Features: image uint8 (32, 32, 3), coarse_label 0..19, label 0..99."""

    name = "resjax_cifar100"
    DATASET: ClassVar[str] = "cifar100"


BUILDERS = {"cifar10": Cifar10, "cifar100": Cifar100}

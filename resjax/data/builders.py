"""The sets of `archives` as tensorflow-datasets builders that need no TensorFlow, neither to build nor to read.

    tfds.data_source("resjax_cifar10", split="train", data_dir=root)

Import this module only where data are prepared: tensorflow-datasets takes more than a second.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from resjax.data import archives
from resjax.data.published import Arrays, Splits


class ArchiveBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A set in the official order, from arrays already read, or else from the official archive, downloaded.

    Features: image uint8 (height, width, channel), and each label.
    """

    VERSION = tfds.core.Version(archives.VERSION)
    DATASET: ClassVar[str]

    def __init__(
        self, *, examples: Splits | None = None, check: Callable[[], None] = lambda: None, **settings: Any
    ) -> None:
        """`examples` as archives.read gives them; `settings` are tensorflow-datasets' own, such as data_dir.

        check: called at every example, to stop by raising.
        """
        self.examples, self.check = examples, check
        super().__init__(**({"file_format": "array_record"} | settings))

    def _info(self) -> tfds.core.DatasetInfo:
        official = archives.ARCHIVES[self.DATASET]
        # Images are stored as bytes: as the numbers that are the default, reading is three times slower.
        image = tfds.features.Tensor(shape=official.image_shape, dtype=np.uint8, encoding="bytes")
        labels = {name: tfds.features.ClassLabel(num_classes=count) for name, count in official.labels}
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.DATASET}, as it was published, in the official order.",
            features=tfds.features.FeaturesDict({"image": image} | labels),
            disable_shuffling=True,
            citation=official.citation,
            homepage=official.homepage,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[Any]]:
        return {split: self._generate_examples(arrays) for split, arrays in self._splits(dl_manager).items()}

    def _splits(self, dl_manager: tfds.download.DownloadManager) -> Splits:
        official = archives.ARCHIVES[self.DATASET]
        if self.examples is not None:
            return self.examples
        return archives.read(tuple(dl_manager.download(file.url) for file in official.files), official)

    def _generate_examples(self, arrays: Arrays) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(len(arrays["image"])):
            self.check()
            yield index, {name: array[index] for name, array in arrays.items()}


class Cifar10(ArchiveBuilder):
    """CIFAR-10. Features: image uint8 (32, 32, 3), label 0..9."""

    name = "resjax_cifar10"
    DATASET = "cifar10"


class Cifar100(ArchiveBuilder):
    """CIFAR-100. Features: image uint8 (32, 32, 3), coarse_label 0..19, label 0..99."""

    name = "resjax_cifar100"
    DATASET = "cifar100"


class Mnist(ArchiveBuilder):
    """MNIST. Features: image uint8 (28, 28, 1), label 0..9."""

    name = "resjax_mnist"
    DATASET = "mnist"


class FashionMnist(ArchiveBuilder):
    """Fashion-MNIST. Features: image uint8 (28, 28, 1), label 0..9."""

    name = "resjax_fashion_mnist"
    DATASET = "fashion_mnist"


BUILDERS = {builder.DATASET: builder for builder in (Cifar10, Cifar100, Mnist, FashionMnist)}

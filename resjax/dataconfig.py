"""The settings of the data: which set, how much of it, how it is read, and what is seen of an image."""

from dataclasses import dataclass

from resjax.settings import setting

DATASETS = ("digits", "synthetic", "cifar10", "cifar100", "mnist", "fashion_mnist")  # of kind resjax, by name
KINDS = ("resjax", "tfds", "folder")


@dataclass
class DataConfig:
    """The data set, its size, its augmentation. Streamed: read while training, for what does not fit in memory."""

    name: str = setting("digits", f"data set: {', '.join(DATASETS)}; of another kind any name")
    kind: str = setting(
        "resjax", "resjax's own, a set that tensorflow-datasets prepared, or a folder SPLIT/CLASS/image", KINDS
    )
    root: str | None = setting(
        None, "folder of prepared data; null: $RESJAX_DATA, or ~/.cache/resjax/data; of images (kind=folder)"
    )
    train_split: str = setting("train", "split to train on, such as train[:90%] (tfds, folder)")
    test_split: str = setting("test", "split to test on, such as validation or train[90%:] (tfds, folder)")
    augment: bool = setting(
        False, "pad 4, random crop, horizontal flip (He et al. 2015, section 4.2); streamed: scale, crop, flip, colour"
    )
    train_examples: int | None = setting(None, "use the first so many training examples; null: all", minimum=1)
    validation_examples: int | None = setting(
        None, "hold out the last so many training examples, and evaluate them like the test set; null: none", minimum=1
    )
    test_examples: int | None = setting(None, "use the first so many test examples; null: all", minimum=1)
    resize: int | None = setting(
        None, "resize images to so many pixels a side (bilinear); null: as they are", minimum=8
    )
    mean: list[float] | None = setting(
        None,
        "subtracted, a number a channel, in units of a pixel's full range [0,1]; null: the training mean a pixel, "
        "streamed a channel",
    )
    std: list[float] | None = setting(
        None, "divides, a number a channel, in the units of `mean`; null: the training images' overall deviation"
    )
    image_size: int = setting(32, "pixels a side, for data=synthetic", minimum=8)
    channels: int = setting(3, "channels, for data=synthetic", minimum=1)
    classes: int = setting(10, "classes, for data=synthetic", minimum=2)
    streamed: bool = setting(False, "read and decode while training, instead of all at first (tfds, folder)")
    crop: int = setting(224, "pixels a side that the net sees (streamed)", minimum=8)
    shorter_side: list[int] = setting(
        [256, 480], "the image's shorter side in training, drawn between these two, before the crop (streamed, augment)"
    )
    test_side: int = setting(
        256, "the image's shorter side in tests, before the crop at the centre (streamed)", minimum=8
    )
    color: float = setting(
        0.1, "deviation of the colours' factors (Krizhevsky et al. 2012, section 4.1; streamed, augment)", minimum=0
    )
    ten_crop: bool = setting(False, "test also with ten crops, as test_error_10crop (streamed)")
    corrupt_share: float = setting(
        0.001, "share of a split's images that may be unreadable before the run fails (streamed)", minimum=0, maximum=1
    )
    workers: int | None = setting(
        None,
        "processes that read and decode, 0: none besides this one; null: one a core but one, if they fit (streamed)",
        minimum=0,
    )

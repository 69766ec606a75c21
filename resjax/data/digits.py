"""The digits of scikit-learn: 1,797 real 8x8 images that come with the package, no download.

Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998
(doi:10.24432/C50P49); scikit-learn holds that collection's test part.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

CLASSES = 10
FILE = "datasets/data/digits.csv.gz"  # in the package
ORIGIN = "scikit-learn load_digits; every fifth example of each class is the test set"

Examples = tuple[np.ndarray, np.ndarray]


def arrays() -> tuple[Examples, Examples]:
    """Train and test set, 1,437 and 360 examples, each as (images, labels).

    Images are uint8 (examples, 8, 8, 1), the original 0..16 stretched to 0..255; labels are int32 (examples,).
    """
    pixels, labels = table()
    images = np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    train, test = split(labels)
    labels = labels.astype(np.int32)
    return (images[train], labels[train]), (images[test], labels[test])


def table() -> Examples:
    """scikit-learn's load_digits, (1797, 64) and (1797,), from its file: importing the package takes a second."""
    package = find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        if (file := Path(folder, FILE)).exists():
            whole = np.loadtxt(file, delimiter=",")
            return whole[:, :-1], whole[:, -1].astype(int)
    from sklearn.datasets import load_digits  # another release may keep it elsewhere

    found: Examples = load_digits(return_X_y=True)
    return found


def split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the train and of the test set, each in the original order.

    The examples are lined up by class and every fifth goes to the test set, so that a class has the same share of
    both to within one example. Nothing is drawn at random: the split is the same on every machine.
    """
    by_class = np.argsort(labels, kind="stable")
    test = np.sort(by_class[::5])
    return np.setdiff1d(np.arange(len(labels)), test), test

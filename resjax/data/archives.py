"""The data sets that are prepared from published files: which files, whether one is official, and what is in them.

Addresses, sizes and SHA-256 are those that tensorflow-datasets 4.9.10 lists (url_checksums/cifar10.txt, cifar100.txt,
mnist.txt and fashion_mnist.txt in the package); MNIST's are of the CVDF mirror of yann.lecun.com/exdb/mnist.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from resjax.data import digests, idx, tarred
from resjax.data.published import Archive, File, Splits
from resjax.errors import InputError

VERSION = "1.0.0"  # of the prepared form; raise it when that changes
KRIZHEVSKY = "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
LECUN = "LeCun, Bottou, Bengio & Haffner, Gradient-Based Learning Applied to Document Recognition, 1998"
XIAO = "Xiao, Rasul & Vollgraf, Fashion-MNIST: a Novel Image Dataset, 2017, arXiv:1708.07747"


def _cifar(
    dataset: str, file: File, parts: dict[str, tuple[tuple[str, int], ...]], labels: tuple[tuple[str, int], ...]
) -> Archive:
    """A data set of Krizhevsky's, in one tar file."""
    homepage = "https://www.cs.toronto.edu/~kriz/cifar.html"
    return Archive(dataset, (file,), tarred.reader, parts, (32, 32, 3), labels, KRIZHEVSKY, homepage)


def _mnist(dataset: str, address: str, files: dict[str, tuple[int, str]], citation: str, homepage: str) -> Archive:
    """A data set in MNIST's four files; `files` has each one's size and SHA-256."""
    return Archive(
        dataset=dataset,
        files=tuple(File(address + name, size, sha256) for name, (size, sha256) in files.items()),
        reader=idx.reader,
        parts={"train": (("train", 60_000),), "test": (("t10k", 10_000),)},
        image_shape=(28, 28, 1),
        labels=(("label", 10),),
        citation=citation,
        homepage=homepage,
    )


ARCHIVES = {
    "cifar10": _cifar(
        "cifar10",
        File(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        parts={
            "train": tuple((f"cifar-10-batches-bin/data_batch_{number}.bin", 10_000) for number in range(1, 6)),
            "test": (("cifar-10-batches-bin/test_batch.bin", 10_000),),
        },
        labels=(("label", 10),),
    ),
    "cifar100": _cifar(
        "cifar100",
        File(
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
        parts={
            "train": (("cifar-100-binary/train.bin", 50_000),),
            "test": (("cifar-100-binary/test.bin", 10_000),),
        },
        labels=(("coarse_label", 20), ("label", 100)),
    ),
    "mnist": _mnist(
        "mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        {
            "train-images-idx3-ubyte.gz": (
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            "train-labels-idx1-ubyte.gz": (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            "t10k-images-idx3-ubyte.gz": (
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            "t10k-labels-idx1-ubyte.gz": (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        },
        LECUN,
        "http://yann.lecun.com/exdb/mnist/",
    ),
    "fashion_mnist": _mnist(
        "fashion_mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte.gz": (
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            "train-labels-idx1-ubyte.gz": (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            "t10k-images-idx3-ubyte.gz": (
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            "t10k-labels-idx1-ubyte.gz": (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        },
        XIAO,
        "https://github.com/zalandoresearch/fashion-mnist",
    ),
}


def locate(archive: Path, official: Archive) -> tuple[Path, ...]:
    """Where the files are: `archive` itself where there is one, else by their own names in that folder.

    Raises InputError with the names of those that are not there.
    """
    several = len(official.files) > 1
    paths = tuple(archive / file.name for file in official.files) if several else (archive,)
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        lacks = several and archive.is_dir()
        problem = f"lacks {', '.join(missing)}" if lacks else f"is not a {official.argument.lower()}"
        raise InputError(
            f"{archive} {problem}.\n"
            f"Expected {official.names}, from {official.address}\n"
            f"Type the same with --archive {official.argument}, where {'they are' if several else 'it is'}"
        )
    return paths


def verify(paths: tuple[Path, ...], official: Archive, unverified: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Compare every file's size and SHA-256 with the official ones; return them, and "verified", for the record.

    Of one file they are the record's own; of several the list "archives", and "verified" is whether all are.
    """
    facts = [verify_file(path, file, unverified, say) for path, file in zip(paths, official.files, strict=True)]
    if len(facts) == 1:
        return facts[0]
    names, verified = ", ".join(path.name for path in paths), all(file["verified"] for file in facts)
    return {"archive": names, "archives": facts, "verified": verified, "url": official.address}


def verify_file(path: Path, file: File, unverified: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """The facts of one file.

    Raises InputError where it is not the official one, unless `unverified`, which says so loudly and goes on.
    """
    size, sha256 = path.stat().st_size, digests.of_file(path)
    verified = (size, sha256) == (file.bytes, file.sha256)
    if not verified and not unverified:
        raise InputError(
            f"{path} is not the official {file.name}: cut, changed or packed anew.\n"
            f"It has {size:,} bytes, sha256 {sha256}\n"
            f"Expected {file.bytes:,} bytes, sha256 {file.sha256}\n"
            f"Get it again from {file.url}\n"
            "To use this very file, knowingly, type the same with --unverified"
        )
    if not verified:
        say(f"WARNING: UNVERIFIED ARCHIVE. {path} is not the official {file.name}.")
        say(f"WARNING: sha256 {sha256} instead of {file.sha256}. Every run on it records verified=false.")
    facts = {"archive": path.name, "archive_bytes": size, "archive_sha256": sha256, "verified": verified}
    return facts | {"official_bytes": file.bytes, "official_sha256": file.sha256, "url": file.url}


def read(paths: tuple[Path, ...], official: Archive) -> Splits:
    """Each split's arrays, its parts one after another. Raises InputError as the reader of their format does."""
    part, splits = official.reader(official, paths), {}
    for split, parts in official.parts.items():
        arrays = [part(name, count) for name, count in parts]
        splits[split] = {key: np.concatenate([each[key] for each in arrays]) for key in arrays[0]}
    return splits

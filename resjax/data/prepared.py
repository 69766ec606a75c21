"""Prepared data on disk: where they lie, the record beside them, whether a byte has changed, and reading them.

ROOT/resjax_cifar10/1.0.0/ holds what tensorflow-datasets wrote, and resjax.json: the archive's hash, whether it was
the official one (of several files a list), the SHA-256 of every file and of the arrays, and its own.
"""

import hashlib
import importlib
import json
import os
import shlex
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from resjax.data import archives, digests
from resjax.data.published import Arrays, Splits
from resjax.errors import InputError

RECORD = "resjax.json"
CHUNK = 4096  # records decoded at a time


def default_root() -> Path:
    """$RESJAX_DATA, else ~/.cache/resjax/data."""
    return Path(os.environ.get("RESJAX_DATA") or "~/.cache/resjax/data").expanduser()


def root_of(given: str | None) -> Path:
    """The folder of prepared data: the one given, else `default_root`."""
    return Path(given).expanduser() if given else default_root()


def folder(name: str, root: Path) -> Path:
    """Where `name` is, or would be, prepared; tensorflow-datasets finds it from `root` by itself."""
    return root / f"resjax_{name}" / archives.VERSION


def make_folder(root: Path) -> None:
    """Make `root`. Raises InputError where that cannot be, or nothing can be written to it."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=root).close()
    except OSError as error:
        raise InputError(
            f"the data folder {root} cannot be written: {error.strerror}\n"
            "Expected a folder that can be.\nType: export RESJAX_DATA=FOLDER"
        ) from error


def command(name: str, root: Path) -> str:
    """What to type to prepare `name` in `root`."""
    place = "" if root == default_root() else f"RESJAX_DATA={shlex.quote(str(root))} "
    return f"{place}resjax data prepare {name}"


def write_record(place: Path, facts: dict[str, Any]) -> None:
    """Write resjax.json: `facts`, then each file's size and SHA-256, then the SHA-256 of all that."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": digests.of_file(path)} for path in sorted(place.iterdir())
    }
    record = facts | {"files": files}
    text = json.dumps(record | {"record_sha256": record_sha256(record)}, indent=1, allow_nan=False)
    (place / RECORD).write_text(text + "\n")


def read_record(name: str, root: Path) -> dict[str, Any]:
    """resjax.json. Raises InputError where the data are not prepared, or the record itself is cut or changed."""
    place, argument = folder(name, root), archives.ARCHIVES[name].argument
    if not place.exists():
        raise InputError(
            f"data={name} is not prepared in {root}.\nExpected {place / RECORD}\nType: {command(name, root)}\n"
            f"Without network, with the archive at hand: {command(name, root)} --archive {argument}"
        )
    try:
        record = json.loads((place / RECORD).read_text())
        if record.pop("record_sha256") == record_sha256(record):
            return dict(record)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass  # not there, no JSON any more, or not ours
    raise damaged(name, root, [f"{RECORD} is missing, cut or changed"])


def record_sha256(record: dict[str, Any]) -> str:
    """SHA-256 of one spelling of the record."""
    return hashlib.sha256(json.dumps(record, sort_keys=True, allow_nan=False).encode()).hexdigest()


def differences(place: Path, record: dict[str, Any]) -> list[str]:
    """What is wrong with the files, each by name, or []: every byte of every file is compared by SHA-256."""
    found = []
    for name, expected in record["files"].items():
        path = place / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.stat().st_size != expected["bytes"]:
            found.append(f"{name} has {path.stat().st_size:,} bytes instead of {expected['bytes']:,}")
        elif digests.of_file(path) != expected["sha256"]:
            found.append(f"{name} is changed: its sha256 is not the recorded {expected['sha256']}")
    return found


def damaged(name: str, root: Path, problems: list[str]) -> InputError:
    """The refusal of prepared data that are not what was prepared."""
    place, more = folder(name, root), f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InputError(
        f"data={name} in {place} is damaged.\n{problems[0]}{more}\nExpected the files as they were prepared.\n"
        f"Type: rm -r {shlex.quote(str(place))} && {command(name, root)}"
    )


def intact_record(name: str, root: Path) -> dict[str, Any]:
    """resjax.json, once every file has been compared with it. Raises InputError where a byte has changed."""
    record = read_record(name, root)
    problems = differences(folder(name, root), record)
    if problems:
        raise damaged(name, root, problems)
    return record


def load(name: str, root: Path) -> tuple[Splits, dict[str, Any]]:
    """Each split's arrays, as archives.read gave them, and the record. Raises InputError where a byte has changed."""
    record = intact_record(name, root)
    return read(name, root), record


def read(name: str, root: Path) -> Splits:
    """Each split's arrays, decoded by the thousands: record by record, tensorflow-datasets takes three times longer."""
    tfds, raw = tensorflow_datasets(), {}
    builder = tfds.builder_from_directory(folder(name, root))
    for split in archives.ARCHIVES[name].parts:
        source = builder.as_data_source(split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
        chunks = [range(start, min(start + CHUNK, len(source))) for start in range(0, len(source), CHUNK)]
        parts = [decode(source.__getitems__(chunk), name) for chunk in chunks]
        raw[split] = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return raw


def decode(records: list[bytes], name: str) -> Arrays:
    """The arrays of so many records, each a serialised tf.train.Example."""
    from tensorflow_datasets.proto import tf_example_pb2

    official = archives.ARCHIVES[name]
    features = [tf_example_pb2.Example.FromString(record).features.feature for record in records]
    pixels = b"".join([feature["image"].bytes_list.value[0] for feature in features])
    arrays = {"image": np.frombuffer(pixels, np.uint8).reshape(len(records), *official.image_shape)}
    for label, _ in official.labels:
        arrays[label] = np.array([feature[label].int64_list.value[0] for feature in features], np.int32)
    return arrays


def content_sha256(splits: Splits) -> str:
    """SHA-256 of every array of every split, in the order of their names."""
    return digests.of_arrays(*[splits[split][key] for split in sorted(splits) for key in sorted(splits[split])])


def tensorflow_datasets() -> ModuleType:
    """The package, imported where it is needed: it takes more than a second.

    Raises InputError where it or array_record is missing.
    """
    try:
        importlib.import_module("array_record.python.array_record_module")
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise InputError(
            f"cannot import what reads prepared data: {error}\n"
            "Expected tensorflow-datasets and array-record; the latter has builds for few systems beside Linux.\n"
            "Type: pip install tensorflow-datasets array-record importlib_resources pillow\n"
            "data=digits and data=synthetic need neither."
        ) from error

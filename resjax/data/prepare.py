"""Prepare a data set once, whole or not at all, and check it later.

The archive comes from its official address, or from a file or folder; its SHA-256 is compared either way.
"""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resjax.data import archives, download, mock_imagenet, prepared, source
from resjax.data.published import Splits
from resjax.stopping import Listener, listening

Say = Callable[[str], None]


@dataclass(frozen=True)
class Check:
    """What `check` found: how much was compared, and each problem in a sentence."""

    name: str
    folder: str | None
    verified: bool | None
    files: int
    records: int
    problems: tuple[str, ...]


def prepare(name: str, root: Path, archive: Path | None, unverified: bool, say: Say) -> Path:
    """Write `name` below `root` from its archive, downloaded where none is given, and return its folder.

    Raises InputError where there is no network, or the archive is not the official one (unless `unverified`) or is
    not laid out like it. Whatever interrupts it, nothing is left that looks prepared.
    """
    if name == mock_imagenet.NAME:
        place = mock_imagenet.prepared(root)
        say(f"{name} is in {place}")
        return place
    if not needs_preparing(name):
        say(f"{name} needs no preparing: resjax brings it along.")
        return root
    if prepared.folder(name, root).exists():
        return already(name, root, say)
    official = archives.ARCHIVES[name]
    given = archives.locate(archive, official) if archive else None
    if given is None:
        download.require_network(official, root)  # before the slow import, so that it is said at once
    prepared.tensorflow_datasets()  # refused, where it is missing, before the download
    prepared.make_folder(root)
    for left in sorted(root.glob(f"incomplete-{name}-*")):
        say(f"{left} is what an interrupted prepare left: it can be deleted.")
    files = given or download.fetch(official, root, say)
    facts = archives.verify(files, official, unverified, say)
    place = build(name, root, archives.read(files, official), facts)
    shutil.rmtree(download.folder(name, root), ignore_errors=True)
    say(f"{name} is prepared in {place}")
    return place


def check(name: str, root: Path) -> Check:
    """Compare every prepared byte with what was prepared, and read every record.

    Raises InputError where `name` is not prepared.
    """
    if not needs_preparing(name):
        return Check(name, None, None, 0, 0, ())
    record, place = prepared.read_record(name, root), prepared.folder(name, root)
    problems, records = prepared.differences(place, record), 0
    if not problems:
        splits = prepared.read(name, root)
        records = sum(len(arrays["image"]) for arrays in splits.values())
        if prepared.content_sha256(splits) != record["content_sha256"]:
            problems = ["the files are whole, but the records read are not those of the archive"]
    return Check(name, str(place), record["verified"], len(record["files"]), records, tuple(problems))


def needs_preparing(name: str) -> bool:
    """Whether `name` comes from an archive. Raises InputError where there is no such data set."""
    return source.description(name).name in archives.ARCHIVES


def argument(name: str) -> str:
    """What --archive takes: FILE, or FOLDER. Raises InputError where there is no such data set."""
    if source.description(name).kind == "tfds":
        return "FOLDER"
    return archives.ARCHIVES[name].argument if needs_preparing(name) else "FILE"


def already(name: str, root: Path, say: Say) -> Path:
    """The folder of data that are there and whole, having said so. Raises InputError where they are not whole."""
    place, record = prepared.folder(name, root), prepared.intact_record(name, root)
    origin = "the official archive" if record["verified"] else "an UNVERIFIED archive"
    say(f"{name} is already prepared in {place}, from {origin}: nothing done. Delete that folder to prepare it anew.")
    return place


def build(name: str, root: Path, splits: Splits, facts: dict[str, Any]) -> Path:
    """Write the arrays with our builder into a folder beside, complete with the record, then rename it into place."""
    place = prepared.folder(name, root)
    with tempfile.TemporaryDirectory(prefix=f"incomplete-{name}-", dir=root) as beside:
        with listening() as listener:
            quietly_build(name, Path(beside), splits, listener)
        written = prepared.folder(name, Path(beside))
        prepared.write_record(written, {"dataset": name, **facts, "content_sha256": prepared.content_sha256(splits)})
        place.parent.mkdir(exist_ok=True)
        written.rename(place)
    return place


def quietly_build(name: str, data_dir: Path, splits: Splits, listener: Listener) -> None:
    """Run our builder; what it prints on standard output and its progress bars are dropped.

    Raises StopError where a signal asks to stop: it is seen at the next example.
    """
    from resjax.data import builders  # imports tensorflow_datasets

    with contextlib.redirect_stdout(io.StringIO()):
        prepared.tensorflow_datasets().disable_progress_bar()
        builder = builders.BUILDERS[name](examples=splits, check=listener.check, data_dir=data_dir)
        try:
            builder.download_and_prepare()
        finally:
            listener.check()  # tensorflow-datasets may have made another exception of it

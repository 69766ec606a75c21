"""What a stock builder needs before it starts: an image and a label, its files, TensorFlow, room, and the network."""

import importlib.util
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resjax.data import download, imagenet, open_files, prepared, tfds_sets
from resjax.errors import InputError

LONGEST = 300  # characters quoted of somebody else's message


def image_and_label(name: str, builder: Any) -> None:
    """Raises InputError where a record is no image with a class."""
    try:
        info = builder.info
    except ImportError as error:
        raise lacks_import(name, error) from error
    if tfds_sets.image_and_label(info) is None:
        raise InputError(
            f"{name} has the features {tfds_sets.told(info)[:LONGEST]}.\n"
            "Expected one image, uint8, and one class label.\n"
            "Type: resjax data prepare NAME --stock, with a set for image classification"
        )


def files(
    name: str, builder: Any, root: Path, archive: Path | None, unverified: bool, say: Callable[[str], None]
) -> dict[str, Path]:
    """What `archive` holds, by name; nothing where nothing is needed. Raises InputError where something is missing."""
    if builder.name == imagenet.NAME:
        official = {url.rpartition("/")[2]: int(info.size) for url, info in builder.url_infos.items()}
        tars = imagenet.located(archive, root)
        imagenet.check_sizes(tars, official, unverified, say)
        imagenet.need_room(tars, root, free_bytes(root))
        imagenet.need_open_files(open_files.hard_limit())
        return tars
    told = " ".join((builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "").split())
    typed = f"{prepared.command(shlex.quote(name), root)} --stock"
    if (archive is None) == bool(told) or (archive is not None and not archive.is_dir()):
        wants = (
            f"--archive FOLDER with what it asks for: {told[:LONGEST]}" if told else "no --archive: it is downloaded"
        )
        given = "nothing" if archive is None else str(archive)
        raise InputError(
            f"{name} got {given} as its archive.\nExpected {wants}\nType: {typed}{' --archive FOLDER' if told else ''}"
        )
    return {path.name: path.resolve() for path in archive.iterdir()} if archive else {}


def free_bytes(root: Path) -> int:
    """Of the disk that `root` is on, or would be."""
    return shutil.disk_usage(next(path for path in (root.absolute(), *root.absolute().parents) if path.exists())).free


def tensorflow(name: str) -> None:
    """Raises InputError where TensorFlow is not installed."""
    if importlib.util.find_spec("tensorflow") is None:
        raise lacks_import(name, ImportError("No module named 'tensorflow'", name="tensorflow"))


def lacks_import(name: str, error: ImportError) -> InputError:
    """The refusal where the builder needs a package."""
    module = (error.name or "").partition(".")[0] or "tensorflow"
    if module == "tensorflow":
        there_is = importlib.util.find_spec("tensorflow")
        return InputError(
            f"{name} is prepared by tensorflow-datasets' own builder, and that needs TensorFlow: "
            f"{brief(error) if there_is else 'there is none here.'}\n"
            "Expected TensorFlow, for preparing alone: training reads the result without it.\n"
            f"Type: {tfds_sets.NEEDS_TENSORFLOW}"
        )
    return InputError(
        f"tensorflow-datasets' builder of {name} cannot be used: {brief(error)}\n"
        f"Expected the package {module}, which that builder needs.\nType: pip install {module}"
    )


def network(name: str, url: str) -> None:
    """Raises InputError within seconds where the set cannot be downloaded."""
    if problem := download.no_connection(url):
        raise InputError(
            f"{name} cannot be downloaded. {problem}\nExpected {url}\n"
            "Type the same on a machine with network, and copy the folder that it says at the end."
        )


def brief(error: BaseException) -> str:
    """An error in a line: its first and its last, where it has several."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    told = lines[0][:LONGEST] if len(lines) == 1 else f"{lines[0][:LONGEST]} ... {lines[-1][-LONGEST:]}"
    return told.rstrip(".") + "."

"""Prepare a set with tensorflow-datasets' own builder of it, whole or not at all.

This alone needs TensorFlow, the extra `tfds-prepare`. What is written, array_record files, is read without it.
"""

import contextlib
import difflib
import importlib
import io
import logging
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from resjax.data import download, imagenet, prepared, source, stock_needs, tfds_listing, tfds_sets
from resjax.data.prepare import Say
from resjax.data.stock_needs import brief, lacks_import
from resjax.data.stock_progress import Bars, instead_of_bars
from resjax.errors import InputError
from resjax.stopping import StopError, listening


def prepare(name: str, root: Path, archive: Path | None, unverified: bool, say: Say) -> Path:
    """Write the set `name`, name/config or name:version below `root` and return its folder.

    archive: the folder of what tensorflow-datasets cannot download. Raises InputError, before anything is made, where
    there is no such set, it has no image and label, its files, TensorFlow, room or network are missing; later, where
    the builder fails. Whatever interrupts it, nothing is left that looks prepared.
    """
    builder = builder_of(name, root)
    if (place := Path(builder.data_path)).exists():
        return already(name, place, say)
    stock_needs.image_and_label(name, builder)
    files = stock_needs.files(name, builder, root, archive, unverified, say)
    stock_needs.tensorflow(name)
    if archive is None and builder.url_infos:
        stock_needs.network(name, next(iter(builder.url_infos)))
    prepared.make_folder(root)
    tell_leftovers(name, root, say)
    try:
        build(name, root, files, place, say, exact=builder.name == imagenet.NAME and not unverified)
    except StopError:
        say(f"{name} is not prepared: it was interrupted, and what was written is deleted.")
        raise
    finally:
        tell_downloads(name, root, place, say)
    say(f"{name} is prepared in {place}")
    return place


def builder_of(name: str, data_dir: Path, **options: Any) -> Any:
    """tensorflow-datasets' builder. Raises InputError, with the nearest names, where there is none."""
    tfds = prepared.tensorflow_datasets()
    known, bare = tfds.list_builders(with_community_datasets=False), re.split("[/:]", name)[0]
    if bare not in known:
        raise InputError(
            f"tensorflow-datasets has no set {name}.\n"
            f"Expected one of its {len(known)}; the nearest: {close(bare, known)}\n"
            "Type: resjax data prepare NAME --stock; all are on https://www.tensorflow.org/datasets/catalog"
        )
    try:
        with hushed():  # some import TensorFlow already here
            return tfds.builder(name, data_dir=data_dir, **options)
    except ImportError as error:
        raise lacks_import(name, error) from error
    except (ValueError, AssertionError, LookupError) as error:
        raise no_variant(name, tfds.builder_cls(bare), error) from error


def no_variant(name: str, cls: Any, error: Exception) -> InputError:
    """The refusal of a config or a version that the set `cls` lacks."""
    there_are = [f"{cls.name}/{config}" for config in cls.builder_configs] or [f"{cls.name}:{cls.VERSION}"]
    return InputError(
        f"tensorflow-datasets has no {name}: {brief(error)}\n"
        f"Expected {cls.name}, or one of its {len(there_are)}; the nearest: {close(name, there_are)}\n"
        f"Type: resjax data prepare {cls.name} --stock"
    )


def close(word: str, words: Sequence[str]) -> str:
    """The words most like it."""
    return ", ".join(difflib.get_close_matches(word, words, n=5, cutoff=0.0))


def already(name: str, place: Path, say: Say) -> Path:
    """The folder of a set that is there, having said so. Raises InputError where its records are not array_record."""
    form = tfds_listing.file_format(place)
    if form != tfds_sets.FORM:
        raise InputError(
            f"{name} in {place} was prepared as {form}.\nExpected {tfds_sets.FORM}, which is read without TensorFlow.\n"
            f"Type: rm -r {shlex.quote(str(place))}, then the same again; or name another folder with --root"
        )
    say(f"{name} is already prepared in {place}: nothing done. Delete that folder to prepare it anew.")
    return place


def tell_leftovers(name: str, root: Path, say: Say) -> None:
    """Say what an earlier prepare left that was killed."""
    for left in sorted(root.glob(f"incomplete-{spelled(name)}-????????")):
        say(f"{left} is what an interrupted prepare left: it can be deleted.")


def tell_downloads(name: str, root: Path, place: Path, say: Say) -> None:
    """Delete what was downloaded once the set is there; else say where it is."""
    downloads = download.folder(spelled(name), root)
    if place.exists() or not any(path.is_file() for path in downloads.rglob("*")):
        shutil.rmtree(downloads, ignore_errors=True)
        with contextlib.suppress(OSError):  # where others are, or none ever was
            downloads.parent.rmdir()
    else:
        say(f"{downloads} holds what was downloaded: the same command takes it up again, or it can be deleted.")


def spelled(name: str) -> str:
    """The name as part of a file's name."""
    return re.sub("[/:]", "-", name)


def build(name: str, root: Path, files: dict[str, Path], place: Path, say: Say, exact: bool) -> None:
    """Let the stock builder write into a folder beside, look at what it wrote, then rename that into place."""
    with tempfile.TemporaryDirectory(prefix=f"incomplete-{spelled(name)}-", dir=root) as folder:
        beside, manual = Path(folder) / "prepared", Path(folder) / "given"
        manual.mkdir()
        for given, path in files.items():  # these alone: a tar of test images would come in without labels
            (manual / given).symlink_to(path)
        written = run(name, beside, manual, download.folder(spelled(name), root), say)
        check_whole(written, exact)
        say(f"{name}: {', '.join(f'{count:,} {split}' for split, count in written.counts.items())}")
        place.parent.mkdir(parents=True, exist_ok=True)
        written.folder.rename(place)


def run(name: str, data_dir: Path, manual: Path, downloads: Path, say: Say) -> tfds_sets.TfdsSet:
    """Run the stock builder. Raises StopError where a signal asks to stop, InputError where the builder fails."""
    with listening() as listener, quiet(say) as aloud:
        try:
            import_tensorflow()
            tfds, builder = prepared.tensorflow_datasets(), builder_of(name, data_dir, file_format=tfds_sets.FORM)
            with instead_of_bars(Bars(name, aloud, listener.check)):
                builder.download_and_prepare(
                    download_dir=downloads, download_config=tfds.download.DownloadConfig(manual_dir=manual)
                )
        except (InputError, StopError):
            raise
        except ImportError as error:
            raise lacks_import(name, error) from error
        except Exception as error:  # somebody else's code, which may raise anything
            listener.check()  # tensorflow-datasets may have made another exception of a stop
            raise failed(name, error) from error
        listener.check()
    return tfds_sets.TfdsSet(Path(builder.data_path), tfds.builder_from_directory(builder.data_path))


def import_tensorflow() -> None:
    """Import it, without a GPU."""
    with hushed():
        importlib.import_module("tensorflow").config.set_visible_devices([], "GPU")


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Drop what TensorFlow says of the machine as it starts: its C++ writes to descriptor 2, past Python."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when it starts
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def quiet(say: Say) -> Iterator[Callable[[str], None]]:
    """Drop what TensorFlow and tensorflow-datasets print; the `say` that it gives is heard nevertheless."""
    logger, out = logging.getLogger("absl"), sys.stdout
    level = logger.level

    def aloud(text: str) -> None:
        with contextlib.redirect_stdout(out):
            say(text)

    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield aloud
    finally:
        logger.setLevel(level)


def failed(name: str, error: Exception) -> InputError:
    """The refusal where the stock builder raised."""
    return InputError(
        f"{name} could not be prepared, and nothing is left of it: {type(error).__name__}: {brief(error)}\n"
        "Expected whole files, the network where it downloads, and room on the disk.\n"
        "Type the same once that is so."
    )


def check_whole(written: tfds_sets.TfdsSet, exact: bool) -> None:
    """Raises InputError where the set has no image and label or, `exact`, not the published numbers of them."""
    _ = written.features
    row, counts = source.description(imagenet.NAME), written.counts
    expected = {"train": row.train_examples, "validation": row.test_examples}
    if exact and counts != expected:
        raise InputError(
            f"{imagenet.NAME} came out with {counts}.\nExpected {expected}, from the official archives.\n"
            "Type the same with the archives downloaded anew"
        )

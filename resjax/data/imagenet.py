"""ImageNet's two archives, as tensorflow-datasets' imagenet2012 wants them: nobody may pass them on, one registers.

Their sizes are those that the package lists (datasets/imagenet2012/checksums.tsv): 147,897,477,120 and 6,744,924,160.
"""

import shlex
from collections.abc import Callable
from pathlib import Path

from resjax.data import prepared
from resjax.errors import InputError

NAME = "imagenet2012"
TARS = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")
PAGE = "https://image-net.org/download-images"
# Free space, as a multiple of the archives: the records hold the same files, 154.6 GB of train and val together, and
# what a split is shuffled through is deleted while it is written.
ROOM = 1.05
OPEN_FILES = 1200  # tensorflow-datasets shuffles through a thousand files, all open; it raises the soft limit by itself


def located(archive: Path | None, root: Path) -> dict[str, Path]:
    """The two archives, by name. Raises InputError with those that `archive` lacks."""
    typed = f"{prepared.command(NAME, root)} --archive FOLDER"
    if archive is None:
        raise InputError(
            f"{NAME} cannot be downloaded by anyone else: its terms are agreed to by each person.\n"
            f"Expected {' and '.join(TARS)}, from {PAGE} after registration\n"
            f"Type: {typed}, where they are"
        )
    missing = [name for name in TARS if not (archive / name).is_file()]
    if missing:
        problem = f"lacks {' and '.join(missing)}" if archive.is_dir() else "is not a folder"
        raise InputError(
            f"{archive} {problem}.\n"
            f"Expected {' and '.join(TARS)}, from {PAGE} after registration\n"
            f"Type: {typed}, where they are"
        )
    return {name: (archive / name).resolve() for name in TARS}


def check_sizes(tars: dict[str, Path], official: dict[str, int], unverified: bool, say: Callable[[str], None]) -> None:
    """Compare with the official sizes. Raises InputError where one differs, unless `unverified`: then it is said."""
    for name, path in tars.items():
        size, expected = path.stat().st_size, official.get(name)
        if expected in (None, size):
            continue
        if not unverified:
            raise InputError(
                f"{path} is not the official {name}: it has {size:,} bytes.\n"
                f"Expected {expected:,} bytes, from {PAGE} after registration\n"
                "To use this very file, knowingly, type the same with --unverified"
            )
        say(f"WARNING: UNVERIFIED ARCHIVE. {path} has {size:,} bytes, the official one {expected:,}.")


def need_room(tars: dict[str, Path], root: Path, free: int) -> None:
    """Raises InputError where fewer bytes are free than the prepared set takes."""
    wanted = int(ROOM * sum(path.stat().st_size for path in tars.values()))
    if free < wanted:
        folder = shlex.quote(str(next(iter(tars.values())).parent))
        raise InputError(
            f"{root} has {free / 1e9:,.1f} GB free, and {NAME} takes {wanted / 1e9:,.1f} GB.\n"
            "Expected as much as both archives and a little more; they may lie on another disk.\n"
            f"Type: {prepared.command(NAME, Path('FOLDER'))} --archive {folder}"
        )


def need_open_files(limit: int) -> None:
    """Raises InputError where a process may have no more files open than `limit`, the hard one."""
    if limit < OPEN_FILES:
        raise InputError(
            f"A process may have {limit:,} files open here, and preparing {NAME} takes a thousand and some.\n"
            f"Expected a hard limit of {OPEN_FILES:,}.\n"
            f"Type: ulimit -n {OPEN_FILES}, as whoever may raise it; or prepare it on another machine"
        )

"""resjax data list | prepare NAME | check NAME | speed SETTINGS."""

import argparse
import math
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from resjax.cli.options import JSON_HELP, Command, Parser
from resjax.cli.output import show
from resjax.errors import InputError

ROOT_HELP = "of prepared data; default: $RESJAX_DATA, or ~/.cache/resjax/data"
ARCHIVE_HELP = "what is downloaded already; of several files (mnist, imagenet2012) their folder"
STOCK_HELP = "NAME is a set of tensorflow-datasets, such as oxford_iiit_pet"


def parser() -> Parser:
    """The options of `resjax data`."""
    found = Parser(
        "resjax data",
        description="The data sets. digits and synthetic need nothing; others are prepared once.",
        examples=("resjax data list", "resjax data prepare cifar10", "resjax data check cifar10"),
        more="Each has its own help: resjax data prepare --help",
    )
    kinds = found.add_subparsers(metavar="list|prepare|check|speed", required=True)
    add_list(kinds)
    add_prepare(kinds)
    add_check(kinds)
    add_speed(kinds)
    return found


def add_list(kinds: Any) -> None:
    """resjax data list."""
    line = "every data set, and whether it can be used as things stand"
    found = kinds.add_parser("list", help=line, description=f"{line.capitalize()}.", examples=("resjax data list",))
    found.add_argument("--json", action="store_true", help=JSON_HELP)
    found.add_argument("--root", metavar="FOLDER", help=ROOT_HELP)
    found.set_defaults(command=list_data)


def add_prepare(kinds: Any) -> None:
    """resjax data prepare."""
    found = kinds.add_parser(
        "prepare",
        help="download a data set, or take its archive, and check it",
        description="Download a data set, or take its archive, compare it with the official checksum,\nand lay it out "
        "for training.",
        examples=("resjax data prepare cifar10", "resjax data prepare cifar10 --archive cifar-10-binary.tar.gz"),
    )
    found.add_argument("name", metavar="NAME", help="such as cifar10 or imagenet2012: resjax data list")
    found.add_argument("--archive", type=Path, metavar="FILE", help=ARCHIVE_HELP)
    found.add_argument(
        "--unverified", action="store_true", help="take FILE though its checksum is not the official one"
    )
    found.add_argument("--stock", action="store_true", help=f"{STOCK_HELP}; it takes TensorFlow")
    found.add_argument("--root", metavar="FOLDER", help=ROOT_HELP)
    found.set_defaults(command=prepare_data)


def add_check(kinds: Any) -> None:
    """resjax data check."""
    found = kinds.add_parser(
        "check",
        help="whether a prepared data set is whole",
        description="Whether a prepared data set, or a folder of images, is whole.",
        examples=("resjax data check cifar10", "resjax data check photographs/ --all"),
        codes="0 whole, 1 damaged, 2 bad input",
    )
    found.add_argument("name", metavar="NAME", help="such as cifar10, or a folder SPLIT/CLASS/image.jpg")
    found.add_argument(
        "--all", action="store_true", help="decode every image of a streamed set or a folder, not a sample"
    )
    found.add_argument("--stock", action="store_true", help=STOCK_HELP)
    found.add_argument("--root", metavar="FOLDER", help=ROOT_HELP)
    found.set_defaults(command=check_data)


def add_speed(kinds: Any) -> None:
    """resjax data speed."""
    found = kinds.add_parser(
        "speed",
        help="images/s of reading, of the step, and of both (streamed sets)",
        description="Images a second of reading, of the training step, and of both together, for data\nthat are read "
        "while training: which of them the other waits for.",
        examples=("resjax data speed model=resnet_imagenet model.depth=50 data=mock_imagenet",),
    )
    found.add_argument("words", nargs="*", metavar="SETTING=VALUE", help="of resjax train: data, model, batch, ...")
    found.add_argument("--seconds", type=float, default=5.0, metavar="N", help="of each measurement; default: 5")
    found.add_argument("--json", action="store_true", help=JSON_HELP)
    found.set_defaults(command=time_data)


def list_data(options: argparse.Namespace) -> int:
    """resjax data list."""
    from resjax.data import prepared, source

    rows = source.describe(prepared.root_of(options.root))
    show(rows, options.json, ("name", "train_examples", "test_examples", "image_shape", "classes", "status"))
    if not options.json:
        for row in rows:
            if row["type"]:
                say(f"Type: {row['type']}")
    return 0


def prepare_data(options: argparse.Namespace) -> int:
    """resjax data prepare."""
    from resjax.data import mock_imagenet, prepare, prepared

    if options.name != mock_imagenet.NAME and is_stock(options):
        from resjax.data import stock

        stock.prepare(options.name, prepared.root_of(options.root), options.archive, options.unverified, say)
        say(f"Type: {training(options)}")
        return 0
    if options.unverified and options.archive is None:
        raise InputError(
            "--unverified without --archive: a download is always compared with the official checksum.\n"
            f"Type: resjax data prepare {options.name} --archive {prepare.argument(options.name)} --unverified"
        )
    prepare.prepare(options.name, prepared.root_of(options.root), options.archive, options.unverified, say)
    say(f"Type: {training(options)}")
    return 0


def training(options: argparse.Namespace) -> str:
    """A command that trains on a set that was prepared."""
    large = ["model=resnet_imagenet", "model.depth=18"] if "imagenet" in options.name else []
    data = ["data=tfds", f"data.name={options.name}"] if options.stock else [f"data={options.name}"]
    root = [f"data.root={options.root}"] if options.root else []
    return shlex.join(["resjax", "train", *large, *data, *root])


def check_data(options: argparse.Namespace) -> int:
    """resjax data check: exit code 1 where something is wrong."""
    from resjax.data import mock_imagenet, prepare, prepared

    if is_folder(options) or options.name == mock_imagenet.NAME or is_stock(options):
        return check_images(options)
    found = prepare.check(options.name, prepared.root_of(options.root))
    if found.folder is None:
        say(f"{found.name} comes with resjax: there is nothing to check.")
        return 0
    origin = "the official archive" if found.verified else "an UNVERIFIED archive"
    say(f"{found.name} in {found.folder}, from {origin}: {found.files} files, {found.records:,} records read.")
    return verdict(options, found.folder, found.problems, ())


def time_data(options: argparse.Namespace) -> int:
    """resjax data speed."""
    from resjax.cli.overrides import launch
    from resjax.starting import start_jax

    if not 0 < options.seconds < math.inf:
        raise InputError(f"--seconds={options.seconds:g}.\nExpected more than 0.\nType: --seconds=5")
    jobs = launch([*options.words, "tracker=none"], command="").jobs
    start_jax(jobs[0])
    from resjax import throughput  # JAX is imported from here on

    found, aside = [], Console(stderr=options.json)
    for rate in throughput.rates(jobs[0], options.seconds, partial(say, console=aside)):
        found.append(rate)
        if not options.json:
            by = {None: "", 0: ", threads", 1: ", 1 worker process"}.get(
                rate.workers, f", {rate.workers} worker processes"
            )
            say(f"{rate.what}{by}: {rate.images_per_s:,.0f} images/s ({rate.count} in {rate.seconds:.1f} s)")
    if options.json:
        show(throughput.as_rows(found), as_json=True)
        return 0
    say(throughput.verdict(found))
    return 0


def is_folder(options: argparse.Namespace) -> bool:
    """Whether NAME is a folder of images; a set of that name goes first."""
    from resjax.data import source

    return not options.stock and not source.is_listed(options.name) and Path(options.name).is_dir()


def is_stock(options: argparse.Namespace) -> bool:
    """Whether NAME is a set of tensorflow-datasets: it is said to be, or it is ImageNet. InputError where unknown."""
    from resjax.data import imagenet, source

    if options.stock or options.name == imagenet.NAME:
        return True
    try:
        source.description(options.name)
    except InputError as error:
        raise InputError(f"{error}\nOf a set of tensorflow-datasets, type the same with --stock") from error
    return False


def check_images(options: argparse.Namespace) -> int:
    """resjax data check, of a set of tensorflow-datasets, or of a folder of images."""
    from resjax.data import prepared, tfds_check, tfds_sets

    if is_folder(options):
        found = tfds_check.check_folder(Path(options.name), options.all, say)
    else:
        roots = tfds_sets.roots(prepared.root_of(options.root), options.root is not None)
        found = tfds_check.check(options.name, roots, options.all, say)
    say(f"{found.name} in {found.folder}: {found.records:,} records counted, {found.decoded:,} images decoded.")
    if found.decoded < found.records and not found.problems:
        stock = " --stock" if options.stock else ""
        say(f"A sample, evenly spread. All of them: resjax data check {shlex.quote(options.name)}{stock} --all")
    return verdict(options, found.folder, found.files, found.images)


def say(text: str, console: Console | None = None) -> None:
    """A line, on standard output where nothing else is said."""
    (console or Console()).print(text, highlight=False, markup=False, soft_wrap=True)


def verdict(options: argparse.Namespace, folder: str, files: Sequence[str], images: Sequence[str]) -> int:
    """What is wrong with files of records, and with images, and what to do about it; the exit code."""
    from resjax.data import prepared

    for problem in (*files, *images):
        say(f"WRONG: {problem}")
    if not files and not images:
        say("whole")
        return 0
    if files:
        more = " --stock" if options.stock else " --archive FOLDER" if options.name == "imagenet2012" else ""
        command = prepared.command(shlex.quote(options.name), prepared.root_of(options.root))
        say(f"damaged. Delete {folder}, and type: {command}{more}")
        return 1
    mend = "Mend these files, or take them away; training" if is_folder(options) else "Training"
    say(f"damaged. {mend} leaves out data.corrupt_share of {'them' if is_folder(options) else 'a split'} at most")
    return 1


def run(words: Sequence[str]) -> int:
    """resjax data; settings may stand behind options, which argparse allows in no command below another one."""
    found = parser()
    options, more = found.parse_known_args(list(words))
    settings = [word for word in more if options.command is time_data and not word.startswith("-")]
    if unknown := [word for word in more if word not in settings]:
        found.error(f"unrecognized arguments: {' '.join(unknown)}")
    if settings:
        options.words += settings
    return int(options.command(options))


COMMANDS = {"data": Command(parser, run)}

"""resjax data list | prepare NAME | check NAME | speed SETTINGS, and resjax models."""

import argparse
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from resjax.catalog import CATALOG
from resjax.cli.output import show
from resjax.errors import InputError


def add_commands(commands: Any) -> None:
    """Add them to the parser."""
    models = commands.add_parser("models", help="every network, shortcut and norm, with its paper")
    models.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    models.set_defaults(command=list_models)
    kinds = commands.add_parser("data", help="list, prepare, check and time data sets").add_subparsers(
        metavar="list|prepare|check|speed", required=True
    )
    listing = kinds.add_parser("list", help="every data set, and whether it can be used as things stand")
    listing.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    listing.set_defaults(command=list_data)
    preparing = kinds.add_parser("prepare", help="download a data set, or take its archive, and check it")
    preparing.add_argument(
        "--archive",
        type=Path,
        metavar="FILE",
        help="what is downloaded already; of several files (mnist, imagenet2012) their folder",
    )
    preparing.add_argument(
        "--unverified", action="store_true", help="take FILE though its checksum is not the official one"
    )
    preparing.set_defaults(command=prepare_data)
    checking = kinds.add_parser("check", help="whether a prepared data set is whole")
    checking.add_argument(
        "--all", action="store_true", help="decode all images of a streamed set or a folder, not a sample alone"
    )
    checking.set_defaults(command=check_data)
    timing = kinds.add_parser("speed", help="images a second of reading, of the step, and of both, for streamed sets")
    timing.add_argument("words", nargs="*", metavar="SETTING=VALUE", help="of resjax train: data, model, batch, ...")
    timing.add_argument("--seconds", type=float, default=5.0, help="that each measurement takes; default: 5")
    timing.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    timing.set_defaults(command=time_data)
    for command in (preparing, checking):
        folder = ", or a folder of images, SPLIT/CLASS/image.jpg" if command is checking else ""
        command.add_argument("name", metavar="NAME", help=f"such as cifar10 or imagenet2012{folder}")
        command.add_argument(
            "--stock",
            action="store_true",
            help="NAME is a set of tensorflow-datasets, such as oxford_iiit_pet; to prepare it takes TensorFlow",
        )
    for command in (listing, preparing, checking):
        command.add_argument("--root", help="folder of prepared data; default: $RESJAX_DATA, or ~/.cache/resjax/data")


def list_models(options: argparse.Namespace) -> int:
    """resjax models."""
    show(CATALOG, options.json)
    return 0


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
        return 0
    if options.unverified and options.archive is None:
        raise InputError(
            "--unverified without --archive: a download is always compared with the official checksum.\n"
            f"Type: resjax data prepare {options.name} --archive {prepare.argument(options.name)} --unverified"
        )
    prepare.prepare(options.name, prepared.root_of(options.root), options.archive, options.unverified, say)
    return 0


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
    return verdict(options, found.folder, found.problems)


def time_data(options: argparse.Namespace) -> int:
    """resjax data speed."""
    from resjax.cli.overrides import launch
    from resjax.starting import start_jax

    if not 0 < options.seconds < math.inf:
        raise InputError(f"--seconds={options.seconds:g}.\nExpected more than 0.\nType: --seconds=5")
    jobs = launch([*options.words, "tracker=none"]).jobs
    start_jax(jobs[0])
    from resjax import throughput  # JAX is imported from here on

    found = []
    for rate in throughput.rates(jobs[0], options.seconds):
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
    return verdict(options, found.folder, found.problems)


def say(text: str) -> None:
    """A line on standard output."""
    Console().print(text, highlight=False, markup=False, soft_wrap=True)


def verdict(options: argparse.Namespace, folder: str, problems: Sequence[str]) -> int:
    """What is wrong, and what to do about it; the exit code."""
    for problem in problems:
        say(f"WRONG: {problem}")
    if not problems:
        say("whole")
        return 0
    if is_folder(options):
        say("damaged. Mend these files, or take them away; training leaves out data.corrupt_share of them at most")
        return 1
    more = " --stock" if options.stock else " --archive FOLDER" if options.name == "imagenet2012" else ""
    say(f"damaged. Delete {folder}, and type: resjax data prepare {shlex.quote(options.name)}{more}")
    return 1

"""resjax models: what there is to choose, with its paper; without JAX."""

import argparse

from resjax.catalog import CATALOG
from resjax.cli.options import JSON_HELP, Parser, parsed
from resjax.cli.output import show


def parser() -> Parser:
    """The options of `resjax models`."""
    found = Parser(
        "resjax models",
        description="Every network, shortcut, order, norm, activation and init, with its paper: what\ncan stand after "
        "model=, model.shortcut=, ...",
        examples=("resjax models", "resjax models --json"),
    )
    found.add_argument("--json", action="store_true", help=JSON_HELP)
    return found


def list_models(options: argparse.Namespace) -> int:
    """resjax models."""
    show(CATALOG, options.json)
    return 0


COMMANDS = {"models": parsed(parser, list_models)}

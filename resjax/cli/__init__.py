"""The `resjax` command. Only this package and experiments/ know Hydra."""

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from resjax import pages
from resjax.durable import DiskFullError
from resjax.errors import BAD_INPUT, InputError, ToldError
from resjax.redaction import print_trace, redacted
from resjax.stopping import INTERRUPTED, TERMINATED, StopError

FAILED = 1
FIRST_STEPS = """first steps:
  resjax train -m experiment=quickstart     plain against residual, with and without norm; minutes on a laptop
  resjax report quickstart                  what happened, as a page with figures and a table
  resjax reproduce                          the papers' figures and tables, and questions, to make again
  resjax train --help                       every setting, and how to sweep over any of them
"""


class Terminated(BaseException):
    """A signal that ends a command which has nothing to save."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 a job failed, 2 bad input, 75 the time is up, 130 and 143 signals."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    former = {number: signal.getsignal(number) for number in numbers}
    if arguments is None:
        sys.excepthook = print_trace
    try:
        for number in numbers:
            signal.signal(number, _terminate)
        # Hydra reads the words of `train` itself.
        if words[:1] == ["train"]:
            if arguments is None:
                pages.restart()
            from resjax.cli import train

            return train.run(words[1:])
        if words[:1] == ["reproduce"]:
            if arguments is None:
                pages.restart()
            from resjax.cli import reproduce

            return reproduce.run(words[1:])
        if words[:1] == ["predict"]:
            from resjax.cli import predict

            return predict.run(words[1:])
        if words[:1] == ["doctor"]:
            if arguments is None:
                pages.restart()  # steps are as fast as in training
            from resjax.cli import doctor

            return doctor.run(words[1:])
        if words[:1] == ["lab"]:
            if arguments is None:
                pages.restart()
            from resjax.cli import lab

            return lab.run(words[1:])
        if words[:1] == ["import"]:
            from resjax.cli import imports

            return imports.run(words[1:])
        options = parser().parse_args(words)
        return int(options.command(options))
    except InputError as error:
        print(redacted(f"resjax: {error}"), file=sys.stderr)
        return BAD_INPUT
    except ToldError as error:
        print(redacted(f"resjax: {error}"), file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("resjax: interrupted. The same command skips what is done and goes on with the rest.", file=sys.stderr)
        return INTERRUPTED
    except DiskFullError as error:
        print(redacted(f"resjax: {error}"), file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        print(redacted(f"resjax: {error.filename or 'a file'}: {error.strerror}"), file=sys.stderr)
        print(
            "Expected a folder that can be written. Type another one: runs=FOLDER (train), --out, --runs",
            file=sys.stderr,
        )
        return BAD_INPUT
    except StopError as stopped:
        return stopped.code
    except Terminated:
        return TERMINATED
    finally:
        for number, handler in former.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    from resjax.cli import dashboard, data, status, sweeps  # they import what `train` must not wait for

    root = argparse.ArgumentParser(
        prog="resjax",
        description="Measure, by experiment, what residual connections do.",
        epilog=FIRST_STEPS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = root.add_subparsers(metavar="COMMAND", required=True)
    commands.add_parser("train", help="train one network, or a sweep of them", add_help=False)
    commands.add_parser("reproduce", help="a paper's figure or table: its runs, then a verdict", add_help=False)
    commands.add_parser("predict", help="a network's parameters, multiply-adds and memory", add_help=False)
    commands.add_parser("doctor", help="whether this machine is fit to train, and how fast", add_help=False)
    commands.add_parser("lab", help="instruments for finished runs: lesions, landscapes, ...", add_help=False)
    commands.add_parser("import", help="a net trained elsewhere becomes a run", add_help=False)
    status.add_command(commands)
    sweeps.add_commands(commands)
    data.add_commands(commands)
    dashboard.add_command(commands)
    return root

"""The `resjax` command. Only this package and experiments/ know Hydra."""

import os
import select
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
CLOSED = 128 + signal.SIGPIPE


class Terminated(BaseException):
    """A signal that ends a command which has nothing to save."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 a job failed, 2 bad input, 75 the time is up, 130 and 143 signals,
    141 whoever read what is printed has gone.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    former = {number: signal.getsignal(number) for number in numbers}
    if arguments is None:
        sys.excepthook = print_trace
    try:
        for number in numbers:
            signal.signal(number, _terminate)
        code = run(words, restarts=arguments is None)
        print(end="", flush=True)  # that nobody reads it any more is found here
        return code
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
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # rich's way to say it
            return CLOSED
        raise
    except OSError as error:
        if isinstance(error, BrokenPipeError) and nobody_reads():
            return CLOSED
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


def nobody_reads() -> bool:
    """Whether standard output is what is closed; then the rest of it goes nowhere, or Python tells that it cannot."""
    output = select.poll()
    output.register(1, 0)  # errors are told in any case
    if closed := any(event & select.POLLERR for _, event in output.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return closed


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def run(words: Sequence[str], restarts: bool) -> int:
    """The command that the words begin with; restarts: its process may begin again (`pages.restart`)."""
    from resjax.cli import commands  # after the signals are listened for

    words = [*words[1:], "--help"] if words[:1] == ["help"] else list(words)
    if not words or words[0] in ("-h", "--help"):
        print(commands.help_text())
        return 0 if words else BAD_INPUT  # of a script that forgot the command, nothing was done
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"resjax {version('resjax')}")
        return 0
    command = commands.command(words[0], words[1:])
    if restarts and commands.ROWS[words[0]].restarts:
        pages.restart()
    return command.run(words[1:])

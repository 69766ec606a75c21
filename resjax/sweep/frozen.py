"""One run of a sweep as submitit calls it, on the machine that it found for it."""

import faulthandler
import signal
import subprocess
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resjax import job as jobs
from resjax import records
from resjax.durable import write_whole
from resjax.errors import InputError
from resjax.facts import code
from resjax.progress import Watch
from resjax.redaction import Redacting, print_trace, redacted
from resjax.stopping import Poll, listening
from resjax.sweep import slurm
from resjax.tracking import Tracking

SUBMITIT = "submitit"  # its folder in launches/


def refusal(folder: Path, name: str) -> Path:
    """The file in which a run of that name says why its settings, its data and the machine do not fit together."""
    return folder / f"{name}.refused"


@dataclass(frozen=True)
class FrozenRun:
    """A run of a launch. submitit pickles it into its own folder: two paths and a number, no settings and no code."""

    launch: str
    index: int
    folder: str

    def __call__(self) -> str:
        """Make the run. Told that its time is over, it saves itself, and has submitit start the job again.

        submitit keeps what is printed in a file, and would keep the trace of an error there, too: without secrets.
        """
        faulthandler.enable()
        requeue = signal.getsignal(signal.SIGUSR2)  # submitit's
        with Redacting(sys.stdout) as out, Redacting(sys.stderr) as err, redirect_stdout(out), redirect_stderr(err):
            try:
                with listening() as listener:
                    status = self.make(listener.asked)
            except Exception as error:
                print_trace(type(error), error, error.__traceback__)
                self.record(records.kind_of(error), records.one_line(error), traceback.format_exc())
                return jobs.FAILED
        if status == jobs.PREEMPTED and (on_slurm() or listener.number == signal.SIGUSR2):
            again(requeue)
        return status

    def make(self, stop: Poll) -> str:
        """The run's status; "refused" where its settings, its data and the machine do not fit together."""
        launch = records.thaw(Path(self.launch))
        try:
            launch.require(code())
            return jobs.run(launch.job(self.index), Watch(1), Tracking(), stop)
        except InputError as error:
            print(redacted(str(error)), file=sys.stderr)
            if is_first():
                folder = Path(self.folder)
                write_whole(refusal(Path(self.launch).parent / SUBMITIT, folder.name), redacted(str(error)).encode())
                if records.state(folder) == "pending":
                    self.record("refused", str(error), f"{error}\n")
            return "refused"

    def record(self, kind: str, error: str, trace: str) -> None:
        """Record a failure of which its records do not know, unless somebody else is at the run."""
        if is_first():
            with suppress(OSError, records.BusyError), jobs.holding(Path(self.folder), None):
                records.fail(Path(self.folder), kind, error, trace)

    def checkpoint(self) -> Any:
        """What submitit starts the job again with: the same, which goes on from its last save."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def on_slurm() -> bool:
    """Whether it was SLURM, and not this machine alone, that began the job."""
    import submitit

    return bool(submitit.JobEnvironment().cluster == "slurm")


def is_first() -> bool:
    """Whether this is the first of the processes that make a run together: it speaks for all."""
    import submitit

    return bool(submitit.JobEnvironment().global_rank == 0)


def again(requeue: Any) -> None:
    """Have the job started again, unless SLURM is ending it: then it sees to that itself, or the job was cancelled.

    A job that ends by itself in its time of grace is not started again by SLURM (seen with 22.05).
    """
    import submitit

    if not is_first():
        return
    if not (on_slurm() and slurm.is_ending(submitit.JobEnvironment().job_id)) and callable(requeue):
        with suppress(subprocess.SubprocessError):  # SLURM was quicker
            requeue(signal.SIGUSR2, None)  # calls checkpoint(), then `scontrol requeue`, and exits
    sys.exit(-1)

"""SLURM's queue, by its own commands: submitit asks the accounting, which not every cluster has."""

import subprocess
import time

# How a job ends, as a kind of failure and in words; where SLURM ends it for reasons of its own it is submitted anew.
OVER = {
    "CANCELLED": ("cancelled", "was cancelled (scancel)"),
    "TIMEOUT": ("timeout", "took longer than hydra.launcher.timeout_min"),
    "DEADLINE": ("timeout", "would not have ended in time"),
    "OUT_OF_MEMORY": ("memory", "took more memory than it was given (hydra.launcher.mem_gb)"),
    "FAILED": ("killed", "ended without a word: it crashed or was killed, perhaps for want of memory"),
    "COMPLETED": ("killed", "ended without having made its run"),
}
ANEW = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL")
GONE = "GONE"  # SLURM forgets a job some minutes after its end
ASK_EVERY_S = 10.0
LOOKS = 2  # so many in a row say that a job is over: one that is requeued passes through other states


def states() -> dict[str, str] | None:
    """The state of each of the user's jobs that SLURM remembers, array jobs as 12_3; None where it does not answer."""
    command = ["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i %T"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return dict(line.split(maxsplit=1) for line in asked.stdout.splitlines() if " " in line.strip())


def is_ending(job_id: str) -> bool:
    """Whether SLURM has begun to end a job."""
    return (states() or {}).get(job_id) == "COMPLETING"


class Queue:
    """What SLURM says of the jobs, asked now and then."""

    def __init__(self) -> None:
        self.states, self.looks, self.asked = dict[str, str](), dict[str, int](), float("-inf")

    def look(self) -> None:
        """Ask, if it is time; count for how long a job has been over."""
        if time.monotonic() - self.asked < ASK_EVERY_S:
            return
        self.asked = time.monotonic()
        if (found := states()) is None:
            return
        self.states = found
        for job_id in self.looks:
            self.looks[job_id] = 0 if self.is_there(job_id) else self.looks[job_id] + 1

    def refresh(self) -> None:
        """Ask now, of a job that was submitted since; it counts for no other."""
        self.states = states() or self.states

    def is_there(self, job_id: str) -> bool:
        """Whether a job waits, runs, or is being ended."""
        state = self.states.get(job_id, GONE)
        return state not in OVER and state not in ANEW and state != GONE

    def over(self, job_id: str) -> str:
        """The state in which a job ended, "" as long as it did not."""
        self.looks.setdefault(job_id, 0)
        return self.states.get(job_id, GONE) if self.looks[job_id] >= LOOKS else ""

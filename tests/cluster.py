"""A real SLURM cluster of one node, in a folder of its own, for as long as a test needs it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")
# Daemons are in root's folders, which are not on the PATH of every shell.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
START_SECONDS = 30.0
STOP_SECONDS = 10.0
# The name of a UNIX socket has at most 107 bytes; the longest one here is that of a job's batch step.
SOCKET_BYTES = 107
LONGEST_SOCKET = "spool/localhost_99999.4294967291"

# What is not there keeps its default, such as no accounting. Why some of the rest is there:
# - localhost as the node's name: jobs read it in SLURM_JOB_NODELIST and may connect to it.
# - cred_expire: a requeued job starts again only after the credential of its first run has expired, 120 s by default.
# - linuxproc, task/none: what keeps track of a job's processes where cgroups cannot be written.
# - config_overrides: the node has the CPUs and the memory given here, whatever the machine has.
# - ..._interval: look for jobs to start every second, as a test waits for it.
# - MinJobAge: `scontrol show job` still knows a job an hour after its end.
SLURM_CONF = """\
ClusterName=trial
SlurmctldHost={host}({address})
SlurmctldPort={controller_port}
SlurmdPort={node_port}
{listening}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
PropagateResourceLimits=NONE
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=1
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=30
MinJobAge=3600
ReturnToService=2
{extra}
NodeName=localhost NodeHostname={host} NodeAddr={address} CPUs=2 CoresPerSocket=2 RealMemory=8192 State=UNKNOWN
PartitionName=low Nodes=localhost Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime={grace} State=UP
PartitionName=high Nodes=localhost PriorityTier=10 PreemptMode=OFF State=UP
"""


class Unavailable(Exception):  # noqa: N818 (a state of the machine, no error of the tests)
    """This machine cannot run the cluster; the message says why."""


class Daemon(NamedTuple):
    """A daemon of the cluster, a child of this process."""

    name: str
    process: subprocess.Popen[bytes]


@contextmanager
def slurm(folder: Path, grace: int = 60, extra: str = "") -> Iterator[dict[str, str]]:
    """Run a cluster in `folder` and yield the variables that point SLURM's commands to it.

    The node has 2 CPUs and, nominally, 8 GB. When a job of the partition `high` needs the place of one of `low`,
    SLURM tells the latter's steps, gives it `grace` seconds, and then puts it back into the queue. `extra` are
    further lines of slurm.conf. Raises `Unavailable` where SLURM is not installed, not permitted or does not start.
    """
    folder = folder.resolve()
    _check_machine()
    _check_folder(folder)
    _write_files(folder, grace, extra)
    variables = {"SLURM_CONF": str(folder / "slurm.conf")}
    # Whatever the tests' own environment says about another SLURM must not reach this one.
    environment = {"PATH": PATH, "HOME": os.environ.get("HOME", "/root"), "LANG": "C.UTF-8", **variables}
    # Undone in reverse order: jobs are cancelled, the daemons stopped, and what is left killed.
    with ExitStack() as stack:
        stack.callback(_sweep, variables["SLURM_CONF"])
        _start(folder, environment, stack)
        stack.callback(_cancel_jobs, environment)
        yield variables


def _check_machine() -> None:
    """Raise `Unavailable` unless SLURM is installed and this user may run its daemons."""
    missing = [name for name in (*DAEMONS, *CLIENTS) if shutil.which(name, path=PATH) is None]
    if missing:
        raise Unavailable(f"not installed: {', '.join(missing)} (Debian's packages: slurm-wlm, munge)")
    if os.geteuid() != 0:
        raise Unavailable("only root can run SLURM's daemons")


def _check_folder(folder: Path) -> None:
    """Raise `ValueError`, no reason to skip a test, for a path that SLURM's sockets or settings cannot hold."""
    if len(os.fsencode(folder / LONGEST_SOCKET)) > SOCKET_BYTES:
        raise ValueError(f"the path is too long for the UNIX sockets in it: {folder}")
    # slurm.conf ends a value at these, or replaces them, and AuthInfo cannot be quoted.
    if re.search(r"[\s,#%]", str(folder)):
        raise ValueError(f"the path has characters that slurm.conf cannot hold: {folder}")


def _write_files(folder: Path, grace: int, extra: str) -> None:
    """Write the settings and the key, and make the folders that the daemons expect."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    text = SLURM_CONF.format(folder=folder, grace=grace, extra=extra, **_network())
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text(_cgroup_settings())


def _network() -> dict[str, str]:
    """Return where the daemons listen, as the settings name it."""
    controller_port, node_port = (str(port) for port in _free_ports(2))
    # SLURM compares host names with the machine's short one.
    host = socket.gethostname().split(".")[0]
    address, listening = "127.0.0.1", ""
    with suppress(OSError):
        # SLURM can confine itself to no other address than that of the machine's name. Where this is one of a network,
        # as in many containers, or none, it listens on all; no message without a credential by our key gets far.
        if (own := socket.gethostbyname(host)).startswith("127."):
            address, listening = own, "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny"
    return {
        "host": host,
        "address": address,
        "listening": listening,
        "controller_port": controller_port,
        "node_port": node_port,
    }


def _cgroup_settings() -> str:
    """Return what makes slurmd start where cgroups cannot be written."""
    # Since 23.11 slurmd insists on them unless told otherwise; before, it does not know the word and ends.
    version = subprocess.run(["slurmd", "-V"], env={"PATH": PATH}, capture_output=True, text=True).stdout
    match = re.search(r"(\d+)\.(\d+)", version)
    new = match is not None and (int(match[1]), int(match[2])) >= (23, 11)
    return "CgroupPlugin=disabled\n" if new else ""


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now; held together, so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _start(folder: Path, environment: dict[str, str], stack: ExitStack) -> None:
    """Start the three daemons, munged before those that need it, and wait until the node takes jobs."""
    deadline = time.monotonic() + START_SECONDS
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed"}
    options = [f"--{option}={folder}/munge.{suffix}" for option, suffix in files.items()]
    # --force: munged otherwise refuses a folder that others may write to or not enter, such as pytest's.
    munged = _daemon(folder, ["munged", "--foreground", "--force", *options], environment, stack)
    _wait(folder, deadline, [munged], (folder / "munge.socket").is_socket)
    controller = _daemon(folder, ["slurmctld", "-D"], environment, stack)
    node = _daemon(folder, ["slurmd", "-D"], environment, stack)
    _wait(folder, deadline, [munged, controller, node], lambda: _node_is_idle(environment))


def _daemon(folder: Path, command: list[str], environment: dict[str, str], stack: ExitStack) -> Daemon:
    """Start one daemon in the foreground, to be stopped when `stack` unwinds."""
    with (folder / f"{command[0]}.out").open("wb") as output:
        process = subprocess.Popen(
            # The kernel ends it with the thread that starts it here, should that be killed before it can clean up.
            ["setpriv", "--pdeathsig", "KILL", *command],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C is for the tests, which then stop the daemons in order.
            start_new_session=True,
        )
    stack.callback(_stop, process)
    return Daemon(command[0], process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a daemon to end, and kill it where it does not."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait(folder: Path, deadline: float, daemons: list[Daemon], ready: Callable[[], bool]) -> None:
    """Wait for `ready`; raise `Unavailable` when a daemon ends or the deadline passes before."""
    while not ready():
        ended = [daemon.name for daemon in daemons if daemon.process.poll() is not None]
        if ended:
            raise Unavailable(f"ended while starting: {', '.join(ended)}\n{_logs(folder)}")
        if time.monotonic() > deadline:
            raise Unavailable(f"not up after {START_SECONDS:.0f} s\n{_logs(folder)}")
        time.sleep(0.1)


def _logs(folder: Path, lines: int = 15) -> str:
    """Return the ends of what the daemons printed; in the foreground, that is their log too."""
    parts = []
    for path in sorted(folder.glob("*.out")):
        parts += [f"--- {path.name}", *path.read_text(errors="replace").splitlines()[-lines:]]
    return "\n".join(parts)


def _node_is_idle(environment: dict[str, str]) -> bool:
    """Tell whether the controller answers and its node takes jobs."""
    return _ask(["sinfo", "--noheader", "--format=%t", "--partition=low"], environment) == "idle"


def _ask(command: list[str], environment: dict[str, str]) -> str | None:
    """Return what a command of SLURM printed; None where it failed or did not come back."""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cancel_jobs(environment: dict[str, str]) -> None:
    """Cancel every job and wait a little until none is left."""
    deadline = time.monotonic() + STOP_SECONDS
    # Those that wait first, so that none starts in the place of one that is killed.
    _ask(["scancel", "--state=PENDING", "--user=root"], environment)
    _ask(["scancel", "--signal=KILL", "--full", "--user=root"], environment)
    while _ask(["squeue", "--noheader"], environment) and time.monotonic() < deadline:
        # Requeued meanwhile, or deaf to the first.
        _ask(["scancel", "--user=root"], environment)
        time.sleep(0.1)


def _sweep(configuration: str) -> None:
    """Kill what was started for this cluster and outlived it: steps, and processes that jobs left behind."""
    # They are in sessions of their own, and not our descendants; this variable is what they have in common.
    mark = os.fsencode(f"SLURM_CONF={configuration}")
    for path in Path("/proc").glob("[0-9]*/environ"):
        process = int(path.parent.name)
        try:
            if process != os.getpid() and mark in path.read_bytes().split(b"\0"):
                os.kill(process, signal.SIGKILL)
        except OSError:
            continue  # It has ended since, or is not ours to read.

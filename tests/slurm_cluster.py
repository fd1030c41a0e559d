"""A real Slurm on this machine, for as long as a test runs: munged, slurmctld and slurmd, without root or systemd."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
PACKAGES = "slurmctld slurmd slurm-client munge"
_UP_AFTER_S = 20.0

_CONF = """\
ClusterName=local
SlurmctldHost=localhost
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={spool}/munge/socket
CryptoType=crypto/munge
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={spool}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
{memory_lines}
JobCompType=jobcomp/none
DefMemPerCPU=200
KillWait=2
MaxJobCount={most_jobs}
MinJobAge={min_job_age}
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,defer_batch
NodeName=localhost CPUs={processors} RealMemory={memory_mb} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=10 State=UP
"""

_CGROUPS = """\
CgroupPlugin=cgroup/v1
CgroupAutomount=no
ConstrainRAMSpace=yes
"""
_MEMORY = {
    "unwatched": "TaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none",
    "cgroups": "TaskPlugin=task/cgroup\nJobAcctGatherType=jobacct_gather/none",
    "sampled": (
        "TaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/linux\n"
        "JobAcctGatherParams=OverMemoryKill,NoShare\nJobAcctGatherFrequency=1"
    ),
}
"""How Slurm sees to it that a job takes no more memory than it asked for."""


def may_make_cgroups() -> bool:
    """Tell whether this machine lets us limit the memory of jobs by the kernel's means."""
    return os.access("/sys/fs/cgroup/memory/cgroup.procs", os.W_OK)


@contextlib.contextmanager
def control_group(most_bytes: int) -> Iterator[Path]:
    """Make a control group with little memory, for processes that this test starts."""
    if not may_make_cgroups():
        pytest.skip("this machine lets only root limit memory by cgroups of version 1")
    group = Path(f"/sys/fs/cgroup/memory/esorex-bridge-test-{os.getpid()}")
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(most_bytes))
        yield group
    finally:
        group.rmdir()


def missing_programs() -> str:
    """Return why there can be no Slurm here; empty where there can."""
    lacking = [name for name in PROGRAMS if _which(name) is None]
    return f"{', '.join(lacking)} not installed (Debian: apt-get install {PACKAGES})" if lacking else ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Slurm that is up; commands find it by the variable `SLURM_CONF`.

    A job may take ten minutes at most.
    """

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]]

    def stop_controller(self) -> None:
        """End the controller; jobs that run go on."""
        _end(self.daemons["slurmctld"])

    def start_controller(self) -> None:
        """Start the controller again, with what it knew."""
        if self.daemons["slurmctld"].poll() is not None:
            self.daemons["slurmctld"] = _start(self.folder, "slurmctld", "-D", "-f", self.folder / "slurm.conf")


@contextlib.contextmanager
def slurm_cluster(folder: Path, memory: str = "unwatched", most_jobs: int = 10_000) -> Iterator[Cluster]:
    """Start a Slurm of one node, and end it with all its daemons.

    With few `most_jobs` it forgets those that ended at its next look, which it takes once a minute.
    """
    daemons: dict[str, subprocess.Popen[bytes]] = {}
    spool = Path(tempfile.mkdtemp(prefix="spool"))  # the paths of sockets in it may have 108 characters
    spool.chmod(0o755)
    conf = _write_conf(folder, spool, memory, most_jobs)
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(conf)
    try:
        daemons["munged"] = _munged(folder, spool / "munge")
        _await(lambda: (spool / "munge" / "socket").exists(), daemons, folder)
        daemons["slurmctld"] = _start(folder, "slurmctld", "-D", "-f", conf, "-c")
        daemons["slurmd"] = _start(folder, "slurmd", "-D", "-f", conf, "-N", "localhost")
        _await(_is_idle, daemons, folder)
        yield Cluster(folder, daemons)
    finally:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["scancel", "--user", _user()], capture_output=True, timeout=20, check=False)
            _await(_is_empty, daemons, folder)
        for daemon in reversed(daemons.values()):
            _end(daemon)
        shutil.rmtree(spool, ignore_errors=True)
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before


def _write_conf(folder: Path, spool: Path, memory: str, most_jobs: int) -> Path:
    (folder / "state").mkdir(parents=True)
    if memory == "cgroups":
        (folder / "cgroup.conf").write_text(_CGROUPS)
    conf = folder / "slurm.conf"
    text = _CONF.format(
        user=_user(),
        folder=folder,
        spool=spool,
        controller=_free_port(),
        node=_free_port(),
        processors=os.cpu_count(),
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 3 // 4,
        memory_lines=_MEMORY[memory],
        most_jobs=most_jobs,
        min_job_age=300 if most_jobs > 100 else 2,
    )
    conf.write_text(text)
    return conf


def _munged(folder: Path, public: Path) -> subprocess.Popen[bytes]:
    private = folder / "munge_private"
    private.mkdir(mode=0o700)
    public.mkdir(mode=0o755)
    key = private / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    return _start(
        folder,
        "munged",
        "--foreground",
        "--force",
        f"--key-file={key}",
        f"--socket={public / 'socket'}",
        f"--pid-file={private / 'pid'}",
        f"--log-file={private / 'log'}",
        f"--seed-file={private / 'seed'}",
    )


def _start(folder: Path, program: str, *words: object) -> subprocess.Popen[bytes]:
    found = _which(program)
    assert found is not None
    with (folder / f"{program}.out").open("wb") as out:
        return subprocess.Popen([found, *map(str, words)], stdout=out, stderr=out, start_new_session=True)


def _await(condition: Callable[[], bool], daemons: dict[str, subprocess.Popen[bytes]], folder: Path) -> None:
    deadline = time.monotonic() + _UP_AFTER_S
    while not condition():
        dead = [name for name, daemon in daemons.items() if daemon.poll() is not None]
        if dead or time.monotonic() > deadline:
            said = "".join(path.read_text(errors="replace")[-800:] for path in sorted(folder.glob("*.out")))
            raise RuntimeError(f"Slurm does not come up: {dead or 'too slow'}\n{said}")
        time.sleep(0.1)


def _is_idle() -> bool:
    done = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, timeout=20, check=False)
    return done.stdout.strip() == "idle"


def _is_empty() -> bool:
    done = subprocess.run(["squeue", "-h"], capture_output=True, text=True, timeout=20, check=False)
    return done.returncode == 0 and not done.stdout.strip()


def _end(daemon: subprocess.Popen[bytes]) -> None:
    for kind in (signal.SIGTERM, signal.SIGKILL):
        if daemon.poll() is not None:
            return
        daemon.send_signal(kind)
        try:
            daemon.wait(5)
            return
        except subprocess.TimeoutExpired:
            continue


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

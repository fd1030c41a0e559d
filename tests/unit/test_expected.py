"""What is expected of a step, how many this machine carries at once, and what Slurm is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from esorex_bridge.esorex.recipe import Usage
from esorex_bridge.executors.site import SlurmSite
from esorex_bridge.executors.slurm_requests import WORKER_MB, JobRequest, minutes_in, request_of
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.run.capacity import Capacity, Limits, free_memory_mb
from esorex_bridge.run.executor import EngineError, TaskRequest, Ticket
from esorex_bridge.run.expected import Expected, MeasuredRun, Setup, expect
from esorex_bridge.store.summaries import RunEnd
from tests.slurm_cluster import control_group

MB = 1 << 20


def ran(memory_mb: int, input_bytes: int = 1000, seconds: float = 10.0, ended: RunEnd = "done") -> MeasuredRun:
    return MeasuredRun(seconds, ended, Usage(seconds * 1.8, memory_mb * MB, input_bytes))


def test_what_is_expected_comes_from_runs_of_half_to_twice_the_bytes() -> None:
    runs = [ran(400), ran(360), ran(9000, 2001), ran(10, 499)]
    found = expect(runs, 1000)
    assert found is not None
    assert (found.memory_mb, found.processors, found.seconds) == (500, 2, 10.0)
    assert expect(runs[:1], 2000) == Expected(1000 * MB, 2, 20.0, 20.0), "scaled up"
    assert expect(runs[:1], 500) == Expected(500 * MB, 2, 10.0, 10.0), "and not down"
    assert expect(runs[:1], 2001) is None
    assert expect([], 1000) is None


def test_a_run_that_failed_counts_for_memory_alone_and_a_killed_one_twice() -> None:
    found = expect([ran(100, seconds=4.0), ran(200, seconds=99.0, ended="failed")], 1000)
    assert found == Expected(250 * MB, 2, 4.0, 4.0)
    killed = expect([ran(200, seconds=0.2, ended="killed")], 1000)
    assert killed == Expected(400 * MB, 1, None, None)


def order(name: str, memory_mb: int | None = None, threads: int = 1, killed: int = 0) -> TaskRequest:
    return TaskRequest(StepKey(name), name, 1, threads, memory_mb, killed, setup=Setup(name, "toy/1.0", 1000))


def test_a_step_begins_beside_others_where_memory_allows_and_alone_in_any_case() -> None:
    expected = {"big": Expected(700 * MB), "small": Expected(200 * MB)}
    room = Capacity(Limits(4, 1000), lambda setup: expected.get(setup.recipe))
    assert room.fits(order("huge", 5000)), "alone"
    room.take(Ticket("1"), order("big"))
    assert room.lacks_memory(order("big")) == "for memory: about 700 MB, and 700 of 1000 MB are taken"
    assert not room.fits(order("big"))
    assert room.fits(order("small"))
    assert room.fits(order("unknown"))
    expected["unknown"] = Expected(400 * MB)
    assert not room.fits(order("unknown")), "it was learnt meanwhile"
    assert not room.fits(order("small", 400)), "what the definition says counts"
    room.give_back(Ticket("1"))
    assert room.fits(order("big"))


def test_a_step_counts_for_as_many_processors_as_it_kept_busy() -> None:
    room = Capacity(Limits(4), lambda setup: Expected(MB, 3) if setup.recipe == "wide" else None)
    room.take(Ticket("1"), order("wide"))
    assert not room.fits(order("wide"))
    assert room.lacks_memory(order("wide")) == ""
    room.take(Ticket("2"), order("narrow"))
    assert not room.has_processor


def test_what_was_killed_has_the_machine_for_itself() -> None:
    room = Capacity(Limits(4, 1000))
    room.take(Ticket("1"), order("a"))
    assert not room.fits(order("b", killed=1))
    room.give_back(Ticket("1"))
    assert room.fits(order("b", killed=1))
    room.take(Ticket("2"), order("b", killed=1))
    assert not room.fits(order("a"))


def tell_of_groups(folder: Path, ours: str, groups: dict[str, dict[str, str]]) -> int | None:
    """Return the free memory of a machine of 8 GiB whose kernel tells so of our control group and of all groups."""
    proc, top = folder / "proc", folder / "groups"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal:  {16 << 20} kB\nMemFree:  1024 kB\nMemAvailable:  {8 << 20} kB\n")
    (proc / "self/cgroup").write_text(ours)
    for place, files in groups.items():
        for name, text in files.items():
            (top / place).mkdir(parents=True, exist_ok=True)
            (top / place / name).write_text(f"{text}\n")
    return free_memory_mb(proc, top)


def group(limit: str, used_mb: int, droppable_mb: int = 0, high: str = "max") -> dict[str, str]:
    """Return the files of a group of version 2."""
    stat = f"anon 4096\nfile {droppable_mb << 21}\ninactive_file {droppable_mb << 20}\nactive_file 4096"
    return {"memory.max": limit, "memory.high": high, "memory.current": str(used_mb << 20), "memory.stat": stat}


JOB = "system.slice/slurmstepd.scope/job_7/step_batch"
NESTED = f"0::/{JOB}\n"


@pytest.mark.parametrize(
    ("ours", "groups", "free_mb"),
    [
        (NESTED, {JOB: group("max", 100)}, 8192),
        (NESTED, {JOB: group(str(1 << 30), 300)}, 724),
        (NESTED, {JOB: group(str(1 << 30), 300, droppable_mb=200)}, 924),
        (NESTED, {JOB: group(str(1 << 30), 300, high=str(512 << 20))}, 212),
        (NESTED, {JOB: group("max", 300, high=str(512 << 20))}, 212),
        (NESTED, {JOB: group("max", 300), str(Path(JOB).parent): group(str(2 << 30), 1000)}, 1048),
        (NESTED, {JOB: group(str(64 << 30), 300)}, 8192),
        (NESTED, {JOB: group(str(1 << 30), 1025)}, 0),
        ("0::/\n", {"": group(str(1 << 30), 24)}, 1000),  # in a container with a view of its own
        (NESTED, {"": group(str(1 << 30), 24)}, 1000),  # in one that names its group as the host does
        ("0::/\n", {"": {"cgroup.controllers": "cpu memory"}}, 8192),  # the top of a machine has no limit
        ("1:name=systemd:/\n0::/init.scope\n", {}, 8192),
        ("0::/../outside\n", {"": group(str(1 << 30), 24)}, 1000),
        (f"4:memory:/box\n{NESTED}", {"memory/box": {"memory.limit_in_bytes": str(1 << 30), "memory.stat":
          f"inactive_file 0\ntotal_inactive_file {1 << 20}", "memory.usage_in_bytes": str(101 << 20)}}, 924),
    ],
)  # fmt: skip
def test_memory_is_free_as_the_control_groups_of_the_kernel_tell(
    tmp_path: Path, ours: str, groups: dict[str, dict[str, str]], free_mb: int
) -> None:
    assert tell_of_groups(tmp_path, ours, groups) == free_mb


def test_free_memory_is_that_of_the_machine_or_of_the_control_group() -> None:
    free = free_memory_mb()
    assert free is not None
    assert 0 < free <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MB
    code = "from esorex_bridge.run.capacity import free_memory_mb; print(free_memory_mb())"
    with control_group(300 * MB) as group:
        script = f"echo $$ > {group}/cgroup.procs; exec {sys.executable} -c '{code}'"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert 200 < int(done.stdout) < 300


KNOWN = Expected(1000 * MB, 2, 60.0, 600.0)


@pytest.mark.parametrize(
    ("asked", "site", "first", "expected", "request_"),
    [
        (order("a"), SlurmSite(), None, None, JobRequest()),
        (order("a"), SlurmSite(), None, KNOWN, JobRequest(1000 + WORKER_MB, 30)),
        (order("a", 77), SlurmSite(minutes=9), None, KNOWN, JobRequest(77, 9)),
        (order("a"), SlurmSite(memory_mb=88), None, KNOWN, JobRequest(88, 30)),
        (order("a"), SlurmSite(most_memory_mb=500, most_minutes=20), None, KNOWN, JobRequest(500, 20)),
        (order("a"), SlurmSite(options=("--mem-per-cpu=50",)), None, KNOWN, JobRequest(None, 30)),
        (order("a", killed=1), SlurmSite(), JobRequest(600, 30), None, JobRequest(1200, 30)),
        (order("a", killed=1), SlurmSite(), JobRequest(100, 30), KNOWN, JobRequest(1000 + WORKER_MB, 30)),
        (order("a", killed=1), SlurmSite(), None, KNOWN, JobRequest(1000 + WORKER_MB, 30)),
    ],
)
def test_slurm_is_asked_for_what_somebody_named_else_for_what_is_expected(
    asked: TaskRequest, site: SlurmSite, first: JobRequest | None, expected: Expected | None, request_: JobRequest
) -> None:
    assert request_of(asked, site, expected, first, 1e9) == request_


def test_slurm_is_never_asked_for_more_time_than_each_partition_gives_nor_for_nobody_knows_what() -> None:
    assert request_of(order("a"), SlurmSite(), KNOWN, None, minutes_in("20:00")).minutes is None
    assert request_of(order("a"), SlurmSite(), KNOWN, None, minutes_in("1:00:00")).minutes == 30
    with pytest.raises(EngineError, match="give memory_mb in the site file"):
        request_of(order("a", killed=1), SlurmSite(), None, None, 1e9)

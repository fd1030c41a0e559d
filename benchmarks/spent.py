"""What a command takes: time, time of the processor, memory."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

_STARTER = """
import os, sys, time
began = time.perf_counter()
pid = os.fork()
if pid == 0:
    os.dup2(2, 1)
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(pid, 0)
print(status, time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
"""The system counts as the memory of a process what its parent had when it began: so it has a parent of its own,
which is small. (That of the one who measures may be larger than the command.)"""


class Spent(Struct, frozen=True):
    """What a process took.

    Parameters
    ----------
    seconds, processor : float
        By the clock, and of the processor.
    megabytes : float
        Most that was resident.
    """

    seconds: float
    processor: float
    megabytes: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s | {self.processor:.1f} s | {self.megabytes:.0f} MB"


def measure_command(words: Sequence[str]) -> Spent:
    """Run a command, and return what it took; what it says is shown where it fails."""
    starter = [sys.executable, "-I", "-S", "-c", _STARTER, *words]
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(starter, check=True, stdout=subprocess.PIPE, stderr=said, text=True)
        status, seconds, processor, kilobytes = done.stdout.split()
        said.seek(0)
        assert status == "0", f"{' '.join(words)}: {said.read()}"
    return Spent(float(seconds), float(processor), int(kilobytes) / 1024)


def most_resident_mb() -> float:
    """Return the most that was resident of this process since its program began."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024

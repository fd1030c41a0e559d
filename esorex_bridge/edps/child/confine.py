"""The fence: what this process may still do is decided by the kernel, before any foreign code runs.

Landlock takes away all files but a few folders that may be read; a seccomp filter lets through the system calls that
an interpreter needs to compute, and refuses the rest (processes, signals, sockets, changes of files); resource limits
bound memory, processor time and files. None of these can be taken back, not by root either.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import stat
import struct
from collections.abc import Iterable
from typing import NamedTuple

MEMORY_BYTES = 1 << 30
OPEN_FILES = 64

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION, _LANDLOCK_PATH_BENEATH = 1, 1
_FILE_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_EPERM, _ENOSYS, _EACCES = 1, 38, 13
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


class _Machine(NamedTuple):
    """Numbers of the system calls: the same for all kernels of an architecture."""

    audit: int
    openat: int
    fcntl: int
    clone3: int
    allowed: tuple[int, ...]
    open: int | None = None


_X86_64 = _Machine(
    audit=0xC000003E,
    openat=257,
    fcntl=72,
    clone3=435,
    # read write close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn
    # pread64 readv writev access select sched_yield mremap madvise dup nanosleep getpid exit uname getcwd readlink
    # gettimeofday getrusage sysinfo times getuid getgid geteuid getegid getppid sigaltstack gettid futex
    # getdents64 restart_syscall clock_gettime clock_getres clock_nanosleep exit_group newfstatat readlinkat
    # faccessat pselect6 ppoll getrandom statx rseq set_robust_list set_tid_address faccessat2 arch_prctl membarrier
    allowed=(
        *(0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 21, 23, 24, 25, 28, 32, 35, 39, 60, 63),
        *(79, 89, 96, 98, 99, 100, 102, 104, 107, 108, 110, 131, 186, 202, 217, 219, 228, 229, 230, 231, 262, 267, 269),
        *(270, 271, 318, 332, 334, 273, 218, 439, 158, 324),
    ),
    open=2,
)
_AARCH64 = _Machine(
    audit=0xC00000B7,
    openat=56,
    fcntl=25,
    clone3=435,
    # The same calls; those that this architecture never had are left out.
    allowed=(
        *(63, 64, 57, 79, 80, 62, 222, 226, 215, 214, 134, 135, 139, 67, 65, 66, 48, 124, 216, 233, 23, 101, 172, 93),
        *(160, 17, 78, 169, 165, 179, 153, 174, 176, 175, 177, 173, 132, 178, 98, 61, 128, 113, 114, 115, 94, 72, 73),
        *(278, 291, 293, 99, 96, 439, 283),
    ),
)
_MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}
_WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | getattr(os, "O_TMPFILE", 0)
_WRITING_FLAGS &= ~getattr(os, "O_DIRECTORY", 0)
_FCNTL_ALLOWED = (0, 1, 2, 3, 1030)  # F_DUPFD F_GETFD F_SETFD F_GETFL F_DUPFD_CLOEXEC


class NoFenceError(Exception):
    """The kernel has no fence to give: what is missing, in words."""


def confine(readable: Iterable[str], cpu_seconds: int) -> None:
    """Take from this process all but computing and reading in a few folders; there is no way back.

    Parameters
    ----------
    readable : iterable of str
        Files and folders that may be read; those that do not exist are passed over.
    cpu_seconds : int
        Processor time that is left to this process.

    Raises
    ------
    NoFenceError
        If this system has no Landlock or no seccomp, or the architecture is not known here.
    """
    machine = _MACHINES.get(platform.machine())
    if platform.system() != "Linux" or machine is None:
        raise NoFenceError(f"there is no fence for this system ({platform.system()}, {platform.machine()})")
    libc = ctypes.CDLL(None, use_errno=True)
    _limit(cpu_seconds)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise NoFenceError("the kernel does not let a process give up privileges")
    _restrict_files(libc, readable)
    _restrict_calls(libc, machine)


def _limit(cpu_seconds: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))


def _restrict_files(libc: ctypes.CDLL, readable: Iterable[str]) -> None:
    abi = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if abi < 1:
        raise NoFenceError("the kernel has no Landlock (Linux 5.13 or later, and not switched off at boot)")
    handled = _FILE_RIGHTS_BY_ABI[min(abi, max(_FILE_RIGHTS_BY_ABI))]
    attributes = ctypes.create_string_buffer(struct.pack("Q", handled))
    rules = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(8), 0)
    if rules < 0:
        raise NoFenceError("the kernel refuses a Landlock rule set")
    for path in readable:
        _allow_reading(libc, rules, path)
    if libc.syscall(_LANDLOCK_RESTRICT, rules, 0):
        raise NoFenceError("the kernel refuses to enforce Landlock")
    os.close(rules)


def _allow_reading(libc: ctypes.CDLL, rules: int, path: str) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rights = _READ_FILE | (_READ_FOLDER if stat.S_ISDIR(os.stat(place).st_mode) else 0)
    beneath = ctypes.create_string_buffer(struct.pack("=Qi", rights, place))
    if libc.syscall(_LANDLOCK_ADD, rules, _LANDLOCK_PATH_BENEATH, beneath, 0):
        raise NoFenceError(f"Landlock refuses a rule for {path}")
    os.close(place)


def _restrict_calls(libc: ctypes.CDLL, machine: _Machine) -> None:
    code = b"".join(_program(machine))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(program, len(program)), 0, 0):
        raise NoFenceError("the kernel refuses a seccomp filter")


def _program(machine: _Machine) -> list[bytes]:
    """Return the filter: each test returns at once, what no test lets through is refused with EPERM."""
    found = [_load(4), _jump(0x15, machine.audit, 1, 0), _return(_KILL), _load(0)]
    for call, argument in ((machine.open, 1), (machine.openat, 2)):
        if call is not None:
            tests = [_load(16 + 8 * argument), _jump(0x45, _WRITING_FLAGS, 0, 1), _return(_ERRNO | _EACCES)]
            found += [_jump(0x15, call, 0, len(tests) + 1), *tests, _return(_ALLOW)]
    tests = [_load(16 + 8)]
    for command in _FCNTL_ALLOWED:
        tests += [_jump(0x15, command, 0, 1), _return(_ALLOW)]
    tests.append(_return(_ERRNO | _EPERM))
    found += [_jump(0x15, machine.fcntl, 0, len(tests)), *tests]
    found += [_jump(0x15, machine.clone3, 0, 1), _return(_ERRNO | _ENOSYS)]
    for call in machine.allowed:
        found += [_jump(0x15, call, 0, 1), _return(_ALLOW)]
    return [*found, _return(_ERRNO | _EPERM)]


def _load(offset: int) -> bytes:
    return struct.pack("=HBBI", 0x20, 0, 0, offset)


def _jump(kind: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", kind, if_true, if_false, value)


def _return(value: int) -> bytes:
    return struct.pack("=HBBI", 0x06, 0, 0, value)

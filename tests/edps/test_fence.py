"""Hostile packages: ended and reported, and nothing outside changed, whoever starts them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from esorex_bridge.edps.process import PackageError, ask_child
from esorex_bridge.edps.read import request_for
from esorex_bridge.errors import UserError
from tests.edps.packages import write_package

HOSTILE = {
    "endless loop": "while True: pass",
    "endless sleep": "import time\n    while True: time.sleep(1)",
    "os.system": "import os\n    os.system('touch {outside}/made')",
    "subprocess": "import subprocess\n    subprocess.run(['touch', '{outside}/made'])",
    "eight gigabytes": "hoard = bytearray(8 << 30)",
    "hoarding": "hoard = []\n    while True: hoard.append(bytearray(1 << 20))",
    "write": "open('{outside}/made', 'w')",
    "append": "open('{outside}/victim', 'a').write('x')",
    "unlink": "import os\n    os.unlink('{outside}/victim')",
    "rename": "import os\n    os.rename('{outside}/victim', '{outside}/made')",
    "truncate": "import os\n    os.truncate('{outside}/victim', 0)",
    "truncate by opening": "import os\n    os.open('{outside}/victim', os.O_RDONLY | os.O_TRUNC)",
    "chmod": "import os\n    os.chmod('{outside}/victim', 0)",
    "network": "import socket\n    socket.create_connection(('127.0.0.1', 9), 1)",
    "sys.exit": "import sys\n    sys.exit(0)",
    "os._exit": "import os\n    os._exit(0)",
    "kill the parent": "import os, signal\n    os.kill(os.getppid(), signal.SIGKILL)",
    "limit the parent": "import os, resource\n    resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (0, 0))",
    "ctypes": "import ctypes\n    ctypes.CDLL(None).unlink(b'{outside}/victim')\n    assert not 'left'",
    "ctypes to the kernel": "import ctypes\n    libc = ctypes.PyDLL(None)\n    libc.syscall(87, b'{outside}/victim')",
    "fork bomb": "import os\n    while True: os.fork()",
    "threads": "import threading\n    while True: threading.Thread(target=print).start()",
    "flooding the pipe": "import os\n    while True: [os.write(n, b'x' * 65536) for n in range(3, 9) if _open(n)]",
    "reading a key": "text = open('{outside}/victim').read()\n    raise ValueError(text)",
    "reading by a descriptor": "import os\n    raise ValueError(os.read(os.open('{outside}/victim', 0), 9))",
    "listing": "import os\n    raise ValueError(os.listdir('{outside}'))",
    "environment": "import os\n    raise ValueError('|'.join(os.environ))",
    "recursion": "def down(): return down()\n    down()",
    "answering nonsense": "import os\n    [os.write(n, b'nonsense') for n in range(3, 9) if _open(n)]\n    os._exit(0)",
    "a signal of its own by fcntl": "import fcntl, os\n    fcntl.fcntl(3, fcntl.F_SETOWN, os.getppid())\n    1 / 0",
}
PREAMBLE = """
    def _open(number):
        import os
        try:
            os.fstat(number)
            return True
        except OSError:
            return False
"""
SLOW = ("endless loop", "endless sleep")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    place = tmp_path / "outside"
    place.mkdir()
    (place / "victim").write_text("secret-key")
    return place


def state(folder: Path) -> dict[str, tuple[str, int, int]]:
    return {
        path.name: (path.read_text(), path.stat().st_mode, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())
    }


@pytest.mark.parametrize("deed", HOSTILE)
def test_a_hostile_package_is_ended_and_reported_and_changes_nothing(tmp_path: Path, outside: Path, deed: str) -> None:
    before = state(outside)
    sources = write_package(tmp_path, PREAMBLE + "    " + HOSTILE[deed].replace("{outside}", str(outside)) + "\n")
    started = time.monotonic()
    with pytest.raises(PackageError) as failure:
        read_or_raise(request_for(sources, "read"), 1.5 if deed in SLOW else 30)
    assert "secret" not in str(failure.value)
    assert state(outside) == before
    assert time.monotonic() - started < 60


def read_or_raise(request: dict[str, object], seconds: float, python: str = sys.executable) -> None:
    from esorex_bridge.edps.read import decode_description

    decode_description(ask_child(request, "toy", seconds=seconds, python=python), "toy")


KERNEL_ALONE = """
import sys, types
for name in ("esorex_bridge", "esorex_bridge.edps", "esorex_bridge.edps.child"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [sys.argv[1] + "/" + name.replace(".", "/")]
import ctypes, os, signal, resource, socket
from esorex_bridge.edps.child.confine import confine
confine((os.path.dirname(os.__file__),), 9)
libc = ctypes.PyDLL(None)
deeds = {
    "fork": os.fork,
    "kill": lambda: os.kill(os.getppid(), 0),
    "socket": socket.socket,
    "unlink": lambda: os.unlink(sys.argv[2] + "/victim"),
    "write": lambda: open(sys.argv[2] + "/victim", "w"),
    "truncate": lambda: os.open(sys.argv[2] + "/victim", os.O_RDONLY | os.O_TRUNC),
    "read": lambda: open(sys.argv[2] + "/victim"),
    "list": lambda: os.listdir(sys.argv[2]),
    "limit": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1)),
    "execute": lambda: os.execv("/bin/true", ["true"]),
    "hoard": lambda: bytearray(8 << 30),
}
for name, deed in deeds.items():
    try:
        deed()
        print(name, "went through")
    except (OSError, MemoryError):
        pass
for number in (87, 57, 62, 101, 425):
    if libc.syscall(number, os.getppid(), 0) >= 0:
        print("call", number, "went through")
print("asked all")
"""


def test_the_kernel_alone_refuses_without_any_hook_of_python(outside: Path) -> None:
    code = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-I", "-S", "-c", KERNEL_ALONE, code, str(outside)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "asked all\n"


def test_an_attempt_that_the_package_hides_is_reported_all_the_same(tmp_path: Path, outside: Path) -> None:
    sources = write_package(
        tmp_path,
        f"""
    import os
    try:
        os.system("touch {outside}/made")
    except Exception:
        pass
    """,
    )
    from esorex_bridge.edps.read import decode_description

    description = decode_description(ask_child(request_for(sources, "read"), "toy"), "toy")
    assert description.refused[0].startswith("os.system (") and "toy_wkf.py:4" in description.refused[0]
    assert not (outside / "made").exists()


def test_what_is_hostile_only_when_asked_is_ended_too(tmp_path: Path, outside: Path) -> None:
    from tests.edps.packages import LAMP, frame, plan

    workflow = (
        LAMP
        + f"""
    def steal(files):
        import os
        os.unlink("{outside}/victim")
    star = (task("star").with_recipe("x").with_main_input(stars).with_dynamic_parameter("p", steal)
            .with_meta_targets([SCIENCE]).build())
    """
    )
    jobs = plan(tmp_path, workflow, {"s": frame("OBJECT", 1.0)})
    assert (outside / "victim").exists()
    assert jobs.jobs[0].dynamic == {"p": None} and any("os.remove" in text for text in jobs.messages)


def test_the_child_has_no_descriptor_but_its_pipe(tmp_path: Path) -> None:
    with (tmp_path / "kept").open("w") as kept:
        os.set_inheritable(kept.fileno(), True)
        sources = write_package(tmp_path, PREAMBLE + "    raise ValueError([n for n in range(256) if _open(n)])\n")
        with pytest.raises(PackageError, match=r"ValueError: \[0, 1, 2, 3\]"):
            read_or_raise(request_for(sources, "read"), 30)


def test_without_a_fence_a_package_is_refused_unless_it_is_trusted(tmp_path: Path) -> None:
    from esorex_bridge.edps.process import refuse_failures

    with pytest.raises(UserError, match="--trust-package"):
        refuse_failures({"no_fence": "the kernel has no Landlock"}, "toy.toy_wkf")
    sources = write_package(tmp_path, "import os\nraise ValueError(os.getcwd())\n")
    with pytest.raises(PackageError, match="ValueError: /"):
        from esorex_bridge.edps.read import decode_description

        decode_description(ask_child(request_for(sources, "read"), "toy", trusted=True), "toy")


AS_NOBODY = """
import json, os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import importlib.util, types
for name in ("esorex_bridge", "esorex_bridge.edps"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [os.path.join(sys.argv[1], *name.split("."))]
from esorex_bridge.edps.process import ask_child
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = json.loads(ask_child(request, "toy", seconds=1.5, python=sys.executable))
        print("told" if "error" in answer else "passed " + str(answer)[:200])
    except Exception as error:
        print("told", type(error).__name__)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_hostile_packages_are_ended_for_an_ordinary_user_too(tmp_path: Path) -> None:
    import json

    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    code = Path(__file__).resolve().parents[2]
    tmp_path.chmod(0o755)
    reach = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python or "/missing", "-c",
         f"import sys, os; assert sys.version_info >= (3, 11); os.listdir({str(code)!r})"],
        capture_output=True,
    )  # fmt: skip
    if python is None or reach.returncode:
        pytest.skip("an ordinary user reaches neither this checkout nor a Python of 3.11")
    lines = []
    deeds = [deed for deed in HOSTILE if deed not in ("answering nonsense", "endless loop")]
    for number, deed in enumerate(deeds):
        place = tmp_path / str(number)
        victim = place / "outside"
        victim.mkdir(parents=True)
        (victim / "victim").write_text("secret-key")
        place.chmod(0o755)
        victim.chmod(0o777)
        (victim / "victim").chmod(0o666)
        text = PREAMBLE + "    " + HOSTILE[deed].replace("{outside}", str(victim)) + "\n"
        lines.append(json.dumps(request_for(write_package(place, text), "read")))
    told = subprocess.run(
        [python, "-c", AS_NOBODY, str(code)], input="\n".join(lines), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [(deed, answer.split()[0]) for deed, answer in zip(deeds, told, strict=True)] == [
        (deed, "told") for deed in deeds
    ]
    for number, _ in enumerate(deeds):
        left = tmp_path / str(number) / "outside"
        assert [path.name for path in left.iterdir()] == ["victim"] and (left / "victim").read_text() == "secret-key"


def test_a_function_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from esorex_bridge.edps import plan as planning
    from tests.edps.packages import LAMP, frame, plan

    monkeypatch.setattr(planning, "PLANNING_SECONDS", 3)
    workflow = (
        LAMP
        + """
    def think(params):
        import time
        while True: time.sleep(1)
    star = (task("star").with_recipe("x").with_main_input(stars).with_condition(think)
            .with_meta_targets([SCIENCE]).build())
    """
    )
    with pytest.raises(PackageError, match="took longer than"):
        plan(tmp_path, workflow, {"s": frame("OBJECT", 1.0)})

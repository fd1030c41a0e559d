"""The child process: reads one request from standard input, shuts the fence, imports the package, answers once.

Started as a script by `esorex_bridge.edps.process`, isolated (`-I -S`): nothing of the environment, of installed
packages or of the bridge but this folder is there.
"""

from __future__ import annotations

import json
import os
import sys
from types import ModuleType
from typing import Any

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_SYSTEM_LIBRARIES = ("/usr/lib", "/lib", "/lib64", "/usr/lib64", "/usr/local/lib")


def _stub(name: str, folder: str) -> None:
    """Stand in for a package whose own `__init__` need not run."""
    module = ModuleType(name)
    module.__path__ = [folder]
    sys.modules[name] = module


if __name__ == "__main__":
    _parts = ("esorex_bridge", "edps", "child")
    for _depth in range(len(_parts), 0, -1):
        _stub(".".join(_parts[:_depth]), os.path.normpath(os.path.join(_FOLDER, *[".."] * (len(_parts) - _depth))))

from esorex_bridge.edps.child import answering, confine, importing, reading  # noqa: E402
from esorex_bridge.edps.child.inert import Site, site  # noqa: E402

refused: list[str] = []
"""What the package tried that a package may not do."""

_REFUSED_EVENTS = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen", "os.kill",
    "os.killpg", "signal.pthread_kill", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink",
    "os.truncate", "os.chmod", "os.chown", "os.utime", "os.putenv", "os.unsetenv", "shutil.rmtree", "shutil.move",
    "socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo", "resource.prlimit", "resource.setrlimit",
    "ctypes.dlopen", "ctypes.dlsym", "_thread.start_new_thread", "syslog.openlog", "pty.spawn", "webbrowser.open",
)  # fmt: skip


def main() -> None:
    """Answer one request."""
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    request = json.loads(sys.stdin.buffer.read())
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    _answer(answers, _work_on(request))
    os._exit(0)


def _work_on(request: dict[str, Any]) -> dict[str, Any]:
    root, elsewhere = request["root"], request["elsewhere"]
    if not request.get("trusted"):
        try:
            folder = os.path.dirname(os.__file__)
            confine.confine((folder, *_SYSTEM_LIBRARIES, *request["folders"]), int(request["cpu_seconds"]))
        except confine.NoFenceError as error:
            return {"no_fence": str(error)}
        sys.addaudithook(_watch)
    sys.setrecursionlimit(2000)
    importing.install(request["sources"], root, elsewhere)
    try:
        module = __import__(request["module"], fromlist=["x"])
        done = answering.plan(module, request) if request["do"] == "plan" else reading.describe(module)
    except BaseException as error:
        return {"error": _describe(error, (root, *elsewhere.values())), "refused": refused}
    return {**done, "refused": refused}


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Report what the kernel is going to refuse: without this, some attempts would pass unseen. It is no protection."""
    writing = event == "open" and _is_for_writing(arguments)
    if not writing and event not in _REFUSED_EVENTS:
        return
    frame = site()
    what = f"{event}{f' of {arguments[0]}' if writing else ''} ({frame.file}:{frame.line})"
    if len(refused) < 100 and what not in refused:
        refused.append(what)
    raise PermissionError(f"a workflow package may not do this: {what}")


def _is_for_writing(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def _describe(error: BaseException, roots: tuple[str, ...]) -> dict[str, Any]:
    """Return an error with the innermost place in the packages."""
    place = Site("", 0)
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(roots):
            place = Site(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and (error.filename or "").startswith(roots):
        place = Site(str(error.filename), error.lineno or 0)
    text = f"{type(error).__name__}: {error}"[:2000]
    return {"text": text, "file": place.file, "line": place.line}


def _answer(descriptor: int, document: dict[str, Any]) -> None:
    text = memoryview(json.dumps(document, default=str).encode())
    while text:
        text = text[os.write(descriptor, text) :]


if __name__ == "__main__":
    main()

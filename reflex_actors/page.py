"""A local page that asks the user something: served on 127.0.0.1 to one browser, until an answer comes.

The address holds a secret, so that no other user of the machine and no other page can answer; nothing is loaded from
elsewhere, and all texts are escaped.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

from esorex_bridge.pages.forms import FORM_POLICY, render_form, render_page
from esorex_bridge.pages.server import NOT_HERE, Asked, PageReply, serve, write_redirect
from reflex_actors.ports import ActorError

Form = Mapping[str, str]
Answer = TypeVar("Answer")

STOP = "stop the workflow"
_X_PORT = 6000
_OPENER = "open" if sys.platform == "darwin" else "xdg-open"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a page is waited for, in seconds.

    Parameters
    ----------
    first_s : float
        Until a browser asks for it.
    answer_s : float
        From then on, until the answer comes.
    """

    first_s: float
    answer_s: float


PATIENCE = Patience(first_s=120, answer_s=4 * 3600)


class InvalidFormError(Exception):
    """What the user filled in cannot be taken; the message is shown on the page."""


@dataclass(frozen=True, slots=True)
class PageQuestion(Generic[Answer]):
    """What to ask.

    Parameters
    ----------
    title : str
        Of the window.
    body : callable
        Returns the inside of the form, as HTML; gets what was filled in before, and what was wrong with it.
    read : callable
        Returns the answer from what was filled in; raises InvalidFormError.
    """

    title: str
    body: Callable[[Form, str], str]
    read: Callable[[Form], Answer]


def can_show(environment: Mapping[str, str]) -> bool:
    """Tell whether a window can be opened: a display is named, and somebody answers there."""
    if sys.platform == "darwin":
        return True
    wayland = environment.get("WAYLAND_DISPLAY", "")
    if wayland and _answers(str(Path(environment.get("XDG_RUNTIME_DIR", "/"), wayland))):
        return True
    host, colon, number = environment.get("DISPLAY", "").rpartition(":")
    number = number.partition(".")[0]
    if not colon or not number.isdigit():
        return False
    if host in ("", "unix"):
        return any(map(_answers, (f"/tmp/.X11-unix/X{number}", f"\0/tmp/.X11-unix/X{number}")))
    return _answers((host, _X_PORT + int(number)))


def _answers(place: str | tuple[str, int]) -> bool:
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(place)
        except OSError:
            return False
    return True


def open_browser(page: Path) -> bool:
    """Open a file in the user's browser; return whether one could be started, which does not say that it shows it."""
    words = os.environ.get("BROWSER", "").partition(os.pathsep)[0].split() or [_OPENER]
    command = shutil.which(words[0])
    if command is None:
        return webbrowser.open(page.as_uri())
    words = [command, *words[1:], page.as_uri()]
    nothing = subprocess.DEVNULL
    try:
        browser = subprocess.Popen(words, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    except OSError:
        return False
    # Some browsers stay in the foreground until their window is closed.
    threading.Thread(target=browser.wait, daemon=True).start()
    return True


class PageStoppedError(ActorError):
    """The user stopped the workflow on a page."""


def ask(
    question: PageQuestion[Answer],
    show: Callable[[Path], object] = open_browser,
    patience: Patience = PATIENCE,
) -> Answer | None:
    """Show a page and wait for the answer, but not for ever.

    The address holds a secret, so it stands in a file that only the user can read, and the browser is given that file:
    what stands on a command line, everybody on the machine can read.

    Parameters
    ----------
    question : PageQuestion
        What to ask.
    show : callable
        Opens a file, and returns false where it cannot.
    patience : Patience
        How long to wait.

    Returns
    -------
    answer or None
        None where no page could be shown, or no answer came in time; a line on stderr says so.

    Raises
    ------
    PageStoppedError
        If the user stops the workflow.
    """
    desk: _Desk[Answer] = _Desk(question)
    served = serve(desk.reply, FORM_POLICY)
    try:
        with TemporaryDirectory(prefix="esorex-bridge-page-") as folder:
            page = Path(folder, "page.html")
            write_redirect(served.address, page)
            if not show(page):
                return None
            sys.stderr.write(f"waiting for the answer in the browser; if no page opens, open {page}\n")
            answer = _wait(desk, patience)
        if desk.stopped:
            raise PageStoppedError("stopped by the user")
        return answer
    finally:
        served.stop()


def _wait(desk: _Desk[Answer], patience: Patience) -> Answer | None:
    if not desk.seen.wait(patience.first_s):
        sys.stderr.write(f"no browser came within {patience.first_s:g} s, so the workflow goes on without an answer\n")
    elif not desk.answered.wait(patience.answer_s):
        sys.stderr.write(f"no answer came within {patience.answer_s:g} s, so the workflow goes on without it\n")
    return desk.answer


class _Desk(Generic[Answer]):
    """Where page and actor meet."""

    def __init__(self, question: PageQuestion[Answer]) -> None:
        self.question = question
        self.seen = threading.Event()
        self.answered = threading.Event()
        self.stopped = False
        self.answer: Answer | None = None

    def reply(self, asked: Asked) -> PageReply:
        """Return what a browser gets; the wait is over when it has the answer to what was filled in."""
        if asked.name:
            return NOT_HERE
        self.seen.set()
        if asked.form is None:
            return PageReply(self.page({}))
        text = self.take(asked.form)
        return PageReply(text, then=self.answered.set if self.answer is not None or self.stopped else None)

    def page(self, form: Form, problem: str = "") -> str:
        """Return the page."""
        stop = f'<p class="stop"><button name="do" value="{STOP}">Stop the workflow</button></p>'
        return render_page(self.question.title, render_form(f"{self.question.body(form, problem)}{stop}", problem))

    def take(self, form: Form) -> str:
        """Take what was filled in, and return the page to show."""
        if form.get("do") == STOP:
            self.stopped = True
            return render_page(self.question.title, "<p>The workflow is stopped. This window can be closed.</p>")
        try:
            self.answer = self.question.read(form)
        except InvalidFormError as error:
            return self.page(form, str(error))
        return render_page(self.question.title, "<p>Thank you; Reflex goes on. This window can be closed.</p>")

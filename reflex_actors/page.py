"""A local page that asks the user something: served on 127.0.0.1 to one browser, until an answer comes.

The address holds a secret, so that no other user of the machine and no other page can answer; nothing is loaded from
elsewhere, and all texts are escaped.
"""

from __future__ import annotations

import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Generic, TypeVar
from urllib.parse import parse_qs

LARGEST_ANSWER_BYTES = 1_000_000

Form = Mapping[str, str]
Answer = TypeVar("Answer")

_STYLE = """
body { font: 15px sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #222; background: #fff }
table { border-collapse: collapse; margin: 1em 0 }
td, th { border: 1px solid #ccc; padding: .3em .6em; text-align: left } th { background: #f2f2f2 }
.used { background: #eaf5e4 } .said { background: #fff3cd; padding: .6em; border-radius: .3em }
button { font-size: 1em; padding: .5em 1.2em; margin-right: 1em } img { image-rendering: pixelated; max-width: 100% }
input[type=text], input[type=number] { width: 14em } pre { background: #f8f8f8; padding: .8em; overflow-x: auto }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; frame-ancestors 'none'"


class InvalidFormError(Exception):
    """What the user filled in cannot be taken; the message is shown on the page."""


@dataclass(frozen=True, slots=True)
class Question(Generic[Answer]):
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
    """Tell whether a window can be opened."""
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY") or sys.platform == "darwin")


def ask(question: Question[Answer], show: Callable[[str], object] = webbrowser.open) -> Answer | None:
    """Show a page and wait for the answer.

    Parameters
    ----------
    question : Question
        What to ask.
    show : callable
        Opens an address, and returns false where it cannot.

    Returns
    -------
    answer or None
        None where no page could be shown.
    """
    desk: _Desk[Answer] = _Desk(question)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(desk))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/{desk.secret}"
    desk.host = f"127.0.0.1:{server.server_port}"
    try:
        if not show(address):
            return None
        sys.stderr.write("waiting for the answer in the browser window …\n")
        desk.answered.wait()
        return desk.answer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Desk(Generic[Answer]):
    """Where page and actor meet."""

    def __init__(self, question: Question[Answer]) -> None:
        self.question = question
        self.secret = secrets.token_urlsafe(24)
        self.host = ""
        self.answered = threading.Event()
        self.answer: Answer | None = None

    def page(self, form: Form, problem: str = "") -> str:
        """Return the page."""
        said = f'<p class="said">{escape(problem)}</p>' if problem else ""
        inside = self.question.body(form, problem)
        return _document(self.question.title, f'{said}<form method="post" autocomplete="off">{inside}</form>')

    def take(self, form: Form) -> str:
        """Take what was filled in, and return the page to show."""
        try:
            self.answer = self.question.read(form)
        except InvalidFormError as error:
            return self.page(form, str(error))
        return _document(self.question.title, "<p>Thank you; Reflex goes on. This window can be closed.</p>")


def _document(title: str, inside: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{inside}</body></html>"
    )


def _handler(desk: _Desk[Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self._is_meant():
                self._send(200, desk.page({}))

        def do_POST(self) -> None:
            if not self._is_meant():
                return
            length = self.headers.get("Content-Length", "0")
            if not length.isdigit() or int(length) > LARGEST_ANSWER_BYTES:
                self._send(413, "too much")
                return
            sent = parse_qs(self.rfile.read(int(length)).decode(errors="replace"), keep_blank_values=True)
            page = desk.take({key: values[-1] for key, values in sent.items()})
            self._send(200, page)
            if desk.answer is not None:
                desk.answered.set()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the address holds the secret."""

        def _is_meant(self) -> bool:
            known = secrets.compare_digest(self.path.lstrip("/").encode(), desk.secret.encode())
            if known and self.headers.get("Host") == desk.host:
                return True
            self._send(404, "not found")
            return False

        def _send(self, status: int, text: str) -> None:
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Security-Policy", _POLICY)
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

    return Handler

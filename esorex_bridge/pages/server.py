"""Pages served on 127.0.0.1 to one user: the address holds a secret that stands in a private file.

What a report is served by, and what an actor asks its questions by.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from msgspec import Struct

LARGEST_FORM_BYTES = 1_000_000
_POLL_S = 0.05


class Asked(Struct, frozen=True):
    """What a browser asks for: a name below the secret, and what was filled in, None where nothing was sent."""

    name: str
    form: dict[str, str] | None = None


class PageReply(Struct, frozen=True):
    """What it gets.

    Parameters
    ----------
    text : str
        The page.
    kind : str
        Its MIME type.
    status : int
        Of HTTP.
    then : callable or None
        Called when the browser has it.
    """

    text: str
    kind: str = "text/html"
    status: int = 200
    then: Callable[[], None] | None = None


NOT_HERE = PageReply("not here", "text/plain", 404)


class ServedPage(Struct, frozen=True):
    """A page that is being served: its address, and the server that is to be stopped."""

    address: str
    server: ThreadingHTTPServer

    def stop(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()


def serve(answer: Callable[[Asked], PageReply], policy: str, port: int = 0) -> ServedPage:
    """Serve pages on loopback, in a thread.

    Parameters
    ----------
    answer : callable
        Gives the page that is asked for; it is called in several threads.
    policy : str
        Content security policy of all of them.
    port : int
        0 for a free one.
    """
    secret = secrets.token_urlsafe(24)
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(answer, secret, policy))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": _POLL_S}, daemon=True).start()
    return ServedPage(f"http://127.0.0.1:{server.server_port}/{secret}/", server)


def write_redirect(address: str, file: Path) -> None:
    """Write a page that leads to an address, readable by the user alone: a browser's command line shows no secret."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(
        '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0;url={address}"><a href="{address}">Continue</a>\n',
        encoding="utf-8",
    )


@contextmanager
def lead_to(page: ServedPage, file: Path) -> Iterator[None]:
    """Keep a file that leads to a page while it is served, and stop serving at the end."""
    try:
        write_redirect(page.address, file)
        yield
    finally:
        page.stop()
        file.unlink(missing_ok=True)


def _handler(answer: Callable[[Asked], PageReply], secret: str, policy: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(answer(Asked(self._name())) if self._is_ours() else NOT_HERE)

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "0")
            if not self._is_ours():
                self._reply(NOT_HERE)
            elif not length.isdigit() or int(length) > LARGEST_FORM_BYTES:
                self._reply(PageReply("too much", "text/plain", 413))
            else:
                sent = parse_qs(self.rfile.read(int(length)).decode(errors="replace"), keep_blank_values=True)
                self._reply(answer(Asked(self._name(), {key: values[-1] for key, values in sent.items()})))

        def _name(self) -> str:
            return self.path.removeprefix(f"/{secret}/")

        def _is_ours(self) -> bool:
            """Whether the address holds the secret, and no other page or host name asks (DNS rebinding)."""
            here = f"127.0.0.1:{self.connection.getsockname()[1]}"
            origin = self.headers.get("Origin")
            known = secrets.compare_digest(self.path[: len(secret) + 2].encode(), f"/{secret}/".encode())
            # A page without a referrer sends the origin "null" with its form.
            return known and self.headers.get("Host") == here and origin in (None, "null", f"http://{here}")

        def _reply(self, reply: PageReply) -> None:
            body = reply.text.encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", f"{reply.kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", policy)
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)
            if reply.then is not None:
                reply.then()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: an address holds the secret."""

    return Handler

"""The report served live on 127.0.0.1, to one user: the address holds a secret that stands in a private file."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from msgspec import Struct

from esorex_bridge.pages.render import POLICY

LIVE_POLICY = f"{POLICY}; connect-src 'self'"

Source = Callable[[], tuple[str, str]]
"""Returns the version of what there is, and makes the page where it changed: (version, page)."""


class LivePage(Struct, frozen=True):
    """A page that is being served: its address, and the server that is to be stopped."""

    address: str
    server: ThreadingHTTPServer

    def stop(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()


def serve(source: Source, port: int = 0) -> LivePage:
    """Serve a page on loopback, in a thread.

    Parameters
    ----------
    source : callable
        Gives the page.
    port : int
        0 for a free one.
    """
    secret = secrets.token_urlsafe(24)
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(source, secret))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    return LivePage(f"http://127.0.0.1:{server.server_port}/{secret}/", server)


def write_redirect(address: str, file: Path) -> None:
    """Write a page that leads to an address, readable by the user alone: a browser's command line shows no secret."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(
        f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={address}">'
        f'<a href="{address}">report</a>\n'
    )


def _handler(source: Source, secret: str) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self._is_ours():
                self._answer(404, "text/plain", "not here")
                return
            with lock:
                version, page = source()
            name = self.path.removeprefix(f"/{secret}/")
            if name == "version":
                self._answer(200, "text/plain", version)
            elif name == "":
                self._answer(200, "text/html", page)
            else:
                self._answer(404, "text/plain", "not here")

        def _is_ours(self) -> bool:
            """Whether the address holds the secret, and no other page or host name asks (DNS rebinding)."""
            here = f"127.0.0.1:{self.connection.getsockname()[1]}"
            origin = self.headers.get("Origin")
            known = secrets.compare_digest(self.path[: len(secret) + 2].encode(), f"/{secret}/".encode())
            return known and self.headers.get("Host") == here and origin in (None, f"http://{here}")

        def _answer(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", f"{LIVE_POLICY}; frame-ancestors 'none'")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: an address holds the secret."""

    return Handler

"""An HTTP/1.1 server on 127.0.0.1 that hands requests to a function and sends what it returns."""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest, html_error, parse_request

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 65536
LONGEST_BODY_BYTES = 1 << 22
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Answer = Callable[[HttpRequest], HttpReply]


class LoopbackServer:
    """A server in threads of this process.

    Parameters
    ----------
    port : int
        0 for any free one.
    answer : callable
        Called in many threads at once.
    """

    def __init__(self, port: int, answer: Answer) -> None:
        self._server = _Server((LOOPBACK, port), answer)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """Address without a slash at the end."""
        return self._server.url

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; connections that clients keep open are closed."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], answer: Answer) -> None:
        self.answer = answer
        self._open: set[socket.socket] = set()
        self._open_lock = Lock()
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Close all connections first, so that their threads end and can be waited for."""
        with self._open_lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client has gone away; show every other error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._exchange()

    def do_HEAD(self) -> None:
        self._exchange()

    def do_POST(self) -> None:
        self._exchange()

    def do_DELETE(self) -> None:
        self._exchange()

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing to stderr: the archive keeps its own log."""

    def _exchange(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length", "0"))
        if length > LONGEST_BODY_BYTES:
            self.close_connection = True
            self._send(html_error(413, "Content Too Large"))
            return
        body = self.rfile.read(length)
        self._send(self.server.answer(parse_request(self.command, self.path, headers, body, self.server.url)))

    def _send(self, reply: HttpReply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.header("Content-Length") is None:
            self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(reply)

    def _send_body(self, reply: HttpReply) -> None:
        delivery = reply.delivery
        body = reply.body if delivery.cut_after is None else reply.body[: delivery.cut_after]
        if delivery.bytes_per_s is None:
            self.wfile.write(body)
        else:
            self._drip(body, delivery.bytes_per_s)
        if delivery.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if delivery.reset or delivery.cut_after is not None:
            self.close_connection = True

    def _drip(self, body: bytes, bytes_per_s: float) -> None:
        """Send in steps of a twentieth of a second or a chunk, whichever is less."""
        step = max(1, min(CHUNK_BYTES, int(bytes_per_s / 20)))
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            self.wfile.write(piece)
            time.sleep(len(piece) / bytes_per_s)

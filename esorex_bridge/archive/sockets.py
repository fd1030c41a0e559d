"""Sockets: the connections of a session, so that a request that waits can be ended from another thread.

A request waits for the name service, for the connection, for its encryption, or for an answer. The first two go on in a
thread of their own that is left behind where nobody waits any more, because a question to the name service cannot be
broken off.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, wait
from typing import Any
from weakref import WeakSet

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_LOOK_S = 0.5
"""Not without end: Python sees no Ctrl-C that came a moment before such a wait."""


class ShutDownError(OSError):
    """Nothing is opened any more."""


class OpenSockets:
    """The sockets that are open; safe to share between threads."""

    def __init__(self) -> None:
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._opening: set[Future[socket.socket]] = set()
        self._lock = threading.Lock()
        self._is_shut_down = False

    def open(self, connect: Callable[[], socket.socket]) -> socket.socket:
        """Return the socket that a call opens, which may take long.

        Raises
        ------
        ShutDownError
            If all were shut down meanwhile.
        """
        opening: Future[socket.socket] = Future()
        with self._lock:
            if self._is_shut_down:
                raise ShutDownError("shut down")
            self._opening.add(opening)
        threading.Thread(target=_open, args=(connect, opening), name="connect", daemon=True).start()
        try:
            opened = _await(opening)
        finally:
            opening.cancel()
            self._opening.discard(opening)
        self.add(opened)
        return opened

    def add(self, opened: socket.socket) -> None:
        """Remember a socket as long as it lives."""
        with self._lock:
            self._sockets.add(opened)

    def shut_down(self) -> None:
        """End all of them: whoever reads from one goes on at once, with an error."""
        with self._lock:
            self._is_shut_down = True
            for opening in tuple(self._opening):
                with contextlib.suppress(InvalidStateError):
                    opening.set_exception(ShutDownError("shut down"))
            for opened in tuple(self._sockets):
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(opened, socket.SHUT_RDWR)
            self._sockets.clear()

    def allow(self) -> None:
        """Let new ones be opened again."""
        self._is_shut_down = False


def _open(connect: Callable[[], socket.socket], opening: Future[socket.socket]) -> None:
    """Open a socket for who waits for it; where nobody does, close it again."""
    try:
        opened = connect()
    except BaseException as error:
        with contextlib.suppress(InvalidStateError):
            opening.set_exception(error)
        return
    try:
        opening.set_result(opened)
    except InvalidStateError:
        opened.close()


def _await(opening: Future[socket.socket]) -> socket.socket:
    while not wait((opening,), _LOOK_S).done:
        pass
    return opening.result()


class StoppableAdapter(HTTPAdapter):
    """An adapter whose connections can be ended by `sockets.shut_down()`."""

    def __init__(self, sockets: OpenSockets, **options: Any) -> None:
        self._pools = _pool_classes(sockets)
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make connections of ours."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Make connections of ours through a proxy too."""
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pool_classes(sockets: OpenSockets) -> dict[str, Any]:
    """Return connection pools whose connections tell their sockets.

    urllib3 makes connections from classes, so there is a class for each set of sockets.
    """

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return sockets.open(super()._new_conn)

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            opened = sockets.open(super()._new_conn)
            # Encryption takes the socket over and tells nobody until both sides agreed: a twin stands for it.
            self._twin = opened.dup()
            sockets.add(self._twin)
            return opened

        def connect(self) -> None:
            try:
                super().connect()
            finally:
                if (twin := getattr(self, "_twin", None)) is not None:
                    twin.close()
            if self.sock is not None:
                sockets.add(self.sock)

    plain = type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain})
    encrypted = type("EncryptedPool", (HTTPSConnectionPool,), {"ConnectionCls": Encrypted})
    return {"http": plain, "https": encrypted}

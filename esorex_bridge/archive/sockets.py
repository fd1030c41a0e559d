"""Sockets: the connections of a session, so that a request that waits can be ended from another thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any
from weakref import WeakSet

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class OpenSockets:
    """The sockets that are open; safe to share between threads."""

    def __init__(self) -> None:
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()

    def add(self, opened: socket.socket) -> None:
        """Remember a socket as long as it lives."""
        with self._lock:
            self._sockets.add(opened)

    def shut_down(self) -> None:
        """End all of them: whoever reads from one goes on at once, with an error."""
        with self._lock:
            for opened in tuple(self._sockets):
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(opened, socket.SHUT_RDWR)
            self._sockets.clear()


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
        def connect(self) -> None:
            super().connect()
            if self.sock is not None:
                sockets.add(self.sock)

    class Encrypted(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            if self.sock is not None:
                sockets.add(self.sock)

    plain = type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain})
    encrypted = type("EncryptedPool", (HTTPSConnectionPool,), {"ConnectionCls": Encrypted})
    return {"http": plain, "https": encrypted}

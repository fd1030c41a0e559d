"""The report served live: the page asks now and then whether there is a newer one."""

from __future__ import annotations

import threading
from collections.abc import Callable

from esorex_bridge.pages.render import POLICY
from esorex_bridge.pages.server import NOT_HERE, Asked, PageReply, ServedPage, serve

LIVE_POLICY = f"{POLICY}; connect-src 'self'"

Source = Callable[[], tuple[str, str]]
"""Returns the version of what there is, and makes the page where it changed: (version, page)."""


def serve_report(source: Source, port: int = 0) -> ServedPage:
    """Serve a page that follows its source.

    Parameters
    ----------
    source : callable
        Gives the page.
    port : int
        0 for a free one.
    """
    lock = threading.Lock()

    def answer(asked: Asked) -> PageReply:
        if asked.form is not None or asked.name not in ("", "version"):
            return NOT_HERE
        with lock:
            version, page = source()
        return PageReply(version, "text/plain") if asked.name else PageReply(page)

    return serve(answer, f"{LIVE_POLICY}; frame-ancestors 'none'", port)

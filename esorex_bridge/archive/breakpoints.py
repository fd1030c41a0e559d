"""Breakpoints: calSelector's list of dates that calibrations must not cross, fetched with the associations and kept.

The last list that came stays when the service has none (404) or fails.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from esorex_bridge.archive.connection import Connection
from esorex_bridge.archive.exchange import what_came
from esorex_bridge.disk.atomic import write_bytes_whole
from esorex_bridge.errors import ArchiveError
from esorex_bridge.log import logger

FILE = "breakpoints.json"
"""Where `organise` looks for the list, in the data root."""

FRESH_S = 86_400.0

_log = logger(__name__)


def refresh_breakpoints(connection: Connection, root: Path, now_s: float | None = None) -> bool:
    """Fetch the list into a data root where it is not there, or older than a day; return whether a new one came.

    Parameters
    ----------
    connection : Connection
        To the archive.
    root : Path
        The data root.
    now_s : float, optional
        Unix time.

    Raises
    ------
    WriteError
        If the root cannot be written.
    """
    path = root / FILE
    try:
        if (time.time() if now_s is None else now_s) - path.stat().st_mtime < FRESH_S:
            return False
    except OSError:
        pass
    try:
        document = fetch_breakpoints(connection)
    except ArchiveError as error:
        _log.info("the list of breakpoints is not to be had: %s", error)
        return False
    if document is None:
        return False
    write_bytes_whole(path, document)
    return True


def fetch_breakpoints(connection: Connection) -> bytes | None:
    """Return the list as the service sends it; None where it has none.

    Raises
    ------
    ArchiveError
        If the service fails, or sends what is no list.
    """
    url = f"{connection.services.calselector.rpartition('/')[0]}/breakpoints"
    answer = connection.get(url, attempts=2, no_page=True, anonymous=True)
    if answer.status == 404:
        return None
    try:
        listed = answer.status == 200 and isinstance(json.loads(answer.body), list)
    except (ValueError, RecursionError):
        listed = False
    if not listed:
        came = what_came(answer.headers.get("Content-Type", ""), answer.body)
        raise ArchiveError(f"{url} answers HTTP {answer.status} with {came} instead of a list of breakpoints")
    return answer.body

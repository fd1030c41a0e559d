"""Sizes: how much there is to fetch, and whether it fits on the disk, before anything is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.archive.file_fetcher import existing
from esorex_bridge.archive.query import Constraints
from esorex_bridge.disk.room import Room
from esorex_bridge.errors import ArchiveError
from esorex_bridge.files import DpId, is_dp_id, is_processed
from esorex_bridge.log import logger

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient, Row
    from esorex_bridge.archive.connection import Connection

MOST_RANGES = 200
"""Processed files whose size is asked for, by one request each; the archive's tables do not list them."""

_PARALLEL = 4
_log = logger(__name__)
_TOTAL = re.compile(r"bytes [0-9]{1,18}-[0-9]{1,18}/([0-9]{1,18})")


def estimated_sizes(client: ArchiveClient, names: Sequence[DpId]) -> dict[DpId, int]:
    """Return the sizes of files in bytes, as far as the archive tells them: of raw frames an estimate.

    Raises
    ------
    ArchiveError
        If a service fails.
    """
    raw = tuple(name for name in names if is_dp_id(name) and not is_processed(name))
    found: dict[DpId, int] = {}
    if raw:
        rows = client.query(Constraints(dp_ids=raw, columns=("dp_id", "access_estsize"), category=None))
        found |= {DpId(row["dp_id"]): int(row["access_estsize"]) * 1024 for row in rows if row["access_estsize"]}
    return found | _processed_sizes(client.connection, [name for name in names if is_processed(name)])


def _processed_sizes(connection: Connection, names: Sequence[DpId]) -> dict[DpId, int]:
    def size(name: DpId) -> int | None:
        try:
            return size_by_range(connection, name)
        except ArchiveError:
            return None

    with connection.stoppable(), ThreadPoolExecutor(_PARALLEL) as pool:
        try:
            sizes = dict(zip(names[:MOST_RANGES], pool.map(size, names[:MOST_RANGES]), strict=True))
        except BaseException:
            connection.stop()
            raise
    return {name: bytes_ for name, bytes_ in sizes.items() if bytes_ is not None}


def size_by_range(connection: Connection, name: DpId) -> int | None:
    """Return the size of a file by asking for its first byte; None where the archive does not tell it so."""
    url = connection.services.file_url(name)
    headers = {"Range": "bytes=0-0", "Accept-Encoding": "identity"}
    with closing(connection.open("GET", url, headers=headers, anonymous=True, attempts=2)) as response:
        match = _TOTAL.fullmatch(response.headers.get("Content-Range", "").strip())
        length = response.headers.get("Content-Length", "")
        if response.status_code == 206 and match is not None:
            return int(match[1])
        known = response.status_code == 200 and length.isascii() and length.isdigit() and len(length) <= 18
        return int(length) if known else None


class DownloadSizes:
    """Counts in the room of disks what is to be fetched: the list of files grows while they are fetched.

    Parameters
    ----------
    client : ArchiveClient
        Tells sizes that are not known yet.
    folder : Path
        The data folder; what lies there already needs no room.
    rows : mapping
        What the archive says of frames, by dp_id: `access_estsize` counts.
    room : Room
        Of the disks.
    """

    def __init__(self, client: ArchiveClient, folder: Path, rows: Mapping[DpId, Row], room: Room) -> None:
        self._client, self._folder, self._rows, self._room = client, folder, dict(rows), room
        self._counted = set(existing(folder)) if folder.is_dir() else set()

    def learn(self, rows: Mapping[DpId, Row]) -> None:
        """Take in what became known of more frames."""
        self._rows.update(rows)

    def take(self, names: Iterable[DpId]) -> None:
        """Count files in, each once.

        Raises
        ------
        UserError
            If all that was counted so far is larger than what was free at the beginning.
        """
        new = tuple(dict.fromkeys(name for name in names if name not in self._counted))
        self._counted.update(new)
        listed = {name: int(row["access_estsize"]) * 1024 for name in new if (row := self._row(name)) is not None}
        try:
            asked = estimated_sizes(self._client, [name for name in new if name not in listed])
        except ArchiveError as error:
            _log.info("sizes of %d files are unknown: %s", len(new) - len(listed), error)
            asked = {}
        self._room.take_fetched(self._folder, sum(listed.values()) + sum(asked.values()))
        self._room.refuse()

    def _row(self, name: DpId) -> Row | None:
        row = self._rows.get(name)
        return row if row is not None and row.get("access_estsize") else None

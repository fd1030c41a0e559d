"""How actors reach the archive: Reflex hands on no variables, so who the user is comes from files below HOME."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient


def client(address: str, environment: Mapping[str, str]) -> ArchiveClient:
    """Return the client for an archive, ESO's own where no address is given; it logs in where a service asks for it."""
    from esorex_bridge.archive.exchange import RetryPolicy
    from esorex_bridge.archive.opening import open_client

    # Somebody waits in front of Reflex: three tries are enough, and what came is kept for the next.
    return open_client(address, environment, patience=RetryPolicy(attempts=3))

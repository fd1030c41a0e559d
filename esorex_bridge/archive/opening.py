"""Opening: the client that the settings of a command and its environment give."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from esorex_bridge.archive.auth import Credentials
from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.connection import FindCredentials
from esorex_bridge.archive.exchange import RetryPolicy
from esorex_bridge.archive.saved_login import credentials
from esorex_bridge.archive.services import Services
from esorex_bridge.errors import UserError

PATIENCE_VARIABLE = "ESOREX_BRIDGE_PATIENCE"
"""A factor for all pauses between tries; 1 where it is not set."""

TRACE_VARIABLE = "ESOREX_BRIDGE_TRACE_HTTP"
"""A folder that all exchanges with the archive are written into; as `--trace-http`."""

CONTACT_VARIABLE = "ESOREX_BRIDGE_CONTACT"
"""An e-mail or web address at which the archive's operators reach whoever asks; sent with every request."""

REPLAY_VARIABLE = "ESOREX_BRIDGE_REPLAY_HTTP"
"""A trace to take all answers from, and data folders with the files that it names, separated by colons."""


_CONTACT = re.compile(r"[!-'*-~]{1,200}")


def open_client(
    address: str | None,
    environment: Mapping[str, str],
    known: FindCredentials | Credentials | None = None,
    patience: RetryPolicy | None = None,
    trace: Path | None = None,
) -> ArchiveClient:
    """Return the client for an archive.

    Parameters
    ----------
    address : str or None
        One base address for all services; None for ESO's own.
    environment : mapping
        Where user and password may stand, how patient to be, and where a trace goes or comes from.
    known : Credentials or callable, optional
        Who logs in, where that is known; else they are looked for when a service wants them.
    patience : RetryPolicy, optional
        How long to bear with a service.
    trace : Path, optional
        A folder that all exchanges are written into, also where the environment names another.

    Raises
    ------
    UserError
        If the address is no address, or a variable is malformed.
    DataError
        If a trace cannot be written or read.
    """
    services = Services.at(address) if address else Services()
    found = known or (lambda: credentials(environment, keyring=not address))
    scaled = (patience or RetryPolicy()).scale(_factor(environment))
    named = environment.get(TRACE_VARIABLE)
    kept = trace or (Path(named) if named else None)
    session = None
    if replayed := environment.get(REPLAY_VARIABLE):
        from esorex_bridge.archive.replay import replay_session

        folder, *files = map(Path, replayed.split(os.pathsep))
        session = replay_session(folder, files)
    return ArchiveClient(services, session, found, scaled, kept, _contact(environment))


def _contact(environment: Mapping[str, str]) -> str:
    text = environment.get(CONTACT_VARIABLE, "").strip()
    if text and not _CONTACT.fullmatch(text):
        raise UserError(f"{CONTACT_VARIABLE} is no e-mail or web address; give one without spaces and brackets")
    return text


def _factor(environment: Mapping[str, str]) -> float:
    text = environment.get(PATIENCE_VARIABLE, "1")
    try:
        factor = float(text)
    except ValueError:
        factor = -1.0
    if not 0 <= factor <= 1000:
        raise UserError(f"{PATIENCE_VARIABLE}={text} is not a factor for pauses; give a number from 0 to 1000")
    return factor

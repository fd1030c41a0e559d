"""Access: who may have a file, before it is asked for, so that a refusal can be judged.

ESO's data policy: calibrations are public at once, science frames from their release date on. The portal at times
refuses a public file for some minutes (401); that says nothing about the user then.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from esorex_bridge.files import is_processed

Access = Literal["public", "protected", "unknown"]
"""Whether everybody may have a file, only who logs in, or nobody told us."""


def expected_access(name: str, role: str, release_date: str | None, now: datetime) -> Access:
    """Return who should be able to fetch a file.

    Parameters
    ----------
    name : str
        Archive name.
    role : str
        `calibration` where calSelector gives it as one.
    release_date : str or None
        As the archive lists it (UT, ISO 8601); None where it is not known.
    now : datetime
        With its time zone.
    """
    if is_processed(name) or role == "calibration":
        return "public"
    released = _moment(release_date)
    if released is None or name.endswith(".NL"):
        return "unknown"
    return "public" if released <= now else "protected"


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text).removesuffix("Z"))
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC)

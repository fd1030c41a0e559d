"""Documents of `doctor` and `completion`: what is installed here, and what can be reached."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from esorex_bridge.cli.documents.base import Document


class Check(Struct, frozen=True):
    """One look of `doctor`.

    Parameters
    ----------
    name : str
        What was looked at.
    result : {'ok', 'missing', 'optional'}
        `missing` where something will not work; `optional` where something that not everybody needs is not there.
    said : str
        What is there, or what to do.
    """

    name: str
    result: Literal["ok", "missing", "optional"]
    said: str


class DoctorDocument(Document, frozen=True, kw_only=True):
    """`doctor`: what is installed and what can be reached."""

    checks: tuple[Check, ...]


class CompletionDocument(Document, frozen=True, kw_only=True):
    """`completion`: a script for a shell, or the manual page."""

    what: str
    text: str

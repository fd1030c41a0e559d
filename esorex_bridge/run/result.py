"""A result: what came of an attempt to make a step, as the worker writes it down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

from esorex_bridge.files import Digest
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.values import plain

VERSION = 1
ResultWord = Literal["made", "found", "failed", "cancelled"]
"""made by this attempt; found, made by somebody else meanwhile or before; failed; cancelled."""


class Result(Struct, frozen=True):
    """What came of an attempt.

    Parameters
    ----------
    key : StepKey
        The step.
    attempt : int
        Counted from 1; 0 for what was there before the batch.
    outcome : {'made', 'found', 'failed', 'cancelled'}
        What came of it.
    record : Record or None
        Of what is there now.
    error : str
        What went wrong, in words.
    host : str
        Where the worker ran.
    seconds : float
        From the beginning of the attempt to its end, waiting for locks included.
    verified : mapping of str to Digest
        Inputs that were held against their own checksums on the way.
    folder : Path or None
        Where the recipe ran, with Reflex's notes in it; None where it did not come to that.
    """

    key: StepKey
    attempt: int
    outcome: ResultWord
    record: Record | None = None
    error: str = ""
    host: str = ""
    seconds: float = 0.0
    verified: Mapping[str, Digest] = field(default_factory=dict)
    folder: Path | None = None

    def document(self) -> str:
        """Return it as JSON text; `read_result` reads it back."""
        return json.dumps(
            {
                "version": VERSION,
                "key": self.key,
                "attempt": self.attempt,
                "outcome": self.outcome,
                "record": plain(self.record) if self.record else None,
                "error": self.error,
                "host": self.host,
                "seconds": round(self.seconds, 4),
                "verified": dict(self.verified),
                "folder": self.folder,
            },
            default=str,
        )


def read_result(text: str) -> Result | None:
    """Read what `Result.document` wrote; None where it is not whole (the machine stopped while it was written)."""
    try:
        found = json.loads(text)
        if found["version"] != VERSION:
            return None
        return Result(
            key=StepKey(found["key"]),
            attempt=found["attempt"],
            outcome=found["outcome"],
            record=_record(found["record"]) if found["record"] else None,
            error=found["error"],
            host=found["host"],
            seconds=found["seconds"],
            verified={path: Digest(digest) for path, digest in found["verified"].items()},
            folder=Path(found["folder"]) if found["folder"] else None,
        )
    except (ValueError, KeyError, TypeError):
        return None


def _record(found: dict[str, Any]) -> Record:
    products = tuple(
        Product(each["path"], each["category"], Digest(each["digest"]), each["size_bytes"], each.get("stamp", ""))
        for each in found["products"]
    )
    warnings = tuple(found["warnings"])
    return Record(StepKey(found["key"]), products, found["seconds"], found["made"], found["sof"], warnings)

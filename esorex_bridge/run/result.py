"""A result: what came of an attempt to make a step, as the worker writes it down."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from msgspec import MsgspecError, Struct, field
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from esorex_bridge.esorex.recipe import FailedRunError, Usage
from esorex_bridge.files import Digest
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Record

VERSION = 1
ResultWord = Literal["made", "found", "failed", "cancelled"]
"""made by this attempt; found, made by somebody else meanwhile or before; failed; cancelled."""


class StepResult(Struct, frozen=True):
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
    usage : Usage or None
        What a recipe that failed took of the machine; the record has it of one that did not.
    killed : bool
        Whether the recipe was killed as the system does it where memory is short.
    version : int
        Of this form of a result.
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
    usage: Usage | None = None
    killed: bool = False

    version: int = VERSION

    def with_failure(self, error: Exception) -> StepResult:
        """Return it with what a recipe that was started and failed took of the machine."""
        return replace(self, usage=error.usage, killed=error.killed) if isinstance(error, FailedRunError) else self

    def document(self) -> str:
        """Return it as JSON text; `read_result` reads it back."""
        return _encode(self).decode()


def read_result(text: str) -> StepResult | None:
    """Read what `Result.document` wrote; None where it is not whole (the machine stopped while it was written)."""
    try:
        found = _decoder().decode(text)
    except MsgspecError:
        return None
    return found if found.version == VERSION else None


_encode = Encoder(enc_hook=str).encode


@cache
def _decoder() -> Decoder[StepResult]:
    """Return what reads results; a run in one process reads none."""
    return Decoder(StepResult, dec_hook=lambda kind, value: kind(value))

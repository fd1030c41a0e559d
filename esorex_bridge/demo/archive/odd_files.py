"""Odd files: frames that have a fault of their own, and frames whose headers are patched on their way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from msgspec.structs import replace

from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.archive.holdings import DeliveredFile

_CARD, _BLOCK = 80, 2880
_END = b"END".ljust(_CARD)
WRONG_SUM = "1234567890"


def odd(file: DeliveredFile, faults: frozenset[Fault]) -> DeliveredFile:
    """Return a file as it leaves the archive under the faults that make it odd."""
    for fault, change in _CHANGES.items():
        if fault in faults:
            file = replace(file, content=_change(file, change))
    return file


def _change(file: DeliveredFile, change: Callable[[bytes], bytes]) -> bytes:
    if not file.name.endswith(".Z"):
        return change(file.content)
    import ncompress

    packed: bytes = ncompress.compress(change(ncompress.decompress(file.content)))
    return packed


def _with_wrong_sum(fits: bytes) -> bytes:
    return _with_cards(fits, f"DATASUM = '{WRONG_SUM}'")


def _patch(fits: bytes) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    comment = f"COMMENT processed by hotfly version 1.8 on {now}"
    return _with_cards(fits, comment, "HDRVER  = '1.0'", without=("CHECKSUM=",))


def _with_cards(fits: bytes, *cards: str, without: tuple[str, ...] = ()) -> bytes:
    """Return a file with cards before the END of its primary header, in the place of those of their names."""
    end = next(at for at in range(0, len(fits), _CARD) if fits[at : at + _CARD] == _END)
    names = tuple(name.encode() for name in (*without, *(card[:9] for card in cards if card[8:9] == "=")))
    kept = (fits[at : at + _CARD] for at in range(0, end, _CARD))
    header = b"".join(card for card in kept if not card.startswith(names or (b"\0",)))
    header += b"".join(card.encode().ljust(_CARD) for card in cards) + _END
    data = fits[-(-(end + _CARD) // _BLOCK) * _BLOCK :]
    return header + b" " * (-len(header) % _BLOCK) + data


def _without_padding(fits: bytes) -> bytes:
    """Return a file without half of the zeros at its end that fill up the last block."""
    zeros = len(fits) - len(fits.rstrip(b"\0"))
    return fits[: len(fits) - min(zeros, _BLOCK - 1) // 2]


_CHANGES = {
    Fault.BADSUM: _with_wrong_sum,
    Fault.HOTFLY: _patch,
    Fault.SHORT_PADDING: _without_padding,
}

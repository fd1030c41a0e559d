"""Volatile cards: what the archive writes into a header while it sends a file, different at each download.

ESO's `hotfly` corrects headers on the way: it puts a COMMENT with the time of the download and HDRVER, the version of
the header, and drops CHECKSUM. Two downloads of one frame differ in that alone, and are the same content.
"""

from __future__ import annotations

import re

from esorex_bridge.fits.card import CARD_BYTES

_BLOCK_BYTES = 2880
_MARK = b"hotfly"
_END = b"END".ljust(CARD_BYTES)
_VOLATILE = rb"(?i:COMMENT .*hotfly|HISTORY .*hotfly|HDRVER  =|CHECKSUM=)"


def stable(header: bytes) -> bytes:
    """Return a header without volatile cards; one that was not patched on its way is returned as it is.

    Parameters
    ----------
    header : bytes
        Whole blocks, with the END card.
    """
    if _MARK not in header.lower():
        return header
    cards = [header[at : at + CARD_BYTES] for at in range(0, len(header), CARD_BYTES)]
    kept = [card for card in cards[: cards.index(_END)] if not re.match(_VOLATILE, card)] if _END in cards else cards
    text = b"".join((*kept, _END)) if _END in cards else header
    return text + b" " * (-len(text) % _BLOCK_BYTES)

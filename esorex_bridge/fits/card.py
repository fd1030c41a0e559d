"""One card of a FITS header, 80 bytes: its name in ESO's dotted form, and its value.

Names: `HIERARCH ESO DET DIT` is `DET.DIT`; `MJD-OBS` stays; a HIERARCH card of another domain keeps it
(`HIERARCH CAHA TEL POS` is `CAHA.TEL.POS`). Values: as astropy reads them, with these differences. A bare `nan` is a
number (astropy refuses the card); a doubled quote is one quote wherever it stands (astropy cuts the string short when
a doubled quote meets a slash); what is no value of the standard, such as a complex number, is kept as its text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

Value: TypeAlias = str | int | float | bool | None
"""What a card may hold; None for a value that is left undefined."""

CARD_BYTES = 80

_COMMENTARY = (b"COMMENT", b"HISTORY", b"CONTINUE", b"END", b"")
_STRING = rb"'((?:[^']|'')*)'\s*(?:/|$)"
_LOOSE_STRING = rb"'(.*?)'(?=/|\s|$)"
_INTEGER = re.compile(r"[+-]?\d+")
_REAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_D_EXPONENT = str.maketrans("Dd", "Ee")


def name_and_field(card: bytes) -> tuple[str, bytes] | None:
    """Return the dotted name of a card and the bytes that hold its value; None for a card without a value.

    Commentary, blank cards, CONTINUE and cards without a value indicator in column 9 have none.
    """
    word = card[:8].rstrip().upper()
    if word in _COMMENTARY:
        return None
    if word == b"HIERARCH" and card[8:9] == b" ":
        name, equals, field = card[9:].partition(b"=")
        return (join_words(name.decode("latin-1")), field) if equals and name.strip() else None
    at = card.find(b"= ")
    if at < 0 and card[8:9] == b"=":
        at = 8
    if not 0 < at <= 8:
        return None
    return card[:at].strip().upper().decode("latin-1"), card[at + 1 :]


def join_words(words: str) -> str:
    """Return the dotted form of the words of a HIERARCH card.

    >>> join_words("ESO DET DIT "), join_words("CAHA TEL POS"), join_words("ESO MOLECULE")
    ('DET.DIT', 'CAHA.TEL.POS', 'ESO.MOLECULE')
    """
    parts = words.upper().split()
    return ".".join(parts[1:] if parts[0] == "ESO" and len(parts) > 2 else parts)


def canonical(key: str) -> str:
    """Return the dotted form of a name that may carry HIERARCH and ESO."""
    key = key.upper().removeprefix("HIERARCH.")
    return key[4:] if key.startswith("ESO.") and key.count(".") > 1 else key


@lru_cache(maxsize=1 << 12)  # of a season's frames most say the same
def value_of(field: bytes) -> Value:
    """Return the value that stands in the bytes after the equals sign, a comment left out."""
    field = field.strip()
    if field.startswith(b"'"):
        return _text(field).rstrip(" ")
    return literal(field.partition(b"/")[0].strip().decode("latin-1"))


def literal(text: str) -> Value:
    """Return the value that an unquoted text stands for; the text itself where it stands for none."""
    if text in ("T", "F"):
        return text == "T"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        return float(text.translate(_D_EXPONENT) if "n" not in text.lower() else text)
    return text or None


def join_continued(field: bytes, following: list[bytes]) -> str:
    """Return a long string that goes on in CONTINUE cards.

    Parameters
    ----------
    field : bytes
        The value field of the first card, a string ending with `&`.
    following : list of bytes
        The CONTINUE cards after it.
    """
    parts = [_text(field.strip())]
    for card in following:
        if not parts[-1].rstrip().endswith("&"):
            break
        parts[-1] = parts[-1].rstrip()[:-1]
        parts.append(_text(card[8:].strip()))
    return "".join(parts).rstrip(" ")


def _text(field: bytes) -> str:
    end = field.find(b"'", 1)
    if end > 0 and field[end + 1 :].lstrip()[:1] in (b"", b"/"):
        return field[1:end].decode("latin-1")
    found = re.match(_STRING, field) or re.match(_LOOSE_STRING, field)
    inner = found.group(1) if found else field.lstrip(b"'")
    return inner.replace(b"''", b"'").decode("latin-1")

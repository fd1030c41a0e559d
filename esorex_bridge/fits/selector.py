"""A set of keywords searched in a header in one pass: one pattern for all of them instead of one search each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from struct import Struct

from esorex_bridge.fits.card import CARD_BYTES, Value, canonical, value_of

_NAME_BYTES = 9
"""Name of a card with its equals sign."""

_NAMES = Struct(f"{_NAME_BYTES}s{CARD_BYTES - _NAME_BYTES}x")

_Branches = dict[str, "_Branches"]


class Selector:
    """Searches a set of keywords in the cards of a header.

    Parameters
    ----------
    keys : tuple of str
        Dotted names.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        names = {key: canonical(key).removeprefix("ESO.") for key in keys}
        self._primary = [
            (key, name.encode("latin-1", "replace").ljust(8) + b"=")
            for key, name in names.items()
            if "." not in name and len(name) <= 8 and not canonical(key).startswith("ESO.")
        ]
        self._by_words: dict[bytes, list[str]] = {}
        for key, name in names.items():
            self._by_words.setdefault(name.replace(".", " ").encode("latin-1", "replace"), []).append(key)
        wanted = _alternatives(names.values())
        # The second branch finds what cannot be searched so: other domains than ESO, lower case, doubled blanks.
        self._cards = re.compile(
            rb"HIERARCH (?:ESO (" + wanted.encode("latin-1", "replace") + rb") *=|(?!ESO [A-Z0-9 _-]+=))"
        )

    def search(self, raw: bytes) -> dict[str, Value] | None:
        """Return the values found in the cards; None where the header has to be parsed whole."""
        found: dict[str, Value] = {}
        for match in self._cards.finditer(raw):
            start = match.start()
            if start % CARD_BYTES:
                continue
            words = match.group(1)
            if words is None or raw.startswith(b"CONTINUE", start + CARD_BYTES):
                return None
            for key in self._by_words[words]:
                if key not in found:
                    found[key] = value_of(raw[match.end() : start + CARD_BYTES])
        places = _find_names(raw) if self._primary else {}
        for key, name in self._primary:
            at = places.get(name)
            if at is not None:
                if raw.startswith(b"CONTINUE", at + CARD_BYTES):
                    return None
                found[key] = value_of(raw[at + _NAME_BYTES : at + CARD_BYTES])
        return found


@lru_cache(maxsize=64)
def selector(keys: tuple[str, ...]) -> Selector:
    """Return the selector for a set of keywords, made once."""
    return Selector(keys)


def _find_names(raw: bytes) -> dict[bytes, int]:
    """Return where the first card of each name of eight letters begins, with its equals sign.

    One that is not there would be searched to the end of the header, and the whole of it is done sooner than that.
    """
    found: dict[bytes, int] = {}
    for number, (name,) in enumerate(_NAMES.iter_unpack(raw + b" " * (-len(raw) % CARD_BYTES))):
        if name != b"HIERARCH " and name not in found:
            found[name] = number * CARD_BYTES
    return found


def _alternatives(names: Iterable[str]) -> str:
    tree: _Branches = {}
    for name in names:
        branch = tree
        for word in name.split("."):
            branch = branch.setdefault(word, {})
        branch[""] = {}
    return _pattern(tree)


def _pattern(tree: _Branches) -> str:
    return "(?:" + "|".join(_branches(tree)) + ")" if tree else "(?!)"


def _branches(tree: _Branches) -> Iterator[str]:
    for word, below in tree.items():
        deeper = {name: branch for name, branch in below.items() if name}
        if not word:
            continue
        if not deeper:
            yield re.escape(word)
        else:
            yield (
                f"{re.escape(word)} {_pattern(deeper)}"
                if "" not in below
                else (f"{re.escape(word)}(?: {_pattern(deeper)})?")
            )

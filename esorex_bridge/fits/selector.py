"""A set of keywords searched in a header in one pass: one pattern for all of them instead of one search each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import compress, count
from operator import ne
from struct import Struct

from esorex_bridge.fits.card import CARD_BYTES, Value, canonical, value_of

_NAME_BYTES = 9
"""Name of a card with its equals sign."""

_Branches = dict[str, "_Branches"]
_Cards = tuple[bytes, ...]


class Selector:
    """Searches a set of keywords in the cards of a header.

    Frames of one template have the same cards in the same order, and most say the same. So a header is held against
    the one before it first: while names stand where they stood, only cards that say something else are looked at.

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
        self._latest: _Found | None = None

    def search(self, raw: bytes) -> dict[str, Value] | None:
        """Return the values found in the cards; None where the header has to be parsed whole."""
        cards, latest = _split(raw), self._latest
        found = latest.follow(cards) if latest is not None else None
        if found is None:
            places = self._find(raw, cards)
            if places is None:
                return None
            found = _read_values(cards, places)
        self._latest = found
        return found.values.copy()

    def _find(self, raw: bytes, cards: _Cards) -> dict[str, int] | None:
        """Return which card has each keyword, by its number; None where the header has to be parsed whole."""
        places: dict[str, int] = {}
        for match in self._cards.finditer(raw):
            number, unaligned = divmod(match.start(), CARD_BYTES)
            if not unaligned:
                if match[1] is None:
                    return None
                for key in self._by_words[match[1]]:
                    places.setdefault(key, number)
        names = _find_names(cards) if self._primary else {}
        places |= {key: names[name] for key, name in self._primary if name in names}
        following = (cards[number + 1 : number + 2] for number in places.values())
        if any(next_one and next_one[0].startswith(b"CONTINUE") for next_one in following):
            return None
        return places


def _read_values(cards: _Cards, places: Mapping[str, int]) -> _Found:
    keys: dict[int, list[str]] = {}
    for key, number in places.items():
        keys.setdefault(number, []).append(key)
    return _Found(cards, keys, {key: value_of(cards[number].partition(b"=")[2]) for key, number in places.items()})


class _Found:
    """What was found in the cards of a header, and by number of the card which keywords it is the value of."""

    __slots__ = ("cards", "keys", "values")

    def __init__(self, cards: _Cards, keys: dict[int, list[str]], values: dict[str, Value]) -> None:
        self.cards, self.keys, self.values = cards, keys, values

    def follow(self, cards: _Cards) -> _Found | None:
        """Return what is in a header that has the same names in the same places; None where it has others."""
        if len(cards) != len(self.cards):
            return None
        values = self.values.copy()
        for number in compress(count(), map(ne, cards, self.cards)):
            card = cards[number]
            begin = card.find(b"=") + 1
            if not begin or not self.cards[number].startswith(card[:begin]):
                return None
            for key in self.keys.get(number, ()):
                values[key] = value_of(card[begin:])
        return _Found(cards, self.keys, values)


def _split(raw: bytes) -> _Cards:
    number = -(-len(raw) // CARD_BYTES)
    return _cards_of(number).unpack(raw.ljust(number * CARD_BYTES))


@lru_cache(maxsize=16)
def _cards_of(number: int) -> Struct:
    """Return what splits a header of so many cards."""
    return Struct(f"{CARD_BYTES}s" * number)


def _find_names(cards: _Cards) -> dict[bytes, int]:
    """Return the number of the first card of each name of eight letters, with its equals sign."""
    found: dict[bytes, int] = {}
    for number, card in enumerate(cards):
        found.setdefault(card[:_NAME_BYTES], number)
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

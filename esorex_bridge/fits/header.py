"""Primary headers of FITS files, read by blocks and parsed only where asked.

A header of 400 cards is looked at for a dozen of keywords, so a card is searched in the bytes, and parsed when found.
Where a keyword occurs twice the first one counts, as in astropy (ESO's own tools warn and go on).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from pathlib import Path

from esorex_bridge.errors import DataError
from esorex_bridge.fits.card import CARD_BYTES, Value, canonical, join_continued, name_and_field, value_of
from esorex_bridge.fits.selector import Selector
from esorex_bridge.fits.stream import MAGIC_BYTES, ByteStream, no_fits, open_fits, packing_of

BLOCK_BYTES = 2880
_FIRST_READ = 20 * BLOCK_BYTES
_FIRST_UNPACKED = 16384
"""As many bytes of a `.Z` file hold nearly any header of ESO's; they are unpacked sooner than `gzip` starts."""
_END = b"END     "
_FULL_END = _END.ljust(CARD_BYTES)
_STRUCTURE = (
    r"(XTENSION|PCOUNT|GCOUNT|THEAP|TFIELDS|EXTNAME|CHECKSUM|DATASUM|NAXIS\d*|BITPIX"
    r"|T(TYPE|FORM|UNIT|NULL|ZERO|SCAL|DISP|DIM)\d+|Z[A-Z]+\d*)"
)
_PACKED_IMAGE = r"Z(BITPIX|NAXIS\d*)"


class _Missing(Enum):
    """The mark of a keyword that was searched and is not there (None is a value: undefined)."""

    ABSENT = 0


_ABSENT = _Missing.ABSENT


class Header(Mapping[str, Value]):
    """The cards of a header by their dotted names (`DET.DIT`, `MJD-OBS`), the first of each name.

    A name may also be asked for as `ESO.DET.DIT` or `HIERARCH.ESO.DET.DIT`. A one-level name of ESO's domain
    (`HIERARCH ESO MOLECULE`) is found as `MOLECULE` too, where no primary keyword has that name. `DET.CHIP.NY[1]` is
    a keyword of the first extension, where the header knows how to read that (`hdus.read_keywords`).
    """

    __slots__ = ("_all", "_extension", "_plain", "_raw", "_seen")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._extension: Callable[[int], Header] | None = None
        self._seen: dict[str, Value | _Missing] = {}
        self._all: dict[str, Value] | None = None
        self._plain: bool | None = None

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Header:
        """Return a header of values that are known already."""
        header = cls(b"")
        header._all = dict(values)
        return header

    def __getitem__(self, key: str) -> Value:
        found = self._lookup(key)
        if found is _ABSENT:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._lookup(key) is not _ABSENT

    def __iter__(self) -> Iterator[str]:
        return iter(self._parse())

    def __len__(self) -> int:
        return len(self._parse())

    def __repr__(self) -> str:
        return f"Header({dict(self)!r})"

    def with_extensions(self, read: Callable[[int], Header]) -> Header:
        """Return the header with what reads that of an extension by its number (from 1), when it is asked for."""
        self._extension = read
        return self

    def select(self, keys: tuple[str, ...]) -> dict[str, Value]:
        """Return the values of the keywords that are there, of those asked for: all searched in one pass."""
        searched, elsewhere = _by_place(keys)
        found = searched.search(self._raw) if self._all is None else None
        if found is not None and not elsewhere:
            return found
        pairs = ((key, self._lookup(key)) for key in (elsewhere if found is not None else keys))
        more = {key: value for key, value in pairs if value is not _ABSENT}
        return {**found, **more} if found else more

    def group(self, prefix: str) -> dict[str, Value]:
        """Return the values of the keywords of one group of ESO's domain (`QC`), without parsing the others."""
        if self._all is None and self._is_plain():
            return dict(_values(_cards_of(self._raw, f"HIERARCH ESO {prefix} ".encode("latin-1"))))
        return {key: value for key, value in self.items() if key.startswith(f"{prefix}.")}

    def _lookup(self, key: str) -> Value | _Missing:
        try:
            return self._seen[key]
        except KeyError:
            name, number = _split(key)
            place = self if not number else self._extension(number) if self._extension else None
            found = self._seen[key] = _ABSENT if place is None else place._search(canonical(name))
            return found

    def _search(self, key: str) -> Value | _Missing:
        if self._all is None and not self._is_plain():
            self._parse()
        if self._all is not None:
            return self._all.get(key, self._all.get(f"ESO.{key}", _ABSENT))
        at, width = self._find(key)
        if at < 0:
            return _ABSENT
        card = self._raw[at : at + CARD_BYTES]
        if self._raw[at + CARD_BYTES : at + CARD_BYTES + 8] == b"CONTINUE":
            return self._parse()[key]
        return value_of(card[width:])

    def _find(self, key: str) -> tuple[int, int]:
        """Return where the first card of a name starts, and how many bytes come before its value."""
        words = key.encode("latin-1", "replace")
        if b"." not in words:
            at = self._find_card(words.ljust(8))
            if at >= 0:
                return at, 9
        name = (
            b"HIERARCH " + words.replace(b".", b" ")
            if words.startswith(b"ESO.")
            else (b"HIERARCH ESO " + words.replace(b".", b" "))
        )
        at = self._find_card(name)
        return at, self._raw.find(b"=", at) - at + 1

    def _find_card(self, name: bytes) -> int:
        raw, start = self._raw, 0
        while (at := raw.find(name, start)) >= 0:
            if at % CARD_BYTES == 0 and raw[at + len(name) : at + CARD_BYTES].lstrip().startswith(b"="):
                return at
            start = at + 1
        return -1

    def _is_plain(self) -> bool:
        """Tell whether names can be searched as bytes: HIERARCH of ESO's domain alone, spelt the usual way."""
        if self._plain is None:
            self._plain = _UNUSUAL.search(self._raw) is None
        return self._plain

    def _parse(self) -> dict[str, Value]:
        if self._all is None:
            self._all = dict(_values(self._raw))
        return self._all


@lru_cache(maxsize=64)
def _by_place(keys: tuple[str, ...]) -> tuple[Selector, tuple[str, ...]]:
    """Return what searches the keywords of the primary header, and those of extensions."""
    elsewhere = tuple(key for key in keys if key.endswith("]"))
    return Selector(tuple(key for key in keys if key not in elsewhere)), elsewhere


def _split(key: str) -> tuple[str, int]:
    """Return name and number of the extension of `NAME[NUMBER]`; the number is 0 where there is none."""
    found = _OF_EXTENSION.fullmatch(key) if key.endswith("]") else None
    return (key, 0) if found is None else (found[1], int(found[2]))


_OF_EXTENSION = re.compile(r"(.+)\[(\d+)\]")
_UNUSUAL = re.compile(rb"HIERARCH (?!ESO [A-Z0-9 _-]+=)")


def _cards_of(raw: bytes, start: bytes) -> bytes:
    """Return the cards that start so, with those that continue them."""
    chosen, taken = [], False
    for at in range(0, len(raw), CARD_BYTES):
        taken = raw.startswith(start, at) or (taken and raw.startswith(b"CONTINUE", at))
        if taken:
            chosen.append(raw[at : at + CARD_BYTES])
    return b"".join(chosen)


def _values(raw: bytes) -> Iterator[tuple[str, Value]]:
    """Yield names and values of all cards, each name once."""
    cards = [raw[at : at + CARD_BYTES] for at in range(0, len(raw), CARD_BYTES)]
    seen: set[str] = set()
    for index, card in enumerate(cards):
        found = name_and_field(card)
        if found is None or found[0] in seen:
            continue
        name, field = found
        seen.add(name)
        following = _continuations(cards, index)
        yield name, join_continued(field, following) if following else value_of(field)


def _continuations(cards: list[bytes], index: int) -> list[bytes]:
    following = []
    for card in cards[index + 1 :]:
        if not card.startswith(b"CONTINUE"):
            break
        following.append(card)
    return following


def read_header(path: Path) -> Header:
    """Read the primary header of a FITS file: plain, `.gz`, `.Z`, or `.fz`.

    Where the primary holds nothing of ESO's, the first extension is read as well: in a packed image (`.fz`) the cards
    of the image stand there, and some pipelines write them there alone. The primary's own cards go first.

    Raises
    ------
    DataError
        If the file cannot be read, is no FITS, or its header has no end.
    """
    try:
        with io.FileIO(path) as stream:
            head = stream.read(_FIRST_READ)
            match packing_of(head[:MAGIC_BYTES]):
                case "fits":
                    return _read(stream, head, path)
                case "compress" if (found := _read_start(head, path)) is not None:
                    return found
                case None:
                    raise DataError(no_fits(path, head[:MAGIC_BYTES]))
        with open_fits(path) as unpacked:
            return _read(unpacked, b"", path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _read_start(packed: bytes, path: Path) -> Header | None:
    """Return the header of a `.Z` file from its first bytes; None where these do not hold it or are damaged."""
    import ncompress

    try:
        return _read(_Start(ncompress.decompress(packed[:_FIRST_UNPACKED])), b"", path)
    except (EOFError, ValueError, RuntimeError):
        return None


class _Start:
    """The first bytes of a stream, behind which more would come."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        data = self._data.read(size)
        if not data:
            raise EOFError
        return data


def _read(stream: ByteStream, head: bytes, path: Path) -> Header:
    raw, rest = _until_end(stream, head, path)
    header = Header(raw)
    if b"HIERARCH ESO " in raw or header.get("NAXIS") != 0:
        return header
    if not rest and not (rest := stream.read(BLOCK_BYTES)):
        return header
    return _with_extension(header, Header(_until_end(stream, rest, path)[0]))


def _until_end(stream: ByteStream, data: bytes, path: Path) -> tuple[bytes, bytes]:
    """Return the cards before END, and what was read behind the header's last block."""
    searched = 0
    while (at := find_end(data, searched)) < 0:
        searched = len(data) // CARD_BYTES * CARD_BYTES
        more = stream.read(_FIRST_READ)
        if not more:
            raise DataError(f"{path} is cut off: its header has no END card in {len(data)} bytes; fetch it again")
        data += more
    return data[:at], data[(at // BLOCK_BYTES + 1) * BLOCK_BYTES :]


def find_end(data: bytes, start: int = 0) -> int:
    """Return where the END card begins that is the first from a place on; -1 where there is none."""
    at = data.find(_FULL_END, start)  # the longer text is found sooner
    if at >= 0 and at % CARD_BYTES == 0:
        return at
    at = data.find(_END, start)
    while at >= 0 and at % CARD_BYTES:
        at = data.find(_END, at + 1)
    return at


def _with_extension(primary: Header, extension: Header) -> Header:
    described = {name: value for name, value in extension.items() if not re.fullmatch(_STRUCTURE, name)}
    if extension.get("ZIMAGE") is not True:
        return Header.of({**described, **primary})
    image = {name[1:]: value for name, value in extension.items() if re.fullmatch(_PACKED_IMAGE, name)}
    return Header.of({**described, **primary, **image})

"""Putting a finished run into the store: only what is beyond doubt its own, whole and signed.

Exit code 0 is no such proof: recipes end with it though they made dummies or nothing, and of two runs in one working
folder one may take the products of the other.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from esorex_bridge.esorex.libraries import other_cpl
from esorex_bridge.lazy.command import Call, DoubtError
from esorex_bridge.lazy.content import SofFrame
from esorex_bridge.lazy.effective import Settings
from esorex_bridge.lazy.lazy_store import LazyStore
from esorex_bridge.lazy.messages import names_command, with_gaps
from esorex_bridge.lazy.places import places_of
from esorex_bridge.lazy.real import Ended
from esorex_bridge.lazy.replay import MANIFEST_VERSION, copy_and_digest

_NOTHING_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
_FITS = (".fits", ".tfits", ".fit")
_RESULTS = (*_FITS, ".paf")
_MOST_OTHERS = 1000
_HEADER_BYTES = 2880 * 1000
_CARD = re.compile(
    rb"(?P<name>[A-Z0-9_-]+|HIERARCH ESO [A-Z0-9 _-]+?)\s*= *(?:'(?P<text>(?:[^']|'')*)'|(?P<plain>[^ /]+))"
)
_RECIPE_ID = re.compile(r"HIERARCH ESO PRO REC(\d+) ID")
_TICK_NS = 20_000_000
"""The clock that stamps files lags behind the one that programs read, by up to a tick of the kernel."""


class Start(NamedTuple):
    """What was there when a run started: the entries of its working folder, and when."""

    entries: frozenset[str]
    time_ns: int


class ListedProduct(NamedTuple):
    """A product as EsoRex lists it: its path, and its category."""

    path: str
    category: str


def start() -> Start:
    """Return what is there now."""
    return Start(frozenset(os.listdir(".")), time.time_ns())


def listed_products(path: str) -> list[ListedProduct]:
    """Return what a list of products holds, in either form that EsoRex writes.

    Raises
    ------
    DoubtError
        If it is not there or empty.
    """
    try:
        with open(path, "rb") as stream:
            text = stream.read().decode("utf-8", "surrogateescape")
        if path.endswith(".json"):
            found = [ListedProduct(entry["name"], entry["category"]) for entry in json.loads(text)]
        else:
            found = [ListedProduct(*line.rsplit("     ", 1)) for line in text.splitlines() if line.strip()]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DoubtError("EsoRex left no list of products") from error
    if not found:
        raise DoubtError("no products")
    return found


def record(
    call: Call,
    settings: Settings,
    frames: Sequence[SofFrame],
    shelf: LazyStore,
    document: dict[str, Any],
    ended: Ended,
    products: Sequence[ListedProduct],
    begun: Start,
    cpl: str,
) -> None:
    """Put a run into the store.

    Parameters
    ----------
    document : dict
        `key` and `statement` of the run, and the `labels` of its inputs.
    products : sequence of ListedProduct
        What EsoRex says that it made.
    begun : Start
        What was there before.
    cpl : str
        CPL among the libraries that were stated.

    Raises
    ------
    DoubtError
        If something about the run is odd, so that it must not be reused.
    """
    if ended.out is None or ended.err is None:
        raise DoubtError("it said too much to be kept")
    own_names = [_check_product(product, call.recipe, settings, frames, begun, cpl) for product in products]
    places = places_of(own_names, settings)
    if [place.path for place in places] != [product.path for product in products]:
        raise DoubtError(f"EsoRex writes {products[0].path} where {places[0].path} was expected")
    seconds = (time.time_ns() - begun.time_ns) / 1e9
    with shelf.scratch() as folder:
        manifest = {
            **document,
            "version": MANIFEST_VERSION,
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(seconds, 3),
            "products": _copied_products(products, own_names, folder),
            "others": [
                {"name": name, "digest": copy_and_digest(name, f"{folder}/other-{number}")}
                for number, name in enumerate(_others(settings, products, begun))
            ],
        }
        command = " ".join(("esorex", *call.words))
        _keep_texts(settings, folder, (ended.out, ended.err), [place.message for place in places], command)
        _write(f"{folder}/manifest.json", json.dumps(manifest, indent=1))
        shelf.publish(folder, document["key"])


def _copied_products(products: Sequence[ListedProduct], own_names: Sequence[str], folder: str) -> list[dict[str, str]]:
    return [
        {
            "name": own,
            "category": product.category,
            "digest": copy_and_digest(product.path, f"{folder}/product-{number}"),
        }
        for number, (own, product) in enumerate(zip(own_names, products, strict=True))
    ]


def _keep_texts(
    settings: Settings, folder: str, said: tuple[bytes, bytes], products: Sequence[str], command: str
) -> None:
    """Keep what EsoRex said and its log, with gaps for what belongs to this run alone."""
    for name, data in (("stdout", said[0]), ("stderr", said[1]), ("log", _log(settings))):
        text = with_gaps(data.decode("utf-8", "surrogateescape"), products, command)
        if name == "log" and settings["log-level"] in ("debug", "info") and not names_command(text):
            raise DoubtError("the log is that of another run")
        _write(f"{folder}/{name}", text)


def _check_product(
    product: ListedProduct, recipe: str, settings: Settings, frames: Sequence[SofFrame], begun: Start, cpl: str
) -> str:
    """Return the name that the recipe gave a product, which is looked at first."""
    name = os.path.basename(product.path)
    if os.stat(product.path).st_mtime_ns < begun.time_ns - 2_000_000_000:
        raise DoubtError(f"{name} is older than the run")
    if not name.endswith(_FITS):
        return name
    header = _header(product.path)
    if "HIERARCH ESO PRO CATG" not in header:  # AMBER's recipes may list another category than they write
        raise DoubtError(f"{name} has no category in its header")
    if not settings["no-datamd5"] and not _is_finished(header):
        raise DoubtError(f"{name} is a dummy, or was not finished")
    runs = [int(found.group(1)) for key, value in header.items()
            if (found := _RECIPE_ID.fullmatch(key)) and value == recipe]  # fmt: skip
    if not runs:
        raise DoubtError(f"{name} is not of recipe {recipe} by its header")
    _check_raws(name, header, max(runs), frames)
    if said := other_cpl(cpl, header.get(f"HIERARCH ESO PRO REC{max(runs)} DRS ID", "")):
        raise DoubtError(f"{name}: {said}")
    own = name if settings["suppress-prefix"] else header.get("PIPEFILE", "")
    if not own or "/" in own:
        raise DoubtError(f"{name} does not say how the recipe called it")
    return own


def _is_finished(header: dict[str, str]) -> bool:
    """Tell whether a product was finished, and is more than a header; measurements alone are a result of AMBER's."""
    measured = any(key.startswith("HIERARCH ESO QC ") for key in header)
    return header.get("DATAMD5") not in (None, "Not computed", *(() if measured else (_NOTHING_MD5,)))


def _check_raws(name: str, header: dict[str, str], run: int, frames: Sequence[SofFrame]) -> None:
    known = [os.path.basename(frame.path) for frame in frames]
    for key, value in header.items():
        if re.fullmatch(f"HIERARCH ESO PRO REC{run} RAW\\d+ NAME", key):
            raw = os.path.basename(value.rstrip("&"))
            if not any(frame.startswith(raw) for frame in known):
                raise DoubtError(f"{name} is made from {raw}, which is not in the set of files")


def _header(path: str) -> dict[str, str]:
    """Return the primary header's texts by the words of their cards, the first of each."""
    found: dict[str, str] = {}
    with open(path, "rb") as stream:
        data = stream.read(_HEADER_BYTES)
    if not data.startswith(b"SIMPLE  ="):
        raise DoubtError(f"{path} is no FITS file")
    for at in range(0, len(data), 80):
        card = data[at : at + 80]
        if card.startswith(b"END     "):
            return found
        if match := _CARD.match(card):
            value = match["text"] if match["text"] is not None else match["plain"]
            found.setdefault(match["name"].decode(), value.decode("latin-1").replace("''", "'").rstrip())
    raise DoubtError(f"{path} has a header without an end")


def _others(settings: Settings, products: Sequence[ListedProduct], begun: Start) -> list[str]:
    """Return what else the recipe left in the working folder: new files, and results that are not listed."""
    named = {os.path.realpath(product.path) for product in products}
    named |= {os.path.realpath(path) for path in (_log_path(settings), settings["products-sof"]) if path}
    own = {(state.st_dev, state.st_ino) for state in map(os.fstat, (1, 2))}
    found = []
    for path in _new_files(begun):
        state = os.stat(path)
        if os.path.realpath(path) not in named and (state.st_dev, state.st_ino) not in own:
            found.append(path)
    if len(found) > _MOST_OTHERS:
        raise DoubtError(f"{len(found)} other files appeared in the working folder")
    return sorted(found)


def _new_files(begun: Start) -> Iterator[str]:
    with os.scandir(".") as entries:
        listed = list(entries)
    for entry in listed:
        if entry.is_symlink() or entry.name == ".logfile":
            continue
        new = entry.name not in begun.entries
        if entry.is_dir() and new:
            for folder, _, names in os.walk(entry.name):
                yield from (os.path.join(folder, name) for name in names)
        elif entry.is_file() and (new or _is_result(entry, begun)):
            yield entry.name


def _is_result(entry: os.DirEntry[str], begun: Start) -> bool:
    return entry.name.endswith(_RESULTS) and entry.stat().st_mtime_ns >= begun.time_ns - _TICK_NS


def _log(settings: Settings) -> bytes:
    if not (path := _log_path(settings)):
        return b""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise DoubtError("EsoRex left no log") from error


def _log_path(settings: Settings) -> str:
    return "" if settings["log-level"] == "off" else f"{settings['log-dir']}/{settings['log-file']}"


def _write(path: str, text: str) -> None:
    with open(path, "wb") as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))

"""Leaving what a run would have left: products, other files, log and list of products from the store, and its words."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from esorex_bridge.lazy.command import Call, DoubtError
from esorex_bridge.lazy.effective import Settings
from esorex_bridge.lazy.lazy_store import LazyStore
from esorex_bridge.lazy.messages import at_least, fill_messages
from esorex_bridge.lazy.places import Place, list_of_products, places_of

MANIFEST_VERSION = 1
_PIECE_BYTES = 1 << 20


class DamagedError(Exception):
    """What the store has of a step is not what was put there."""


def read_manifest(shelf: LazyStore, key: str) -> dict[str, Any] | None:
    """Return what the store says of a step; None where it has none, or one of another version.

    Raises
    ------
    DamagedError
        If it cannot be read.
    """
    try:
        with open(f"{shelf.step(key)}/manifest.json", encoding="utf-8") as stream:
            manifest: dict[str, Any] = json.load(stream)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DamagedError("its manifest cannot be read") from error
    if not isinstance(manifest, dict):
        raise DamagedError("its manifest is none")
    return manifest if manifest.get("version") == MANIFEST_VERSION else None


def leave(call: Call, settings: Settings, shelf: LazyStore, manifest: dict[str, Any]) -> None:
    """Leave behind what the run of a manifest left, where this call wants it, and say what EsoRex said.

    Raises
    ------
    DamagedError
        If a product in the store is not what was put there; nothing was left then.
    DoubtError
        If a folder is not there, or cannot be written: EsoRex shall say so.
    """
    folder = shelf.step(manifest["key"])
    places = places_of([product["name"] for product in manifest["products"]], settings)
    _check_folders(settings)
    try:
        with _copies() as copies:
            for number, (product, place) in enumerate(zip(manifest["products"], places, strict=True)):
                copies.add(f"{folder}/product-{number}", place.path, product["digest"])
            for number, other in enumerate(manifest["others"]):
                if not os.path.lexists(other["name"]):
                    copies.add(f"{folder}/other-{number}", other["name"], other["digest"])
            copies.put_in_place()
        _leave_texts(call, settings, folder, manifest, places)
    except OSError as error:
        raise DoubtError(f"what is in the store cannot be put in place ({error})") from error


def _leave_texts(call: Call, settings: Settings, folder: str, manifest: dict[str, Any], places: list[Place]) -> None:
    names = [place.message for place in places]
    command = " ".join(("esorex", *call.words))
    if settings["log-level"] != "off":
        log = at_least(fill_messages(_text(f"{folder}/log"), names, command), settings["log-level"])
        _write(f"{settings['log-dir']}/{settings['log-file']}", log + _remark(settings, manifest))
    if listing := settings["products-sof"]:
        categories = [product["category"] for product in manifest["products"]]
        _write(listing, list_of_products(places, categories, listing.endswith(".json")))
    for stream, name in ((sys.stdout, "stdout"), (sys.stderr, "stderr")):
        said = at_least(fill_messages(_text(f"{folder}/{name}"), names, command), settings["msg-level"])
        stream.buffer.write(said.encode("utf-8", "surrogateescape"))
        stream.flush()


def _remark(settings: Settings, manifest: dict[str, Any]) -> str:
    if settings["log-level"] not in ("debug", "info"):
        return ""
    return (
        f"{time.strftime('%H:%M:%S')} [ INFO  ] esorex_lazy: [tid=000] No recipe was run: these are the products "
        f"made {manifest['made']} from the same content, parameters and pipeline (key {manifest['key'][:12]})\n"
    )


def _check_folders(settings: Settings) -> None:
    wanted = [settings["output-dir"]]
    if settings["log-level"] != "off":
        wanted.append(settings["log-dir"])
    if settings["products-sof"]:
        wanted.append(os.path.dirname(settings["products-sof"]) or ".")
    for folder in wanted:
        if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
            raise DoubtError(f"{folder} is no folder that can be written")


class _Copies:
    """Verified copies beside their places, to be renamed all at once."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, str]] = []

    def add(self, source: str, target: str, digest: str) -> None:
        folder, name = os.path.split(target)
        if folder:
            os.makedirs(folder, exist_ok=True)
        part = os.path.join(folder, f".{name}.{os.getpid()}.part")
        self._waiting.append((part, target))
        if copy_and_digest(source, part) != digest:
            raise DamagedError(f"{source} is damaged: its sha256 differs")

    def put_in_place(self) -> None:
        while self._waiting:
            os.replace(*self._waiting[0])
            del self._waiting[0]

    def drop(self) -> None:
        for part, _ in self._waiting:
            if os.path.lexists(part):
                os.unlink(part)


@contextmanager
def _copies() -> Iterator[_Copies]:
    copies = _Copies()
    try:
        yield copies
    finally:
        copies.drop()


def copy_and_digest(source: str, target: str) -> str:
    """Copy a file and return the digest of the bytes that were copied.

    Raises
    ------
    DamagedError
        If the source is not there.
    OSError
        If the target cannot be written.
    """
    seen = hashlib.sha256()
    try:
        stream = open(source, "rb")  # noqa: SIM115 - told apart from faults of the target
    except OSError as error:
        raise DamagedError(f"{source} cannot be read") from error
    with stream, open(target, "wb") as copy:
        while piece := stream.read(_PIECE_BYTES):
            seen.update(piece)
            copy.write(piece)
    return f"sha256:{seen.hexdigest()}"


def _text(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    with open(path, "wb") as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))

"""Reading a workflow package: executed once in the child process, remembered by its content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from esorex_bridge.definitions.edps.extras import EXTRAS_FILE
from esorex_bridge.definitions.edps.package import Description, Package
from esorex_bridge.disk.atomic import WriteError, write_whole
from esorex_bridge.edps.process import PackageError, ask_child, refuse_failures
from esorex_bridge.edps.sources import Sources

_CHILD = Path(__file__).parent / "child"


def _reader() -> str:
    """Return what tells one version of the reading from another: a description counts only for the same one."""
    texts = (path.read_bytes() for path in sorted(_CHILD.glob("*.py")))
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


def cache_folder() -> Path:
    """Return where descriptions are remembered, `esorex-bridge/edps` where caches are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "esorex-bridge" / "edps"


def read_package(sources: Sources, trusted: bool = False, cache: Path | None = None) -> Package:
    """Return what a workflow package says.

    Parameters
    ----------
    sources : Sources
        Its text.
    trusted : bool
        Read it without a fence where the kernel has none.
    cache : Path, optional
        The folder in which descriptions are remembered.

    Raises
    ------
    PackageError
        If the package failed or was ended.
    UserError
        If the kernel has no fence to give, or a parameter file is not YAML.
    """
    digest = sources.digest()
    place = (cache or cache_folder()) / f"{digest}.{_reader()}.json"
    known = _remembered(place)
    if known is not None:
        return known
    description = decode_description(ask_child(request_for(sources, "read"), sources.module, trusted), sources.module)
    # Only who plans needs YAML, and a package that is remembered needs none.
    from esorex_bridge.definitions.edps.parameters import read_parameter_sets

    sets = tuple(
        each
        for path, text in sources.parameters.items()
        if not path.endswith(EXTRAS_FILE)
        for each in read_parameter_sets(text, str(sources.root / path))
    )
    extras = next((text for path, text in sources.parameters.items() if path.endswith(EXTRAS_FILE)), "")
    package = Package(sources.module, str(sources.root), digest, description, sets, extras)
    _remember(place, package)
    return package


def request_for(sources: Sources, do: str, **others: Any) -> dict[str, Any]:
    """Return a request to the child process."""
    return {
        "do": do,
        "root": str(sources.root),
        "module": sources.module,
        "sources": sources.texts,
        "elsewhere": sources.elsewhere,
        "folders": [str(folder) for folder in sources.folders],
        **others,
    }


def decode_description(answer: bytes, label: str) -> Description:
    """Return what a child says of a package; errors as `read_package`."""
    try:
        document = msgspec.json.decode(answer)
    except msgspec.DecodeError as error:
        raise PackageError(f"workflow package {label} answered what is not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise PackageError(f"workflow package {label} answered what is not a description")
    refuse_failures(document, label)
    try:
        return msgspec.convert(document, Description)
    except msgspec.ValidationError as error:
        raise PackageError(f"workflow package {label} answered what is not a description: {error}") from None


def _remembered(place: Path) -> Package | None:
    try:
        return msgspec.json.decode(place.read_bytes(), type=Package)
    except (OSError, msgspec.MsgspecError):
        return None


def _remember(place: Path, package: Package) -> None:
    """Write a description; a cache that cannot be written is none, and no error."""
    with suppress(WriteError):
        write_whole(place, msgspec.json.encode(package).decode())

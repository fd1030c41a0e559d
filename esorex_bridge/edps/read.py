"""Reading a workflow package: executed once in the child process, remembered by its content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from esorex_bridge.definitions.edps.extras import EXTRAS_FILE
from esorex_bridge.definitions.edps.package import Description, Package
from esorex_bridge.disk.remembered import memory_folder, recall, remember, version_of
from esorex_bridge.edps.process import PackageError, ask_child, refuse_failures
from esorex_bridge.edps.sources import Sources

_CHILD = Path(__file__).parent / "child"


def cache_folder() -> Path:
    """Return where descriptions are remembered, `esorex-bridge/edps` where caches are kept."""
    return memory_folder("edps")


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
    place = (cache or cache_folder()) / f"{digest}.{version_of(_CHILD.glob('*.py'))}"
    known = recall(place, Package)
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
    remember(place, package)
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

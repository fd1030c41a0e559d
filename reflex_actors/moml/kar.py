"""Kepler's archive of a workflow (`.kar`): a zip with the document and a manifest that tells what it is."""

from __future__ import annotations

import io
import zipfile

from reflex_actors.moml.model import Entity
from reflex_actors.moml.text import write

_EPOCH = (1980, 1, 1, 0, 0, 0)


def kar(root: Entity) -> bytes:
    """Return the bytes of a `.kar`; the same workflow always gives the same bytes."""
    lsid = root.value("entityId") or ""
    document = f"{root.name}.{lsid.replace(':', '.')}.xml"
    # No module version and no host: the file opens wherever Reflex is installed.
    manifest = "\r\n".join(
        (
            "Manifest-Version: 1.4.2",
            "KAR-Version: 2.1",
            f"lsid: {_kar_lsid(lsid)}",
            "module-dependencies: kepler;esoreflex;ptolemy",
            "",
            f"Name: {document}",
            f"lsid: {lsid}",
            "type: org.kepler.moml.CompositeClassEntity",
            "handler: org.kepler.kar.handlers.ActorMetadataKAREntryHandler",
            "",
            "",
        )
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("META-INF/MANIFEST.MF", manifest), (document, write(root))):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return stream.getvalue()


def _kar_lsid(lsid: str) -> str:
    """Return the identifier of the archive: the workflow's, of another object."""
    head, _, version = lsid.rpartition(":")
    return f"{head.rpartition(':')[0]}:2:{version}"

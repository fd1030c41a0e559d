"""Whether a raw frame is the one that its name says."""

from __future__ import annotations

from collections.abc import Mapping

from esorex_bridge.files import is_dp_id, is_processed, stem
from esorex_bridge.fits.card import Value

STATING = ("ARCFILE", "DP.ID")
"""Keywords in which a raw frame states its archive name."""


def other_frame(name: str, header: Mapping[str, Value]) -> str:
    """Return which other frame a header says that a file of this name is; empty where it is the one, or says nothing.

    Parameters
    ----------
    name : str
        Archive name, or a name without ending. Only those of raw frames say anything: a product carries the ARCFILE of
        its first raw, and who renames a file means it.
    header : mapping
        The primary header's keywords.
    """
    told = [(keyword, said) for keyword in STATING if (said := header.get(keyword)) and said != f"{name}.fits"]
    if not told or not is_dp_id(name) or is_processed(name) or name.startswith("ADP."):
        return ""
    if header.get("PRO.CATG") is not None:
        return ""
    for keyword, said in told:
        stated = stem(str(said).strip())
        if is_dp_id(stated) and stated.replace("_", ":") != name.replace("_", ":"):
            return f"{keyword} in its header is {stated}"
    return ""

"""Whether a file is a raw frame, and the one that its name says."""

from __future__ import annotations

from collections.abc import Mapping

from esorex_bridge.files import is_dp_id, is_raw_name, stem
from esorex_bridge.fits.card import Value

STATING = ("ARCFILE", "DP.ID")
"""Keywords in which a raw frame states its archive name."""

IDENTIFYING = ("INSTRUME", "DPR.CATG", "PRO.CATG")
"""Keywords that tell whose file it is, and whether it is a raw frame or a product."""


def other_frame(name: str, header: Mapping[str, Value]) -> str:
    """Return which other frame a header says that a file of this name is; empty where it is the one, or says nothing.

    Parameters
    ----------
    name : str
        Archive name, or a name without ending. Only those of raw frames say anything: a product carries the ARCFILE of
        its first raw, and other names were given by somebody on purpose.
    header : mapping
        The primary header's keywords.
    """
    told = [(keyword, said) for keyword in STATING if (said := header.get(keyword)) and said != f"{name}.fits"]
    if not told or not is_raw_name(name):
        return ""
    if header.get("PRO.CATG") is not None:
        return ""
    for keyword, said in told:
        stated = stem(str(said).strip())
        if is_dp_id(stated) and stated.replace("_", ":") != name.replace("_", ":"):
            return f"{keyword} in its header is {stated}"
    return ""


def is_raw(name: str, header: Mapping[str, Value]) -> bool:
    """Tell whether a file is a raw frame: no product by header and name, and a frame by one of them.

    Parameters
    ----------
    name : str
        Archive name, or a name without ending.
    header : mapping
        The primary header's keywords; empty where it is not known.
    """
    if header.get("PRO.CATG") is not None:
        return False
    return is_raw_name(name) or (header.get("DPR.CATG") is not None and not name.startswith(("M.", "ADP.")))

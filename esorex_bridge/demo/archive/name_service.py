"""Sesame: positions of objects by name, in the plain form of CDS's service."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest, text_reply

POSITIONS = {"NGC1365": (53.40155, -36.14040), "SGRA*": (266.41682, -29.00782), "HD1": (1.28321, 67.84132)}
"""Right ascension and declination, degrees, by name in upper case without blanks."""


def answer_name(positions: Mapping[str, tuple[float, float]], request: HttpRequest) -> HttpReply:
    """Answer a question for a name, which is the whole query of the address."""
    name = unquote(request.query).strip()
    found = positions.get(name.replace(" ", "").upper())
    if found is None:
        return text_reply(200, f"# {name}\t#Q1\n#=S=Simbad\n#!Nothing found\n\n#====Done====\n")
    ra, dec = found
    lines = (
        f"# {name}\t#Q1",
        "#=S=Simbad:    1",
        f"%J {ra:.5f} {dec:+.5f} = ",
        f"%I.0 {name}",
        "",
        "#====Done====",
        "",
    )
    return text_reply(200, "\n".join(lines))

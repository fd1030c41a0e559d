"""What a product was made of, as its own header tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from esorex_bridge.fits.header import Header, read_header

_INPUT = re.compile(r"PRO\.REC(\d+)\.(RAW|CAL)(\d+)\.(NAME|CATG)")
_PARAMETER = re.compile(r"PRO\.REC(\d+)\.PARAM(\d+)\.(NAME|VALUE)")


def origin_of(product: Path) -> dict[str, Any]:
    """Return what a product was made from: recipe, pipeline, inputs, parameters."""
    header = read_header(product)
    return {
        "product": product.name,
        "category": header.get("PRO.CATG"),
        "recipe": header.get("PRO.REC1.ID"),
        "pipeline": header.get("PRO.REC1.PIPE.ID"),
        "inputs": list(_listed(header, _INPUT, ("NAME", "CATG"))),
        "parameters": list(_listed(header, _PARAMETER, ("NAME", "VALUE"))),
    }


def _listed(header: Header, pattern: re.Pattern[str], keys: tuple[str, str]) -> Iterator[dict[str, Any]]:
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for key in header:
        match = pattern.fullmatch(key)
        if match and match.group(1) == "1":
            found.setdefault(match.groups()[1:-1], {})[match.groups()[-1].lower()] = header[key]
    yield from (entry for entry in found.values() if keys[0].lower() in entry)

"""Names of end products: what tells products of one kind apart is in the name, a counter only where nothing does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from esorex_bridge.workspace.folders import safe_name

TELLING = ("EXTNAME", "OCS.CON.QUAD", "DET.CHIP1.ID", "DET.CHIP1.NAME", "PIPEFILE", "ARCFILE")
"""Keywords by which products of one kind differ; the first that tells all of them apart counts."""

Header = Mapping[str, object]


def distinct_names(bases: Sequence[str], headers: Sequence[Header]) -> tuple[str, ...]:
    """Return a name for each product: its base, and where several share that what tells them apart.

    Parameters
    ----------
    bases : sequence of str
        What each would be called by itself.
    headers : sequence of mapping
        Keywords of each; `EXTNAME` of the first extension that has one, for products of one IFU or chip.

    Returns
    -------
    tuple of str
        In the order of the products. The same products get the same names in whatever order they come.
    """
    sharing: dict[str, list[int]] = defaultdict(list)
    for place, base in enumerate(bases):
        sharing[base].append(place)
    names = list(bases)
    for base, places in sharing.items():
        for place, word in zip(places, _words(base, [headers[place] for place in places]), strict=True):
            names[place] = f"{base}_{word}" if word else base
    return tuple(names)


def _words(base: str, headers: list[Header]) -> list[str]:
    if len(headers) == 1:
        return [""]
    for keyword in TELLING:
        values = [_word(str(header.get(keyword) or ""), base) for header in headers]
        if all(values) and len(set(values)) == len(values):
            return values
    # Nothing tells them apart: a counter, in an order that does not depend on the one in which they come.
    order = sorted(range(len(headers)), key=lambda place: [str(headers[place].get(key) or "") for key in TELLING])
    counts = {place: number for number, place in enumerate(order)}
    return [str(counts[place] or "") for place in range(len(headers))]


def _word(value: str, base: str) -> str:
    """Return a value as part of a name: without the ending of a file, and without what the base says already."""
    text = value.removesuffix(".fits").removesuffix(".DATA").strip()
    for said in (base, base.rpartition("_")[2]):
        text = text.removeprefix(said)
    category = next((base[place:] for place in range(len(base)) if text.startswith(base[place:])), "")
    return safe_name(text.removeprefix(category).strip("-_. "))

"""`collect_products`: end products under the names of their contents, with a README and where they come from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflex_actors.end_products import BY_OBJECT_AND_CATEGORY, Naming, deliver
from reflex_actors.folder import root_of
from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.sof_json import SetOfFiles

if TYPE_CHECKING:
    from esorex_bridge.fits.header import Header

ACTOR = Actor(
    "collect_products",
    "Gives end products their names and their place.",
    (
        Port("in_sof", "products", kind="sof", required=True),
        Port("end_products_dir", "default: reflex_end_products in the data root"),
        Port("timestamp", "names the folder of this run; default: now"),
        Port("name", "keywords and 'texts', by commas", default=BY_OBJECT_AND_CATEGORY),
        Port("copy_mode", "copy or link", default="copy"),
        Port("exists_mode", "append_version, overwrite or stop", default="append_version"),
        Port("categories", "products to collect; default: all"),
    ),
    (
        Port("out_sof", "the products in their place", kind="sof"),
        Port("end_dir", "the folder of this dataset"),
        Port("message", "what was done"),
    ),
)

PROVENANCE = "provenance.json"
_VERSION = 1
_INPUT = re.compile(r"PRO\.REC(\d+)\.(RAW|CAL)(\d+)\.(NAME|CATG)")
_PARAMETER = re.compile(r"PRO\.REC(\d+)\.PARAM(\d+)\.(NAME|VALUE)")


def work(inputs: Inputs) -> dict[str, Any]:
    """Name, place, and write README and provenance."""
    sof = _wanted(inputs.sof("in_sof"), inputs.text("categories"))
    if not sof.files:
        return {"message": f"{sof.dataset}: no products", "out_sof": sof}
    place, naming = _place(inputs, sof), _naming(inputs)
    files, told = [], []
    for file in sof.files:
        target = deliver(Path(file.name), place, naming)
        files.append(replace(file, name=str(target), checksum=None))
        told.append(provenance_of(target))
    document = {"version": _VERSION, "dataset": sof.dataset, "products": told}
    _write_whole(place / PROVENANCE, json.dumps(document, indent=1))
    names = "".join(f"    {Path(file.name).name}\n" for file in files)
    message = f"{sof.dataset}\n  Dataset has been reduced and saved in {place} with files:\n{names}"
    with (place.parent / "README").open("a", encoding="utf-8") as readme:
        readme.write(message)
    return {"out_sof": sof.with_files(files), "end_dir": str(place), "message": message}


def _wanted(sof: SetOfFiles, categories: str) -> SetOfFiles:
    words = categories.replace(",", " ").split()
    return sof.with_files(file for file in sof.files if file.category in words) if words else sof


def _place(inputs: Inputs, sof: SetOfFiles) -> Path:
    from esorex_bridge.workspace.folders import safe_name

    given = inputs.text("end_products_dir")
    first = Path(sof.files[0].name)
    top = Path(given).expanduser().absolute() if given else _root_of_product(first) / "reflex_end_products"
    stamp = inputs.text("timestamp") or f"{datetime.now():%Y-%m-%dT%H:%M:%S}"
    place = top / safe_name(stamp) / safe_name(sof.dataset or "dataset")
    place.mkdir(parents=True, exist_ok=True)
    return place


def _naming(inputs: Inputs) -> Naming:
    return Naming(inputs.text("name"), inputs.text("copy_mode"), inputs.text("exists_mode"))


def _root_of_product(path: Path) -> Path:
    above = next((folder for folder in path.parents if folder.name == "reflex_tmp_products"), None)
    return above.parent if above else root_of(path.parent)


def provenance_of(product: Path) -> dict[str, Any]:
    """Return what a product was made from, as its header tells: recipe, pipeline, inputs, parameters that differ."""
    from esorex_bridge.fits.header import read_header

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


def _write_whole(path: Path, text: str) -> None:
    from esorex_bridge.workspace.folders import written_whole

    with written_whole(path) as part:
        part.write_text(text + "\n", encoding="utf-8")

"""`collect_products`: end products under the names of their contents, with a README and where they come from."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from reflex_actors.folder import root_of
from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.sof_json import SetOfFiles

ACTOR = Actor(
    "collect_products",
    "Gives end products their names and their place.",
    (
        Port("in_sof", "products", kind="sof", required=True),
        Port("end_products_dir", "default: reflex_end_products in the data root"),
        Port("timestamp", "names the folder of this run; default: now"),
        Port("name", "keywords and 'texts', by commas", default="HIERARCH.ESO.OBS.NAME,'_',HIERARCH.ESO.PRO.CATG"),
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


def work(inputs: Inputs) -> dict[str, Any]:
    """Name, place, and write README and provenance, by the delivery that the command line has."""
    from esorex_bridge.run.delivery import delivery_rule, place_products, readme_entry, record_for_reflex

    sof = _wanted(inputs.sof("in_sof"), inputs.text("categories"))
    if not sof.files:
        return {"message": f"{sof.dataset}: no products", "out_sof": sof}
    place = _place(inputs, sof)
    rule = delivery_rule(inputs.text("name"), inputs.text("copy_mode"), inputs.text("exists_mode"))
    delivered = place_products({Path(file.name): None for file in sof.files}, place, sof.dataset, rule)
    targets = {str(each.source): str(each.target) for each in delivered}
    files = [replace(file, name=targets[file.name], checksum=None) for file in sof.files]
    database = _database_of_product(Path(sof.files[0].name))
    if database is not None:
        record_for_reflex(database, sof.dataset, delivered, datetime.now())
    message = readme_entry(place, sof.dataset, (each.target.name for each in delivered))
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
    return top / safe_name(stamp) / safe_name(sof.dataset or "dataset")


def _root_of_product(path: Path) -> Path:
    above = next((folder for folder in path.parents if folder.name == "reflex_tmp_products"), None)
    return above.parent if above else root_of(path.parent)


def _database_of_product(path: Path) -> Path | None:
    """Return the bookkeeping of the workflow that a product was made by; None where its place does not tell."""
    from esorex_bridge.workspace.folders import Workspace

    products = Workspace(_root_of_product(path)).tmp_products
    if not path.is_relative_to(products):
        return None
    return Workspace(products.parent).reflex_database(path.relative_to(products).parts[0])

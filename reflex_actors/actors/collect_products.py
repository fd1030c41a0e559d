"""`collect_products`: end products under the names of their contents, with a README and where they come from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflex_actors.dataset_json import read_datasets
from reflex_actors.folder import root_of
from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.sof_json import SetOfFiles, read_sof

if TYPE_CHECKING:
    from esorex_bridge.definitions.steps import StepDefinition
    from esorex_bridge.definitions.workflow import Workflow

NAMING = "HIERARCH.ESO.OBS.NAME,'_',HIERARCH.ESO.PRO.CATG"
"""How ESO's workflows name end products."""

ACTOR = Actor(
    "collect_products",
    "Gives end products their names and their place.",
    (
        Port("in_sof", "products", kind="sof", required=True),
        Port("end_products_dir", "default: reflex_end_products in the data root"),
        Port("timestamp", "names the folder of this run; default: now"),
        Port("name", "keywords and 'texts', by commas", default=NAMING),
        Port("copy_mode", "copy or link", default="copy"),
        Port("exists_mode", "append_version, overwrite or stop", default="append_version"),
        Port("categories", "products to collect; default: what the dataset is for, or all"),
        Port("dataset", "the dataset, by whose own files what it is for is known", kind="json"),
        Port("workflow", "workflow definition, which says what is made of it"),
        Port("messages", "what was left out on the way"),
        Port("bookkeeping_db", "Reflex's database, to note end products in; default: by the products' place"),
        Port("selected", "how many datasets the run has: with the last one, the message has a table of all"),
        Port("show_report", "true: write the report of the data root after the last dataset, and open it"),
    ),
    (
        Port("out_sof", "the products in their place", kind="sof"),
        Port("end_dir", "the folder of this dataset"),
        Port("message", "what was done"),
    ),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Name, place, and write README and provenance, by the delivery that the command line has."""
    from esorex_bridge.provenance.beside import Describer, store_above
    from esorex_bridge.run.delivery import delivery_rule, names_apart, place_products, readme_entry, record_for_reflex

    sof, idle = _select_wanted(inputs, inputs.sof("in_sof"))
    sof = replace(sof, dataset=sof.dataset or _dataset(inputs).dataset)
    notes = _notes(inputs, idle)
    if not sof.files:
        message = f"{sof.dataset}: no products\n{notes}"
        readme = _append(_stage(inputs, sof) / "README", message)
        return {"message": message.rstrip() + _end_of_run(inputs, readme), "out_sof": sof}
    place = _place(inputs, sof)
    rule = delivery_rule(inputs.text("name"), inputs.text("copy_mode"), inputs.text("exists_mode"))
    paths = [Path(file.name) for file in sof.files]
    with store_above(paths[0]) as store:
        names = names_apart(paths, rule.pattern)
        delivered = place_products(dict.fromkeys(paths), place, sof.dataset, rule, Describer(store), names)
    targets = {str(each.source): str(each.target) for each in delivered}
    files = [replace(file, name=targets[file.name], checksum=None) for file in sof.files]
    given = inputs.text("bookkeeping_db")
    database = Path(given) if given else _database_of_product(Path(sof.files[0].name))
    if database is not None:
        record_for_reflex(database, {sof.dataset: delivered}, datetime.now())
    message = readme_entry(place, sof.dataset, (each.target.name for each in delivered)) + notes
    readme = _append(place.parent / "README", notes)
    return {"out_sof": sof.with_files(files), "end_dir": str(place), "message": message + _end_of_run(inputs, readme)}


def _select_wanted(inputs: Inputs, products: SetOfFiles) -> tuple[SetOfFiles, tuple[StepDefinition, ...]]:
    """Return the products to deliver, and the steps that the dataset is for and that made nothing."""
    words, dataset = inputs.text("categories").replace(",", " ").split(), _dataset(inputs)
    if words:
        return products.with_files(file for file in products.files if file.category in words), ()
    if not inputs.text("workflow") or not dataset.files:
        return products, ()
    from reflex_actors.definitions import definition_named

    steps = target_steps(definition_named(inputs.text("workflow")), dataset)
    categories = {category for step in steps for category in step.products}
    names = {step.name for step in steps}
    wanted = products.with_files(
        file for file in products.files if file.category in categories or _actor(Path(file.name)) in names
    )
    made = {each for file in wanted.files for each in (file.category, _actor(Path(file.name)))}
    needed = (step for step in steps if not step.always)
    return wanted, tuple(step for step in needed if made.isdisjoint((step.name, *step.products)))


def _actor(product: Path) -> str:
    """Return the actor that made a product: Reflex files it below `<actor>/<time>`."""
    return product.parent.parent.name


def _dataset(inputs: Inputs) -> SetOfFiles:
    """Return the files of a dataset, which comes as such or as a set of files."""
    value = inputs.json("dataset")
    if not value:
        return SetOfFiles()
    return read_datasets(value)[0].sof() if "rawFiles" in value else read_sof(value)


def target_steps(workflow: Workflow, dataset: SetOfFiles) -> tuple[StepDefinition, ...]:
    """Return the steps whose products a dataset is for: that of its own files, those that follow, what is always made.

    A step that always runs, and is not `delivered`, is none of them.
    Its own files have purposes of one name: `SCIENCE`, or `SCIENCE/SCIENCE` where one step follows another.
    """
    own = [file.category for file in dataset.files if any(map(_is_own, file.purposes))]
    first = workflow.step_for(own)
    found = [] if first is None else [first]
    for step in found:
        made = set(step.products)
        found += [each for each in workflow.steps if each not in found and made.intersection(each.main)]
    return (*found, *(step for step in workflow.steps if step.always and step.delivered and step not in found))


def _is_own(purpose: str) -> bool:
    return len({re.sub(r"\..*$", "", section) for section in purpose.split("/")}) == 1


def _notes(inputs: Inputs, idle: Iterable[StepDefinition] = ()) -> str:
    """Return what was left out on the way, and which recipes made nothing and why, as lines of the README."""
    from reflex_actors.summary import cause_of

    said = [line.strip() for line in inputs.text("messages").splitlines() if line.strip()]
    given, files = inputs.text("bookkeeping_db"), {file.name for file in _dataset(inputs).files}
    for step in idle:
        why = cause_of(Path(given).parent, step.name, files) if given else ""
        said.append(f"{step.recipe} made no products: {why or 'it failed, or lacked what it needs; its log says more'}")
    return "".join(f"  {line}\n" for line in said)


def _append(path: Path, text: str) -> str:
    """Add to a README, and return all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as readme:
        readme.write(text)
    return path.read_text(encoding="utf-8", errors="replace")


def _end_of_run(inputs: Inputs, readme: str) -> str:
    """Return what is said after the last dataset: a table of all, and where the report is, if one is wanted.

    It is empty before, and where nobody says how many datasets there are.
    """
    from reflex_actors.summary import show_report, table

    text, wanted = table(readme), inputs.text("selected")
    if not wanted.isdigit() or not text.startswith(f"{wanted} dataset"):
        return ""
    given = inputs.text("bookkeeping_db")
    wants_page = inputs.text("show_report").strip().lower() == "true" and given
    page = show_report(Path(given).parent) if wants_page else None
    return f"\n\n{text}" + (f"report: {page}\n" if page else "")


def _place(inputs: Inputs, sof: SetOfFiles) -> Path:
    from esorex_bridge.workspace.folders import safe_name

    return _stage(inputs, sof) / safe_name(sof.dataset or "dataset")


def _stage(inputs: Inputs, sof: SetOfFiles) -> Path:
    """Return the folder of this run's end products."""
    from esorex_bridge.workspace.folders import safe_name

    given = inputs.text("end_products_dir")
    if not given and not sof.files:
        given = str(inputs.products_dir)
    top = (
        Path(given).expanduser().absolute()
        if given
        else _root_of_product(Path(sof.files[0].name)) / "reflex_end_products"
    )
    stamp = inputs.text("timestamp") or f"{datetime.now():%Y-%m-%dT%H:%M:%S}"
    return top / safe_name(stamp)


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

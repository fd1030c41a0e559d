"""`organise_datasets`: folders with files and association trees become the datasets that DataOrganizer hands on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esorex_bridge.errors import UserError
from reflex_actors.folder import existing_folder, organise_folders, reflex_datasets, require_datasets, root_of
from reflex_actors.protocol import Actor, Inputs, Port

if TYPE_CHECKING:
    from esorex_bridge.plan.plan import Plan

ACTOR = Actor(
    "organise_datasets",
    "Organises data by calSelector's trees and OCA rules.",
    (
        Port("data_dir", "data folder, or a JSON list of folders", required=True),
        Port("by", "auto, both, calselector or oca", default="auto"),
        Port("oca", "rule file instead of the pipeline's own"),
        Port("workflow", "workflow definition instead of the instrument's own"),
        Port("root_dir", "data root; default: the folder above reflex_input"),
        Port("form", "list (of datasets) or folder (with trees for CalSelector mode)", default="list"),
    ),
    (
        Port("datasets", "the datasets, for DataOrganizer or DataSetChooser", kind="json"),
        Port("out_data_dir", "folder for DataOrganizer with 'Use CalSelector associations'"),
        Port("n_datasets", "how many"),
        Port("messages", "what is missing or odd"),
    ),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Organise, and tell what is odd."""
    return organise(inputs)[0]


def organise(inputs: Inputs, quickly: bool = False) -> tuple[dict[str, Any], dict[str, Plan]]:
    """Return what the actor sends, and the plans of the datasets, by name.

    Parameters
    ----------
    inputs : Inputs
        As `work` gets them.
    quickly : bool
        Look at no more than `run` does.
    """
    form = inputs.text("form")
    if form not in ("list", "folder"):
        raise UserError(f"form is '{form}'; it must be list or folder")
    folders = folders_in(inputs)
    root = root_of(folders[0], inputs.text("root_dir"))
    by = "calselector" if form == "folder" else inputs.text("by")
    data = organise_folders(folders, root, by, inputs.text("oca"), inputs.text("workflow"), quickly)
    require_datasets(data.datasets, folders, data.warnings)
    export = reflex_datasets(data.datasets, data, root, inputs.text("workflow"))
    for line in export.left_out:
        sys.stderr.write(f"{line}\n")
    require_datasets(export.datasets, folders, export.left_out)
    said = [f"{dataset['datasetName']}: {text}" for dataset in export.datasets for text in dataset["messages"]]
    said += export.left_out
    answer = {
        "datasets": export.datasets,
        "out_data_dir": str(_with_trees(folders[0]) if form == "folder" else folders[0]),
        "n_datasets": len(export.datasets),
        "messages": "\n".join((*said, *data.warnings, *(fault.reason for fault in data.faults))),
    }
    return answer, export.plans


def folders_in(inputs: Inputs) -> tuple[Path, ...]:
    """Return the folders that an input names: one, or a list as JSON or as an array of Ptolemy."""
    text = inputs.text("data_dir")
    inner = text.strip("[]{}")
    words = inner.split(",") if text[:1] in "[{" else [text]
    return tuple(existing_folder(word.strip().strip('"'), "data_dir") for word in words if word.strip())


def _with_trees(folder: Path) -> Path:
    """Put trees beside the data under the names that archive packages give them (`<DP.ID>.xml`), and return the folder.

    Reflex's CalSelector mode looks for one tree a science file; ours have the mode in their names.
    """
    from esorex_bridge.archive.trees import saved_trees
    from esorex_bridge.disk.atomic import copy_whole

    for saved in saved_trees(folder):
        for file in saved.tree.root.files:
            place = folder / f"{file.name}.xml"
            if not place.exists():
                copy_whole(saved.path, place)
    return folder

"""A data folder as actors see it: its root, its datasets, and these datasets as Reflex takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esorex_bridge.errors import DataError, UserError

if TYPE_CHECKING:
    from esorex_bridge.datasets.association import Mode
    from esorex_bridge.datasets.dataset import Dataset
    from esorex_bridge.definitions.workflow import Workflow
    from esorex_bridge.organise.from_disk import OrganisedData

INPUT_FOLDER = "reflex_input"


def existing_folder(text: str, port: str) -> Path:
    """Return a folder that an input names.

    Raises
    ------
    UserError
        It is not there.
    """
    if not text:
        raise UserError(f"no value for {port}: give the folder of the data")
    path = Path(text).expanduser().absolute()
    if not path.is_dir():
        raise UserError(f"{port} is {path}, which is no folder; correct the path, or make the folder")
    return path


def root_of(folder: Path, given: str = "") -> Path:
    """Return the data root of a folder: the one given, the one above `reflex_input`, or the folder itself.

    >>> root_of(Path("/data/night/reflex_input/naco"))
    PosixPath('/data/night')
    """
    if given:
        return Path(given).expanduser().absolute()
    above = next((path for path in (folder, *folder.parents) if path.name == INPUT_FOLDER), None)
    return above.parent if above else folder


def mode_of(text: str) -> Mode:
    """Return the mode that an input names: `raw` or `master`.

    Raises
    ------
    UserError
        It is neither.
    """
    word = text.lower()
    if word in ("raw", "raw2raw", ""):
        return "Raw2Raw"
    if word in ("master", "raw2master"):
        return "Raw2Master"
    raise UserError(f"mode is '{text}'; it must be raw (raw calibrations) or master (processed ones)")


def organised(
    folders: Sequence[Path], root: Path, by: str = "auto", oca: str = "", workflow: str = ""
) -> OrganisedData:
    """Organise what lies in folders, with the choices kept in the data root.

    Parameters
    ----------
    folders : sequence of Path
        Where the data lie.
    root : Path
        The data root.
    by : {'auto', 'both', 'calselector', 'oca'}
        As `organise --by` has it.
    oca, workflow : str
        A rule file and a workflow definition to use instead of those for the instrument.

    Raises
    ------
    UserError
        A rule file, a workflow definition or a choice is wrong.
    """
    from esorex_bridge.organise.from_disk import WAYS, Request, load

    way = next((known for known in WAYS if known == by), None)
    if way is None:
        raise UserError(f"by is '{by}'; it must be one of {', '.join(WAYS)}")
    return load(Request(root, way, Path(oca) if oca else None, workflow or None), folders)


def reflex_datasets(data: OrganisedData, datasets: Sequence[Dataset]) -> list[dict[str, Any]]:
    """Return the document with datasets as Reflex's DataOrganizer writes them.

    Where a workflow is known for the instrument, the tree is that of its plan: what the plan decides by headers (which
    dark for which flat, settings never mixed) then stands in the purposes, and Reflex does the same. Otherwise the tree
    is that of the dataset, with the best of several alternatives.
    """
    from esorex_bridge.datasets.dataset import files_of
    from esorex_bridge.fits.header import read_header
    from esorex_bridge.organise.alternatives import best_alternatives
    from esorex_bridge.plan.cascade import make_plan
    from esorex_bridge.reflex.checksum import reflex_checksum
    from esorex_bridge.reflex.datasets_json import datasets_json
    from reflex_actors.unfold import shared_steps, unfolded

    # The organised headers hold the keywords of the rules alone; a plan compares others, too.
    paths = {file.path for dataset in datasets for file in files_of(dataset) if file.path is not None}
    headers = {path: read_header(path) for path in sorted(paths)}
    found: list[Dataset] = []
    for dataset in datasets:
        workflow = workflow_for(data.workflows, dataset, headers)
        if workflow is not None and (plan := make_plan(dataset, workflow, headers)).steps:
            found += unfolded(dataset, plan, shared_steps(workflow))
        else:
            found.append(best_alternatives(dataset, data.headers))
    return datasets_json(found, reflex_checksum)


def workflow_for(
    workflows: Sequence[Workflow], dataset: Dataset, headers: Mapping[Path, Mapping[str, object]]
) -> Workflow | None:
    """Return the workflow for a dataset's instrument and mode; the only one where one was named; None without any."""
    from esorex_bridge.definitions.workflow import choose_workflow

    if len(workflows) == 1:
        return workflows[0]
    known = (headers[file.path] for file in dataset.action.files if file.path is not None and file.path in headers)
    try:
        return choose_workflow(workflows, dataset.instrument, next(iter(known), {}))
    except UserError:
        return None


def require_datasets(datasets: Sequence[Any], folders: Sequence[Path], warnings: Sequence[str] = ()) -> None:
    """Refuse to go on without a dataset.

    Raises
    ------
    DataError
        There is none; the message says what is odd.
    """
    if not datasets:
        said = f" ({'; '.join(warnings)})" if warnings else ""
        places = ", ".join(map(str, folders))
        raise DataError(f"No datasets have been created from {places}{said}; fetch the data first, or check the folder")

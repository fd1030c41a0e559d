"""A data folder as actors see it: its root, its datasets, and these datasets as Reflex takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esorex_bridge.errors import DataError, UserError

if TYPE_CHECKING:
    from esorex_bridge.datasets.association import Mode
    from esorex_bridge.datasets.dataset import Dataset
    from esorex_bridge.organise.organised_data import OrganisedData
    from esorex_bridge.reflex_export import ReflexExport

INPUT_FOLDER = "reflex_input"


def existing_folder(text: str, port: str) -> Path:
    """Return a folder that an input names.

    Raises
    ------
    UserError
        If it is not there.
    """
    if not text:
        raise UserError(f"no value for {port}: give the folder of the data")
    path = Path(text).expanduser().absolute()
    if not path.is_dir():
        raise UserError(f"{port} is {path}, which is not a folder; correct the path, or make the folder")
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
        If it is neither.
    """
    word = text.lower()
    if word in ("raw", "raw2raw", ""):
        return "Raw2Raw"
    if word in ("master", "raw2master"):
        return "Raw2Master"
    raise UserError(f"mode is '{text}'; it must be raw (raw calibrations) or master (processed ones)")


def organise_folders(
    folders: Sequence[Path], root: Path, by: str = "auto", oca: str = "", workflow: str = "", quickly: bool = False
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
    quickly : bool
        Look at no more than `run` does: calibrations that trees name are not read before they are used.

    Raises
    ------
    UserError
        If a rule file, a workflow definition or a choice is wrong.
    """
    from esorex_bridge.organise.from_disk import load, load_quickly
    from esorex_bridge.organise.organised_data import WAYS, Request

    way = next((known for known in WAYS if known == by), None)
    if way is None:
        raise UserError(f"by is '{by}'; it must be one of {', '.join(WAYS)}")
    request = Request(root, way, Path(oca) if oca else None, workflow or None)
    return load_quickly(request, tuple(folders)) if quickly else load(request, folders)


def reflex_datasets(datasets: Sequence[Dataset], data: OrganisedData, root: Path, workflow: str = "") -> ReflexExport:
    """Return datasets as Reflex's DataOrganizer writes them, and what is left out; as `organise`.

    Raises
    ------
    UserError
        If a workflow definition or a folder of static calibrations is wrong.
    """
    from esorex_bridge.reflex_export import export_for_reflex
    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings

    with Session(Settings(root, workflow=Path(workflow) if workflow else None)) as session:
        return export_for_reflex(session.planning, datasets, data.headers)


def require_datasets(datasets: Sequence[Any], folders: Sequence[Path], warnings: Sequence[str] = ()) -> None:
    """Refuse to go on without a dataset.

    Raises
    ------
    DataError
        If there is none; the message says what is odd.
    """
    if not datasets:
        said = f" ({'; '.join(warnings)})" if warnings else ""
        places = ", ".join(map(str, folders))
        raise DataError(f"No datasets have been created from {places}{said}; fetch the data first, or check the folder")

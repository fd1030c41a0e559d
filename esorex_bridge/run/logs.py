"""What recipes said: the log in the folder of a run, found by step, recipe or product."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from esorex_bridge.errors import DataError, UnknownNameError, UserError
from esorex_bridge.esorex.recipe import describe_cost
from esorex_bridge.provenance.identify import identify
from esorex_bridge.store.rebuild import read_statement_file
from esorex_bridge.store.step_store import open_store
from esorex_bridge.workspace.folders import Workspace

_LOG, _CODE, _SCRIPT = "esorex.log", "exitcode.txt", "cmdline.sh"
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+")
_SEVERE = re.compile(r"\[\s*(WARNING|ERROR|CRITICAL)\s*\]")


class RecipeLog(Struct, frozen=True):
    """The log of one run of a recipe.

    Parameters
    ----------
    step : str
        Name of the step.
    folder : Path
        Where it ran.
    lines : tuple of str
        What EsoRex wrote.
    exit_code : int or None
        None where the run did not come to its end.
    script : str
        Name of the script there that repeats it; empty where there is none.
    took : str
        For how long it ran, and what it took of the machine; empty where that was not recorded.
    """

    step: str
    folder: Path
    lines: tuple[str, ...]
    exit_code: int | None = None
    script: str = ""
    took: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """The lines that are warnings or errors."""
        return tuple(line for line in self.lines if _SEVERE.search(line))


def find_log(what: str, root: Path) -> RecipeLog:
    """Return the log of the latest run of a step or recipe, or of the one that made a product.

    Raises
    ------
    UnknownNameError
        If nothing of that name ran here.
    DataError
        If the log is gone, or this is no data root.
    """
    workspace = Workspace(root.absolute())
    runs = _runs(workspace.bookkeeping)
    named = runs.get(what) or [run for step, each in runs.items() if step.rpartition("_")[0] == what for run in each]
    return _read(max(named, key=lambda run: run.name)) if named else _read(_folder_of_product(what, workspace, runs))


def _runs(bookkeeping: Path) -> dict[str, list[Path]]:
    """Return the folders of runs, by step."""
    found: dict[str, list[Path]] = {}
    for folder in bookkeeping.glob("*/*/*"):
        if _STAMP.fullmatch(folder.name) and folder.is_dir():
            found.setdefault(folder.parent.name, []).append(folder)
    return found


def _folder_of_product(what: str, workspace: Workspace, runs: dict[str, list[Path]]) -> Path:
    if not workspace.store.is_file():
        raise DataError(f"{workspace.root} holds no runs; give the data root with --root")
    with open_store(workspace.store, workspace.root) as store:
        try:
            keys = identify(what, store).keys
        except UserError:
            raise UnknownNameError("step", what, sorted(runs), lister="esorex-bridge plan") from None
        return Path(store.step_rows(keys)[keys[0]].sof).parent


def _read(folder: Path) -> RecipeLog:
    log = folder / _LOG
    if not log.is_file():
        raise DataError(f"{log} is gone, or the recipe did not begin; look into {folder}")
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    code = folder / _CODE
    text = code.read_text(errors="replace").strip() if code.is_file() else ""
    number = int(text) if re.fullmatch(r"-?\d+", text) else None
    script = _SCRIPT if (folder / _SCRIPT).is_file() else ""
    return RecipeLog(folder.parent.name, folder, tuple(lines), number, script, _took(folder))


def _took(folder: Path) -> str:
    """Return what the run of a folder took, where it ended well."""
    with suppress(DataError):
        record = read_statement_file(folder).record
        return describe_cost(record.seconds, record.usage)
    return ""

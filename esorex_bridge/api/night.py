"""A night: one data root, and all that can be done with it, for users of Python.

Examples
--------
>>> import esorex_bridge as eb
>>> night = eb.open("night")                                            # doctest: +SKIP
>>> night.fetch(night.query(program="60.A-9999", instrument="naco"))    # doctest: +SKIP
>>> result = night.run()                                                # doctest: +SKIP
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from esorex_bridge.api.listing import Listing
from esorex_bridge.api.results import Result
from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.definitions.parameters import read_setting
from esorex_bridge.errors import UnknownNameError, UserError
from esorex_bridge.files import DpId
from esorex_bridge.plan.plan import Plan
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings

if TYPE_CHECKING:
    from astropy.table import Table

    from esorex_bridge.archive.acquisition import Acquisition, FetchWatcher
    from esorex_bridge.datasets.association import Mode
    from esorex_bridge.organise.organised_data import By, OrganisedData
    from esorex_bridge.provenance.lineage import Lineage
    from esorex_bridge.run.reporter import Reporter

Named = str | Dataset
"""A dataset, or its name."""

_MODES: dict[str, Mode] = {"raw": "Raw2Raw", "master": "Raw2Master"}


class Datasets(Listing[Dataset]):
    """Datasets, by position or by name."""

    kind = "dataset"
    columns = ("dataset", "target", "instrument", "files", "complete", "missing")

    @staticmethod
    def row_of(item: Dataset) -> tuple[object, ...]:
        """Return name, target, instrument, number of files, whether it is complete, and what is missing."""
        files, complete = item.number_of_files, "yes" if item.complete else "no"
        return item.name, item.target, item.instrument, files, complete, ", ".join(item.missing)


class Plans(Listing[Plan]):
    """Plans, by position or by the name of their dataset."""

    kind = "plan"
    columns = ("dataset", "workflow", "steps")

    @staticmethod
    def name_of(item: Plan) -> str:
        """Return the name of the dataset."""
        return item.dataset

    @staticmethod
    def row_of(item: Plan) -> tuple[object, ...]:
        """Return dataset, workflow and the names of the steps."""
        return item.dataset, item.workflow, ", ".join(step.name for step in item.steps)


class Night(Struct, frozen=True):
    """One data root; made by `open`.

    Parameters
    ----------
    settings : Settings
        The root, the archive, and what plans and runs depend on.
    """

    settings: Settings

    @property
    def root(self) -> Path:
        """The data root."""
        return self.settings.root

    # ----- the archive

    def query(self, **constraints: Any) -> Table:
        """Return the raw frames of the archive that meet constraints, as a table with units.

        Parameters
        ----------
        **constraints
            As `Constraints`: `program`, `target`, `instrument`, `night`, `ra`, `dec`, `radius`, `begin`, `end`, `type`,
            `tech`, `category` (SCIENCE where nothing is said), `where`, `columns`, `limit`.

        Raises
        ------
        UserError
            If a constraint is unknown or malformed.
        ArchiveError
            If the archive does not answer.
        """
        from esorex_bridge.archive.query import Constraints

        for name in constraints:
            if name not in Constraints.__struct_fields__:
                raise UnknownNameError("constraint", name, Constraints.__struct_fields__)
        with Session(self.settings) as session:
            return session.client.query_table(Constraints(**constraints))

    def fetch(
        self, frames: Table | Sequence[str], mode: Literal["raw", "master"] | None = None, progress: bool | None = None
    ) -> Acquisition:
        """Bring science frames, and all that calibrates them, into the root; what is there already is not fetched.

        Parameters
        ----------
        frames : Table or sequence of str
            What `query` returned, or archive names.
        mode : {'raw', 'master'}, optional
            Calibrations as raw frames or as processed masters; by default as the night was opened.
        progress : bool, optional
            Whether to show it on stderr; by default on a terminal and in a notebook.

        Raises
        ------
        ArchiveError
            If a service failed. Files that could not be had are told by the result's `report`.
        UserError
            If the folder cannot be written.
        """
        from msgspec.structs import replace

        from esorex_bridge.archive.acquisition import acquire
        from esorex_bridge.disk.room import Room

        column: Any = frames["dp_id"] if hasattr(frames, "colnames") else frames  # type: ignore[call-overload]
        names = list(map(DpId, map(str, column)))
        settings = self.settings if mode is None else replace(self.settings, mode=mode_of(mode))
        with Session(settings) as session:
            wanted = _name_list(names)
            room = Room(session.room_rule)
            folders = session.planning.destination
            found = acquire(session.client, wanted, settings.mode, folders, _watcher(progress), room)
            if found.report is not None:
                session.learn_digests(found.report)
        return found

    # ----- datasets

    @property
    def datasets(self) -> Datasets:
        """The datasets of the files that are here, with the user's choices applied; looked up anew each time."""
        return Datasets(self._organise().datasets)

    def choose(
        self, dataset: Named, category: str, use: str | Path, purpose: str | None = None, force: bool = False
    ) -> tuple[str, ...]:
        """Use a file, with the group it belongs to, for a category of a dataset; every later run does.

        Parameters
        ----------
        dataset : Dataset or str
            The dataset, or its name.
        category : str
            What the file is used as (`DARK`), as `review` shows it.
        use : str or Path
            The file.
        purpose : str, optional
            What it is for, as `review` shows it (`FLAT_TW/IMGJITOBJ_SW`), or `science`; by default where the category
            is used nearest to the science.
        force : bool
            Keep the choice although the plan does not take what it names.

        Returns
        -------
        tuple of str
            What changes in the plan, in words.

        Raises
        ------
        UserError
            If there is no such dataset, file, category or purpose, or the plan would not do with it.
        """
        from esorex_bridge.organise.reviewing import open_review, use_file

        with Session(self.settings) as session:
            planning = session.planning
            review = open_review(planning.request, planning.places, _name(dataset), planning.planner())
            return use_file(review, category, str(use), purpose, force)

    def reset_choices(self, dataset: Named) -> None:
        """Take back all choices for a dataset."""
        from esorex_bridge.organise.reviewing import reset_choices

        with Session(self.settings) as session:
            package = session.planning.edps
        reset_choices(self.root, _name(dataset), package.sources.module if package is not None else "")

    # ----- plans and runs

    def plan(self, datasets: Named | Iterable[Named] | None = None, set: Mapping[str, object] | None = None) -> Plans:
        """Return the ordered steps of datasets.

        Parameters
        ----------
        datasets : Dataset, str or iterable of them, optional
            All by default.
        set : mapping, optional
            Recipe parameters: `{"naco_img_dark.nsamples": 50}`.
        """
        with Session(self._with_parameters(set)) as session:
            return Plans(plan for _, plan in session.planning.plan_datasets(_names(datasets)))

    def run(
        self,
        datasets: Named | Iterable[Named] | None = None,
        set: Mapping[str, object] | None = None,
        dry_run: bool = False,
        progress: bool | None = None,
    ) -> Result:
        """Run the recipes of datasets, reusing what is there.

        Parameters
        ----------
        datasets, set
            As `plan`.
        dry_run : bool
            Decide only: run nothing and change nothing.
        progress : bool, optional
            Whether to show on stderr what goes on; by default on a terminal and in a notebook.

        Raises
        ------
        UserError
            If a name or a parameter is wrong; nothing has run then. What fails in a recipe is told by the result.
        DataError
            If there is no dataset.
        """
        with Session(self._with_parameters(set)) as session:
            planned = session.planning.plan_datasets(_names(datasets))
            reports = session.run(planned, _reporter(progress, self.root), dry_run=dry_run)
        return Result(reports, self.root)

    def provenance(self, what: str | Path) -> Lineage:
        """Return what a product, a dataset or a step was made from, down to the raws."""
        from esorex_bridge.provenance.side import lineage_in

        return lineage_in(str(what), self.root)

    def _organise(self) -> OrganisedData:
        from esorex_bridge.organise.from_disk import load

        with Session(self.settings) as session:
            return load(session.planning.request, session.planning.places)

    def _with_parameters(self, given: Mapping[str, object] | None) -> Settings:
        from msgspec.structs import replace

        parameters = tuple(read_setting(name, value) for name, value in (given or {}).items())
        return replace(self.settings, parameters=(*self.settings.parameters, *parameters))

    def __repr__(self) -> str:
        """Return the root."""
        return f"<Night {self.root}>"


def open(
    root: str | Path | None = None,
    archive: str | None = None,
    mode: Literal["raw", "master"] = "raw",
    workflow: str | Path | None = None,
    data: str | Path | Sequence[str | Path] = (),
    by: By = "auto",
    jobs: int | None = None,
    esorex: str = "esorex",
) -> Night:
    """Open a data root; it need not be there yet.

    Parameters
    ----------
    root : str or Path, optional
        The folder; by default the one that the environment or the settings name, else the current one.
    archive : str, optional
        One base address for all archive services; by default ESO's own, or what environment or settings name.
    mode : {'raw', 'master'}
        Calibrations as raw frames or as processed masters.
    workflow : str or Path, optional
        Name or file of a workflow definition, instead of the one for the instrument.
    data : str, Path or sequence of them
        Folders of the data, where they are not in the root.
    by : {'auto', 'both', 'calselector', 'oca'}
        What datasets are made by.
    jobs : int, optional
        How many recipes may run at a time; one a processor by default.
    esorex : str
        Name or path of EsoRex.

    Raises
    ------
    UserError
        If the root is a file, or the mode is unknown.
    """
    from esorex_bridge.workspace.user_settings import default_archive, default_root

    place = Path(root).expanduser() if root is not None else default_root(os.environ)
    if place.exists() and not place.is_dir():
        raise UserError(f"{place} is a file; name a folder as the data root")
    folders = (data,) if isinstance(data, str | Path) else tuple(data)
    return Night(
        Settings(
            root=place.absolute(),
            archive=archive or default_archive(os.environ, place),
            mode=mode_of(mode),
            workflow=Path(workflow) if workflow is not None else None,
            data=tuple(Path(folder).expanduser().absolute() for folder in folders),
            by=by,
            jobs=jobs or os.cpu_count() or 1,
            esorex=esorex,
        )
    )


def mode_of(word: str) -> Mode:
    """Return the mode that a word means.

    Raises
    ------
    UnknownNameError
        If it means none.
    """
    if word not in _MODES:
        raise UnknownNameError("mode", word, _MODES)
    return _MODES[word]


def _name_list(names: Sequence[DpId]) -> Any:
    from esorex_bridge.archive.query import Constraints

    if not names:
        raise UserError("no frames to fetch: the table is empty; widen the query")
    return Constraints(dp_ids=tuple(dict.fromkeys(names)), category=None)


def _name(dataset: Named) -> str:
    return dataset if isinstance(dataset, str) else dataset.name


def _names(datasets: Named | Iterable[Named] | None) -> tuple[str, ...]:
    if datasets is None:
        return ()
    listed = (datasets,) if isinstance(datasets, str | Dataset) else tuple(datasets)
    return tuple(map(_name, listed))


def _shows(progress: bool | None) -> bool:
    """Tell whether progress is shown: on a terminal and in a notebook, where nothing else is said."""
    return progress if progress is not None else "ipykernel" in sys.modules or sys.stderr.isatty()


def _watcher(progress: bool | None) -> FetchWatcher:
    from esorex_bridge.progress.steps import FetchProgress, SilentFetch

    return FetchProgress() if _shows(progress) else SilentFetch()


def _reporter(progress: bool | None, root: Path) -> Reporter:
    from esorex_bridge.progress.steps import Progress
    from esorex_bridge.run.reporter import SilentReporter

    return Progress(root=root) if _shows(progress) else SilentReporter()

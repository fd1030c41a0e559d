"""Making the products of one step: in a private folder, checked, moved into place whole, recorded last.

Look up, lock, look up again, make, record: of several processes that need the same step, one makes it and the others
wait and reuse.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.definitions.parameters import Parameter
from esorex_bridge.disk.digest import read_digest
from esorex_bridge.disk.stamp import settled_stamp
from esorex_bridge.errors import DataError, RecipeError
from esorex_bridge.esorex.recipe import Execution, RecipeRun, RecipeRunner
from esorex_bridge.esorex.runner import EXIT_CODE, where_to_look
from esorex_bridge.files import Digest
from esorex_bridge.plan.plan import FileInput, ProductInput, Step
from esorex_bridge.plan.sof import Sof, of_entries, readable
from esorex_bridge.reflex.finished_run import FinishedRun
from esorex_bridge.reuse.key import FILE_WORD, Statement, StepKey, steps_in
from esorex_bridge.reuse.record import Absent, How, Product, Record
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.run.background import BackgroundCall, Beside
from esorex_bridge.workspace.folders import RunFolders, Workspace, bring_to_disk, make_links, round_times
from esorex_bridge.workspace.locks import locked, shared

if TYPE_CHECKING:
    from esorex_bridge.esorex.products import CheckedOutput


class StepStore(Protocol):
    """What a step runner looks up and records."""

    def verify(self, files: Iterable[str]) -> None:
        """Hold files against their own CHECKSUM and DATASUM; raise DataError where they differ."""

    def digests(self, files: Iterable[str]) -> Mapping[str, Digest | DataError]:
        """Return the content digests of files as they are now; the error where one is damaged."""

    def find(self, key: StepKey) -> Record | Absent:
        """Return the record of a key with its products whole and in place, or why there is none."""

    def record(self, record: Record, statement: Statement, dataset: str, step: str) -> None:
        """Remember a finished step."""


class StepRunner(Struct, frozen=True):
    """What makes steps.

    Parameters
    ----------
    runner : RecipeRunner
        Starts the recipes.
    store : StepStore
        Remembers what was made.
    workspace : Workspace
        Where things lie.
    note : callable or None
        Notes a finished run as Reflex does, and returns what went wrong; None for Reflex's folder and database.
    begun : callable or None
        Called when a recipe runs, with its SOF and its folder.
    """

    runner: RecipeRunner
    store: StepStore
    workspace: Workspace
    note: Callable[[FinishedRun], tuple[str, ...]] | None = None
    begun: Callable[[Sof, Path], None] | None = None

    def make(
        self, resolved: ResolvedPlan, step: Step, made: Mapping[StepKey, Record], how: How = "unless_there"
    ) -> tuple[Record, bool]:
        """Return the record of a step, and whether it was made here (False: it was there by now).

        Parameters
        ----------
        resolved : ResolvedPlan
            The plan that the step belongs to.
        step : Step
            Without gaps.
        made : mapping of StepKey to Record
            Of all steps whose products it takes.
        how : {'unless_there', 'forced', 'reflex'}
            Run it unless its products are there; run it even then; or ask Reflex's bookkeeping by Reflex's own rule.

        Raises
        ------
        RecipeError
            If the recipe failed, or made something that is no product.
        DataError, SofError
            If the step's folder or its SOF cannot be written.
        """
        key = resolved.keys[step.name]
        with shared(self.workspace.going_on), locked(self.workspace.locks / key):
            found: Record | Absent | None = self.store.find(key)
            if how == "reflex":
                found = find_by_reflex(resolved, step, made, self.workspace)
            if isinstance(found, Record) and how != "forced":
                return found, False
            return self._run_recipe(resolved, step, made), True

    def _run_recipe(self, resolved: ResolvedPlan, step: Step, made: Mapping[StepKey, Record]) -> Record:
        sof, lacking = sof_of(resolved, step, made)
        folders = self.workspace.new_run(resolved.plan.workflow, step.actor, datetime.now())
        sof, links = readable(sof, folders.work / "in", seen_as=Path("in"))
        make_links(links)
        job = RecipeRun(
            resolved.recipes[step.recipe],
            sof,
            resolved.parameters[step.name],
            folders.work,
            step.command,
            step.products,
            input_bytes(step),
        )
        # Files are verified while the recipe runs, because that leaves a processor free.
        with locked(folders.lock), Beside() as beside:
            try:
                statement = resolved.stated[step.name]
                verified: list[BackgroundCall[tuple[str, ...]]] = []

                def use_the_wait() -> None:
                    if self.begun is not None:
                        self.begun(sof, folders.work)
                    _load_what_follows()
                    verified.append(beside.call(partial(self._verify, step), "verify"))

                execution = self.runner.execute(job, use_the_wait)
                made_here = tuple(output.path for output in execution.outputs)
                round_times(made_here)  # before they are read: what changes meanwhile is read again
                settling = beside.call(partial(bring_to_disk, made_here), "settle")
                of_files = verified[0].result() if verified else self._verify(step)
                warnings = (*step.warnings, *lacking, *of_files)
                self._refuse_changed(step, statement, job.parameters, made)
                checked, unused = self._check_products(resolved, step, sof, folders, execution)
                settling.result()
                record = self._publish(resolved.keys[step.name], folders, execution, checked, (*warnings, *unused))
            except (RecipeError, DataError):
                self._record_for_reflex(step, job, folders)
                raise
            from esorex_bridge.store.rebuild import VERSION, RunStatement, write_statement

            associations = (*step.raw_associations, *step.associations)
            told = resolved.plan.dataset, step.name, statement, record, associations
            done = RunStatement(VERSION, *told)
            problems = self._record_for_reflex(
                step, job, folders, record.products, execution.log
            )  # may go on beside the rest
            write_statement(folders.work, self.workspace.root, done)
            self.store.record(record, statement, resolved.plan.dataset, step.name)
            return replace(record, warnings=(*record.warnings, *problems))

    def _refuse_changed(
        self, step: Step, statement: Statement, parameters: tuple[Parameter, ...], made: Mapping[StepKey, Record]
    ) -> None:
        """Refuse to record products under a statement that was not true all the while.

        Raises
        ------
        DataError
            If an input is another one than stated.
        """
        stated = _stated_contents(step, statement)
        now = self.store.digests(stated)
        changed = [file for file, content in stated.items() if now[file] != content]
        changed += _find_changed(parameters, statement)
        makers = {*made, *steps_in(statement)}
        gone = (found.reason for key in makers if isinstance(found := self.store.find(key), Absent))
        changed += [reason for reason in gone if reason]
        if changed:
            raise DataError(
                f"{step.recipe} ran, but its inputs changed meanwhile ({', '.join(changed)}): its products "
                "are not kept; run again"
            )

    def _verify(self, step: Step) -> tuple[str, ...]:
        """Hold files against their own checksums; return a warning for each whose header alone differs."""
        from esorex_bridge.fits.signature import altered_headers

        files = _files(step)
        self.store.verify(files)
        self.store.digests(files)  # A worker reads them now, while the recipe runs, and not in the end.
        return tuple(
            f"the header of {Path(file).name} (HDU {', '.join(map(str, altered))}) was changed after the file was "
            "signed: it differs from its CHECKSUM"
            for file in files
            if (altered := altered_headers(Path(file)))
        )

    def _record_for_reflex(
        self,
        step: Step,
        job: RecipeRun,
        folders: RunFolders,
        products: tuple[Product, ...] = (),
        log: Path | None = None,
    ) -> tuple[str, ...]:
        """Note a run in Reflex's bookkeeping, as Reflex would, and return what went wrong with that."""
        # Products that were refused were no success, whatever EsoRex said.
        written = folders.work / EXIT_CODE
        code = 0 if products else int(written.read_text() or 0) or 1 if written.exists() else 1
        run = FinishedRun(step.actor, step.recipe, step.purpose, job.parameters, job.sof, folders, products, code, log)
        if self.note is not None:
            return self.note(run)
        from esorex_bridge.reflex.bookkeeping_writer import note_run

        return note_run(run)

    def _check_products(
        self, resolved: ResolvedPlan, step: Step, sof: Sof, folders: RunFolders, execution: Execution
    ) -> tuple[tuple[CheckedOutput, ...], tuple[str, ...]]:
        """Return what a recipe made, read whole, and a warning for each input that it did not use.

        Raises
        ------
        RecipeError
            If something is no product; with all that the recipe complained of.
        """
        from esorex_bridge.esorex.products import check_outputs, find_unlisted_inputs, refuse_other_cpl, refuse_unusable

        try:
            checked = check_outputs(step.recipe, execution.outputs, step.products)
            unused = find_unlisted_inputs(step.recipe, sof, checked, step.required, step.unnoted)
            refuse_unusable(sof, step.required, execution.complaints)
            refuse_other_cpl(resolved.recipes[step.recipe], checked)
        except RecipeError as error:
            others = (said for said in execution.complaints if said not in str(error))
            raise RecipeError("; ".join((str(error), *others)) + where_to_look(folders.work)) from None
        return checked, unused

    def _publish(
        self,
        key: StepKey,
        folders: RunFolders,
        execution: Execution,
        checked: tuple[CheckedOutput, ...],
        warnings: tuple[str, ...],
    ) -> Record:
        places = folders.publish(tuple(entry.output.path for entry in checked))
        products = tuple(
            Product(str(place), entry.output.category, entry.digest, entry.size_bytes, settled_stamp(place))
            for place, entry in zip(places, checked, strict=True)
        )
        return Record(
            key=key,
            products=products,
            seconds=execution.seconds,
            made=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            sof_file=str(folders.work / "data.sof"),
            warnings=(*warnings, *execution.complaints),
            usage=execution.usage,
        )


def _load_what_follows() -> None:
    """Load what is wanted when a recipe has ended, while one runs."""
    for module in ("esorex.products", "fits.signature", "store.rebuild"):
        import_module(f"esorex_bridge.{module}")


def _find_changed(parameters: tuple[Parameter, ...], statement: Statement) -> list[str]:
    """Return the files that parameters name whose content is another one than stated."""
    stated = dict(statement.parameters)
    named = ((parameter.text, stated.get(parameter.schema.name, "")) for parameter in parameters)
    return [text for text, said in named if said.startswith(FILE_WORD) and said != f"{FILE_WORD}{_content(text)}"]


def _content(file: str) -> str:
    try:
        return read_digest(file).digest
    except OSError:
        return ""


def input_bytes(step: Step) -> int:
    """Return how many bytes the files hold that a step takes; products of earlier steps are not counted.

    A step is handed to a cluster before these are made, and they follow from the files.
    """
    size = 0
    for entry in step.inputs:
        if isinstance(entry, FileInput):
            with suppress(OSError):  # what is gone fails when the step is begun
                size += os.stat(entry.file).st_size  # noqa: PTH116
    return size


def _files(step: Step) -> tuple[str, ...]:
    return tuple(entry.file for entry in step.inputs if isinstance(entry, FileInput))


def _stated_contents(step: Step, statement: Statement) -> dict[str, str]:
    """Return what a statement says of the files that a step takes; products count by the step that made them."""
    pairs = zip(step.inputs, statement.inputs, strict=True)
    return {entry.file: said.content for entry, said in pairs if isinstance(entry, FileInput)}


def find_by_reflex(
    resolved: ResolvedPlan, step: Step, made: Mapping[StepKey, Record], workspace: Workspace
) -> Record | None:
    """Return what Reflex's Lazy Mode would take instead of running a step; None where it would run it.

    Parameters
    ----------
    resolved : ResolvedPlan
        The plan that the step belongs to.
    step : Step
        Without gaps.
    made : mapping of StepKey to Record
        Of all steps whose products it takes.
    workspace : Workspace
        Has Reflex's bookkeeping.
    """
    from esorex_bridge.reflex.lazy_mode import ask_reflex, record_of

    sof, _ = sof_of(resolved, step, made)
    database = workspace.reflex_database(resolved.plan.workflow)
    answer = ask_reflex(database, step.actor, step.recipe, resolved.parameters[step.name], sof)
    return record_of(resolved.keys[step.name], answer)


def sof_of(resolved: ResolvedPlan, step: Step, made: Mapping[StepKey, Record]) -> tuple[Sof, tuple[str, ...]]:
    """Return the SOF of a step, and a warning for each optional product that an earlier step did not make.

    Raises
    ------
    RecipeError
        If an earlier step did not make what the step cannot do without.
    """
    entries: list[tuple[Path, str]] = []
    lacking: list[str] = []
    for entry in step.inputs:
        if isinstance(entry, FileInput):
            entries.append((entry.path, entry.category))
            continue
        found = _products(entry, made[resolved.keys[entry.step]])
        entries.extend(found)
        if not found and entry.category in step.required:
            raise RecipeError(f"{entry.step} made no {entry.product}, which {step.recipe} needs as {entry.category}")
        if not found and not entry.optional:
            lacking.append(f"made without {entry.category}: {entry.step} made no {entry.product}")
    return of_entries(entries), tuple(lacking)


def _products(entry: ProductInput, record: Record) -> list[tuple[Path, str]]:
    tagged = ((product.path, entry.tag_of(product.category)) for product in record.products)
    return [(path, tag) for path, tag in tagged if tag is not None]

"""From a data root to the values of the report: plans and decisions, the store, folders of runs, products' headers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.errors import BridgeError
from esorex_bridge.esorex.diagnosis import explain_exit, first_error
from esorex_bridge.esorex.recipe import describe_cost
from esorex_bridge.fits.header import Header
from esorex_bridge.pages.deliveries import compare_deliveries
from esorex_bridge.pages.draw import draw_cascade
from esorex_bridge.pages.files import FileViews, PageLimits, header_of, qc_values, tail
from esorex_bridge.pages.model import (
    Bar,
    DatasetView,
    InputView,
    ProductView,
    ReportView,
    Series,
    State,
    StepView,
)
from esorex_bridge.pages.reflex_rows import read_rows
from esorex_bridge.plan.plan import FileInput, Plan, ProductInput, Step, StepInput, StepName
from esorex_bridge.provenance.lineage import kind_of
from esorex_bridge.provenance.trace import parameter_origins
from esorex_bridge.reuse.decide import Decision, NotNeeded, Reuse
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Record
from esorex_bridge.reuse.resolve import Unresolvable

if TYPE_CHECKING:
    from esorex_bridge.datasets.dataset import Dataset
    from esorex_bridge.session import Session
    from esorex_bridge.store.summaries import RunSummary

_MOST_SERIES = 60
_LEAST_POINTS = 2


class _Collector:
    """Collects the values of one report."""

    def __init__(self, session: Session, limits: PageLimits) -> None:
        self._session = session
        self._limits = limits
        self._files = FileViews(limits)
        self._shown: dict[StepKey, StepView] = {}
        self._numbers = count()
        self._latest = _latest_run(session.store.runs())

    def collect(self) -> ReportView:
        """Return the report."""
        session = self._session
        notes: list[str] = []
        datasets: tuple[DatasetView, ...] = ()
        try:
            datasets = tuple(self._datasets())
        except BridgeError as error:
            notes.append(str(error))
        if self._files.left_out:
            told = f"{self._files.left_out} pictures, logs and lists of QC values were left out"
            notes.append(f"{told}: the page would be too large; see 'esorex-bridge provenance PRODUCT --html FILE'")
        return ReportView(
            title=f"esorex-bridge: {session.workspace.root.name}",
            root=str(session.workspace.root),
            written=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            datasets=datasets,
            bars=tuple(self._bars(datasets)),
            series=tuple(_series(session, self._files))[:_MOST_SERIES],
            reflex=tuple(read_rows(session.workspace.bookkeeping, self._folders())),
            notes=tuple(notes),
        )

    def _folders(self) -> frozenset[str]:
        """Return the folders of runs and products that the store knows."""
        store = self._session.store
        return frozenset(str(folder) for key in store.all_keys() for folder in store.places(key))

    # ----- datasets

    def _datasets(self) -> Iterator[DatasetView]:
        session = self._session
        planned = session.planning.plan_datasets()
        self._files = FileViews(replace(self._limits, steps=sum(len(plan.steps) for _, plan in planned)))
        if session.engine is None:
            for dataset, plan in planned:
                yield self._dataset(dataset, plan, {}, "EsoRex is not installed: what was made cannot be told")
            return
        resolved = session.engine.resolve(planned)
        decided = session.engine.decide(plan for plan in resolved if not isinstance(plan, Unresolvable))
        by_name = {plan.resolved.plan.dataset: plan.decisions for plan in decided}
        for ahead in resolved:
            reason = ahead.reason if isinstance(ahead, Unresolvable) else ""
            decisions = {decision.step.name: decision for decision in by_name.get(ahead.plan.dataset, ())}
            yield self._dataset(ahead.dataset, ahead.plan, decisions, reason)

    def _dataset(
        self, dataset: Dataset, plan: Plan, decisions: Mapping[StepName, Decision], problem: str
    ) -> DatasetView:
        anchor = f"d{next(self._numbers)}"
        names: dict[StepName, str] = {}
        steps = tuple(self._steps(plan, decisions, names, anchor, problem))
        header = _science_header(dataset)
        reasons = tuple(dict.fromkeys(step.reason for step in steps if step.state in ("failed", "missing")))
        return DatasetView(
            anchor=anchor,
            name=dataset.name,
            target=str(header.get("OBS.TARG.NAME") or header.get("OBJECT") or ""),
            night=str(header.get("DATE-OBS") or "")[:10],
            instrument=dataset.instrument,
            setup=_setup(plan),
            state=_state_of(steps),
            reasons=(problem, *reasons) if problem else reasons,
            steps=steps,
            end_products=tuple(self._end_products(dataset.name)),
            messages=plan.messages,
            drawing=draw_cascade(steps) if steps else "",
            compared=compare_deliveries(dataset.name, self._session.store) if self._limits.comparisons else (),
        )

    def _end_products(self, dataset: str) -> Iterator[ProductView]:
        store = self._session.store
        for key in store.delivered_keys(dataset):
            made = store.products(key)
            for position, path in store.delivered_paths(key)[dataset]:
                yield self._files.view_product(replace(made[position], file=path))

    # ----- steps

    def _steps(
        self, plan: Plan, decisions: Mapping[StepName, Decision], names: dict[StepName, str], anchor: str, problem: str
    ) -> Iterator[StepView]:
        """Yield the steps of a plan; one that several datasets share stands with the first, and the others lead there.

        `names` gets the anchor of each.
        """
        for number, step in enumerate(plan.steps):
            decision = decisions.get(step.name)
            key = decision.record.key if isinstance(decision, Reuse) else None
            shown = self._shown.get(key) if key is not None else None
            names[step.name] = shown.anchor if shown is not None else f"{anchor}-s{number}"
            view = shown or self._step(step, plan, decision, names, problem)
            if key is not None:
                self._shown[key] = view
            yield view

    def _step(
        self, step: Step, plan: Plan, decision: Decision | None, names: Mapping[StepName, str], problem: str
    ) -> StepView:
        record = decision.record if isinstance(decision, Reuse) else None
        folder, failure = self._run_folder(step, plan, record)
        state, reason = self._state(step, decision, record, failure, problem)
        origins = parameter_origins(folder / f"{step.recipe}.rc") if folder else {}
        return StepView(
            anchor=names[step.name],
            name=step.name,
            recipe=step.recipe,
            pipeline=self._pipeline(record),
            state=state,
            reason=reason,
            made=record.made if record else "",
            seconds=record.seconds if record else 0.0,
            parameters=tuple(
                (each.name, str(each.value), origins.get(each.name, each.origin)) for each in step.settings
            ),
            inputs=tuple(self._input(entry, step, names) for entry in step.inputs),
            products=tuple(self._files.view_product(product) for product in record.products) if record else (),
            needs=tuple(names[need] for need in step.needs if need in names),
            log=self._files.read_log(folder) if folder else "",
            warnings=record.warnings if record else step.warnings,
            folder=str(folder) if folder else "",
            took=describe_cost(record.seconds, record.usage) if record else "",
        )

    def _pipeline(self, record: Record | None) -> str:
        if record is None:
            return ""
        row = self._session.store.step_rows((record.key,)).get(record.key)
        return row.statement.pipeline if row else ""

    def _state(
        self, step: Step, decision: Decision | None, record: Record | None, failure: str, problem: str
    ) -> tuple[State, str]:
        if record is not None:
            first, last = self._latest
            ran = first <= _moment(record.made) <= last
            return ("ran" if ran else "reused"), "" if decision is None else decision.reason
        if isinstance(decision, NotNeeded):
            return "unneeded", decision.reason
        if step.gaps:
            return "missing", "; ".join(step.gaps)
        if failure:
            return "failed", failure
        return "planned", problem or (decision.reason if decision is not None else "")

    def _run_folder(self, step: Step, plan: Plan, record: Record | None) -> tuple[Path | None, str]:
        """Return the folder of a step's run, and what went wrong in the latest one where that was the end of it."""
        if record is not None:
            return record.sof.parent, ""
        place = self._session.workspace.bookkeeping / plan.workflow / step.actor
        folders = [path.parent for path in place.glob("*/exitcode.txt")] if place.is_dir() else []
        latest = max(folders, key=lambda folder: (folder / "exitcode.txt").stat().st_mtime_ns, default=None)
        return (latest, _failure(latest)) if latest is not None else (None, "")

    def _input(self, entry: StepInput, step: Step, names: Mapping[StepName, str]) -> InputView:
        source = entry.name if isinstance(entry, FileInput) else entry.step
        known = (*step.raw_associations, *step.associations)
        told = next((each.words for each in known if (each.category, each.source) == (entry.category, source)), "")
        if isinstance(entry, FileInput):
            drawn = self._files.draw_input(entry.path)
            return InputView(entry.category, entry.name, kind_of(entry.name), "", drawn, told)
        assert isinstance(entry, ProductInput)
        name = f"{entry.product} of {entry.step}"
        return InputView(entry.category, name, "product", names.get(entry.step, ""), association=told)

    # ----- time

    def _bars(self, datasets: Iterable[DatasetView]) -> Iterator[Bar]:
        """Yield the steps of the latest run, once each."""
        ran = {}
        for dataset in datasets:
            for step in dataset.steps:
                if step.state == "ran" and step.folder not in ran:
                    ran[step.folder] = step
        begun = {folder: _moment(step.made) - step.seconds for folder, step in ran.items()}
        first = min(begun.values(), default=0.0)
        for folder, step in ran.items():
            yield Bar(step.name, step.recipe, round(begun[folder] - first, 3), step.seconds, step.anchor)


def collect(session: Session, limits: PageLimits | None = None) -> ReportView:
    """Return what the report of a data root shows.

    Parameters
    ----------
    session : Session
        Of the data root; nothing is changed.
    limits : PageLimits, optional
        How much the page holds.
    """
    return _Collector(session, limits or PageLimits()).collect()


def _state_of(steps: Iterable[StepView]) -> State:
    states = {step.state for step in steps} - {"unneeded"}
    order: tuple[State, ...] = ("failed", "missing", "planned", "ran", "reused")
    return next((state for state in order if state in states), "unneeded")


def _setup(plan: Plan) -> str:
    targets = [step for step in plan.steps if step.target] or list(plan.steps[-1:])
    return ", ".join(f"{key} {value}" for key, value in targets[0].setup) if targets else ""


def _science_header(dataset: Dataset) -> Header:
    path = next((file.path for file in dataset.action.files if file.path is not None), None)
    return header_of(path) if path is not None else Header.of({})


def _failure(folder: Path) -> str:
    """Return what went wrong in a run, as its folder tells; empty where nothing did."""
    try:
        code = int((folder / "exitcode.txt").read_text().strip() or 0)
    except (OSError, ValueError):
        return ""
    if code == 0:
        return ""
    texts = [tail(folder / name, 400) for name in ("stdout.txt", "stderr.txt", "esorex.log")]
    return first_error(*texts) or explain_exit(code)


def _series(session: Session, files: FileViews) -> Iterator[Series]:
    """Yield quality values that a recipe's products have at two times or more."""
    store = session.store
    points: dict[tuple[str, str, str], dict[tuple[float, str], float]] = {}
    for key, row in store.step_rows(store.all_keys()).items():
        for product in store.products(key):
            header = files.header(product.path)
            time = header.get("MJD-OBS")
            if not isinstance(time, int | float):
                continue
            setup = " ".join(str(header[name]) for name in ("INS.MODE", "INS.FILT1.NAME", "DET.DIT") if name in header)
            for keyword, value in qc_values(header):
                if isinstance(value, int | float) and not isinstance(value, bool):
                    where = (row.statement.recipe, f"{product.category} {setup}".strip(), keyword)
                    points.setdefault(where, {})[float(time), product.path.name] = float(value)
    for (recipe, setup, keyword), values in sorted(points.items()):
        if len({time for time, _ in values}) >= _LEAST_POINTS:
            listed = tuple((time, value, name) for (time, name), value in sorted(values.items()))
            yield Series(recipe, setup, keyword, listed)


def _latest_run(runs: Sequence[RunSummary]) -> tuple[float, float]:
    """Return when the latest run that made something began and ended, in Unix time; an empty span where none did.

    Records are dated to the second: the end is rounded up.
    """
    run = next((run for run in reversed(runs) if run.executed), None)
    if run is None:
        return 1.0, 0.0
    begun = _moment(run.started)
    return begun, begun + math.ceil(run.seconds) + 1


def _moment(text: str) -> float:
    """Return a time in Unix time; one without a zone is local time, as version 0.1.0 wrote it."""
    with suppress(ValueError):
        return datetime.fromisoformat(text).timestamp()
    return 0.0

"""The loop: decide about each step of all plans, make what must be made, deliver, report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.errors import RecipeError
from esorex_bridge.esorex.recipe import RecipeRunner
from esorex_bridge.files import Digest
from esorex_bridge.plan.plan import Plan, StepName, recipes_of
from esorex_bridge.reuse.decide import Decision, Execute, NotNeeded, Policy, Reuse, decide, refuse_unknown
from esorex_bridge.reuse.key import Fingerprint, StepKey
from esorex_bridge.reuse.record import Absent, Product, Record
from esorex_bridge.reuse.resolve import ResolvedPlan, Settled, Unresolvable, input_files, settle
from esorex_bridge.run.explanation import account
from esorex_bridge.run.report import DatasetReport, DecisionWord, Outcome, StepReport, count
from esorex_bridge.run.reporter import Reporter
from esorex_bridge.run.schedule import Blocked, Ended, Failed, Made, Work, gather, run_all
from esorex_bridge.store.step_store import SqliteStore
from esorex_bridge.store.summaries import RunSummary

if TYPE_CHECKING:
    from esorex_bridge.workspace.folders import Workspace

_NO_ESOREX = "EsoRex is not installed (Debian: apt-get install esorex, and cpl-plugin-… for the pipeline)"

Pairs = Iterable[tuple[Dataset, Plan]]
Answer = TypeVar("Answer")


class Tools(Struct, frozen=True):
    """What a run works with.

    Parameters
    ----------
    runner : RecipeRunner or None
        None where EsoRex is not installed.
    store : SqliteStore
        What was made before.
    workspace : Workspace
        Where things lie.
    reporter : Reporter
        Is told what goes on.
    started : datetime
        When the whole run began; names the folder of its end products.
    jobs : int
        How many recipes may run at a time.
    policy : Policy
        What the user says about reuse.
    """

    runner: RecipeRunner | None
    store: SqliteStore
    workspace: Workspace
    reporter: Reporter
    started: datetime
    jobs: int = 1
    policy: Policy = field(default_factory=Policy)


def carry_out(pairs: Pairs, tools: Tools, dry_run: bool = False) -> tuple[DatasetReport, ...]:
    """Carry out plans; a step that several datasets need is made once, one that failed stops only what needs it.

    Parameters
    ----------
    pairs : iterable of (Dataset, Plan)
        Each dataset with its plan.
    tools : Tools
        What to work with.
    dry_run : bool
        Decide, run nothing and change nothing.

    Raises
    ------
    ParameterError
        A recipe parameter is wrong. Nothing has run then, for no dataset.
    """
    listed = tuple(pairs)
    if tools.runner is None:
        return tuple(_not_run(dataset, plan, "no_esorex", _NO_ESOREX) for dataset, plan in listed)
    foreseen = resolve_all(listed, tools.store, tools.runner)
    run = _Run(tools, tools.runner)
    run.decide(ahead for ahead in foreseen if isinstance(ahead, ResolvedPlan))
    if not dry_run:
        run.make()
    reports = tuple(
        _not_run(ahead.dataset, ahead.plan, "blocked", ahead.reason)
        if isinstance(ahead, Unresolvable)
        else run.report(ahead, () if dry_run else run.deliver(ahead))
        for ahead in foreseen
    )
    if not dry_run:
        tools.store.log_run(_summary(reports, tools.started))
    return reports


def _summary(reports: tuple[DatasetReport, ...], started: datetime) -> RunSummary:
    ran = (datetime.now(started.tzinfo) - started).total_seconds()
    failed = sum(step.outcome in ("failed", "blocked") for report in reports for step in report.steps)
    when = f"{started:%Y-%m-%dT%H:%M:%S}"
    return RunSummary(when, len(reports), count(reports, "execute"), count(reports, "reuse"), failed, round(ran, 3))


def accounts(pairs: Pairs, tools: Tools) -> tuple[dict[str, Any], ...]:
    """Return an account of every step: what it depends on, what is decided and why; nothing runs.

    Raises
    ------
    RecipeError
        EsoRex is not installed.
    """
    if tools.runner is None:
        raise RecipeError(_NO_ESOREX)
    run = _Run(tools, tools.runner)
    foreseen = tuple(
        ahead for ahead in resolve_all(pairs, tools.store, tools.runner) if isinstance(ahead, ResolvedPlan)
    )
    run.decide(foreseen)
    return tuple(account(ahead, decision) for ahead in foreseen for decision in run.decisions(ahead))


def products_of(plan: Plan, dataset: Dataset, store: SqliteStore, runner: RecipeRunner) -> dict[StepName, Record]:
    """Return the records of a plan's steps that were made before and whose products are whole."""
    (ahead,) = resolve_all(((dataset, plan),), store, runner)
    if isinstance(ahead, Unresolvable):
        return {}
    found = store.find_all(ahead.keys.values())
    records = {name: found[key] for name, key in ahead.keys.items()}
    return {name: record for name, record in records.items() if isinstance(record, Record)}


def resolve_all(pairs: Pairs, store: SqliteStore, runner: RecipeRunner) -> tuple[ResolvedPlan | Unresolvable, ...]:
    """Return what is known of plans beforehand; errors as `carry_out`."""
    listed = tuple(pairs)
    plans = [plan for _, plan in listed]
    asking = BackgroundCall(lambda: runner.recipes(recipes_of(plans)))
    looking = BackgroundCall(lambda: _look(plans, store))
    _load_while_waiting(asking)
    recipes, stamps = asking.result(), looking.result()
    settled = tuple(settle(dataset, plan, recipes, _digest_of_named) for dataset, plan in listed)
    return _foreseen(settled, stamps, store)


def _look(plans: Iterable[Plan], store: SqliteStore) -> dict[str, str]:
    """Return what the files of plans look like. While EsoRex is asked, files of new plans are read as well."""
    store.read_new(input_files(store.without_keys(plans)))
    return store.stamps(input_files(plans))


def _foreseen(
    settled: tuple[Settled | Unresolvable, ...], stamps: Mapping[str, str], store: SqliteStore
) -> tuple[ResolvedPlan | Unresolvable, ...]:
    """Return what is known of plans; keys are worked out where they are not known under the plan's seal."""
    fingerprints = [None if isinstance(plan, Unresolvable) else plan.fingerprint(stamps) for plan in settled]
    known = store.keys_by_fingerprint(fingerprint for fingerprint in fingerprints if fingerprint)
    pairs = tuple(zip(settled, fingerprints, strict=True))
    unknown = (plan.plan for plan, fingerprint in pairs if isinstance(plan, Settled) and fingerprint not in known)
    digests = store.digests(input_files(unknown))
    foreseen: list[ResolvedPlan | Unresolvable] = []
    learnt: list[tuple[Plan, Fingerprint, tuple[StepKey, ...]]] = []
    for plan, fingerprint in pairs:
        if isinstance(plan, Unresolvable):
            foreseen.append(plan)
        elif fingerprint in known:
            foreseen.append(plan.known(known[fingerprint], partial(store.digests, input_files((plan.plan,)))))
        else:
            ahead = plan.foreseen(digests)
            foreseen.append(ahead)
            if fingerprint and isinstance(ahead, ResolvedPlan):
                learnt.append((plan.plan, fingerprint, tuple(ahead.keys.values())))
    store.learn_keys(learnt)
    return tuple(foreseen)


class BackgroundCall(Thread, Generic[Answer]):
    """A call that is made beside what goes on here; lighter to load than an executor, in a run that finds all made."""

    def __init__(self, call: Callable[[], Answer]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._answer: Answer
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Make the call."""
        try:
            self._answer = self._call()
        except BaseException as error:
            self._error = error

    def result(self) -> Answer:
        """Wait for the call, and return its result or raise its error."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._answer


def _load_while_waiting(asking: Thread) -> None:
    """Load what comes next while EsoRex is asked about its recipes: that leaves this processor free."""
    for module in ("run.step", "run.delivery", "reflex.bookkeeping_writer"):
        if not asking.is_alive():
            return
        import_module(f"esorex_bridge.{module}")


def _digest_of_named(value: str) -> Digest | None:
    """Return the digest of a file that a parameter names by its absolute path; None where it names none."""
    path = Path(value)
    if not path.is_absolute() or not path.is_file():
        return None
    with path.open("rb") as stream:
        return Digest(f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}")


class _Run:
    """All plans of one run being carried out."""

    def __init__(self, tools: Tools, runner: RecipeRunner) -> None:
        self._tools = tools
        self._runner = runner
        self._decisions: dict[str, tuple[Decision, ...]] = {}
        self._works: dict[StepKey, Work] = {}
        self._records: dict[StepKey, Record] = {}
        self._ended: dict[StepKey, Ended] = {}

    def decide(self, foreseen: Iterable[ResolvedPlan]) -> None:
        """Decide about all steps."""
        store, policy, listed = self._tools.store, self._tools.policy, tuple(foreseen)
        refuse_unknown(policy, tuple(ahead.plan for ahead in listed))
        there = store.find_all(key for ahead in listed for key in ahead.keys.values())
        decided = []
        for ahead in listed:
            found = {name: self._adopted(ahead, name, there[key]) for name, key in ahead.keys.items()}
            chosen = ahead.dataset.chosen
            decided.append((ahead, decide(ahead.plan, ahead.stated, found, store.nearest, policy, chosen)))
        self._works = gather(decided)
        for ahead, decisions in decided:
            self._decisions[ahead.plan.dataset] = decisions
            for decision in decisions:
                if isinstance(decision, Reuse):
                    self._records[decision.record.key] = decision.record

    def _adopted(self, ahead: ResolvedPlan, name: StepName, found: Record | Absent) -> Record | Absent:
        """Return what an adopted history of Reflex has for a step that we did not make ourselves."""
        store = self._tools.store
        if isinstance(found, Record) or not store.has_adopted():
            return found
        from esorex_bridge.reflex.adopt import adopted_alike

        statement = ahead.stated[name]
        return adopted_alike(statement, store.nearest(statement), store.find) or found

    def decisions(self, ahead: ResolvedPlan) -> tuple[Decision, ...]:
        """Return what was decided about the steps of a plan."""
        return self._decisions[ahead.plan.dataset]

    def make(self) -> None:
        """Make what must be made."""
        self._ended = run_all(
            self._works,
            self._records,
            self._make,
            self._tell,
            lambda work, failed: self._tools.reporter.go_on(work.step.name, failed.error),
            self._runner.stop,
            self._tools.jobs,
        )

    def _make(self, work: Work, records: Mapping[StepKey, Record]) -> Made:
        from esorex_bridge.run.step import StepRunner

        number = list(self._works).index(work.key) + 1
        expected = self._tools.store.expected_seconds(work.step.recipe)
        name = f"{work.step.name} of {work.foreseen.plan.dataset}"
        self._tools.reporter.started(name, number, len(self._works), expected)
        maker = StepRunner(self._runner, self._tools.store, self._tools.workspace)
        return Made(*maker.make(work.foreseen, work.step, records, work.how))

    def _tell(self, work: Work, ended: Ended) -> None:
        self._ended[work.key] = ended
        self._tools.reporter.finished(self._worked(work.foreseen, work.key, Execute(work.step, work.reason)))

    def deliver(self, ahead: ResolvedPlan) -> tuple[Product, ...]:
        """Return the products that a dataset is for, brought into its folder of end products."""
        from esorex_bridge.run.delivery import deliver

        tools = self._tools
        records = (self._records.get(ahead.keys[step.name]) for step in ahead.plan.steps if step.target)
        return tuple(
            product
            for record in records
            if record is not None
            for product in deliver(
                ahead.plan.dataset, ahead.plan.workflow, record, tools.store, tools.workspace, tools.started
            )
        )

    def report(self, ahead: ResolvedPlan, end_products: tuple[Product, ...]) -> DatasetReport:
        """Return what came of a dataset."""
        steps = [self._step(ahead, decision) for decision in self.decisions(ahead)]
        return replace(_dataset_report(ahead.dataset, ahead.plan, steps), end_products=end_products)

    def _step(self, ahead: ResolvedPlan, decision: Decision) -> StepReport:
        if isinstance(decision, Execute):
            return self._worked(ahead, ahead.keys[decision.step.name], decision)
        if isinstance(decision, NotNeeded):
            return _report(ahead.plan, decision, "not_needed", "skipped")
        return _made(_report(ahead.plan, decision, "reuse", "done"), decision.record)

    def _worked(self, ahead: ResolvedPlan, key: StepKey, decision: Execute) -> StepReport:
        work, ended = self._works[key], self._ended.get(key)
        if isinstance(ended, Made):
            if ended.ran and work.foreseen is ahead:
                report = _report(ahead.plan, decision, "execute", "done")
                return replace(_made(report, ended.record), seconds=ended.record.seconds)
            if not ended.ran and work.how == "reflex":
                told = replace(decision, reason=f"made {ended.record.made}, reused by Reflex's own rule")
                return _made(_report(ahead.plan, told, "reuse", "done"), ended.record)
            maker = f"for {work.foreseen.plan.dataset} in this run" if ended.ran else "by another process meanwhile"
            shared = replace(decision, reason=f"made {maker}")
            return _made(_report(ahead.plan, shared, "reuse", "done"), ended.record)
        if isinstance(ended, Failed):
            return _report(ahead.plan, decision, "execute", "failed", ended.error)
        if isinstance(ended, Blocked):
            return _report(ahead.plan, decision, "execute", "blocked", ended.error)
        outcome: Outcome = "blocked" if decision.step.gaps else "planned"
        return _report(ahead.plan, decision, "execute", outcome, "; ".join(decision.step.gaps))


def _report(plan: Plan, decision: Decision, word: DecisionWord, outcome: Outcome, error: str = "") -> StepReport:
    step = decision.step
    return StepReport(
        plan.dataset, step.name, step.recipe, word, decision.reason, outcome, warnings=step.warnings, error=error
    )


def _made(report: StepReport, record: Record) -> StepReport:
    return replace(report, sof=record.sof, products=record.products, warnings=record.warnings)


def _not_run(dataset: Dataset, plan: Plan, outcome: Outcome, why: str) -> DatasetReport:
    steps = [_report(plan, Execute(step, why), "execute", outcome, "; ".join((why, *step.gaps))) for step in plan.steps]
    return _dataset_report(dataset, plan, steps)


def _dataset_report(dataset: Dataset, plan: Plan, steps: list[StepReport]) -> DatasetReport:
    unused = (
        StepReport(plan.dataset, group.purpose, group.recipe, "not_needed", group.reason, "skipped")
        for group in plan.unused
    )
    return DatasetReport(
        dataset=plan.dataset,
        workflow=plan.workflow,
        steps=(*steps, *unused),
        complete=dataset.complete,
        certified=dataset.certified,
        mode=dataset.mode,
        requested=dataset.requested,
        messages=plan.messages,
    )

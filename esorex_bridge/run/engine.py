"""The engine behind every entrance: plans are resolved, decided about, and executed.

`run`, `reduce`, `batch`, `--dry-run`, `why`, `sof`, `clean` and the actors all call it. They differ in where plans come
from and in the executor that starts steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.disk.digest import read_digest
from esorex_bridge.errors import BridgeError, DataError, RecipeError
from esorex_bridge.esorex.recipe import Recipe, RecipeRunner
from esorex_bridge.files import Digest
from esorex_bridge.plan.plan import Plan, StepName
from esorex_bridge.reuse.decide import Decision, Execute, Policy, Reuse, decide, names_in, refuse_unknown
from esorex_bridge.reuse.key import Fingerprint, Statement, StepKey
from esorex_bridge.reuse.record import Absent, Record
from esorex_bridge.reuse.resolve import ParameterisedPlan, ResolvedPlan, Unresolvable, input_files, set_parameters
from esorex_bridge.run.decided import DecidedPlan, Executed, require_records
from esorex_bridge.store.step_store import SqliteStore

if TYPE_CHECKING:
    from esorex_bridge.disk.room import Room, RoomRule
    from esorex_bridge.run.footprint import Footprint
    from esorex_bridge.run.reporter import Reporter
    from esorex_bridge.workspace.folders import Workspace

Pairs = Iterable[tuple[Dataset, Plan]]
Nearest = Callable[[Statement], Statement | None]
Recipes = Mapping[str, Recipe | RecipeError]


class Engine(Struct, frozen=True):
    """Resolves plans, decides about their steps, and makes them.

    Parameters
    ----------
    runner : RecipeRunner
        Describes and starts recipes.
    store : SqliteStore
        What was made before.
    workspace : Workspace
        Where things lie.
    policy : Policy
        What the user says about reuse.
    room : {'check', 'ignore'}
        Whether steps are refused whose products the disk has no room for.
    memory_mb : int or None
        What recipes may take together; 0 for no limit, None for what is free when they begin.
    """

    runner: RecipeRunner
    store: SqliteStore
    workspace: Workspace
    policy: Policy = field(default_factory=Policy)
    room: RoomRule = "check"
    memory_mb: int | None = None

    def prepare(self, plans: Iterable[Plan]) -> None:
        """Start what starts recipes, where a plan is new: something will run, and it takes as long as to resolve it."""
        if self.store.without_keys(plans):
            from esorex_bridge.esorex.supervisor import supervisor

            supervisor()

    # ----- resolve

    def resolve(self, pairs: Pairs) -> tuple[ResolvedPlan | Unresolvable, ...]:
        """Return plans with all that can be known of them before anything runs.

        Parameters
        ----------
        pairs : iterable of (Dataset, Plan)
            Each dataset with its plan.

        Raises
        ------
        ParameterError
            If a recipe parameter is wrong.
        """
        listed = tuple(pairs)
        plans = [plan for _, plan in listed]
        new = self.store.without_keys(plans)
        installed = self.runner.recipes(_recipes_of(plans), partial(self._use_the_wait, new))
        self.store.read_new(input_files(new))
        stamps = self.store.stamps(input_files(plans))
        parameterised = tuple(
            set_parameters(dataset, plan, _with_own(installed, plan), digest_of_named) for dataset, plan in listed
        )
        return self._with_keys(parameterised, stamps)

    def _use_the_wait(self, new: Iterable[Plan]) -> None:
        """Read the files of new plans and load what comes next while EsoRex is asked about recipes."""
        self.store.read_new(input_files(new))
        for module in ("run.step", "run.delivery", "reflex.bookkeeping_writer"):
            import_module(f"esorex_bridge.{module}")

    def _with_keys(
        self, plans: tuple[ParameterisedPlan | Unresolvable, ...], stamps: Mapping[str, str]
    ) -> tuple[ResolvedPlan | Unresolvable, ...]:
        """Return plans with their keys, worked out where they are not known under the plan's fingerprint."""
        fingerprints = [None if isinstance(plan, Unresolvable) else plan.fingerprint(stamps) for plan in plans]
        known = self.store.keys_by_fingerprint(fingerprint for fingerprint in fingerprints if fingerprint)
        pairs = tuple(zip(plans, fingerprints, strict=True))
        unknown = (plan.plan for plan, mark in pairs if isinstance(plan, ParameterisedPlan) and mark not in known)
        digests = self.store.digests(input_files(unknown))
        resolved: list[ResolvedPlan | Unresolvable] = []
        learnt: list[tuple[Plan, Fingerprint, tuple[StepKey, ...]]] = []
        for plan, mark in pairs:
            if isinstance(plan, Unresolvable):
                resolved.append(plan)
            elif mark in known:
                resolved.append(plan.with_keys(known[mark], partial(self._digests_of, plan.plan)))
            else:
                ahead = plan.with_contents(digests)
                resolved.append(ahead)
                seen = {file: stamps[file] for file in input_files((plan.plan,))}
                if mark and isinstance(ahead, ResolvedPlan) and self.store.trusts(seen):
                    learnt.append((plan.plan, mark, tuple(ahead.keys[step.name] for step in plan.plan.steps)))
        self.store.learn_keys(learnt)
        return tuple(resolved)

    def _digests_of(self, plan: Plan) -> dict[str, Digest | DataError]:
        return self.store.digests(input_files((plan,)))

    # ----- decide

    def find(self, resolved: Iterable[ResolvedPlan]) -> tuple[dict[StepName, Record | Absent], ...]:
        """Return what was made before of the steps of plans: by us, or by Reflex where its history was adopted."""
        listed = tuple(resolved)
        there = self.store.find_all(key for ahead in listed for key in ahead.keys.values())
        found = tuple({name: there[key] for name, key in ahead.keys.items()} for ahead in listed)
        if self.store.has_older():
            from esorex_bridge.run.takeover import take_over

            found = tuple(take_over(ahead, each, self.store) for ahead, each in zip(listed, found, strict=True))
        if not self.store.has_adopted():
            return found
        return tuple(self._adopt(ahead, each) for ahead, each in zip(listed, found, strict=True))

    def _adopt(self, ahead: ResolvedPlan, found: Mapping[StepName, Record | Absent]) -> dict[StepName, Record | Absent]:
        """Return records of a plan's steps with adopted ones of the same content, producers first."""
        from esorex_bridge.reflex.adopt import adopted_alike

        taken: dict[StepKey, Record] = {}
        adopted = dict(found)

        def find(key: StepKey) -> Record | Absent:
            """Return a record; what was adopted for an earlier step is not in the store under its key."""
            return taken.get(key) or self.store.find(key)

        for step in ahead.plan.steps:
            record = found[step.name]
            if isinstance(record, Absent):
                statement = ahead.stated[step.name]
                candidates = self.store.adopted_statements(statement.recipe)
                alike = (adopted_alike(statement, candidate, find) for candidate in candidates)
                record = next(filter(None, alike), record)
            if isinstance(record, Record):
                taken[ahead.keys[step.name]] = record
            adopted[step.name] = record
        return adopted

    def decide(
        self,
        resolved: Iterable[ResolvedPlan],
        nearest: Nearest | None = None,
        made: Collection[StepKey] = (),
    ) -> tuple[DecidedPlan, ...]:
        """Decide about every step of plans: reuse it, make it, or leave it.

        Parameters
        ----------
        resolved : iterable of ResolvedPlan
            The plans.
        nearest : callable, optional
            Returns the statement that a step is compared with to say why it runs; the store's by default.
        made : collection of StepKey
            Steps that were made since the policy was given: it forces them no more.
        """
        listed = tuple(resolved)
        decided = []
        for ahead, found in zip(listed, self.find(listed), strict=True):
            settled = [name for name, key in ahead.keys.items() if key in made] if made else ()
            chosen, compare = ahead.dataset.chosen, nearest or self.store.nearest
            decisions = decide(ahead.plan, ahead.stated, found, compare, self.policy, chosen, settled)
            before = {ahead.keys[name]: found[name] for name, _ in ahead.plan.before}
            decided.append(self._ask_reflex(DecidedPlan(ahead, decisions, require_records(before))))
        return tuple(decided)

    def _ask_reflex(self, decided: DecidedPlan) -> DecidedPlan:
        """Return decisions with what Reflex's own rule says, as far as the inputs of steps are there already."""
        if not self.policy.asks_reflex or not any(decision.how == "reflex" for decision in decided.executes):
            return decided
        from esorex_bridge.run.step import find_by_reflex

        ahead, records = decided.resolved, decided.records
        decisions: list[Decision] = []
        for decision in decided.decisions:
            step = decision.step
            asked = isinstance(decision, Execute) and decision.how == "reflex" and not step.gaps
            if asked and all(key in records for key in ahead.needs(step)):
                with suppress(BridgeError):  # What cannot be asked now fails when the step is begun, which is reported.
                    if record := find_by_reflex(ahead, step, records, self.workspace):
                        records[ahead.keys[step.name]] = record
                        decision = Reuse(step, record, by_reflex=True)
            decisions.append(decision)
        return replace(decided, decisions=tuple(decisions))

    # ----- execute

    def execute(self, decided: Iterable[DecidedPlan], reporter: Reporter, jobs: int = 1) -> Executed:
        """Make in this process what must be made, and return what came of it.

        A step that several datasets need is made once; one that failed stops only what needs it, unless the reporter
        says to stop.
        """
        listed = tuple(decided)
        if not any(plan.executes for plan in listed):
            return Executed({key: record for plan in listed for key, record in plan.records.items()})
        from esorex_bridge.run.execution import execute

        self.refuse_unwritable(listed)
        room = self.count_products(listed)
        room.refuse()
        reporter.tell_needs(room.needs)
        return execute(self.runner, self.store, self.workspace, listed, reporter, jobs, self.memory_mb)

    def refuse_unwritable(self, decided: Iterable[DecidedPlan]) -> None:
        """Refuse to begin what could not be recorded; UnwritableError with what is in the way."""
        from esorex_bridge.workspace.sharing import refuse_unwritable

        runs = ((plan.resolved.plan.workflow, step.step.actor) for plan in decided for step in plan.executes)
        refuse_unwritable(self.workspace, runs)

    def count_products(self, decided: Iterable[DecidedPlan]) -> Room:
        """Return the room of the data root with what the steps of plans will make."""
        from esorex_bridge.disk.room import Room

        footprint = self.footprint(Room(self.room))
        for plan in decided:
            footprint.add(plan)
        return footprint.room

    def footprint(self, room: Room) -> Footprint:
        """Return what counts in a room what the steps of plans will make."""
        from esorex_bridge.run.footprint import Footprint

        return Footprint(self.store, self.workspace, room)

    def refuse_unknown(self, plans: Iterable[Plan]) -> None:
        """Refuse a policy that names a recipe or a step that no plan has; UserError with those there are."""
        refuse_unknown(self.policy, names_in(plans))


def _recipes_of(plans: Iterable[Plan]) -> tuple[str, ...]:
    """Return the recipes that plans use, once each; the user's own steps are none."""
    return tuple(dict.fromkeys(step.recipe for plan in plans for step in plan.steps if not step.command))


def _with_own(installed: Recipes, plan: Plan) -> Recipes:
    """Return the recipes for a plan: what is installed, and the user's own steps."""
    if not any(step.command for step in plan.steps):
        return installed
    from esorex_bridge.esorex.user_steps import own_recipes

    return {**installed, **own_recipes(plan)}


def digest_of_named(value: str) -> Digest | None:
    """Return the digest of a file that a parameter names by its absolute path; None where it names none."""
    return read_digest(value).digest if value.startswith("/") and Path(value).is_file() else None


def resolvable(resolved: Iterable[ResolvedPlan | Unresolvable]) -> Iterator[ResolvedPlan]:
    """Yield the plans that could be resolved."""
    return (ahead for ahead in resolved if isinstance(ahead, ResolvedPlan))

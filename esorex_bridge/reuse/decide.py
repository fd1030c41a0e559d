"""Which steps to run: what is there is reused, what nothing needs is left, the rest is made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal

from msgspec import Struct, field

from esorex_bridge.errors import UnknownNameError
from esorex_bridge.plan.plan import Plan, Step, StepName
from esorex_bridge.reuse.explain import difference
from esorex_bridge.reuse.key import Statement
from esorex_bridge.reuse.record import TAKEN_OVER, Absent, How, Record

LazyMode = Literal["on", "off", "reflex"]
"""`on`: reuse what was made of the same content, parameters and versions. `off`: run everything. `reflex`: reuse what
Reflex's Lazy Mode would, by path, time and parameters; asked when a step's inputs are there."""

LAZY_MODES: tuple[LazyMode, ...] = ("on", "off", "reflex")


class Policy(Struct, frozen=True):
    """What the user says about reuse.

    Parameters
    ----------
    lazy : {'on', 'off', 'reflex'}
        For all recipes that are not named.
    by_recipe : mapping of str to {'on', 'off', 'reflex'}
        For single recipes.
    forced : tuple of str
        Recipes or steps (`naco_img_dark`, `naco_img_dark_1`) that run although they need not.
    start : tuple of str
        Recipes or steps that run with all that depends on them.
    """

    lazy: LazyMode = "on"
    by_recipe: Mapping[str, LazyMode] = field(default_factory=dict)
    forced: tuple[str, ...] = ()
    start: tuple[str, ...] = ()

    @property
    def asks_reflex(self) -> bool:
        """Whether Reflex's own rule decides about any recipe."""
        return self.lazy == "reflex" or "reflex" in self.by_recipe.values()

    def names(self, step: Step, listed: tuple[str, ...]) -> bool:
        """Tell whether a step, or its recipe, is in a list."""
        return step.recipe in listed or step.name in listed


_ALL_LAZY = Policy()


class Reuse(Struct, frozen=True, gc=False):
    """The products are there; `by_reflex` where Reflex's own rule says so."""

    step: Step
    record: Record
    by_reflex: bool = False

    @property
    def reason(self) -> str:
        """In words."""
        if self.by_reflex:
            return f"made {self.record.made}, reused by Reflex's own rule"
        taken_over = f"; {TAKEN_OVER}" if TAKEN_OVER in self.record.warnings else ""
        return f"made {self.record.made} from the same content, parameters and pipeline{taken_over}"


class Execute(Struct, frozen=True, gc=False):
    """The recipe must run: unless its products are there by then, in any case, or unless Reflex's rule finds some."""

    step: Step
    reason: str
    how: How = "unless_there"


class NotNeeded(Struct, frozen=True, gc=False):
    """The products are not there, and nothing that must run needs them."""

    step: Step
    reason: str = "its products are gone, and all that was made from them is there"


Decision = Reuse | Execute | NotNeeded


def decide(
    plan: Plan,
    stated: Mapping[StepName, Statement],
    found: Mapping[StepName, Record | Absent],
    nearest: Callable[[Statement], Statement | None],
    policy: Policy = _ALL_LAZY,
    chosen: Collection[str] = (),
    settled: Collection[StepName] = (),
) -> tuple[Decision, ...]:
    """Return a decision for each step of a plan, in its order.

    Decided from the last step backwards, because whether a master must be made depends on whether what is made from it
    must be.

    Parameters
    ----------
    plan : Plan
        The steps.
    stated : mapping of StepName to Statement
        What each step depends on.
    found : mapping of StepName to Record or Absent
        What was made before.
    nearest : callable
        Returns the statement that a step is compared with to say why it runs.
    policy : Policy
        What the user says about reuse.
    chosen : collection of str
        Files that the user's choices name: reasons say where they are why a step runs.
    settled : collection of StepName
        Steps that were made since the policy was given: it forces them no more.
    """
    forced = {name: why for name, why in find_forced(plan, policy).items() if name not in settled}
    needed = {step.name for step in plan.steps if step.target}
    decisions: list[Decision] = []
    for step in reversed(plan.steps):
        there = found[step.name]
        if step.name in forced:
            decisions.append(Execute(step, *forced[step.name]))
            needed.update(step.needs)
        elif isinstance(there, Record):
            decisions.append(Reuse(step, there))
        elif step.name in needed:
            statement = stated[step.name]
            decisions.append(Execute(step, there.reason or difference(statement, nearest(statement), chosen)))
            needed.update(step.needs)
        else:
            decisions.append(NotNeeded(step))
    return tuple(reversed(decisions))


def names_in(plans: Iterable[Plan]) -> set[str]:
    """Return the names of the recipes and steps of plans, by which a policy may name them."""
    return {name for plan in plans for step in plan.steps for name in (step.recipe, step.name)}


def refuse_unknown(policy: Policy, known: Collection[str]) -> None:
    """Refuse a policy that names what no plan has.

    Raises
    ------
    UnknownNameError
        If one does; the message names those there are.
    """
    for name in (*policy.by_recipe, *policy.forced, *policy.start):
        if name not in known:
            raise UnknownNameError("recipe or step", name, sorted(known), "the plan")


def find_forced(plan: Plan, policy: Policy) -> dict[StepName, tuple[str, How]]:
    """Return the steps about which our own records do not decide, with the reason."""
    reasons: dict[StepName, tuple[str, How]] = {}
    if policy == _ALL_LAZY:
        return reasons
    again: set[StepName] = set()
    for step in plan.steps:
        rerun = [name for name in step.needs if name in again]
        lazy = policy.by_recipe.get(step.recipe, policy.lazy)
        if policy.names(step, policy.start) or rerun:
            again.add(step.name)
            reasons[step.name] = f"{', '.join(rerun)} runs again" if rerun else "asked to start from here", "forced"
        elif policy.names(step, policy.forced):
            reasons[step.name] = "forced", "forced"
        elif lazy == "off":
            reasons[step.name] = "Lazy Mode is off", "forced"
        elif lazy == "reflex":
            reasons[step.name] = "Reflex's Lazy Mode finds nothing", "reflex"
    return reasons

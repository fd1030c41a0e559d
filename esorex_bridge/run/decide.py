"""Which steps to run: what is there is reused, what nothing needs is left, the rest is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from esorex_bridge.plan.plan import Plan, Step, StepName
from esorex_bridge.run.explain import difference
from esorex_bridge.run.key import Statement, StepKey
from esorex_bridge.run.ports import Absent, Record


@dataclass(frozen=True, slots=True)
class Reuse:
    """The products are there."""

    step: Step
    record: Record

    @property
    def reason(self) -> str:
        """In words."""
        return f"made {self.record.made} from the same content, parameters and pipeline"


@dataclass(frozen=True, slots=True)
class Execute:
    """The recipe must run."""

    step: Step
    reason: str


@dataclass(frozen=True, slots=True)
class NotNeeded:
    """The products are not there, and nothing that must run needs them."""

    step: Step
    reason: str = "its products are gone, and all that was made from them is there"


Decision = Reuse | Execute | NotNeeded


def decide(
    plan: Plan,
    stated: Mapping[StepName, Statement],
    find: Callable[[StepKey], Record | Absent],
    nearest: Callable[[Statement], Statement | None],
) -> tuple[Decision, ...]:
    """Return a decision for each step of a plan, in its order.

    Decided from the last step backwards, because whether a master must be made depends on whether what is made from it
    must be.
    """
    needed = {step.name for step in plan.steps if step.target}
    decisions: list[Decision] = []
    for step in reversed(plan.steps):
        statement = stated[step.name]
        found = find(statement.key())
        if isinstance(found, Record):
            decisions.append(Reuse(step, found))
        elif step.name in needed:
            decisions.append(Execute(step, found.reason or difference(statement, nearest(statement))))
            needed.update(step.needs)
        else:
            decisions.append(NotNeeded(step))
    return tuple(reversed(decisions))

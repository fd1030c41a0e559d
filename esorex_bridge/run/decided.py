"""Plans with decisions about their steps, and what came of these: what the engine hands on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field

from esorex_bridge.errors import DataError
from esorex_bridge.reuse.decide import Decision, Execute, Reuse
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.record import Absent, Record
from esorex_bridge.reuse.resolve import ResolvedPlan

if TYPE_CHECKING:
    from esorex_bridge.run.expected import Expected
    from esorex_bridge.run.graph import Node
    from esorex_bridge.run.result import StepResult


class DecidedPlan(Struct, frozen=True):
    """A plan with a decision about each of its steps.

    Parameters
    ----------
    resolved : ResolvedPlan
        The plan.
    decisions : tuple of Decision
        In the order of its steps.
    before : mapping of StepKey to Record
        What was made by the steps before its own.
    """

    resolved: ResolvedPlan
    decisions: tuple[Decision, ...]
    before: Mapping[StepKey, Record] = field(default_factory=dict)

    @property
    def executes(self) -> tuple[Execute, ...]:
        """The steps that must run."""
        return tuple(decision for decision in self.decisions if isinstance(decision, Execute))

    @property
    def records(self) -> dict[StepKey, Record]:
        """The records of the steps that are reused, by the keys that the plan has for them."""
        reused = (decision for decision in self.decisions if isinstance(decision, Reuse))
        return {**self.before, **{self.resolved.keys[each.step.name]: each.record for each in reused}}


def require_records(found: Mapping[StepKey, Record | Absent]) -> dict[StepKey, Record]:
    """Return the records of steps that were made before a plan.

    Raises
    ------
    DataError
        If the products of one are no longer there.
    """
    records = {key: record for key, record in found.items() if isinstance(record, Record)}
    gone = (record.reason for record in found.values() if isinstance(record, Absent))
    if len(records) < len(found):
        raise DataError("; ".join(sorted(set(gone))) or "what was made before is no longer recorded; make it again")
    return records


class Executed(Struct, frozen=True):
    """What came of decisions.

    Parameters
    ----------
    records : mapping of StepKey to Record
        What there is now.
    nodes : mapping of StepKey to Node
        The steps that were to be made.
    results : mapping of StepKey to Result
        What came of those that were begun.
    notes : mapping of StepKey to tuple of str
        What happened to steps on the way.
    expected : mapping of StepKey to Expected
        What steps are expected to take, of a dry run.
    """

    records: Mapping[StepKey, Record] = field(default_factory=dict)
    nodes: Mapping[StepKey, Node] = field(default_factory=dict)
    results: Mapping[StepKey, StepResult] = field(default_factory=dict)
    notes: Mapping[StepKey, tuple[str, ...]] = field(default_factory=dict)
    expected: Mapping[StepKey, Expected] = field(default_factory=dict)

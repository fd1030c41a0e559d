"""An account of a step: what it depends on, what was decided, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from esorex_bridge.definitions.parameters import RECIPE_DEFAULT
from esorex_bridge.plan.facts import Fact
from esorex_bridge.reuse.decide import Decision, Execute, Reuse
from esorex_bridge.reuse.explain import Change, changes
from esorex_bridge.reuse.key import Statement
from esorex_bridge.reuse.record import Absent, Record
from esorex_bridge.reuse.resolve import ResolvedPlan
from esorex_bridge.run.report import DecisionWord


class ExplainedParameter(Struct, frozen=True):
    """A recipe parameter with its value, and what set it."""

    name: str
    value: str
    origin: str


class ExplainedInput(Struct, frozen=True):
    """An input as the key of a step states it: its category, a digest or the step that makes it, and its name."""

    category: str
    content: str
    name: str


class ExplainedStep(Struct, frozen=True):
    """What a step depends on, what was decided about it, and why.

    Parameters
    ----------
    dataset, step, recipe : str
        Names.
    key : str
        The hash of all that it depends on.
    decision : {'execute', 'reuse', 'not_needed'}
        What was decided.
    reason : str
        Why, in words.
    pipeline, plugin : str
        Name with version, and digest, of what holds the recipe.
    parameters : tuple of ExplainedParameter
        Every parameter of the recipe.
    inputs : tuple of ExplainedInput
        In the order of the SOF.
    warnings, gaps : tuple of str
        What a reader of the products should know; why it cannot run.
    changes : tuple of Change
        Why it runs: what differs from the earlier run that is most like it.
    """

    dataset: str
    step: str
    recipe: str
    key: str
    decision: DecisionWord
    reason: str
    pipeline: str
    plugin: str
    parameters: tuple[ExplainedParameter, ...]
    inputs: tuple[ExplainedInput, ...]
    warnings: tuple[str, ...]
    gaps: tuple[str, ...]
    changes: tuple[Change, ...] = ()


class StepFact(Fact, frozen=True, tag="step"):
    """What is known of a step."""

    step: ExplainedStep


def explain_step(
    resolved: ResolvedPlan,
    decision: Decision,
    found: Record | Absent,
    nearest: Callable[[Statement], Statement | None],
) -> ExplainedStep:
    """Return all that a step depends on, and what was decided.

    Parameters
    ----------
    resolved : ResolvedPlan
        Its plan.
    decision : Decision
        About it.
    found : Record or Absent
        What was made of it before.
    nearest : callable
        Returns the statement that it is compared with.
    """
    step = decision.step
    statement = resolved.stated[step.name]
    return ExplainedStep(
        dataset=resolved.plan.dataset,
        step=step.name,
        recipe=step.recipe,
        key=resolved.keys[step.name],
        decision=_word_of(decision),
        reason=decision.reason,
        pipeline=statement.pipeline,
        plugin=statement.plugin,
        parameters=tuple(
            ExplainedParameter(each.schema.display_name, each.text, each.origin)
            for each in resolved.parameters[step.name]
        ),
        inputs=tuple(ExplainedInput(each.category, each.content, each.label) for each in statement.inputs),
        warnings=step.warnings,
        gaps=step.gaps,
        changes=_changes(resolved, decision, found, nearest),
    )


def _changes(
    resolved: ResolvedPlan, decision: Decision, found: Record | Absent, nearest: Callable[[Statement], Statement | None]
) -> tuple[Change, ...]:
    """Return why a step runs; nothing where it does not."""
    if not isinstance(decision, Execute):
        return ()
    if decision.how != "unless_there":
        return (Change("reflex" if decision.how == "reflex" else "forced", text=decision.reason),)
    if isinstance(found, Absent) and found.reason:
        return (Change("product_gone", text=found.reason),)
    statement = resolved.stated[decision.step.name]
    return changes(statement, nearest(statement), resolved.dataset.chosen)


def _word_of(decision: Decision) -> DecisionWord:
    if isinstance(decision, Reuse):
        return "reuse"
    return "execute" if isinstance(decision, Execute) else "not_needed"


def render(explained: ExplainedStep) -> Iterator[str]:
    """Yield the lines of an account for a person; parameters that have the recipe's own value are left out."""
    yield f"{explained.step} of {explained.dataset}: {explained.decision.replace('_', ' ')}: {explained.reason}"
    yield f"  recipe {explained.recipe} of {explained.pipeline}, key {explained.key[:16]}…"
    for parameter in explained.parameters:
        if parameter.origin != RECIPE_DEFAULT:
            yield f"  parameter {parameter.name} = {parameter.value} ({parameter.origin})"
    for entry in explained.inputs:
        yield f"  {entry.category}: {entry.name}"
    for text in explained.warnings:
        yield f"  warning: {text}"
    for text in explained.gaps:
        yield f"  cannot run: {text}"

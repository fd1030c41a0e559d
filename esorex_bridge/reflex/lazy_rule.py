"""Reflex's own Lazy Mode, for `lazy: reflex`: exactly its rule, with what it does not see.

Documented: "whether the pipeline recipe has already been executed with the same input files and with the same recipe
parameters". Input files are the same by path, category and checksum (so by their time); pipeline version, EsoRex and
purposes do not count. The execution must have ended with 0, and its products must be there with their checksums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC

from msgspec import Struct

from esorex_bridge.reflex.bookkeeping_records import NotedExecution, NotedFile


class ReflexQuestion(Struct, frozen=True):
    """What is about to be executed.

    Parameters
    ----------
    actor, recipe : str
        The step's name in the workflow, and EsoRex's name of its recipe.
    values : mapping of str to str
        Every parameter by full name, spelt as Java spells it.
    inputs : tuple of NotedFile
        The set of files; its order does not count.
    """

    actor: str
    recipe: str
    values: Mapping[str, str]
    inputs: tuple[NotedFile, ...]


class ReflexAnswer(Struct, frozen=True):
    """What Reflex would do: take the products of an execution, or (None) execute the recipe, and why."""

    execution: NotedExecution | None
    reason: str


def decide_as_reflex(
    question: ReflexQuestion, executions: Iterable[NotedExecution], is_whole: Callable[[NotedFile], bool]
) -> ReflexAnswer:
    """Return what Reflex's Lazy Mode would do.

    Parameters
    ----------
    question : ReflexQuestion
        What is about to be executed.
    executions : iterable of NotedExecution
        The bookkeeping.
    is_whole : callable
        Tells whether a product is there, with the checksum that was noted.
    """
    own = [each for each in executions if (each.actor, each.recipe) == (question.actor, question.recipe)]
    ended_well = [each for each in own if each.kind == "ESOREX" and each.exit_code == 0 and each.outputs]
    if not ended_well:
        return ReflexAnswer(None, f"{question.actor} was never executed to its end")
    wanted = _multiset(question.inputs)
    same_inputs = [each for each in ended_well if _multiset(each.inputs) == wanted]
    if not same_inputs:
        return ReflexAnswer(None, "never executed with these input files, of these paths and times")
    same = [each for each in same_inputs if each.values == dict(question.values)]
    if not same:
        return ReflexAnswer(None, "never executed with these parameters on these input files")
    for execution in sorted(same, key=lambda each: each.made, reverse=True):
        if all(map(is_whole, execution.outputs)):
            made = f"{execution.made.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
            return ReflexAnswer(execution, f"executed {made} with the same input files and parameters")
    return ReflexAnswer(None, "products of the earlier execution are gone or were changed")


def _multiset(files: Iterable[NotedFile]) -> Counter[tuple[str, str, str]]:
    return Counter((str(file.path), file.category, file.checksum) for file in files)

"""What is known of plans before anything runs: the parameters of every step, what it depends on, and its key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.definitions.parameters import Parameter, ParameterSetting, effective
from esorex_bridge.errors import DataError, RecipeError
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.files import Digest
from esorex_bridge.plan.plan import FileInput, Plan, Step, StepName
from esorex_bridge.reuse.key import Fingerprint, Statement, StepKey, fingerprint, statements


class ResolvedPlan(Struct, frozen=True):
    """A plan with all that can be known of it beforehand.

    Parameters
    ----------
    dataset : Dataset
        What is reduced.
    plan : Plan
        Its steps.
    recipes : mapping of str to Recipe
        The installed recipes that it uses.
    parameters : mapping of StepName to tuple of Parameter
        Every parameter of every step.
    stated : mapping of StepName to Statement
        What each step depends on.
    keys : mapping of StepName to StepKey
        The hashes of these, and the keys of the steps that were made before.
    """

    dataset: Dataset
    plan: Plan
    recipes: Mapping[str, Recipe]
    parameters: Mapping[StepName, tuple[Parameter, ...]]
    stated: Mapping[StepName, Statement]
    keys: Mapping[StepName, StepKey]

    def needs(self, step: Step) -> tuple[StepKey, ...]:
        """Return the keys of the steps whose products a step takes."""
        return tuple(self.keys[name] for name in step.needs)


class Unresolvable(Struct, frozen=True):
    """A plan that cannot be resolved, with the reason: a recipe is not installed, a file is damaged."""

    dataset: Dataset
    plan: Plan
    reason: str


class ParameterisedPlan(Struct, frozen=True):
    """A plan whose recipes are installed and whose parameters are known; nobody has looked at its files yet.

    Parameters
    ----------
    dataset : Dataset
        What is reduced.
    plan : Plan
        Its steps.
    recipes : mapping of str to Recipe
        The installed recipes that it uses.
    parameters : mapping of StepName to tuple of Parameter
        Every parameter of every step.
    named : mapping of str to Digest
        Of the files that parameters name.
    """

    dataset: Dataset
    plan: Plan
    recipes: Mapping[str, Recipe]
    parameters: Mapping[StepName, tuple[Parameter, ...]]
    named: Mapping[str, Digest]

    def fingerprint(self, stamps: Mapping[str, str]) -> Fingerprint | None:
        """Return the fingerprint under which the keys of the steps may be known; None where a file is missing.

        Parameters
        ----------
        stamps : mapping of str to str
            What changes with the content of each file.
        """
        files = [stamps[file] for file in input_files((self.plan,))]
        if not all(files):
            return None
        return fingerprint(self.plan, self.recipes, {**self.named, **dict(self.plan.before)}, files)

    def with_contents(self, digests: Mapping[str, Digest | DataError]) -> ResolvedPlan | Unresolvable:
        """Return the plan with its keys, given the content of its files; or why it cannot be resolved."""
        contents: dict[str, Digest] = {}
        problems: set[str] = set()
        for file in input_files((self.plan,)):
            content = digests[file]
            if isinstance(content, DataError):
                problems.add(str(content))
            else:
                contents[file] = content
        if problems:
            return Unresolvable(self.dataset, self.plan, "; ".join(sorted(problems)))
        return self._with(*statements(self.plan, contents, self.recipes, self.parameters, self.named))

    def with_keys(
        self, keys: Iterable[StepKey], digests: Callable[[], Mapping[str, Digest | DataError]]
    ) -> ResolvedPlan:
        """Return the plan with keys that are known; `digests` are asked for where a statement is wanted.

        Raises
        ------
        DataError
            If a file cannot be read any more by then.
        """

        def state() -> Mapping[StepName, Statement]:
            resolved = self.with_contents(digests())
            if isinstance(resolved, Unresolvable):
                raise DataError(resolved.reason)
            return resolved.stated

        names = (step.name for step in self.plan.steps)
        before = {name: StepKey(key) for name, key in self.plan.before}
        return self._with(_Statements(state), {**before, **dict(zip(names, keys, strict=True))})

    def _with(self, stated: Mapping[StepName, Statement], keys: Mapping[StepName, StepKey]) -> ResolvedPlan:
        return ResolvedPlan(self.dataset, self.plan, self.recipes, self.parameters, stated, keys)


class _Statements(Mapping[StepName, Statement]):
    """Statements that are worked out when one is wanted: an up-to-date run wants none."""

    def __init__(self, work_out: Callable[[], Mapping[StepName, Statement]]) -> None:
        self._work_out = work_out

    @cached_property
    def _all(self) -> Mapping[StepName, Statement]:
        return self._work_out()

    def __getitem__(self, name: StepName) -> Statement:
        return self._all[name]

    def __iter__(self) -> Iterator[StepName]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def set_parameters(
    dataset: Dataset,
    plan: Plan,
    recipes: Mapping[str, Recipe | RecipeError],
    digest_of_named: Callable[[str], Digest | None],
) -> ParameterisedPlan | Unresolvable:
    """Return a plan with every parameter of every step, or why it cannot be resolved.

    Parameters
    ----------
    dataset : Dataset
        What is reduced.
    plan : Plan
        Its steps.
    recipes : mapping of str to Recipe or RecipeError
        As installed, or why one is not.
    digest_of_named : callable
        Returns the digest of the file that the value of a parameter names; None where it names none.

    Raises
    ------
    ParameterError
        If a parameter is unknown to its recipe, or has a value that is not allowed: the user must correct that first.
    """
    wanted = {step.recipe: recipes[step.recipe] for step in plan.steps}
    problems = sorted(str(found) for found in wanted.values() if isinstance(found, RecipeError))
    if problems:
        return Unresolvable(dataset, plan, "; ".join(problems))
    installed = {name: recipe for name, recipe in wanted.items() if isinstance(recipe, Recipe)}
    known: dict[tuple[str, tuple[ParameterSetting, ...]], tuple[Parameter, ...]] = {}
    parameters = {}
    for step in plan.steps:
        given = step.recipe, step.settings
        if given not in known:
            known[given] = effective(step.recipe, installed[step.recipe].parameters, step.settings)
        parameters[step.name] = known[given]
    texts = {parameter.text for each in known.values() for parameter in each if parameter.schema.valtype == "string"}
    by_name = {text: digest for text in texts if (digest := digest_of_named(text)) is not None}
    return ParameterisedPlan(dataset, plan, installed, parameters, by_name)


def input_files(plans: Iterable[Plan]) -> tuple[str, ...]:
    """Return the paths of the files that plans take, once each."""
    return tuple(
        dict.fromkeys(
            entry.file for plan in plans for step in plan.steps for entry in step.inputs if isinstance(entry, FileInput)
        )
    )

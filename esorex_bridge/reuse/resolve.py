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
        The hashes of these.
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
    """A plan that cannot even be foreseen, with the reason: a recipe is not installed, a file is damaged."""

    dataset: Dataset
    plan: Plan
    reason: str


class Settled(Struct, frozen=True):
    """A plan whose recipes are installed and whose parameters are settled; nobody has looked at its files yet.

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
        """Return the seal under which the keys of the steps may be known; None where a file is missing.

        Parameters
        ----------
        stamps : mapping of str to str
            What changes with the content of each file.
        """
        files = [stamps[file] for file in input_files((self.plan,))]
        return fingerprint(self.plan, self.recipes, self.named, files) if all(files) else None

    def foreseen(self, digests: Mapping[str, Digest | DataError]) -> ResolvedPlan | Unresolvable:
        """Return what is known beforehand, given the content of the files; or what holds the plan up."""
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
        stated = statements(self.plan, contents, self.recipes, self.parameters, self.named)
        return self._foreseen(*stated)

    def known(self, keys: Iterable[StepKey], digests: Callable[[], Mapping[str, Digest | DataError]]) -> ResolvedPlan:
        """Return what is known beforehand, given the keys; `digests` are asked for where a statement is wanted.

        Raises
        ------
        DataError
            Then, where a file cannot be read any more.
        """

        def stated() -> Mapping[StepName, Statement]:
            foreseen = self.foreseen(digests())
            if isinstance(foreseen, Unresolvable):
                raise DataError(foreseen.reason)
            return foreseen.stated

        names = (step.name for step in self.plan.steps)
        return self._foreseen(_Stated(stated), dict(zip(names, keys, strict=True)))

    def _foreseen(self, stated: Mapping[StepName, Statement], keys: Mapping[StepName, StepKey]) -> ResolvedPlan:
        return ResolvedPlan(self.dataset, self.plan, self.recipes, self.parameters, stated, keys)


class _Stated(Mapping[StepName, Statement]):
    """Statements that are worked out when one is wanted: a run that finds all made wants none."""

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


def settle(
    dataset: Dataset,
    plan: Plan,
    recipes: Mapping[str, Recipe | RecipeError],
    named: Callable[[str], Digest | None] = lambda _: None,
) -> Settled | Unresolvable:
    """Return a plan with its parameters settled, or what holds it up.

    `named` gives the digest of the file that the value of a parameter names, where it names one.

    Raises
    ------
    ParameterError
        A parameter is unknown to its recipe, or has a value that is not allowed: the user must mend that first.
    """
    asked = {step.recipe: recipes[step.recipe] for step in plan.steps}
    problems = sorted(str(found) for found in asked.values() if isinstance(found, RecipeError))
    if problems:
        return Unresolvable(dataset, plan, "; ".join(problems))
    installed = {name: recipe for name, recipe in asked.items() if isinstance(recipe, Recipe)}
    settled: dict[tuple[str, tuple[ParameterSetting, ...]], tuple[Parameter, ...]] = {}
    parameters = {}
    for step in plan.steps:
        asked_for = step.recipe, step.settings
        if asked_for not in settled:
            settled[asked_for] = effective(step.recipe, installed[step.recipe].parameters, step.settings)
        parameters[step.name] = settled[asked_for]
    texts = {parameter.text for each in settled.values() for parameter in each if parameter.schema.valtype == "string"}
    by_name = {text: digest for text in texts if (digest := named(text)) is not None}
    return Settled(dataset, plan, installed, parameters, by_name)


def input_files(plans: Iterable[Plan]) -> tuple[str, ...]:
    """Return the paths of the files that plans take, once each."""
    return tuple(
        dict.fromkeys(
            entry.file for plan in plans for step in plan.steps for entry in step.inputs if isinstance(entry, FileInput)
        )
    )

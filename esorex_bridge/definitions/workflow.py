"""The definition of an instrument's workflow: its recipes, which categories they take, and what they make of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.errors import UserError

STATES = ("verified on real recipes", "from documentation")
"""How far a definition can be trusted."""


class ParameterChoice(Struct, frozen=True):
    """A named set of parameters, of which a user chooses one.

    Parameters
    ----------
    name : str
        Its name.
    is_default : bool
        Whether it counts where nobody chooses.
    workflow : tuple of (str, str)
        Parameters of the workflow: what conditions ask, and keywords that stand for `$name`.
    steps : tuple of (str, tuple of (str, str))
        Recipe parameters by step.
    """

    name: str
    is_default: bool = False
    workflow: tuple[tuple[str, str], ...] = ()
    steps: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()


RULES_ALONE = "none"
"""In the place of a definition's name: what definitions know of recipes is not added to the rules of a pipeline."""


class Workflow(Struct, frozen=True):
    """All that is known of how an instrument's data are reduced.

    Parameters
    ----------
    name, title : str
        Short name (`naco`) and a line for people.
    instruments : tuple of str
        Values of `INSTRUME` and prefixes of dp_ids that it is for.
    applies : tuple of (str, tuple of str)
        Keywords with the values, or the ranges of numbers, for which it is: `INS.MODE` of imaging only, `MJD-OBS`
        before the detector was changed (`..56100`). Empty: for all.
    pipeline : str
        Name of the pipeline that has the recipes.
    state : str
        One of `STATES`.
    steps : tuple of StepDefinition
        In the order of the file.
    versions, sources : tuple of str
        Pipeline versions tried, and where the facts come from.
    unsupported : tuple of (str, str)
        Categories that no recipe reduces, each with the reason: their files are reported, and nothing is missing.
    several_makers : tuple of str
        Categories that several recipes make, each of raws of its own: a response from standards that nod, or stare.
    extends : str
        Name of the workflow that this one changes; empty for a whole one.
    source : str
        The file it was read from.
    sets : tuple of ParameterChoice
        Of a workflow package: its parameter sets.
    """

    name: str
    title: str
    instruments: tuple[str, ...]
    pipeline: str
    state: str
    steps: tuple[StepDefinition, ...]
    versions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    applies: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unsupported: tuple[tuple[str, str], ...] = ()
    several_makers: tuple[str, ...] = ()
    extends: str = ""
    source: str = ""
    sets: tuple[ParameterChoice, ...] = ()

    def serves(self, instrument: str, keywords: Mapping[str, object]) -> bool:
        """Tell whether it is for data of an instrument with these keywords; one that is not there does not count."""
        if instrument.upper() not in (name.upper() for name in self.instruments):
            return False
        given = ((str(keywords[key]).strip(), values) for key, values in self.applies if keywords.get(key) is not None)
        return all(any(_agrees(value, wanted) for wanted in values) for value, values in given)

    def step_for(self, categories: Iterable[str]) -> StepDefinition | None:
        """Return the step that processes files of these categories: the one that takes most of them as main files."""
        return next(iter(self.steps_for(categories)), None)

    def steps_for(self, categories: Iterable[str]) -> tuple[StepDefinition, ...]:
        """Return all steps that take files of these categories as main files, that which takes most of them first."""
        wanted = set(categories)
        taking = (step for step in self.steps if wanted.intersection(step.main))
        return tuple(sorted(taking, key=lambda step: -len(wanted.intersection(step.main))))


def _agrees(value: str, wanted: str) -> bool:
    """Tell whether a keyword's value is the one wanted, or lies in a range of numbers: `56100..`, `..56100`."""
    low, dots, high = wanted.partition("..")
    if value == wanted or not dots:
        return value == wanted
    try:
        number = float(value)
        return float(low or "-inf") <= number < float(high or "inf")
    except ValueError:
        return False


def choose_workflow(
    workflows: Iterable[Workflow], instrument: str, keywords: Mapping[str, object] | None = None
) -> Workflow:
    """Return the first workflow that is for an instrument.

    Parameters
    ----------
    workflows : iterable of Workflow
        The user's own first.
    instrument : str
        `INSTRUME`, or the prefix of a dp_id.
    keywords : mapping, optional
        Of a science file, where one is at hand.

    Raises
    ------
    UserError
        If no workflow is for it.
    """
    known = tuple(workflows)
    found = {} if keywords is None else keywords  # to ask a header whether it is empty parses all of it
    for workflow in known:
        if workflow.serves(instrument, found):
            return workflow
    same = [workflow for workflow in known if workflow.serves(instrument, {})]
    modes = "; ".join(
        f"{key} of {workflow.name}: {', '.join(values)}" for workflow in same for key, values in workflow.applies
    )
    names = ", ".join(sorted({name for workflow in known for name in workflow.instruments}))
    why = f"for this mode ({modes})" if same else f"(there are: {names})"
    raise UserError(f"no workflow for instrument '{instrument}' {why}; give one with --workflow FILE")

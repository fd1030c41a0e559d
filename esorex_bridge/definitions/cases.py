"""Cases: parameters of a step that hold for some files or inputs alone, as values and as YAML."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.definitions.located import Located, Scalar

CASE_FIELDS = ("when", "without", "parameters")

Parameters = tuple[tuple[str, Scalar], ...]


class Condition(Struct, frozen=True):
    """What a header says of a keyword.

    Parameters
    ----------
    keyword : str
        Of the primary header; `DET.CHIP.NY[1]` is one of the first extension, as in Reflex.
    values : tuple of str
        It has one of them. Where there are none and no limit, it is not there.
    below : float or None
        It is a number less than this.
    """

    keyword: str
    values: tuple[str, ...] = ()
    below: float | None = None

    def holds(self, keywords: Mapping[str, object]) -> bool:
        """Tell whether it is so of files with these keywords."""
        value = keywords.get(self.keyword)
        if self.below is not None:
            return isinstance(value, int | float) and value < self.below
        return str(value).strip() in self.values if value is not None else not self.values


class Case(Struct, frozen=True):
    """Recipe parameters for some files or inputs.

    Parameters
    ----------
    when : tuple of Condition
        What the header of the first main file says; all must hold.
    parameters : tuple of (str, value)
        What holds then, in place of the step's own parameters.
    without : tuple of str
        Tags of calibrations, of which the recipe gets not every one.
    """

    when: tuple[Condition, ...]
    parameters: Parameters
    without: tuple[str, ...] = ()

    def fits(self, keywords: Mapping[str, object], tags: Collection[str]) -> bool:
        """Tell whether files with these keywords, and what a recipe gets with them, by its tags, are of this case."""
        lacking = not self.without or any(tag not in tags for tag in self.without)
        return lacking and all(each.holds(keywords) for each in self.when)


def without_parameters(cases: Iterable[Case], names: Collection[str]) -> tuple[Case, ...]:
    """Return cases without what they say of some parameters."""
    kept = ((each, tuple(pair for pair in each.parameters if pair[0] not in names)) for each in cases)
    return tuple(replace(each, parameters=parameters) for each, parameters in kept if parameters)


def read_cases(listed: Located) -> tuple[Case, ...]:
    """Read the cases of a step.

    Raises
    ------
    DefinitionError
        If it says something that is not allowed; the message has file, line, and what is allowed.
    """
    return tuple(map(_read_case, listed.sequence("cases")))


def _read_case(element: Located) -> Case:
    fields = element.fields("a case", CASE_FIELDS, required=("parameters",))
    when = tuple(_read_condition(key, said) for key, said in fields["when"].items("when")) if "when" in fields else ()
    without = fields["without"].texts("without") if "without" in fields else ()
    if not (when or without):
        raise element.complain("a case without conditions is for all files; write its parameters beside the cases")
    return Case(when, read_parameters(fields["parameters"]), without)


def _read_condition(keyword: str, said: Located) -> Condition:
    if said.is_scalar and said.scalar(keyword) is None:
        return Condition(keyword)
    if said.is_mapping:
        limit = said.fields(f"the condition of {keyword}", ("below",), required=("below",))["below"]
        return Condition(keyword, below=limit.number("below"))
    return Condition(keyword, said.texts(f"values of {keyword}"))


def read_parameters(listed: Located) -> Parameters:
    """Read recipe parameters with their values; errors as `read_cases`."""
    return tuple((name, value.scalar(f"parameter {name}")) for name, value in listed.items("parameters"))


def write_cases(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """Return cases as the values of a document that `read_cases` reads."""
    return [
        {
            **({"when": {each.keyword: _write_condition(each) for each in case.when}} if case.when else {}),
            **({"without": list(case.without)} if case.without else {}),
            "parameters": dict(case.parameters),
        }
        for case in cases
    ]


def _write_condition(each: Condition) -> dict[str, float] | list[str] | None:
    return {"below": each.below} if each.below is not None else list(each.values) or None

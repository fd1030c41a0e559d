"""Cases: parameters of a step that hold for files whose header says something, as values and as YAML."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from esorex_bridge.definitions.located import Located, Scalar

CASE_FIELDS = ("when", "parameters")

Parameters = tuple[tuple[str, Scalar], ...]


class Case(Struct, frozen=True):
    """Recipe parameters for files of some keywords.

    Parameters
    ----------
    when : tuple of (str, tuple of str)
        Keywords with the values that the first main file has one of; all must fit, and one that is not there does not.
    parameters : tuple of (str, value)
        What holds then, in place of the step's own parameters.
    """

    when: tuple[tuple[str, tuple[str, ...]], ...]
    parameters: Parameters

    def fits(self, keywords: Mapping[str, object]) -> bool:
        """Tell whether files with these keywords are of this case."""
        given = ((keywords.get(key), values) for key, values in self.when)
        return all(value is not None and str(value).strip() in values for value, values in given)


def read_cases(listed: Located) -> tuple[Case, ...]:
    """Read the cases of a step.

    Raises
    ------
    DefinitionError
        With file, line, and what is allowed.
    """
    return tuple(map(_read_case, listed.sequence("cases")))


def _read_case(element: Located) -> Case:
    fields = element.fields("a case", CASE_FIELDS, required=CASE_FIELDS)
    when = tuple((key, values.texts(f"values of {key}")) for key, values in fields["when"].items("when"))
    if not when:
        raise element.complain("a case without keywords is for all files; write its parameters beside the cases")
    return Case(when, read_parameters(fields["parameters"]))


def read_parameters(listed: Located) -> Parameters:
    """Read recipe parameters with their values; errors as `read_cases`."""
    return tuple((name, value.scalar(f"parameter {name}")) for name, value in listed.items("parameters"))

"""What ESO Reflex notes of an execution of a recipe, as values, and how it spells them.

Layout and words: a database and the execution folders of a run of Reflex 2.9.1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from esorex_bridge.definitions.parameters import Parameter, ParameterSchema, Value

FITS_FILE = "org.eso.domain.FitsFile"
RECIPE_PARAMETER = "org.eso.domain.RecipeParameter"


class NotedFile(Struct, frozen=True):
    """A file that went into an execution, or came out of it.

    Parameters
    ----------
    path : Path
        Where it lay; absolute.
    category : str
        Its tag.
    checksum : str
        Reflex's.
    purposes : tuple of str
        What it was for, own action first; empty: universal. The database does not have them.
    """

    path: Path
    category: str
    checksum: str
    purposes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the JSON object that Reflex writes."""
        return {
            "purposes": list(self.purposes),
            "name": str(self.path),
            "checksum": self.checksum,
            "category": self.category,
            "class": FITS_FILE,
        }


class NotedParameter(Struct, frozen=True):
    """A recipe's parameter as the database has it; all values are texts there, spelt as Java spells them."""

    recipe: str
    name: str
    display_name: str
    description: str
    valtype: str
    partype: str
    valmin: str | None
    valmax: str | None
    valenum: str | None
    value: str


class NotedExecution(Struct, frozen=True):
    """One execution of a recipe.

    Parameters
    ----------
    actor : str
        The workflow's name for the step (`vmbias_1`).
    recipe : str
        EsoRex's name of the recipe; empty where the notes do not tell.
    made : datetime
        When it began, with its zone.
    command_line : str
        What was run.
    folder : Path
        The execution folder.
    exit_code : int
        EsoRex's.
    parameters : tuple of NotedParameter
        All of them.
    inputs, outputs : tuple of NotedFile
        In the order of the set of files and of the products.
    kind : str
        `ESOREX` for recipes.
    sof_name : str
        Name of its set of files in the folder.
    """

    actor: str
    recipe: str
    made: datetime
    command_line: str
    folder: Path
    exit_code: int
    parameters: tuple[NotedParameter, ...] = ()
    inputs: tuple[NotedFile, ...] = ()
    outputs: tuple[NotedFile, ...] = ()
    kind: str = "ESOREX"
    sof_name: str = "data.sof"

    @property
    def values(self) -> dict[str, str]:
        """The parameters' values by full name."""
        return {parameter.name: parameter.value for parameter in self.parameters}


def noted_parameter(recipe: str, parameter: Parameter) -> NotedParameter:
    """Return a parameter as the database has it."""
    schema = parameter.schema
    limits = [None if limit is None else java_text(limit, schema.valtype) for limit in (schema.minimum, schema.maximum)]
    return NotedParameter(
        recipe=recipe,
        name=schema.name,
        display_name=schema.display_name,
        description=schema.description,
        valtype=schema.valtype,
        partype=_partype(schema),
        valmin=limits[0],
        valmax=limits[1],
        valenum=json.dumps(schema.choices, separators=(",", ":"), ensure_ascii=False),
        value=java_text(parameter.value, schema.valtype),
    )


def parameter_document(recipe: str, parameter: Parameter) -> dict[str, Any]:
    """Return the JSON object of a parameter in `parameters.json`."""
    schema = parameter.schema
    limits = {"valmin": schema.minimum, "valmax": schema.maximum}
    return {
        **({"valenum": list(schema.choices)} if schema.choices else {}),
        **{name: limit for name, limit in limits.items() if limit is not None},
        "valtype": schema.valtype,
        "partype": _partype(schema),
        "name": schema.name,
        "recipe": recipe,
        "description": schema.description,
        "display_name": schema.display_name,
        "class": RECIPE_PARAMETER,
        "value": parameter.value,
    }


def parameter_of_document(document: Mapping[str, Any]) -> NotedParameter:
    """Return a parameter of `parameters.json` as the database would have it; missing parts are empty."""
    valtype = str(document.get("valtype", "string"))
    limits = [None if (limit := document.get(name)) is None else java_text(limit, valtype)
              for name in ("valmin", "valmax")]  # fmt: skip
    return NotedParameter(
        recipe=str(document.get("recipe", "")),
        name=str(document.get("name", "")),
        display_name=str(document.get("display_name", "")),
        description=str(document.get("description", "")),
        valtype=valtype,
        partype=str(document.get("partype", "value")),
        valmin=limits[0],
        valmax=limits[1],
        valenum=json.dumps(document.get("valenum") or [], separators=(",", ":"), ensure_ascii=False),
        value=java_text(document.get("value", ""), valtype),
    )


def java_text(value: Value | None, valtype: str) -> str:
    """Return a value as Java spells it, which is what the database and Reflex's settings files have.

    >>> java_text(5, "double"), java_text(1e-6, "double"), java_text(True, "bool"), java_text(5, "int")
    ('5.0', '1.0E-6', 'true', '5')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if valtype != "double" or isinstance(value, str):
        return str(value)
    number = float(value)
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return _plain(number)
    digits, _, exponent = f"{number!r}".lower().partition("e")
    if not exponent:
        return _scientific(number)
    return f"{digits if '.' in digits else digits + '.0'}E{int(exponent)}"


def next_purpose(purpose: str) -> tuple[str, ...]:
    """Return the purposes of products: that of the inputs without its first section, as Reflex strips them.

    >>> next_purpose("BIAS/IFU_CAL/SCI_IFU"), next_purpose("SCI_IFU")
    (('IFU_CAL/SCI_IFU',), ())
    """
    rest = purpose.partition("/")[2]
    return (rest,) if rest else ()


def _partype(schema: ParameterSchema) -> str:
    if schema.choices:
        return "enum"
    return "value" if schema.minimum is None and schema.maximum is None else "range"


def _plain(number: float) -> str:
    text = f"{number!r}"
    return f"{number:.17f}".rstrip("0") if "e" in text else text


def _scientific(number: float) -> str:
    """Spell a number that Python writes plainly and Java does not (1e7 and more, below 1e-3)."""
    digits = f"{number!r}".replace(".", "").replace("-", "")
    significant = digits.strip("0") or "0"
    exponent = f"{number:.17e}".partition("e")[2]
    sign = "-" if number < 0 else ""
    return f"{sign}{significant[0]}.{significant[1:] or '0'}E{int(exponent)}"

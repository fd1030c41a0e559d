"""Recipe parameters: what a recipe has, what was asked for, and what it will run with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from esorex_bridge.errors import UserError
from esorex_bridge.values import Scalar

Value = str | int | float | bool

RECIPE_DEFAULT = "recipe default"
"""The origin of a value that nobody gave."""


_LEAST_INT, _MOST_INT = -(2**31), 2**31 - 1
"""What an `int` of a recipe holds; EsoRex makes -1 of what is larger, and says nothing."""


class ParameterError(UserError):
    """A parameter is unknown to its recipe, or its value is not allowed there."""


class ParameterSetting(Struct, frozen=True):
    """A value that somebody gave to a recipe's parameter.

    Parameters
    ----------
    recipe, name : str
        The recipe, and the parameter as on the command line (`bpm`) or in full (`naco.naco_img_twflat.bpm`).
    value : str, int, float or bool
        As given; a text is read as the parameter's type.
    origin : str
        Where it came from, for reports: `workflow naco`, `--set`.
    """

    recipe: str
    name: str
    value: Scalar
    origin: str


def read_setting(name: str, value: object, origin: str = "--set") -> ParameterSetting:
    """Return what a user sets: `RECIPE.PARAM`, and the value.

    Raises
    ------
    UserError
        If the name is not of that form.
    """
    recipe, dot, parameter = name.partition(".")
    if not (dot and recipe and parameter):
        raise UserError(f"'{name}' names no parameter; write RECIPE.PARAM, such as naco_img_dark.nsamples")
    return ParameterSetting(recipe, parameter, value if isinstance(value, str | int | float) else str(value), origin)


class ParameterSchema(Struct, frozen=True):
    """One parameter as EsoRex's `--create-config=x.json` describes it.

    Parameters
    ----------
    name : str
        Full name, as in an `.rc` file.
    display_name : str
        Name on the command line.
    valtype : {'string', 'bool', 'int', 'double'}
        Type of the value.
    default : str, int, float or bool
        The recipe's own value.
    choices : tuple
        Allowed values of an enumeration; empty otherwise.
    minimum, maximum : float or None
        Limits of a range.
    description : str
        The recipe's words.
    """

    name: str
    display_name: str
    valtype: Literal["string", "bool", "int", "double"]
    default: Value
    choices: tuple[Value, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    description: str = ""


class Parameter(Struct, frozen=True):
    """A parameter with the value that a run uses, and where the value came from."""

    schema: ParameterSchema
    value: Value
    origin: str

    @property
    def text(self) -> str:
        """The value as EsoRex reads it: `TRUE`/`FALSE` for bools (it refuses Python's `True`), numbers in one form."""
        if isinstance(self.value, bool):
            return "TRUE" if self.value else "FALSE"
        return str(float(self.value)) if self.schema.valtype == "double" else str(self.value)


def read_schemas(text: str) -> tuple[ParameterSchema, ...]:
    """Read what `esorex --create-config=x.json RECIPE` wrote."""
    return tuple(
        ParameterSchema(
            name=entry["name"],
            display_name=entry["display_name"],
            valtype=entry["valtype"],
            default=entry["value"],
            choices=tuple(entry.get("valenum") or ()),
            minimum=entry.get("valmin"),
            maximum=entry.get("valmax"),
            description=entry.get("description", ""),
        )
        for entry in json.loads(text)
    )


def read_settings(text: str, source: str) -> tuple[ParameterSetting, ...]:
    """Read a YAML file of recipe parameters (`naco_img_dark: {nsamples: 50}`).

    Raises
    ------
    DefinitionError
        If it says something that is not allowed; the message has file, line, and what is allowed.
    """
    from esorex_bridge.definitions.located import read_yaml

    return tuple(
        ParameterSetting(recipe, name, value.scalar(f"parameter {name}"), f"{source}:{value.line}")
        for recipe, parameters in read_yaml(text, source).items("a file of parameters")
        for name, value in parameters.items(f"the parameters of {recipe}")
    )


def effective(
    recipe: str, schemas: Iterable[ParameterSchema], settings: Iterable[ParameterSetting]
) -> tuple[Parameter, ...]:
    """Return every parameter of a recipe with the value it will run with; a later setting wins over an earlier one.

    Raises
    ------
    ParameterError
        If a setting names a parameter that the recipe does not have, or a value outside type, enumeration or range.
    """
    known = tuple(schemas)
    chosen: dict[str, ParameterSetting] = {}
    for setting in settings:
        if setting.recipe == recipe:
            chosen[_find(known, setting).name] = setting
    return tuple(
        Parameter(schema, check_value(schema, chosen[schema.name]), chosen[schema.name].origin)
        if schema.name in chosen
        else Parameter(schema, schema.default, RECIPE_DEFAULT)
        for schema in known
    )


def check_value(schema: ParameterSchema, setting: ParameterSetting) -> Value:
    """Return a setting's value in the parameter's type.

    Raises
    ------
    ParameterError
        If it is of another type, not in the enumeration, or outside the range.
    """
    value = _convert(schema, setting)
    if schema.choices and value not in schema.choices:
        allowed = ", ".join(map(str, schema.choices))
        raise ParameterError(f"{_place(setting)} is {value}; allowed: {allowed} (from {setting.origin})")
    if schema.valtype == "int" and not _LEAST_INT <= int(value) <= _MOST_INT:
        limits = f"{_LEAST_INT} to {_MOST_INT}"
        raise ParameterError(f"{_place(setting)} is {value}; recipes take {limits} (from {setting.origin})")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low = schema.minimum is not None and value < schema.minimum
        high = schema.maximum is not None and value > schema.maximum
        if low or high:
            limits = f"{schema.minimum} to {schema.maximum}"
            raise ParameterError(f"{_place(setting)} is {value}; allowed: {limits} (from {setting.origin})")
    return value


def _find(known: tuple[ParameterSchema, ...], setting: ParameterSetting) -> ParameterSchema:
    for schema in known:
        if setting.name in (schema.display_name, schema.name):
            return schema
    names = ", ".join(schema.display_name for schema in known) or "none"
    raise ParameterError(
        f"recipe {setting.recipe} has no parameter '{setting.name}' (from {setting.origin}); it has: {names}"
    )


def _convert(schema: ParameterSchema, setting: ParameterSetting) -> Value:
    value = setting.value
    text = "" if value is None else str(value).strip()
    if schema.valtype == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if schema.valtype == "string" and not isinstance(value, bool):
        return text
    if not isinstance(value, bool):
        try:
            return (
                int(text)
                if schema.valtype == "int"
                else float(text)
                if schema.valtype == "double"
                else _refuse(schema, setting)
            )
        except ValueError:
            pass
    return _refuse(schema, setting)


def _refuse(schema: ParameterSchema, setting: ParameterSetting) -> Value:
    kind = {"bool": "true or false", "int": "a whole number", "double": "a number", "string": "a text"}[schema.valtype]
    raise ParameterError(f"{_place(setting)} is '{setting.value}'; it must be {kind} (from {setting.origin})")


def _place(setting: ParameterSetting) -> str:
    return f"parameter {setting.name} of {setting.recipe}"

from __future__ import annotations

import pytest

from esorex_bridge.definitions.parameters import (
    ParameterError,
    ParameterSchema,
    ParameterSetting,
    effective,
    read_schemas,
)

SCHEMAS = read_schemas(
    """[
 {"name": "toy.toy_dark.r", "value": "1 2", "valtype": "string", "partype": "value", "display_name": "r"},
 {"name": "toy.toy_dark.n", "value": 10, "valtype": "int", "partype": "range",
  "valmin": 1, "valmax": 99, "display_name": "n"},
 {"name": "toy.toy_dark.x", "value": 5, "valtype": "double", "partype": "value", "display_name": "x"},
 {"name": "toy.toy_dark.how", "value": "median", "valtype": "string", "partype": "enum", "valenum": ["median", "mean"],
  "display_name": "how"},
 {"name": "toy.toy_dark.on", "value": false, "valtype": "bool", "partype": "value", "display_name": "on"}]"""
)


def values(**given: str | int | float | bool) -> dict[str, str]:
    settings = [ParameterSetting("toy_dark", name, value, "--set") for name, value in given.items()]
    return {found.schema.display_name: found.text for found in effective("toy_dark", SCHEMAS, settings)}


def test_defaults_hold_where_nothing_is_said() -> None:
    assert values() == {"r": "1 2", "n": "10", "x": "5.0", "how": "median", "on": "FALSE"}


def test_texts_are_read_as_the_parameters_type() -> None:
    assert values(n="12", x="1e3", on="True", how="mean", r="8 8") == {
        "r": "8 8", "n": "12", "x": "1000.0", "how": "mean", "on": "TRUE",
    }  # fmt: skip


def test_the_later_setting_wins_and_full_names_are_understood() -> None:
    settings = [
        ParameterSetting("toy_dark", "n", 12, "workflow toy"),
        ParameterSetting("toy_dark", "toy.toy_dark.n", "13", "--set"),
        ParameterSetting("other", "n", "14", "--set"),
    ]
    found = effective("toy_dark", SCHEMAS, settings)[1]
    assert (found.value, found.origin) == (13, "--set")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n", "1.5", "must be a whole number"),
        ("n", 100, "allowed: 1 to 99"),
        ("n", True, "must be a whole number"),
        ("on", "yes", "must be true or false"),
        ("how", "mode", "allowed: median, mean"),
        ("x", "much", "must be a number"),
        ("unknown", 1, "has no parameter 'unknown'.*it has: r, n, x, how, on"),
    ],
)
def test_a_value_that_the_recipe_would_refuse_is_refused_before_it_runs(name: str, value: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        values(**{name: value})


@pytest.mark.parametrize("value", ["99999999999999999999", -(2**31) - 1, 2**31])
def test_a_whole_number_that_a_recipe_cannot_hold_is_refused(value: str | int) -> None:
    schema = ParameterSchema("toy.n", "n", "int", 4)
    with pytest.raises(ParameterError, match="recipes take -2147483648 to 2147483647"):
        effective("toy", (schema,), (ParameterSetting("toy", "n", value, "--set"),))

"""Parameter sets of a workflow package: YAML 1.1 with anchors and merges, every value kept as the text that it is."""

from __future__ import annotations

from typing import Any

import yaml

from esorex_bridge.definitions.edps.package import ParameterSet
from esorex_bridge.errors import UserError

_MOST_VALUES = 200_000
_YES = ("yes", "true", "on", "1")


class _TextLoader(yaml.SafeLoader):
    """Knows mappings, lists, texts and `<<`; numbers and booleans stay as they are written."""

    merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge what `<<` names; a few lines of it can multiply to more than memory holds."""
        super().flatten_mapping(node)
        self.merged += len(node.value)
        if self.merged > _MOST_VALUES:
            raise yaml.YAMLError(f"it merges to more than {_MOST_VALUES} values")


_TextLoader.yaml_implicit_resolvers = {
    "<": [("tag:yaml.org,2002:merge", yaml.SafeLoader.yaml_implicit_resolvers["<"][0][1])]
}


def read_parameter_sets(text: str, source: str) -> tuple[ParameterSet, ...]:
    """Read a file of parameter sets.

    Raises
    ------
    UserError
        If it is not YAML, or holds more values than anybody writes (anchors can multiply them).
    """
    try:
        top = yaml.load(text, _TextLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{source} cannot be read: {error}") from None
    left = [_MOST_VALUES]
    return tuple(
        ParameterSet(
            name=str(name),
            is_default=str(_mapping(body).get("is_default", "")).lower() in _YES,
            workflow=_texts(_mapping(body).get("workflow_parameters"), left, source),
            recipes={
                str(task): _texts(values, left, source)
                for task, values in _mapping(_mapping(body).get("recipe_parameters")).items()
            },
            file=source,
        )
        for name, body in _mapping(top).items()
        if isinstance(body, dict)
    )


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any, left: list[int], source: str) -> dict[str, str]:
    found = {}
    for name, each in _mapping(value).items():
        left[0] -= 1
        if left[0] < 0:
            raise UserError(f"{source} holds more than {_MOST_VALUES} values")
        if isinstance(each, dict | list):
            continue
        found[str(name)] = "" if each is None else str(each)
    return found


def choose_set(sets: tuple[ParameterSet, ...], name: str | None, package: str) -> ParameterSet:
    """Return a parameter set by name, or the default one; an empty one where there is none.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    if name is None:
        default = next((each for each in sets if each.is_default), None)
        return default or next(iter(sets), ParameterSet("no parameter set"))
    for each in sets:
        if name in (each.name, each.name.removesuffix("_parameters")):
            return each
    known = ", ".join(each.name for each in sets) or "none"
    raise UserError(f"{package} has no parameter set '{name}'; it has: {known}")

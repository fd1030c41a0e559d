"""What the products of a step depend on: stated in full, and hashed to a key.

Paths, names and times of files are not in it: moved, renamed or downloaded again, the same content gives the same key.
An upstream step enters by its own key, so every key is known before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from typing import NewType

from msgspec import Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from esorex_bridge.definitions.parameters import Parameter
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.files import Digest
from esorex_bridge.plan.plan import FileInput, Plan, Step, StepName
from esorex_bridge.version import __version__

STATEMENT_VERSION = 2
"""Raised when the meaning of a statement changes. A statement without libraries has the meaning of version 1."""

FILE_WORD = "file "
"""What stands before the digest where a parameter names a file."""

_STEP_WORD = "step:"

_AT_A_TIME = 500
"""Steps and stamps that are hashed at a time: to find room for a text of ten thousand takes longer than to write it."""

StepKey = NewType("StepKey", str)
"""64 hex digits: the SHA-256 of the canonical statement."""

Fingerprint = NewType("Fingerprint", str)
"""64 hex digits: the SHA-256 of all from which the keys of a plan are worked out, its files by what they look like."""


class InputStatement(Struct, frozen=True, gc=False):
    """One input of a step: its tag, and its content (`sha256:…`) or origin (`step:<key>/<category>`)."""

    category: str
    content: str
    label: str

    @property
    def source(self) -> str:
        """The label, without the number that a plan gives the step: another plan may count otherwise."""
        return self.label.rstrip("0123456789") if self.content.startswith(_STEP_WORD) else self.label


class Statement(Struct, frozen=True, gc=False):
    """All that the products of a step depend on.

    Parameters
    ----------
    recipe : str
        EsoRex's name of the recipe.
    pipeline : str
        Name and version (`naco/4.4.11`).
    plugin : Digest
        Of the recipe's plugin file: a rebuilt pipeline of the same version counts as another.
    parameters : tuple of (str, str)
        Every parameter of the recipe, full name and value, defaults included.
    inputs : tuple of InputStatement
        In the order of the SOF: the first frame gives products their header.
    libraries : tuple of (str, str)
        The shared libraries that the plugin runs with, by name: digest, or the name of the file. Empty where they are
        not known: in records of version 0.1.0 and of Reflex, and for steps of your own.
    """

    recipe: str
    pipeline: str
    plugin: Digest
    parameters: tuple[tuple[str, str], ...]
    inputs: tuple[InputStatement, ...]
    libraries: tuple[tuple[str, str], ...] = ()

    def canonical(self) -> bytes:
        """Return the text (JSON) that is hashed; labels are for people and are not in it."""
        stated = {
            "version": STATEMENT_VERSION if self.libraries else 1,
            "recipe": self.recipe,
            "pipeline": self.pipeline,
            "plugin": self.plugin,
            "parameters": sorted(self.parameters),
            "inputs": [(entry.category, entry.content) for entry in self.inputs],
        }
        return _encode({**stated, "libraries": self.libraries} if self.libraries else stated)

    def key(self) -> StepKey:
        """Return the hash of the canonical text."""
        return StepKey(sha256(self.canonical()).hexdigest())

    def document(self) -> str:
        """Return the whole statement as JSON text, labels included; `read_statement` reads it back."""
        return _encode(self).decode()


def read_statement(document: str) -> Statement:
    """Read what `Statement.document` wrote."""
    return _decoder().decode(document)


def steps_in(statement: Statement) -> tuple[StepKey, ...]:
    """Return the keys of the steps whose products a statement names."""
    origins = (entry.content for entry in statement.inputs if entry.content.startswith(_STEP_WORD))
    return tuple(StepKey(content.removeprefix(_STEP_WORD).partition("/")[0]) for content in origins)


def is_file(entry: InputStatement) -> bool:
    """Tell whether an input is a file, and no product of another step of its plan."""
    return not entry.content.startswith(_STEP_WORD)


def statements(
    plan: Plan,
    contents: Mapping[str, Digest],
    recipes: Mapping[str, Recipe],
    parameters: Mapping[StepName, tuple[Parameter, ...]],
    files: Mapping[str, Digest],
) -> tuple[dict[StepName, Statement], dict[StepName, StepKey]]:
    """Return the statement and the key of every step of a plan; steps with gaps get them too, of what they have.

    `contents` are the digests of its files, `files` those of files that parameters name.
    """
    found: dict[StepName, Statement] = {}
    keys = {name: StepKey(key) for name, key in plan.before}
    for step in plan.steps:
        found[step.name] = Statement(
            recipe=step.recipe,
            pipeline=recipes[step.recipe].pipeline,
            plugin=recipes[step.recipe].plugin,
            parameters=tuple(
                (parameter.schema.name, _state(parameter.text, files)) for parameter in parameters[step.name]
            ),
            inputs=tuple(_inputs(step, contents, keys)),
            libraries=recipes[step.recipe].libraries,
        )
        keys[step.name] = found[step.name].key()
    return found, keys


def older_keys(stated: Mapping[StepName, Statement], keys: Mapping[StepName, StepKey]) -> dict[StepName, StepKey]:
    """Return the keys that the steps of a plan had in version 0.1.0, whose statements had no libraries."""
    older: dict[StepName, StepKey] = {}
    contents: dict[str, str] = {}
    for name, statement in stated.items():
        inputs = tuple(replace(entry, content=_older(entry.content, contents)) for entry in statement.inputs)
        older[name] = replace(statement, inputs=inputs, libraries=()).key()
        contents[keys[name]] = older[name]
    return older


def _older(content: str, keys: Mapping[str, str]) -> str:
    if not content.startswith(_STEP_WORD):
        return content
    key, slash, product = content.removeprefix(_STEP_WORD).partition("/")
    return f"{_STEP_WORD}{keys.get(key, key)}{slash}{product}"


def fingerprint(
    plan: Plan, recipes: Mapping[str, Recipe], named: Mapping[str, str], stamps: Iterable[str]
) -> Fingerprint:
    """Return the seal of a plan: the same seal, the same keys, so they need not be worked out again.

    Parameters
    ----------
    plan : Plan
        The steps.
    recipes : mapping of str to Recipe
        The installed recipes that it uses.
    named : mapping of str to Digest
        Of the files that parameters name.
    stamps : iterable of str
        Of the files that the plan takes: what changes with their content.
    """
    used = [
        (recipe.name, recipe.pipeline, recipe.plugin, recipe.parameters, recipe.libraries)
        for recipe in recipes.values()
    ]
    looks = list(stamps)
    sealed = sha256(_encode((__version__, STATEMENT_VERSION, used, named, len(plan.steps), len(looks))))
    for start in range(0, len(plan.steps), _AT_A_TIME):
        part = plan.steps[start : start + _AT_A_TIME]
        sealed.update(_encode([(step.name, step.recipe, step.inputs, step.settings) for step in part]))
    for start in range(0, len(looks), _AT_A_TIME):
        sealed.update(_encode(looks[start : start + _AT_A_TIME]))
    return Fingerprint(sealed.hexdigest())


def _state(text: str, files: Mapping[str, Digest]) -> str:
    """Return a parameter's value as it is stated: a file that it names counts by its content."""
    return f"{FILE_WORD}{files[text]}" if text in files else text


def _inputs(step: Step, contents: Mapping[str, Digest], keys: Mapping[StepName, StepKey]) -> list[InputStatement]:
    stated: list[InputStatement] = []
    for entry in step.inputs:
        if isinstance(entry, FileInput):
            stated.append(InputStatement(entry.category, contents[entry.file], entry.name))
        else:
            origin = f"{_STEP_WORD}{keys[entry.step]}/{entry.words}"
            stated.append(InputStatement(entry.category, origin, f"{entry.words} of {entry.step}"))
    return stated


_encode = Encoder(order="sorted").encode


@cache
def _decoder() -> Decoder[Statement]:
    """Return what reads statements; it is made where one is read first, because that takes half a millisecond."""
    return Decoder(Statement)

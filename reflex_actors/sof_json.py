"""What travels between Reflex actors, as values: a set of files (SoF), a set of parameters (SoP), in JSON and as text.

Python 3.8 and the standard library only: Reflex's own interpreter loads this module. Encodings: ESO's `reflex` module
and recorded runs of Reflex 2.9 (docs/reference/actors.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

SET_OF_FILES = "org.eso.domain.SetOfFiles"
FITS_FILE = "org.eso.domain.FitsFile"
RECIPE_PARAMETER = "org.eso.domain.RecipeParameter"

SEPARATORS = "|,;"
"""Characters that separate the parts of a SoF in text form, which has no way to escape them."""

_TOKEN = re.compile(r"([^:,=\s]+):([^:,=]+)=(.*)", re.DOTALL)
_BETWEEN_TOKENS = re.compile(r"\n|,(?=\s*[^:,=\s]+:[^:,=\n]+=)")
_PARAMETER_KEYS = ("description", "name", "partype", "valenum", "valmax", "valmin", "valtype", "value")


class EncodingError(ValueError):
    """A value is no SoF or SoP, or cannot be written as one; the message is for the user."""


@dataclass(frozen=True)
class FitsFile:
    """A file on its way between actors.

    Parameters
    ----------
    name : str
        Absolute path.
    category : str
        Its tag.
    purposes : tuple of str
        What it is for, own action first (`BIAS/FLAT/SCIENCE`); kept sorted and once each, as Reflex keeps them. Empty:
        universal.
    checksum : str or None
        Reflex's; None lets Reflex take it.
    """

    name: str
    category: str
    purposes: tuple[str, ...] = ()
    checksum: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "purposes", tuple(sorted({text for text in self.purposes if text})))

    @property
    def universal(self) -> bool:
        """Whether it serves every purpose."""
        return not self.purposes

    def document(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "class": FITS_FILE,
            "name": self.name,
            "category": self.category,
            "purposes": list(self.purposes),
            "checksum": self.checksum,
        }


@dataclass(frozen=True)
class SetOfFiles:
    """A SoF: the files of one dataset that an actor works on."""

    dataset: str = ""
    files: tuple[FitsFile, ...] = ()

    @property
    def purposes(self) -> tuple[str, ...]:
        """All purposes of all files, sorted."""
        return tuple(sorted({purpose for file in self.files for purpose in file.purposes}))

    def with_files(self, files: Iterable[FitsFile]) -> SetOfFiles:
        """Return a SoF of the same dataset with other files."""
        return replace(self, files=tuple(files))

    def document(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"class": SET_OF_FILES, "datasetName": self.dataset, "files": [file.document() for file in self.files]}

    def text(self) -> str:
        """Return the text form, `dataset|path;CATEGORY;PURPOSE:PURPOSE,…`; checksums are not in it.

        Raises
        ------
        EncodingError
            If a part holds a separator.
        """
        if "|" in self.dataset:
            raise EncodingError(f"the dataset's name {self.dataset!r} holds '|', which separates it from its files")
        return self.dataset + "|" + ",".join(map(_file_text, self.files))


@dataclass(frozen=True)
class RecipeParameter:
    """One parameter of a recipe.

    Parameters
    ----------
    recipe, display_name : str
        The recipe, and the parameter's name on the command line.
    fields : tuple of (str, value)
        What else is known: `name`, `description`, `value`, `valtype`, `partype`, `valmin`, `valmax`, `valenum`.
    """

    recipe: str
    display_name: str
    fields: tuple[tuple[str, Any], ...] = ()

    @property
    def value(self) -> Any:
        """Its value; None where none is given."""
        return dict(self.fields).get("value")

    def with_value(self, value: Any) -> RecipeParameter:
        """Return the parameter with another value."""
        return replace(self, fields=tuple(sorted({**dict(self.fields), "value": value}.items())))

    def document(self) -> dict[str, Any]:
        """Return the JSON object."""
        named = {"class": RECIPE_PARAMETER, "recipe": self.recipe, "display_name": self.display_name}
        return {**named, **{key: list(value) if isinstance(value, tuple) else value for key, value in self.fields}}

    def text(self) -> str:
        """Return `recipe:parameter=value`.

        Raises
        ------
        EncodingError
            If the value would be taken for something else when it is read again.
        """
        text = f"{self.recipe}:{self.display_name}={value_text(self.value)}"
        if _BETWEEN_TOKENS.search(text) or not _TOKEN.fullmatch(text):
            name = f"{self.display_name} of {self.recipe}"
            raise EncodingError(f"parameter {name} cannot be written as text: {self.value!r}")
        return text


def parameter(recipe: str, name: str, value: Any) -> RecipeParameter:
    """Return a parameter that is known by its name and value alone."""
    return RecipeParameter(recipe, name, (("value", value),))


def value_text(value: Any) -> str:
    """Return a parameter's value as text: `true` and `false` as JSON has them, nothing for None."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def sop_document(parameters: Iterable[RecipeParameter]) -> list[dict[str, Any]]:
    """Return the JSON list of a SoP."""
    return [each.document() for each in parameters]


def read_sof(value: Any) -> SetOfFiles:
    """Read a SoF from JSON values, JSON text, or the text form.

    Raises
    ------
    EncodingError
        If it is none.
    """
    if isinstance(value, str):
        return _read_sof_text(value)
    if not isinstance(value, Mapping) or "files" not in value:
        raise EncodingError(f"not a set of files: {_show(value)}")
    files = value["files"]
    if not isinstance(files, (list, tuple)):
        raise EncodingError(f"the files of a set of files must be a list: {_show(files)}")
    return SetOfFiles(str(value.get("datasetName") or ""), tuple(map(read_file, files)))


def read_file(value: Any) -> FitsFile:
    """Read one file of a SoF from JSON values."""
    try:
        purposes, checksum = value.get("purposes") or (), value.get("checksum")
        if not isinstance(purposes, (list, tuple)) or value["name"] is None or value["category"] is None:
            raise TypeError
        return FitsFile(str(value["name"]), str(value["category"]), tuple(map(str, purposes)), checksum)
    except (AttributeError, KeyError, TypeError):
        raise EncodingError(f"not a file of a set of files: {_show(value)}") from None


def read_sop(value: Any) -> tuple[RecipeParameter, ...]:
    """Read a SoP from JSON values, JSON text, or the text form.

    Raises
    ------
    EncodingError
        If it is none.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            return read_sop(_parse(text))
        return tuple(_read_token(token) for token in _BETWEEN_TOKENS.split(text) if token.strip())
    if not isinstance(value, (list, tuple)):
        raise EncodingError(f"this is no list of recipe parameters: {_show(value)}")
    return tuple(map(_read_parameter, value))


def _read_parameter(value: Any) -> RecipeParameter:
    try:
        known = tuple((key, _freeze(value[key])) for key in _PARAMETER_KEYS if key in value)
        return RecipeParameter(str(value["recipe"]), str(value["display_name"]), known)
    except (KeyError, TypeError):
        raise EncodingError(f"a recipe parameter needs 'recipe' and 'display_name': {_show(value)}") from None


def _freeze(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _read_token(token: str) -> RecipeParameter:
    found = _TOKEN.fullmatch(token.strip("\r\n \t")) or _TOKEN.fullmatch(token.lstrip())
    if found is None:
        raise EncodingError(f"{token!r} is not of the form recipe:parameter=value")
    return parameter(found.group(1), found.group(2), found.group(3))


def _read_sof_text(text: str) -> SetOfFiles:
    if text.lstrip().startswith("{"):
        return read_sof(_parse(text))
    dataset, bar, listed = text.partition("|")
    if not bar:
        form = "dataset|path;CATEGORY;PURPOSES,…"
        raise EncodingError(f"a set of files as text is {form}; this has no '|': {_show(text)}")
    return SetOfFiles(dataset, tuple(_read_file_text(word) for word in listed.split(",") if word))


def _read_file_text(text: str) -> FitsFile:
    parts = text.split(";")
    if len(parts) != 3 or "|" in text:
        raise EncodingError(
            f"{text!r} is not path;CATEGORY;PURPOSES. A path with '|', ',' or ';' cannot be written so: "
            "rename the folder, or make a symbolic link to it"
        )
    return FitsFile(parts[0], parts[1], tuple(parts[2].split(":")))


def _file_text(file: FitsFile) -> str:
    refuse_separators(file.name)
    if re.search("[|,;:]", file.category + "".join(file.purposes)):
        raise EncodingError(f"the category or a purpose of {file.name} holds a separator")
    return ";".join((file.name, file.category, ":".join(file.purposes)))


def refuse_separators(path: str) -> None:
    """Refuse a path that Reflex's text form cannot hold.

    Raises
    ------
    EncodingError
        If it holds a separator; the message says what to do.
    """
    found = " and ".join(f"'{char}'" for char in SEPARATORS if char in path)
    if found:
        raise EncodingError(
            f"the path {path} holds {found}, which separates files in Reflex's sets of files: "
            "rename the folder, or make a symbolic link to it without that character"
        )


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EncodingError(f"this is no JSON ({error}): {_show(text)}") from None


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 120 else text[:117] + "..."

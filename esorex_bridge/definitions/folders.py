"""Definition files: in which folders they lie, and which of them are read.

Parsing all of them takes longer than planning a night, so the file for an instrument is found by its text first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from msgspec import Struct, field
from msgspec.msgpack import encode

from esorex_bridge.definitions.spelling import instrument_name, plain_letters
from esorex_bridge.definitions.workflow import Workflow, choose_workflow
from esorex_bridge.disk.digest import digest_of_bytes
from esorex_bridge.disk.remembered import memory_folder, recall, remember, version_of
from esorex_bridge.errors import UnknownNameError, UserError

SUFFIX = ".yaml"
EXTENDS = "extends"
"""What a definition says that takes over another."""
_EXTENDED = re.compile(rf"^{EXTENDS}:[ \t]*([\w-]+)[ \t]*(?:#.*)?$", re.MULTILINE)
WORKFLOWS_VARIABLE = "ESOREX_BRIDGE_WORKFLOWS"
"""Folders of definitions, separated by colons, that go before the user's own."""


class Definitions(Struct, frozen=True, eq=False):
    """The definitions of some folders, each read when first asked for.

    Parameters
    ----------
    folders : tuple of Path
        Those of the user first: a definition there wins over one of the same name, or for the same instrument, in a
        later folder. A folder that does not exist holds none.
    """

    folders: tuple[Path, ...]
    _read: dict[Path, Workflow] = field(default_factory=dict)
    _texts: dict[Path, bytes] = field(default_factory=dict)
    _candidates: dict[str, tuple[Workflow, ...]] = field(default_factory=dict)
    _paths: dict[str, Path] = field(default_factory=dict)
    _reading: list[Path] = field(default_factory=list)

    @property
    def paths(self) -> dict[str, Path]:
        """The file of each definition, by the file's stem."""
        if not self._paths:
            for folder in self.folders:
                for path in sorted(folder.glob(f"*{SUFFIX}")):
                    self._paths.setdefault(path.stem, path)
        return self._paths

    def all(self) -> tuple[Workflow, ...]:
        """Return all definitions, the user's first; errors as `read`."""
        return tuple(self.read(path) for path in self.paths.values())

    def find(self, name: str) -> Workflow:
        """Return a definition by its file's stem, or by an instrument that has no other.

        Raises
        ------
        UserError
            If there is none, or the instrument has several.
        """
        stems = self.stems_of(name)
        if len(stems) > 1:
            raise UserError(f"{name} has {len(stems)} definitions, for its modes; name one of {', '.join(stems)}")
        return self.of_file(stems[0] if stems else name)

    def look_up(self, given: Path) -> Workflow:
        """Return the definition that a user names: by its file, or as `find` does; errors as `find` and `read`."""
        plain = given.name == given.stem == str(given)
        if not given.is_file() and (str(given) in self.paths or plain):
            return self.find(str(given))
        return self.read(given)

    def of_file(self, stem: str) -> Workflow:
        """Return a definition by its file's stem; errors as `read`, and UserError where there is none."""
        if stem not in self.paths:
            raise UnknownNameError("workflow", stem, sorted(self.paths), lister="esorex-bridge workflows")
        return self.read(self.paths[stem])

    def stems_of(self, name: str) -> tuple[str, ...]:
        """Return the definitions of a name, or of an instrument in any of ESO's spellings; errors as `read`."""
        if name in self.paths:
            return (name,)
        plain = plain_letters(name)
        if alike := [stem for stem in self.paths if plain and plain_letters(stem) == plain]:
            return tuple(alike)
        instrument = instrument_name(name)
        return tuple(
            stem
            for stem, path in self.paths.items()
            if self._may_serve(path, instrument) and self.read(path).serves(instrument, {})
        )

    def choose(self, instrument: str, keywords: Mapping[str, object]) -> Workflow:
        """Return the definition for an instrument and the keywords of a science file.

        Raises
        ------
        UserError
            If none is for it.
        DefinitionError
            If a definition for it says something that is not allowed.
        """
        return choose_workflow(self._candidates_for(instrument), instrument, keywords)

    def list_looked_at(self, instrument: str) -> tuple[str, ...]:
        """Return the keywords that `choose` looks at for an instrument; errors as `choose`."""
        return tuple(dict.fromkeys(key for each in self._candidates_for(instrument) for key, _ in each.applies))

    def _candidates_for(self, instrument: str) -> tuple[Workflow, ...]:
        if instrument not in self._candidates:
            naming = tuple(path for path in self.paths.values() if self._may_serve(path, instrument))
            self._candidates[instrument] = tuple(map(self.read, naming)) if naming else self.all()
        return self._candidates[instrument]

    def read(self, path: Path) -> Workflow:
        """Read a definition.

        Raises
        ------
        UserError
            If it cannot be read, or extends one that is not there.
        DefinitionError
            If it says something that is not allowed.
        """
        if path in self._reading:
            raise UserError(f"{path} extends itself, by way of {self._reading[-1]}")
        if path not in self._read:
            self._reading.append(path)
            try:
                workflow = self._parse(path)
            finally:
                self._reading.pop()
            self._read[path] = workflow if path.parent == workflow_folder() else _match_by_rules(workflow)
        return self._read[path]

    def _parse(self, path: Path) -> Workflow:
        text = read_text(path)
        base = _Base(self, path)
        named = _EXTENDED.search(text)
        if named is not None:
            return _parse_extending(text, str(path), base, base(named[1]))
        if EXTENDS in text:
            from esorex_bridge.definitions.workflow_yaml import parse_workflow

            return parse_workflow(text, str(path), base)
        return _parse_whole(text, str(path))

    def _may_serve(self, path: Path, instrument: str) -> bool:
        """Tell whether a definition's text names an instrument, or that of the definition whose names it takes over."""
        base: Path | None = path
        seen: list[Path] = []
        while base is not None and base not in seen:
            seen.append(base)
            text = self._text_of(base)
            if instrument.upper().encode() in text:
                return True
            extends = re.search(rb"\n%b:\s*(\S*)" % EXTENDS.upper().encode(), text)
            if extends is None or b"\nINSTRUMENTS:" in text:
                return False
            named = extends[1].decode(errors="replace")
            base = next((each for stem, each in self.paths.items() if stem.upper() == named), None)
        return True

    def _text_of(self, path: Path) -> bytes:
        """Return the text of a definition in capitals, as far as instruments are written in them."""
        if path not in self._texts:
            try:
                self._texts[path] = path.read_bytes().upper()
            except OSError:
                read_text(path)  # says what is wrong
                raise
        return self._texts[path]


@lru_cache(maxsize=256)
def _parse_whole(text: str, source: str) -> Workflow:
    """Return a definition that extends no other; the same text says the same, so it is read once for a user."""
    return _recall_or_parse(f"{source}\0{text}".encode(), text, source)


def _parse_extending(text: str, source: str, base: Callable[[str], Workflow], start: Workflow) -> Workflow:
    """Return a definition that extends another: the same text says the same of the same workflow."""
    return _recall_or_parse(f"{source}\0{text}\0".encode() + encode(start), text, source, base)


def _recall_or_parse(content: bytes, text: str, source: str, base: Callable[[str], Workflow] | None = None) -> Workflow:
    """Return a definition, which is remembered under all from which it is read."""
    digest = digest_of_bytes(content).partition(":")[2]
    place = memory_folder("definitions") / f"{digest}.{_version_of_readers()}"
    known = recall(place, Workflow)
    if known is None:
        from esorex_bridge.definitions.workflow_yaml import parse_workflow

        known = parse_workflow(text, source, base)
        remember(place, known)
    return known


@lru_cache(maxsize=1)
def _version_of_readers() -> str:
    """Return what tells the version of the code that reads definitions."""
    return version_of(Path(__file__).parent.glob("*.py"))


def _match_by_rules(workflow: Workflow) -> Workflow:
    """Let calibrations without a written `match` compare what the rules of the installed pipeline compare.

    Our own definitions write what the rules compare, so that nobody waits for rules to be read.
    """
    if all(each.match_from == "written" for step in workflow.steps for each in step.calibrations):
        return workflow
    from esorex_bridge.definitions.comparison import with_rules_match
    from esorex_bridge.definitions.installed_rules import rules_for

    rules = rules_for(workflow)
    return workflow if rules is None else with_rules_match(workflow, rules)


class _Base(Struct, frozen=True):
    """Finds the definition that another extends: one of the same name is that of a later folder."""

    definitions: Definitions
    path: Path

    def __call__(self, name: str) -> Workflow:
        if name != self.path.stem:
            return self.definitions.of_file(name)
        later = [folder for folder in self.definitions.folders if folder != self.path.parent]
        return Definitions(tuple(later)).of_file(name)


def read_text(path: Path) -> str:
    """Return the text of a file that a person wrote.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}; name a file that is there") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text in UTF-8 ({error.reason} at byte {error.start}); name a text") from None


def own_definitions() -> Definitions:
    """Return the definitions that count: the user's own first, then those that come with the bridge."""
    return Definitions(definition_folders())


def workflow_folder() -> Path:
    """Return the folder of the workflow definitions: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "workflows"
    return installed if installed.is_dir() else package.parent / "workflows"


def user_workflow_folder() -> Path:
    """Return the folder of the user's own definitions, `esorex-bridge/workflows` where settings are kept."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "esorex-bridge" / "workflows"


def definition_folders() -> tuple[Path, ...]:
    """Return the folders of definitions: those that the environment names, the user's own, and the bridge's."""
    named = os.environ.get(WORKFLOWS_VARIABLE, "")
    return (*(Path(folder) for folder in named.split(os.pathsep) if folder), user_workflow_folder(), workflow_folder())


def read_workflow(path: Path) -> Workflow:
    """Read a workflow definition from a file; errors as `Definitions.read`."""
    return own_definitions().read(path)

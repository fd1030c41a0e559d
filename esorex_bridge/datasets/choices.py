"""Choices of a user among calibrations and parameters, kept beside the data and applied by every later run.

The file is YAML, meant to be read by people:

    version: 1
    datasets:
      NACO.2016-03-02T00:30:00.076_tpl:
        use: {CAL_DARK/IMGJITOBJ: NACO.2016-03-01T16:00:00.000}
        drop: [NACO.2016-03-01T22:40:00.000]
        replace: {MASTER_IMG_FLAT: /data/my_flat.fits}
        parameters: {naco_img_dark: {nsamples: 50}}
    packages:
      crires.crires_wkf:
        CRIRE.2021-11-11T01:02:03.456:
          use: {dark/flat/science: CRIRE.2021-11-10T16:00:00.000}

What was chosen for datasets that a workflow package of EDPS makes stands by the package: its datasets, inputs and
purposes are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile, Purpose, files_of, purposes, walk_actions
from esorex_bridge.errors import UserError
from esorex_bridge.files import stem

Value = str | int | float | bool
"""Of a recipe parameter."""

VERSION = 1
MARK = "Chosen by you: "
"""How a message begins that tells of a choice."""

Makes = Callable[[Action], tuple[str, ...]]
"""Tells the categories of the products that an action makes."""

Takes = Callable[[Action], tuple[str, ...]]
"""Tells the categories of main files that go into the same run as those of an action."""


class Choices(Struct, frozen=True):
    """What a user chose for one dataset.

    Parameters
    ----------
    use : tuple of (str, str)
        (key, file): this file, with the group it belongs to. The key is `CATEGORY/PURPOSE`, the purpose being that of
        the action that uses it (`CAL_DARK/FLAT/SCIENCE` is the dark of the flat); a category alone is for all purposes.
    drop : tuple of str
        Files not to be used.
    replace : tuple of (str, Path)
        (category, file): an own file in place of what the cascade would make.
    parameters : tuple of (str, str, value)
        (recipe, parameter, value), the parameter as on the command line or in full.
    """

    use: tuple[tuple[str, str], ...] = ()
    drop: tuple[str, ...] = ()
    replace: tuple[tuple[str, Path], ...] = ()
    parameters: tuple[tuple[str, str, Value], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.use or self.drop or self.replace or self.parameters)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that are chosen, left out, or put in place of others."""
        return (*(name for _, name in self.use), *self.drop, *(stem(path.name) for _, path in self.replace))

    def with_use(self, category: str, file: str) -> Choices:
        """Return choices in which a file is used for a category, in place of an earlier choice."""
        kept = tuple(pair for pair in self.use if pair[0] != category)
        return replace(self, use=(*kept, (category, file)), drop=tuple(name for name in self.drop if name != file))

    def without_drop(self, file: str) -> Choices:
        """Return choices in which a file that was left out is used again."""
        return replace(self, drop=tuple(name for name in self.drop if name != file))

    def with_drop(self, file: str) -> Choices:
        """Return choices in which a file is not used."""
        used = tuple(pair for pair in self.use if pair[1] != file)
        return replace(self, use=used, drop=tuple(dict.fromkeys((*self.drop, file))))

    def with_replacement(self, category: str, path: Path) -> Choices:
        """Return choices in which an own file stands for a category."""
        kept = tuple(pair for pair in self.replace if pair[0] != category)
        return replace(self, replace=(*kept, (category, path)))

    def with_parameter(self, recipe: str, name: str, value: Value) -> Choices:
        """Return choices in which a recipe's parameter has a value, in place of an earlier one."""
        kept = tuple(entry for entry in self.parameters if entry[:2] != (recipe, name))
        return replace(self, parameters=(*kept, (recipe, name, value)))


def read_choices(document: Any, source: str, package: str = "") -> dict[str, Choices]:
    """Return the choices of each dataset that a document holds.

    Parameters
    ----------
    document : object
        The parsed YAML.
    source : str
        Name of the file, for messages.
    package : str
        Those for datasets of this workflow package; by default those for datasets of trees and rules.

    Raises
    ------
    UserError
        If it is not of the form above.
    """
    if document is None:
        return {}
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise UserError(f"{source} is not a version-{VERSION} choices file; fix or delete it")
    packages = document.get("packages") or {}
    if not isinstance(packages, dict):
        raise UserError(f"{source}: 'packages' must be names of packages with datasets; correct it or delete it")
    datasets = (packages.get(package) if package else document.get("datasets")) or {}
    if not isinstance(datasets, dict):
        raise UserError(f"{source}: 'datasets' must be names with choices; correct it or delete it")
    return {str(name): _choices(entry, f"{source}: {name}") for name, entry in datasets.items()}


def _choices(entry: Any, place: str) -> Choices:
    fields = entry if isinstance(entry, dict) else {"": None}
    unknown = set(fields) - {"use", "drop", "replace", "parameters"}
    use, drop, own = fields.get("use") or {}, fields.get("drop") or [], fields.get("replace") or {}
    given = fields.get("parameters") or {}
    if unknown or not (isinstance(use, dict) and isinstance(drop, list) and isinstance(own, dict) and _is_set(given)):
        raise UserError(
            f"{place}: allowed are use (category: file), drop (a list of files), replace (category: path) "
            "and parameters (recipe: {parameter: value}); correct it or delete it"
        )
    used = tuple((str(category), str(name)) for category, name in use.items())
    replaced = tuple((str(key), Path(str(path))) for key, path in own.items())
    parameters = ((str(recipe), str(name), value) for recipe, each in given.items() for name, value in each.items())
    return Choices(used, tuple(map(str, drop)), replaced, tuple(parameters))


def _is_set(given: Any) -> bool:
    """Tell whether something is of the form `recipe: {parameter: value}`."""
    return isinstance(given, dict) and all(
        isinstance(each, dict) and all(isinstance(value, str | int | float) for value in each.values())
        for each in given.values()
    )


def document_of(
    choices: Mapping[str, Choices], before: Mapping[str, Any] | None = None, package: str = ""
) -> dict[str, Any]:
    """Return the document that holds choices; the opposite of `read_choices`.

    Parameters
    ----------
    choices : mapping of str to Choices
        By dataset.
    before : mapping, optional
        The document so far: what stands in it of others is kept.
    package : str
        As in `read_choices`.
    """
    before = before or {}
    datasets = {name: describe_choices(chosen) for name, chosen in sorted(choices.items()) if chosen}
    packages = dict(before.get("packages") or {})
    if package:
        packages = {**packages, package: datasets}
        datasets = before.get("datasets") or {}
    packages = {name: each for name, each in packages.items() if each}
    return {"version": VERSION, "datasets": datasets, **({"packages": packages} if packages else {})}


def describe_choices(chosen: Choices) -> dict[str, Any]:
    """Return choices for one dataset as they stand in the file."""
    return {
        **({"use": dict(chosen.use)} if chosen.use else {}),
        **({"drop": list(chosen.drop)} if chosen.drop else {}),
        **({"replace": {category: str(path) for category, path in chosen.replace}} if chosen.replace else {}),
        **({"parameters": _by_recipe(chosen.parameters)} if chosen.parameters else {}),
    }


def _by_recipe(parameters: Iterable[tuple[str, str, Value]]) -> dict[str, dict[str, Value]]:
    found: dict[str, dict[str, Value]] = {}
    for recipe, name, value in parameters:
        found.setdefault(recipe, {})[name] = value
    return found


def split_key(key: str) -> tuple[str, Purpose | None]:
    """Return category and purpose of a key; None for all purposes."""
    category, _, purpose = key.partition("/")
    return category, Purpose(purpose) if purpose else None


def purpose_in(action: Action, text: str) -> Purpose:
    """Return the purpose that a text means; `science`, in any case, stands for the science action itself.

    >>> purpose_in(Action("IMGJITOBJ", ()), "FLAT_TW/science")
    'FLAT_TW/IMGJITOBJ'
    """
    below, slash, last = text.rpartition("/")
    return Purpose(f"{below}{slash}{action.name}" if last.lower() == "science" else text)


def key_for(action: Action, category: str, takes: Takes = lambda action: ()) -> str:
    """Return the key for a category nearest to the science: where it is used, or where it would be of use.

    That is the action that has it already; else the one whose run takes it beside its own files (a flat beside an arc);
    else the science itself.
    """
    walked = sorted(walk_actions(action), key=lambda pair: pair[1].count("/"))
    having = (purpose for each, purpose in walked if not each.auxiliary and _has(each, category))
    wanting = (purpose for each, purpose in walked if not each.auxiliary and category in takes(each))
    return f"{category}/{next(having, None) or next(wanting, None) or action.name}"


def _has(action: Action, category: str) -> bool:
    used = any(category in _categories(child) for child in action.actions if not child.auxiliary)
    return used or any(file.category == category for file in action.statics)


def apply_choices(
    dataset: Dataset,
    choices: Choices,
    others: Iterable[Action | DatasetFile] = (),
    makes: Makes = lambda action: (),
    takes: Takes = lambda action: (),
) -> Dataset:
    """Return a dataset as the user wants it; each choice is told by a message of the science action.

    Parameters
    ----------
    dataset : Dataset
        As organised.
    choices : Choices
        For this dataset.
    others : iterable of Action and DatasetFile
        Groups and single files that are not in the dataset but could be used.
    makes : callable
        Tells what an action makes, for replacements of products.
    takes : callable
        Tells what the run of an action's files takes, for groups that are missing.

    Raises
    ------
    UserError
        If a choice names a file, a category or a purpose that the dataset does not know.
    """
    action = dataset.action
    offered = tuple(others)
    known = {file.name for file in files_of(dataset)}
    for key, name in choices.use:
        category, purpose = split_key(key)
        chosen = _find(name, category, dataset.action, offered)
        if purpose is None:
            action = _using(action, category, chosen)
        else:
            action = _using_for(action, category, chosen, purpose, takes, dataset.name)
    for name in choices.drop:
        if name not in known:
            see = f"see 'esorex-bridge review {dataset.name}'"
            raise UserError(f"{dataset.name} does not use {name}, so it cannot be dropped; {see}")
        action = _without(action, name)
    for category, path in choices.replace:
        action = _replacing(action, category, path, makes, dataset.name)
    told = replace(action, messages=(*action.messages, *tell_choices(choices)))
    changed = replace(dataset, action=told, chosen=choices.files, parameters=choices.parameters)
    return replace(changed, dropped=tuple(_find_dropped(dataset, changed)))


def tell_choices(choices: Choices) -> Iterator[str]:
    """Yield a message for each choice."""
    yield from (f"{MARK}{name} for {key}" for key, name in choices.use)
    yield from (f"{MARK}without {name}" for name in choices.drop)
    yield from (f"{MARK}{path} as {category}" for category, path in choices.replace)
    yield from (f"{MARK}{recipe}.{name} = {value}" for recipe, name, value in choices.parameters)


def _find_dropped(before: Dataset, after: Dataset) -> Iterator[tuple[DatasetFile, Purpose]]:
    """Yield the files that choices took out, once each, with the first purpose that they had."""
    kept = {file.name for file in files_of(after)}
    for file, served in purposes(before).items():
        if file.name not in kept:
            yield file, served[0]


def _find(name: str, category: str, top: Action, others: tuple[Action | DatasetFile, ...]) -> Action | DatasetFile:
    """Return the group or the single file that a choice means."""
    inside: list[Action | DatasetFile] = [action for action, _ in walk_actions(top) if action is not top]
    inside += [file for action, _ in walk_actions(top) for file in action.statics]
    for offer in (*inside, *others):
        names = [file.name for file in offer.files] if isinstance(offer, Action) else [offer.name]
        if name in names and category in _categories(offer):
            return offer
    raise UserError(f"{name} is no alternative for {category}; 'esorex-bridge review' lists those there are")


def _categories(offer: Action | DatasetFile) -> set[str]:
    if isinstance(offer, DatasetFile):
        return {offer.category}
    return {offer.name, *(file.category for file in offer.files)}


def _using(action: Action, category: str, chosen: Action | DatasetFile) -> Action:
    """Put a group or file in place of all others of its category, wherever the category occurs."""
    if isinstance(chosen, DatasetFile):
        others = [file for file in action.statics if file.category != category]
        statics = (*others, chosen) if len(others) < len(action.statics) else action.statics
        return replace(
            action, statics=statics, actions=tuple(_using(child, category, chosen) for child in action.actions)
        )
    children: list[Action] = []
    for child in action.actions:
        same = category in _categories(child)
        children.append(chosen if same else _using(child, category, chosen))
    return replace(action, actions=tuple(dict.fromkeys(children)))


def _using_for(
    action: Action, category: str, chosen: Action | DatasetFile, purpose: Purpose, takes: Takes, dataset: str
) -> Action:
    """Put a group or file in place of those of its category in the action of one purpose, or add it there."""
    names = tuple(reversed(purpose.split("/")))
    if names[0] != action.name:
        raise UserError(f"{dataset} has no purpose {purpose}; 'esorex-bridge review {dataset}' lists those there are")
    if len(names) == 1:
        return _with_chosen(action, category, chosen, takes)
    below = Purpose("/".join(reversed(names[1:])))
    matching = [child for child in action.actions if child.name == names[1]]
    if not matching:
        raise UserError(f"{dataset} has no purpose {purpose}; 'esorex-bridge review {dataset}' lists those there are")
    changed = (
        _using_for(child, category, chosen, below, takes, dataset) if child in matching else child
        for child in action.actions
    )
    return replace(action, actions=tuple(dict.fromkeys(changed)))


def _with_chosen(action: Action, category: str, chosen: Action | DatasetFile, takes: Takes) -> Action:
    if isinstance(chosen, DatasetFile):
        others = tuple(file for file in action.statics if file.category != category)
        return replace(action, statics=(*others, chosen))
    if not _has(action, category) and category in takes(action):
        files = tuple(file for file in chosen.files if file.category == category)
        return replace(action, files=tuple(dict.fromkeys((*action.files, *files))))
    kept = tuple(child for child in action.actions if category not in _categories(child))
    return replace(action, actions=tuple(dict.fromkeys((*kept, chosen))))


def _without(action: Action, name: str) -> Action:
    children = tuple(_without(child, name) for child in action.actions)
    return replace(
        action,
        files=tuple(file for file in action.files if file.name != name),
        statics=tuple(file for file in action.statics if file.name != name),
        actions=tuple(child for child in children if child.files),
    )


def _replacing(action: Action, category: str, path: Path, makes: Makes, dataset: str) -> Action:
    replaced, changed = _with_own(action, category, DatasetFile(stem(path.name), category, path), makes)
    if not changed:
        raise UserError(f"nothing in {dataset} makes or uses {category}, so {path.name} cannot stand for it")
    return replaced


def _with_own(action: Action, category: str, own: DatasetFile, makes: Makes) -> tuple[Action, bool]:
    """Return an action with an own file for a category, there and below, and whether it was wanted anywhere.

    What makes nothing but that category goes. What makes other things too stays for their sake.
    """
    kept = [child for child in action.actions if category not in _categories(child) and set(makes(child)) != {category}]
    others = tuple(file for file in action.statics if file.category != category)
    gone = len(kept) < len(action.actions) or len(others) < len(action.statics)
    below = [_with_own(child, category, own, makes) for child in kept]
    changed = replace(action, actions=tuple(child for child, _ in below))
    if gone or any(category in makes(child) for child in kept):
        return replace(changed, statics=(*others, own), replaced=(*action.replaced, category)), True
    return changed, any(done for _, done in below)

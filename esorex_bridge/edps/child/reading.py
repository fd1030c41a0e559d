"""What a workflow package says, as plain values: tasks, data sources, classes, and what was not understood."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from esorex_bridge.edps.child import importing, rules, sources, tasks
from esorex_bridge.edps.child.inert import Site, site_of, unknown
from esorex_bridge.edps.child.rules import ClassificationRule, MatchRule, tag_of
from esorex_bridge.edps.child.sources import DataSource
from esorex_bridge.edps.child.tasks import Alternatives, AssociatedInput, Filter, Task


def tasks_of(module: ModuleType) -> list[Task]:
    """Return the tasks of a workflow in the order of creation.

    They are those in its namespace, those of the workflow modules that it imports, those that `imported_tasks` lists,
    and all that these take as inputs.
    """
    found: list[Task] = []
    _collect(module, found, set())
    for task in tuple(found):
        _follow(task, found)
    order = {id(task): number for number, task in enumerate(tasks.tasks_built)}
    return sorted(found, key=lambda task: order.get(id(task), len(order)))


def _collect(module: ModuleType, found: list[Task], seen: set[str]) -> None:
    if module.__name__ in seen:
        return
    seen.add(module.__name__)
    listed = module.__dict__.get("__all__", ())
    for name, value in list(module.__dict__.items()):
        if isinstance(value, Task) and any(value is built for built in tasks.tasks_built):
            _add(value, found)
        elif isinstance(value, ModuleType) and ("wkf" in value.__name__ or name in listed):
            _collect(value, found, seen)
        elif name == "imported_tasks" and isinstance(value, list | tuple):
            for task in value:
                if isinstance(task, Task):
                    _add(task, found)


def _add(task: Task, found: list[Task]) -> None:
    if all(task is not other for other in found):
        found.append(task)


def _follow(task: Task, found: list[Task]) -> None:
    for source in (task.main_input, *(branch.source for branch in branches_of(task))):
        if isinstance(source, Task) and all(source is not other for other in found):
            found.append(source)
            _follow(source, found)


def branches_of(task: Task) -> Iterator[AssociatedInput]:
    """Yield all associated inputs of a task, those in alternatives too."""
    for given in task.inputs:
        if isinstance(given, Alternatives):
            yield from given.branches
        else:
            yield given


def describe(module: ModuleType) -> dict[str, Any]:
    """Return all that a workflow says, as values of JSON."""
    found = tasks_of(module)
    names = [task.name for task in found]
    remarks = [f"there are two tasks '{name}'" for name in dict.fromkeys(names) if names.count(name) > 1]
    remarks += [f"module {name} is not installed where packages are read; it means nothing here"
                for name in dict.fromkeys(importing.inert)]  # fmt: skip
    built = [*sources.sources_built, *_never_built(found)]
    remarks += [text for source in built for text in _odd_rules(source)]
    labels = [source.label for source in built if source.label]
    remarks += [f"there are two data sources '{each}'" for each in dict.fromkeys(labels) if labels.count(each) > 1]
    return {
        "title": str(module.__dict__.get("__title__", "")),
        "tasks": [_task(task) for task in found],
        "sources": [_source(source) for source in built],
        "classes": [_class(rule) for rule in rules.rules_built],
        "not_understood": [
            {"name": each.name, "where": each.where, "file": each.site.file, "line": each.site.line} for each in unknown
        ],
        "remarks": remarks,
    }


def _never_built(found: list[Task]) -> list[DataSource]:
    """Return data sources that tasks use and that nobody called `build` on."""
    used: dict[int, DataSource] = {}
    for task in found:
        for source in (task.main_input, *(branch.source for branch in branches_of(task))):
            if isinstance(source, DataSource) and all(source is not other for other in sources.sources_built):
                used.setdefault(id(source), source)
    return list(used.values())


def _odd_rules(source: DataSource) -> Iterator[str]:
    levels = [rule.level for rule in source.match.rules]
    if levels != sorted(levels):
        yield f"data source {source.name}: the levels of its association rules fall; they are tried as written"
    elif len(set(levels)) < len(levels):
        yield f"data source {source.name}: several association rules have one level; they are tried as written"


def _task(task: Task) -> dict[str, Any]:
    main = task.main_input
    return {
        "name": task.name,
        "recipe": task.command,
        "function": _function(task.function),
        "shell_command": task.shell_command,
        "recipes": task.recipes,
        "main_input": _reference(main) if main is not None else None,
        "main_classes": [tag_of(each) for each in task.main_classes],
        "inputs": [_input(given) for given in task.inputs],
        "dynamic_parameters": {name: _function(function) for name, function in task.dynamic.items()},
        "condition": _function(task.condition),
        "job_functions": [_function(function) for function in task.job_functions],
        "input_filter": _filter(task.input_filter),
        "output_filter": _filter(task.output_filter),
        "input_map": task.input_map,
        "grouping": _grouping(task.grouping),
        "meta_targets": task.meta_targets,
        "reports": task.reports,
        "subworkflow": task.subworkflow,
        **_place(task.site),
    }


def _reference(source: DataSource | Task) -> dict[str, Any]:
    return {"kind": "task" if isinstance(source, Task) else "source", "name": source.name}


def _input(given: AssociatedInput | Alternatives) -> dict[str, Any]:
    alternatives = isinstance(given, Alternatives)
    branches = given.branches if isinstance(given, Alternatives) else [given]
    return {
        "alternatives": alternatives,
        "sort_keys": given.sort_keys if isinstance(given, Alternatives) else [],
        "branches": [_branch(branch) for branch in branches],
    }


def rules_for(branch: AssociatedInput) -> list[MatchRule]:
    """Return the association rules of an input: its own, or those of the first data source down its main inputs."""
    if branch.rules is not None:
        return branch.rules
    source = branch.source
    while isinstance(source, Task):
        source = source.main_input
    return source.match.rules if isinstance(source, DataSource) else []


def _branch(branch: AssociatedInput) -> dict[str, Any]:
    return {
        **_reference(branch.source),
        "categories": [tag_of(each) for each in branch.classes],
        "min_ret": branch.min_ret,
        "max_ret": branch.max_ret,
        "condition": _function(branch.condition),
        "rules": [_rule(rule) for rule in rules_for(branch)],
        "own_rules": branch.rules is not None,
        **_place(branch.site),
    }


def _rule(rule: MatchRule) -> dict[str, Any]:
    days = [None if math.isinf(bound) else bound for bound in (rule.start, rule.end)]
    return {
        "match": rule.keywords,
        "function": _function(rule.function),
        "days": days,
        "level": rule.level,
        **_place(rule.site),
    }


def _source(source: DataSource) -> dict[str, Any]:
    return {
        "name": source.name,
        "classes": [tag_of(rule) for rule in source.classification_rules],
        "setup": source.setup,
        "grouping": _grouping(source.grouping),
        "rules": [_rule(rule) for rule in source.match.rules],
        **_place(source.site),
    }


def _grouping(grouping: Any) -> dict[str, Any]:
    cluster = grouping.cluster
    return {
        "keywords": grouping.keywords,
        "cluster": None if cluster is None else [None if each is None else str(each) for each in cluster],
        "function": _function(grouping.function),
        "minimum": grouping.minimum,
    }


def _class(rule: ClassificationRule) -> dict[str, Any]:
    keywords = None if rule.keywords is None else {str(key): _plain(value) for key, value in rule.keywords.items()}
    return {
        "tag": rule.classification,
        "keywords": keywords,
        "function": _function(rule.function),
        **_place(rule.site),
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    return str(value)


def _function(function: Any) -> dict[str, Any] | None:
    if function is None:
        return None
    place = site_of(function)
    return {"name": str(getattr(function, "__name__", type(function).__name__)), **_place(place)}


def _filter(given: Filter | None) -> dict[str, Any] | None:
    return None if given is None else {"mode": given.mode, "tags": list(given.tags)}


def _place(found: Site) -> dict[str, Any]:
    return {"file": found.file, "line": found.line}

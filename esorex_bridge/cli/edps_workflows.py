"""EDPS packages in `esorex-bridge workflows`: which there are, what they say, and what is odd about them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from esorex_bridge.cli import output
from esorex_bridge.definitions.edps.words import PREFIX
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.workflows import (
        FoundPackagePart,
        PackageInputPart,
        PackagePart,
        PackagesDocument,
        PackageTaskPart,
    )
    from esorex_bridge.definitions.edps.package import Function, InputBranch, Package, PackageTask, TaskInput
    from esorex_bridge.definitions.inspection import DefinitionFinding
    from esorex_bridge.edps.workflow import EdpsWorkflow
    from esorex_bridge.esorex.recipe import RecipeRunner


def packages_in(names: Sequence[str]) -> list[str]:
    """Return names if they are those of packages, nothing if they are those of definitions.

    Raises
    ------
    UserError
        If they are both.
    """
    packages = [name for name in names if name.startswith(PREFIX)]
    others = [name for name in names if name not in packages]
    if packages and others:
        raise UserError(f"give packages of EDPS and definitions apart: {', '.join(others)} is not a package")
    return packages


def open_packages(names: Iterable[str], args: argparse.Namespace) -> list[EdpsWorkflow]:
    """Return the packages that are named, not read yet."""
    from esorex_bridge.definitions.edps.options import EdpsOptions
    from esorex_bridge.edps.workflow import EdpsWorkflow

    return [EdpsWorkflow(name, EdpsOptions(trusted=args.trust_package)) for name in names]


def rows() -> Iterator[tuple[str, ...]]:
    """Yield a row of the list for each package that is found; none is executed for that."""
    from esorex_bridge.edps.find import find_packages

    for found in find_packages():
        yield (f"{PREFIX}{found.name}", "not read", "-", "workflow package of EDPS", "-", f"{found.folder}")


def describe_found() -> tuple[FoundPackagePart, ...]:
    """Return the packages that are found, as a document has them."""
    from esorex_bridge.cli.documents.workflows import FoundPackagePart
    from esorex_bridge.edps.find import find_packages

    return tuple(FoundPackagePart(f"{PREFIX}{each.name}", str(each.folder), each.origin) for each in find_packages())


# ----- show


def show(packages: Iterable[EdpsWorkflow]) -> None:
    """Print tasks, inputs, levels and conditions."""
    for each in packages:
        package = each.package
        print(f"{PREFIX}{package.name}: {package.description.title or 'no title'} ({package.root})")
        for task in package.description.tasks:
            for line in _task_lines(task):
                print(line)
        for line in remarks(package):
            print(f"  note: {line}")


def _task_lines(task: PackageTask) -> Iterator[str]:
    main = f"{task.main_input.kind} {task.main_input.name}" if task.main_input else "nothing"
    classes = f" ({', '.join(task.main_classes)})" if task.main_classes else ""
    runs = task.recipe or (f"function {task.function}" if task.function else "runs nothing")
    labels = f" [{', '.join(task.meta_targets)}]" if task.meta_targets else ""
    yield f"  {task.name}: {runs}, on {main}{classes}{labels}"
    if task.condition:
        yield f"      only where {task.condition}"
    for given in task.inputs:
        if given.alternatives:
            yield "      one of, the first that finds something:"
        for branch in given.branches:
            yield from _branch_lines(branch, "        " if given.alternatives else "      ")
    for name, function in task.dynamic_parameters.items():
        yield f"      parameter {name} by {function}"
    for function in task.job_functions:
        yield f"      changed by {function}"
    for words, chosen in (("takes", task.input_filter), ("gives", task.output_filter)):
        if chosen:
            yield f"      {words} {'only' if chosen.mode == 'SELECT' else 'all but'} {', '.join(chosen.tags)}"


def _branch_lines(branch: InputBranch, indent: str) -> Iterator[str]:
    most = "all" if branch.max_ret < 0 else str(branch.max_ret)
    number = f"{branch.min_ret} to {most}"
    categories = f": {', '.join(branch.categories)}" if branch.categories else ""
    condition = f", where {branch.condition}" if branch.condition else ""
    yield f"{indent}{branch.kind} {branch.name}{categories} ({number}{condition})"
    for rule in branch.rules:
        yield f"{indent}  {rule}"


def remarks(package: Package) -> Iterator[str]:
    """Yield what was not understood, what is odd, and what is asked of the package's own functions."""
    said = package.description
    yield from map(str, said.not_understood)
    yield from said.remarks
    for name, task in package.unknown_tasks():
        yield f"parameter set {name}: there is no task '{task}', so its parameters have no effect"
    for tried in said.refused:
        yield f"the package tried what it may not do: {tried}"
    called = ", ".join(map(str, said.call_backs()))
    if called:
        yield f"functions that planning asks: {called}"
    reports = ", ".join(dict.fromkeys(name for task in said.tasks for name in task.reports))
    if reports:
        yield f"quality reports, which are not made: {reports}"


def document(packages: Sequence[EdpsWorkflow]) -> PackagesDocument:
    """Return packages as a document: the first one, and all."""
    from msgspec.structs import asdict

    from esorex_bridge.cli.documents.workflows import PackagesDocument

    described = tuple(_describe(each.package) for each in packages)
    return PackagesDocument(**asdict(described[0]), workflows=described)


def _describe(package: Package) -> PackagePart:
    from esorex_bridge.cli.documents.workflows import PackagePart, UnknownTaskPart

    said = package.description
    return PackagePart(
        name=f"{PREFIX}{package.name}",
        title=said.title,
        root=package.root,
        digest=package.digest,
        tasks=tuple(map(_describe_task, said.tasks)),
        sources=said.sources,
        classes=said.classes,
        parameter_sets=package.sets,
        not_understood=said.not_understood,
        unknown_tasks=tuple(UnknownTaskPart(*each) for each in package.unknown_tasks()),
        call_backs=said.call_backs(),
        remarks=said.remarks,
        refused=said.refused,
    )


def _describe_task(task: PackageTask) -> PackageTaskPart:
    from msgspec.structs import asdict

    from esorex_bridge.cli.documents.workflows import PackageTaskPart

    fields = asdict(task)
    fields["main_input"] = task.main_input.name if task.main_input else None
    fields["main_input_kind"] = task.main_input.kind if task.main_input else None
    fields["condition"] = _name(task.condition)
    fields["inputs"] = tuple(
        _describe_input(number, given, branch) for number, given in enumerate(task.inputs) for branch in given.branches
    )
    return PackageTaskPart(**fields)


def _describe_input(number: int, given: TaskInput, branch: InputBranch) -> PackageInputPart:
    from esorex_bridge.cli.documents.workflows import PackageInputPart

    first = branch.rules[0] if branch.rules else None
    return PackageInputPart(
        input=number,
        name=branch.name,
        kind=branch.kind,
        categories=branch.categories,
        match=first.match if first else (),
        days=first.days if first else (None, None),
        level=first.level if first else None,
        rules=branch.rules,
        condition=_name(branch.condition),
        minimum=branch.min_ret,
        maximum=None if branch.max_ret < 0 else branch.max_ret,
        alternatives=given.alternatives,
    )


def _name(function: Function | None) -> str | None:
    return function.name if function else None


# ----- check


def findings(package: Package, each: EdpsWorkflow, runner: RecipeRunner | None) -> Iterator[DefinitionFinding]:
    """Yield what was not understood, which recipes are not installed, and what names nothing."""
    from esorex_bridge.definitions.inspection import DefinitionFinding
    from esorex_bridge.errors import RecipeError
    from esorex_bridge.esorex.check import check_recipes

    for unknown in package.description.not_understood:
        place = f" of {unknown.where}" if unknown.where else ""
        yield DefinitionFinding(f"{unknown.file}:{unknown.line}", f"'{unknown.name}'{place} is not known", False)
    for line in remarks(package):
        if not any(line == str(unknown) for unknown in package.description.not_understood):
            yield DefinitionFinding(f"{PREFIX}{package.name}", line, False)
    recipes = dict.fromkeys(task.recipe for task in package.description.tasks if task.recipe)
    known = runner.recipes(recipes) if runner is not None else {}
    missing = [name for name in recipes if isinstance(known.get(name), RecipeError)]
    if missing:
        yield DefinitionFinding(
            f"{PREFIX}{package.name}", f"recipes that are not installed: {', '.join(missing)}", False
        )
    for finding in check_recipes(each.workflow, runner):
        if not any(name in finding.problem for name in missing) and "not installed" not in finding.problem:
            yield finding


def check(packages: list[EdpsWorkflow], runner: RecipeRunner | None, as_json: bool) -> bool:
    """Print what is odd about packages, and return whether something is wrong."""
    found = [(each, finding) for each in packages for finding in findings(each.package, each, runner)]
    grave = [finding for _, finding in found if finding.grave]
    if as_json:
        from esorex_bridge.cli.documents.workflows import PackageCheckDocument

        document = PackageCheckDocument(
            checked=tuple(f"{PREFIX}{each.package.name}" for each in packages),
            findings=tuple(finding for _, finding in found),
            packages=tuple(_describe(each.package) for each in packages),
        )
        output.emit_json(document)
        return bool(grave)
    for _, finding in found:
        print(f"{finding.place}: {'' if finding.grave else 'worth a look: '}{finding.problem}")
    print(f"packages checked: {len(packages)}; mistakes: {len(grave)}; worth a look: {len(found) - len(grave)}")
    return bool(grave)

"""Writing a definition as a workflow package of EDPS."""

from __future__ import annotations

from pathlib import Path

from esorex_bridge.definitions.edps.conditions import UnsupportedRuleError
from esorex_bridge.definitions.edps.export import export_package
from esorex_bridge.definitions.installed_rules import read_rules, rules_for
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.errors import UserError


def export_definition(workflow: Workflow, folder: Path, oca: Path | None = None) -> Path:
    """Write a package of a definition, and return its folder.

    Parameters
    ----------
    workflow : Workflow
        The definition.
    folder : Path
        Gets the package's folder; one that is there is not written over.
    oca : Path, optional
        Rules to classify by, instead of those of the installed pipeline.

    Raises
    ------
    UserError
        If there are no rules, the definition or a rule has no counterpart, or the folder is there or cannot be written.
    """
    rules = read_rules(oca) if oca is not None else rules_for(workflow)
    if rules is None:
        raise UserError(f"no OCA rules for {workflow.instruments[0]} are installed: give a file with --oca")
    try:
        files = export_package(workflow, rules)
    except UnsupportedRuleError as error:
        raise UserError(f"{workflow.name} cannot be written as a package: {error}") from None
    place = folder / workflow.name
    if place.exists():
        raise UserError(f"{place} is there already; remove it, or choose another folder")
    try:
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{place} cannot be written: {error.strerror or error}") from None
    return place

"""The table that says which recipes and raw categories of each installed pipeline the definitions serve.

`python -m tests.pipeline_table` writes it into docs/reference/instruments.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import yaml

from esorex_bridge.definitions.folders import read_workflow, workflow_folder
from esorex_bridge.definitions.workflow import Workflow

DOCS = Path(__file__).resolve().parents[1] / "docs" / "reference"
DOCUMENT, REASONS = DOCS / "instruments.md", DOCS / "left_out.yaml"
BEGIN, END = "<!-- table of pipelines: begin -->", "<!-- table of pipelines: end -->"
RULES = Path("/usr/share/cpl-plugins")
PLUGINS = Path("/usr/lib")
COLUMNS = ("pipeline", "recipes used", "raw categories served", "left out, and why")


class Coverage(NamedTuple):
    """What the definitions serve of a pipeline."""

    pipeline: str
    recipes: frozenset[str]
    installed: frozenset[str]
    served: frozenset[str]
    triggers: frozenset[str]

    @property
    def left_out(self) -> frozenset[str]:
        """Raw categories that the rules start a recipe for, and no definition serves."""
        return self.triggers - self.served


def rule_files() -> dict[str, Path]:
    """Return the rules of the installed pipelines by name."""
    return {path.stem: path for path in sorted(RULES.glob("*/gasgano/config/*.oca"))}


def triggers(rules: Path) -> frozenset[str]:
    """Return the raw categories for which rules start a recipe, read without the bridge's own reader of rules."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", rules.read_text(errors="replace"), flags=re.DOTALL)
    started = re.findall(r"select\s+execute\([^)]*\)\s+from\s+inputFiles\s+where\s([^;]*);", text)
    return frozenset(name for condition in started for name in re.findall(r'DO\.CATG\s*==\s*"([^"]+)"', condition))


def definitions() -> tuple[Workflow, ...]:
    """Return all definitions of the project."""
    return tuple(read_workflow(path) for path in sorted(workflow_folder().glob("*.yaml")))


def coverage(pipeline: str, rules: Path, workflows: tuple[Workflow, ...]) -> Coverage:
    """Return what definitions serve of an installed pipeline."""
    steps = [step for workflow in workflows if workflow.pipeline == pipeline for step in workflow.steps]
    main = {category for step in steps for category in step.main}
    beside = {category for step in steps for each in step.calibrations for category in each.accepted}
    plugins = PLUGINS.glob(f"*/cpl/plugins/{pipeline}-*/*.so")
    return Coverage(
        pipeline,
        frozenset(step.recipe for step in steps),
        frozenset(path.stem for path in plugins),
        frozenset(main | beside),
        triggers(rules),
    )


def reasons() -> dict[str, dict[str, list[str]]]:
    """Return why raw categories are left out: by pipeline, the reason with its categories."""
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(REASONS.read_text())
    return found


def row(found: Coverage, why: dict[str, list[str]]) -> tuple[str, ...]:
    """Return what the table says of a pipeline."""
    told = "; ".join(f"{', '.join(sorted(names))}: {reason}" for reason, names in why.items())
    recipes = f"{len(found.recipes & found.installed)} of {len(found.installed)}"
    served = f"{len(found.triggers & found.served)} of {len(found.triggers)}"
    return found.pipeline, recipes, served, told or "nothing"


def table() -> str:
    """Return the table in Markdown."""
    known, why = definitions(), reasons()
    rows = [row(coverage(name, path, known), why.get(name, {})) for name, path in rule_files().items()]
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def document() -> str:
    """Return the document with its table written anew."""
    head, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")

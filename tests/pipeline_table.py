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
COLUMNS = ("pipeline", "recipes used", "raw categories served", "without a recipe", "left out, and why")


class Coverage(NamedTuple):
    """What the definitions serve of a pipeline."""

    pipeline: str
    recipes: frozenset[str]
    installed: frozenset[str]
    served: frozenset[str]
    triggers: frozenset[str]
    classified: frozenset[str]

    @property
    def left_out(self) -> frozenset[str]:
        """Raw categories that the rules start a recipe for, and no definition serves."""
        return self.triggers - self.served

    @property
    def idle(self) -> frozenset[str]:
        """Raw categories that the rules know and start no recipe for, and no definition serves."""
        return self.classified - self.triggers - self.served


def rule_files() -> dict[str, Path]:
    """Return the rules of the installed pipelines by name."""
    return {path.stem: path for path in sorted(RULES.glob("*/gasgano/config/*.oca"))}


# What follows reads rules without the bridge's own reader, so that a test can hold the two against each other.


def text_of(rules: Path) -> str:
    """Return the text of rules without comments."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", rules.read_text(errors="replace"), flags=re.DOTALL)


def started(rules: Path) -> dict[str, set[str]]:
    """Return the recipes that rules start, by raw category."""
    text = text_of(rules)
    actions = dict(re.findall(r"action\s+(\w+)\s*\{(.*?)\n\}", text, flags=re.DOTALL))
    found: dict[str, set[str]] = {}
    for action, condition in re.findall(r"select\s+execute\((\w+)\)\s+from\s+inputFiles\s+where\s([^;]*);", text):
        recipes = re.findall(r"recipe\s+([\w-]+)", actions.get(action, ""))
        for category in re.findall(r'DO\.CATG\s*==\s*"([^"]+)"', condition):
            found.setdefault(category, set()).update(recipes)
    return found


def classified(rules: Path) -> frozenset[str]:
    """Return the categories that rules give to raws: by keywords of the data product, and not to products."""
    clauses = re.findall(r"if\s(.*?)then\s*\{(.*?)\}", text_of(rules), flags=re.DOTALL)
    raws = (body for condition, body in clauses if "DPR." in condition and "PRO.CATG" not in condition)
    return frozenset(name for body in raws for name in re.findall(r'DO\.CATG\s*=\s*"([^"]+)"', body))


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
        frozenset(started(rules)),
        classified(rules),
    )


def reasons() -> dict[str, dict[str, list[str]]]:
    """Return why raw categories are left out: by pipeline, the reason with its categories."""
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(REASONS.read_text())
    del found["recipes"]
    return found


def reasons_of_recipes() -> dict[str, dict[str, list[str]]]:
    """Return why recipes of science are left out: by pipeline, the reason with the recipes."""
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(REASONS.read_text())["recipes"]
    return found


def row(found: Coverage, why: dict[str, list[str]]) -> tuple[str, ...]:
    """Return what the table says of a pipeline."""
    told = "; ".join(f"{', '.join(sorted(names))}: {reason}" for reason, names in why.items())
    recipes = f"{len(found.recipes & found.installed)} of {len(found.installed)}"
    served = f"{len(found.triggers & found.served)} of {len(found.triggers)}"
    return found.pipeline, recipes, served, str(len(found.idle)), told or "nothing"


def table() -> str:
    """Return the table in Markdown."""
    known, why = definitions(), reasons()
    of_recipes = reasons_of_recipes()
    rows = [
        row(coverage(name, path, known), {**why.get(name, {}), **of_recipes.get(name, {})})
        for name, path in rule_files().items()
    ]
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def document() -> str:
    """Return the document with its table written anew."""
    head, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")

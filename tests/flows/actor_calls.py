"""Actors called as Reflex calls them, by files of inputs and outputs, with the tree under test on the path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reflex_actors.purposes import accumulate, split
from reflex_actors.sof_json import SetOfFiles, read_sof


@dataclass(frozen=True)
class Answer:
    """What came of an actor."""

    status: int
    outputs: dict[str, Any]
    said: str

    @property
    def products(self) -> dict[str, Path]:
        """The products of a recipe by their categories."""
        return {file.category: Path(file.name) for file in read_sof(self.outputs["out_sof"]).files}

    @property
    def ran(self) -> bool:
        """Whether a recipe ran; a log is handed on only then."""
        return bool(self.outputs["logs"])


@dataclass
class Actors:
    """Runs actors in a scratch folder, in an environment that holds nothing but what Reflex leaves.

    Parameters
    ----------
    folder : Path
        For files of inputs and outputs.
    variables : dict
        More variables, such as another PATH.
    """

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    calls: int = 0

    def call(self, actor: str, **inputs: Any) -> Answer:
        """Run an actor to its end."""
        self.calls += 1
        place = self.folder / f"{self.calls:03d}_{actor}"
        (place / "products").mkdir(parents=True)
        (place / "in.json").write_text(json.dumps(inputs))
        tree = str(Path(__file__).resolve().parents[2])
        bare = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"], "LANG": "C", "PYTHONPATH": tree}
        options = {"input-parameters-file": "in.json", "output-parameters-file": "out.json", "products-dir": "products"}
        words = [f"--{name}={place / file}" for name, file in options.items()]
        done = subprocess.run(
            [sys.executable, "-m", "reflex_actors", actor, *words],
            cwd=place,
            env={**bare, **self.variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        made = place / "out.json"
        return Answer(done.returncode, json.loads(made.read_text()) if made.exists() else {}, done.stderr)

    def ok(self, actor: str, **inputs: Any) -> dict[str, Any]:
        """Run an actor that must succeed, and return its outputs."""
        answer = self.call(actor, **inputs)
        assert answer.status == 0, answer.said
        return answer.outputs

    def recipe(self, recipe: str, files: Iterable[tuple[Path, str]], dataset: str = "", **inputs: Any) -> Answer:
        """Run a recipe on files with their tags."""
        listed = [{"name": str(path), "category": tag, "purposes": ["X"]} for path, tag in files]
        return self.call("run_recipe", recipe=recipe, in_sof={"datasetName": dataset, "files": listed}, **inputs)


def cascade(actors: Actors, data: Path, recipes: Iterable[str], **inputs: Any) -> dict[str, list[Answer]]:
    """Go from a data folder to end products as a workflow of actors does; return what came of each recipe."""
    listed = actors.ok("organise_datasets", data_dir=str(data))
    chosen = actors.ok("select_dataset", datasets=listed["datasets"], rule="all")
    products, answers = SetOfFiles(), {}
    for recipe in recipes:
        taken = actors.ok("sof_for_recipe", recipe=recipe, dataset=chosen["out_dataset"], products=products.document())
        groups = split(read_sof(taken["out_sof"]))
        answers[recipe] = [
            actors.call("run_recipe", in_sof=group.document(), recipe=recipe, **inputs) for group in groups
        ]
        made = accumulate(read_sof(answer.outputs["out_sof"]) for answer in answers[recipe] if answer.status == 0)
        products = accumulate((products, made), same_dataset=False)
    actors.ok("collect_products", in_sof=made.document())
    return answers

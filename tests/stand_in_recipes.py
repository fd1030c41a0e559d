"""Recipes that are not installed, replaced: each makes one small FITS file a category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from esorex_bridge.errors import RecipeError
from esorex_bridge.plan.plan import Plan
from reflex_actors.headless.report import RunReport
from reflex_actors.headless.running import RecipeRequest, RecipeResult, Recipes, RunOptions
from reflex_actors.headless.workflow_run import prepare, run_prepared
from reflex_actors.moml.model import Entity
from reflex_actors.sof_json import FitsFile
from tests.tiny_fits import fits_of


@dataclass
class StandInRecipes:
    """Notes what recipes are asked for."""

    folder: Path
    makes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fails: frozenset[str] = frozenset()
    requests: list[RecipeRequest] = field(default_factory=list)

    def missing(self, recipes: tuple[str, ...]) -> dict[str, str]:
        return {}

    def learn(self, plans: Mapping[str, Plan]) -> None:
        pass

    def run(self, request: RecipeRequest) -> RecipeResult:
        self.requests.append(request)
        if request.recipe in self.fails:
            raise RecipeError(f"{request.recipe} failed")
        place = self.folder / f"{len(self.requests)}"
        place.mkdir(parents=True)
        products = []
        for category in self.makes.get(request.recipe, (request.recipe.upper(),)):
            path = place / f"{category}.fits"
            path.write_bytes(product(category))
            products.append(FitsFile(str(path), category))
        return RecipeResult(tuple(products), request.parameters, "ran")


def product(category: str) -> bytes:
    """Return an empty FITS file of a category."""
    return fits_of({"OBS.NAME": "Test", "PRO.CATG": category})


def run_workflow(root: Entity, values: Mapping[str, str], recipes: Recipes, options: RunOptions) -> RunReport:
    """Run a workflow file to its end, as `reflex run` does."""
    network, variables = prepare(root, values, options.interactive)
    return run_prepared(root.name, network, variables, recipes, options)

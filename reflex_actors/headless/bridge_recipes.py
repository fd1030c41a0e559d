"""Recipes run by the bridge: what was made of the same content and parameters is reused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

from msgspec.structs import replace

from esorex_bridge.datasets.dataset import Action, Dataset, Purpose
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.errors import BridgeError, RecipeError
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.plan.plan import FileInput, Plan, Step, StepName
from esorex_bridge.reuse.record import Record
from esorex_bridge.reuse.resolve import Unresolvable
from esorex_bridge.run.reporter import SilentReporter
from esorex_bridge.session import Session
from reflex_actors.actors.run_recipe import described
from reflex_actors.associations import add_associations, plan_of_dataset
from reflex_actors.headless.running import RecipeRequest, RecipeResult
from reflex_actors.sof_json import FitsFile, value_text

FORESEEN = "(to be made by {actor})/{category}.fits"
"""Path of a product in a dry run."""


class BridgeRecipes:
    """Runs recipes in a data root, or in a dry run says what would come of them.

    Parameters
    ----------
    session : Session
        The tools of the data root.
    workflow : str
        Names the folders below those of Reflex.
    dry_run : bool
        Run nothing.
    products : mapping of str to tuple of str
        Categories that recipes make, as far as that is known.
    """

    def __init__(
        self,
        session: Session,
        workflow: str,
        dry_run: bool = False,
        products: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._session, self._workflow, self._dry_run = session, workflow, dry_run
        self._products = products or {}
        self._known: dict[str, Recipe | RecipeError] = {}
        self._plan_of_dataset = cache(partial(plan_of_dataset, session))

    def missing(self, recipes: tuple[str, ...]) -> dict[str, str]:
        """Return why recipes cannot run, by name."""
        if self._session.esorex is None:
            return dict.fromkeys(recipes, "EsoRex is not installed (Debian: apt-get install esorex)")
        self._known |= self._session.esorex.recipes(recipes)
        return {name: str(found) for name, found in self._known.items() if isinstance(found, RecipeError)}

    def run(self, request: RecipeRequest) -> RecipeResult:
        """Run a recipe, or reuse what it made.

        Raises
        ------
        BridgeError
            If the recipe is not installed or fails, or a file is damaged.
        """
        if self._dry_run and not self._could_run(request):
            return self._foreseen(request)
        engine, plan = self._session.require_engine(), self._plan(request)
        (ahead,) = engine.resolve(((Dataset(plan.dataset, "", Action(plan.dataset, ())), plan),))
        if isinstance(ahead, Unresolvable):
            raise RecipeError(ahead.reason)
        (decided,) = engine.decide((ahead,))
        if self._dry_run and decided.executes:
            return self._foreseen(request)
        if decided.executes:
            planned = add_associations(plan, self._plan_of_dataset(plan.dataset))
            (decided,) = engine.decide((replace(ahead, plan=planned),))
        executed, key = engine.execute((decided,), SilentReporter()), ahead.keys[plan.steps[0].name]
        if key not in executed.records:
            raise RecipeError(executed.nodes[key].error)
        record, made_now = executed.records[key], key in executed.results and executed.results[key].outcome == "made"
        parameters = tuple(described(request.recipe, each) for each in ahead.parameters[plan.steps[0].name])
        products = tuple(FitsFile(str(made.path), made.category) for made in record.products)
        return RecipeResult(products, parameters, "ran" if made_now else "reused", _log_of(record) if made_now else "")

    def _could_run(self, request: RecipeRequest) -> bool:
        installed = isinstance(self._known.get(request.recipe), Recipe)
        return installed and all(Path(file.name).exists() for file in request.sof.files)

    def _plan(self, request: RecipeRequest) -> Plan:
        inputs = tuple(FileInput(Path(file.name).name, file.name, file.category) for file in request.sof.files)
        settings = tuple(
            ParameterSetting(request.recipe, each.display_name, value_text(each.value), request.actor)
            for each in request.parameters
        )
        name, purpose = StepName(request.actor), Purpose(" ".join(request.sof.purposes))
        products = self._products.get(request.recipe, ())
        step = Step(name, request.actor, request.recipe, inputs, settings, products, purpose, target=True)
        return Plan(request.sof.dataset or "reflex", self._workflow, (step,))

    def _foreseen(self, request: RecipeRequest) -> RecipeResult:
        categories = self._products.get(request.recipe, ())
        products = (FitsFile(FORESEEN.format(actor=request.actor, category=name), name) for name in categories)
        return RecipeResult(tuple(products), request.parameters, "foreseen")


def known_products(workflow: str) -> dict[str, tuple[str, ...]]:
    """Return the categories that recipes make, by recipe, as the workflow definitions say.

    Parameters
    ----------
    workflow : str
        A definition of that name is enough; without it all are looked through.
    """
    from esorex_bridge.definitions.folders import own_definitions

    known = own_definitions()
    try:
        found = (known.named(workflow),) if workflow in known.paths else known.all()
    except BridgeError:
        return {}
    made: dict[str, tuple[str, ...]] = {}
    for step in (step for definition in found for step in definition.steps):
        made[step.recipe] = tuple(dict.fromkeys((*made.get(step.recipe, ()), *step.products)))
    return made


def _log_of(record: Record) -> str:
    log = record.sof.parent / "log_dir" / "esorex.log"
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

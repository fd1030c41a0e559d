"""Recipes run by the bridge: what was made of the same content and parameters is reused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.errors import BridgeError
from esorex_bridge.plan.plan import Plan
from esorex_bridge.run.reporter import SilentReporter
from esorex_bridge.session import Session
from reflex_actors.associations import plan_of_dataset
from reflex_actors.definitions import find_definition
from reflex_actors.headless.running import RecipeRequest, RecipeResult
from reflex_actors.one_recipe import decide, execute, one_step_plan, planned_inputs
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
        self._absent: dict[str, str] = {}
        self._plans: dict[str, Plan | None] = {}

    def missing(self, recipes: tuple[str, ...]) -> dict[str, str]:
        """Return why recipes cannot run, by name.

        What a recipe takes is asked only when it runs: a workflow has recipes that most nights do not need.
        """
        if self._session.esorex is None:
            self._absent = dict.fromkeys(recipes, "EsoRex is not installed (Debian: apt-get install esorex)")
        else:
            self._absent = {name: str(error) for name, error in self._session.esorex.find_absent(recipes).items()}
        return self._absent

    def learn(self, plans: Mapping[str, Plan]) -> None:
        """Take over the plans that datasets were organised by, so that they are not made again."""
        self._plans.update(plans)

    def run(self, request: RecipeRequest) -> RecipeResult:
        """Run a recipe, or reuse what it made.

        Raises
        ------
        BridgeError
            If the recipe is not installed or fails, or a file is damaged.
        """
        if self._dry_run and not self._could_run(request):
            return self._foreseen(request)
        engine, plan = self._session.require_engine(), self.plan_request(request)
        decided = decide(engine, plan, partial(self._plan_of_dataset, plan.dataset))
        if self._dry_run and decided.executes:
            return self._foreseen(request)
        done = execute(engine, decided, SilentReporter())
        products = tuple(FitsFile(str(made.path), made.category) for made in done.record.products)
        return RecipeResult(products, done.parameters, "ran" if done.made_now else "reused", done.log)

    def _plan_of_dataset(self, dataset: str) -> Plan | None:
        if dataset not in self._plans:
            self._plans[dataset] = plan_of_dataset(self._session.planning, dataset)
        return self._plans[dataset]

    def _could_run(self, request: RecipeRequest) -> bool:
        return request.recipe not in self._absent and all(Path(file.name).exists() for file in request.sof.files)

    def plan_request(self, request: RecipeRequest) -> Plan:
        """Return the plan of one step that a request means."""
        settings = [
            ParameterSetting(request.recipe, each.display_name, value_text(each.value), request.actor)
            for each in request.parameters
        ]
        workflow, definition = find_definition(self._session.planning, request.recipe, request.sof)
        makers = self._session.store.makers(file.name for file in request.sof.files)
        return one_step_plan(
            request.sof,
            request.recipe,
            planned_inputs(request.sof, definition, workflow.steps if workflow else (), makers),
            settings,
            self._workflow,
            request.actor,
            self._products.get(request.recipe, ()),
            definition,
        )

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
        found = (known.find(workflow),) if workflow in known.paths else known.all()
    except BridgeError:
        return {}
    made: dict[str, tuple[str, ...]] = {}
    for step in (step for definition in found for step in definition.steps):
        made[step.recipe] = tuple(dict.fromkeys((*made.get(step.recipe, ()), *step.products)))
    return made

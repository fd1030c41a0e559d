"""What a batch refuses before it begins: a `--set`, `--lazy`, `--force` or `--from-step` that names nothing it has, and
a parameter that its recipe does not have or allow.

Of datasets that lie in the data root all is known, as in `run`. Of those that a query will find nothing is known yet:
there a name counts where any workflow definition has it.
"""

from __future__ import annotations

from collections.abc import Iterable

from esorex_bridge.batch.dataset_source import Planned, Supply
from esorex_bridge.batch.jobs import Job
from esorex_bridge.definitions.edps.words import PREFIX
from esorex_bridge.definitions.parameters import effective
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.disk.room import Room
from esorex_bridge.errors import UnknownNameError, UserError, nearest_name
from esorex_bridge.esorex.recipe import Recipe
from esorex_bridge.planning.definition_plans import refuse_idle_settings
from esorex_bridge.reuse.decide import Policy, names_in, refuse_unknown
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings


def refuse_misspelt(jobs: tuple[Job, ...], settings: Settings) -> None:
    """Refuse settings that name a recipe or a step that no workflow of a batch has, or a dataset that is not there.

    Raises
    ------
    UserError
        If one does; the message names those there are.
    ParameterError
        As `refuse_wrong_parameters`.
    UnknownNameError
        As `refuse_unknown_datasets`.
    """
    refuse_wrong_parameters(jobs, settings)
    refuse_unknown_datasets(jobs, settings)
    policy = settings.policy
    if policy == Policy() and not any(setting.origin == "--set" for setting in settings.parameters):
        return
    with Session(settings) as session:
        workflows: dict[str, Workflow] = {}
        known: set[str] = set()
        for item in Supply(jobs, session.planning, lambda: session.client, Room()).on_disk():
            if isinstance(item, Planned):
                workflows[item.workflow.name] = item.workflow
                known |= names_in((item.plan,))
        awaited = session.planning.workflows if any(job.queries for job in jobs) else ()
        refuse_idle_settings(settings.parameters, (*workflows.values(), *awaited))
        if awaited:
            _refuse_unheard(policy, awaited)
        else:
            refuse_unknown(policy, known)


def refuse_wrong_parameters(jobs: Iterable[Job], settings: Settings) -> None:
    """Refuse parameters that the installed recipes do not have or do not allow, whichever dataset they are for.

    Plans are looked at portion by portion, so that a wrong parameter would be told after steps have begun.

    Raises
    ------
    ParameterError
        If one is; the message says where it was given.
    """
    listed = tuple(jobs)
    given = (*settings.parameters, *(each for job in listed for each in job.given_settings))
    with Session(settings) as session:
        if not given or session.esorex is None:
            return
        recipes = session.esorex.recipes(dict.fromkeys(each.recipe for each in given))
        workflows = (settings.workflow, *(job.workflow for job in listed))
        by_packages = any(str(each).startswith(PREFIX) for each in workflows)
        known = () if by_packages else session.planning.definitions.all()
    names = {step.recipe for workflow in known for step in workflow.steps}
    for each in given:
        recipe = recipes.get(each.recipe)
        if isinstance(recipe, Recipe):
            effective(each.recipe, recipe.parameters, (each,))
        elif known and each.recipe not in names and nearest_name(each.recipe, names):
            raise UnknownNameError(
                "recipe", each.recipe, sorted(names), f"{each.origin}: the list of workflow definitions"
            )


def refuse_unknown_datasets(jobs: Iterable[Job], settings: Settings) -> None:
    """Refuse a `skip` or an override of a dataset that is none of its job's; of what queries will find none is known.

    Raises
    ------
    UnknownNameError
        If one is; the message names those there are.
    """
    for job in jobs:
        named = (*job.skip, *(dataset for dataset, _ in job.overrides))
        if not named or job.queries:
            continue
        known = job.datasets
        if known == ("all",):
            with Session(settings) as session:
                planning = session.planning.with_settings(mode=job.mode, workflow=job.workflow or settings.workflow)
                known = tuple(dataset.name for dataset in planning.each_dataset())
        for name in named:
            if name not in known:
                raise UnknownNameError("dataset", name, known, f"{job.name} (its skip or overrides)")


def _refuse_unheard(policy: Policy, workflows: Iterable[Workflow]) -> None:
    """Refuse names that are neither a recipe or step of a definition nor a numbered run of one."""
    known = {name for workflow in workflows for step in workflow.steps for name in (step.recipe, step.name)}
    for name in (*policy.by_recipe, *policy.forced, *policy.start):
        step, _, number = name.rpartition("_")
        if name not in known and not (number.isdigit() and step in known):
            raise UserError(f"no workflow has a recipe or step '{name}'; 'esorex-bridge workflows list' lists them")

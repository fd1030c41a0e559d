"""What a batch would do: steps to make and to reuse of what is here, files to fetch of what is not. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct, field

from esorex_bridge.batch.dataset_source import PORTION, Item, Planned, Supply, Unplanned
from esorex_bridge.batch.jobs import read_jobs
from esorex_bridge.batch.refusals import refuse_misspelt
from esorex_bridge.batch.start import BatchRequest
from esorex_bridge.disk.room import DiskNeed, Room
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.resolve import Unresolvable
from esorex_bridge.run.engine import resolvable
from esorex_bridge.run.reduction import foresee
from esorex_bridge.session import Session

if TYPE_CHECKING:
    from esorex_bridge.run.engine import Engine
    from esorex_bridge.run.footprint import Footprint


class Preview(Struct, frozen=True):
    """What a batch would do.

    Parameters
    ----------
    datasets : int
        That are here and planned.
    recipes : mapping of str to int
        How often each recipe would run for them.
    reused : int
        Distinct steps that are there.
    problems : tuple of str
        What cannot be reduced, with the reason.
    frames, files : int
        Science frames that the archive finds, and all files that belong to them.
    needs : tuple of DiskNeed
        What would come onto disks.
    expected_seconds : mapping of str to float
        How long the runs of each recipe are expected to take one after the other, as far as that is known.
    """

    datasets: int
    recipes: Mapping[str, int]
    reused: int
    problems: tuple[str, ...]
    frames: int
    files: int
    needs: tuple[DiskNeed, ...]
    expected_seconds: Mapping[str, float]


class _Found(Struct):
    """What was found so far."""

    datasets: int = 0
    executes: dict[StepKey, str] = field(default_factory=dict)
    reused: set[StepKey] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def preview(text: str, asked: BatchRequest) -> Preview:
    """Return what a batch would do.

    Raises
    ------
    DefinitionError
        If the jobs say something that is not allowed.
    ParameterError
        If a recipe parameter is wrong.
    UserError
        If the settings name recipes or steps that no workflow of the batch has.
    ArchiveError
        If a service failed.
    """
    jobs = read_jobs(text, asked.source).jobs
    refuse_misspelt(jobs, asked.settings)
    with Session(asked.settings) as session:
        found, room = _Found(), Room("ignore", *session.products_expected())
        supply = Supply(jobs, session.planning, lambda: session.client, room)
        items = supply.on_disk()
        footprint = session.engine.footprint(room) if session.engine else None
        while portion := tuple(islice(items, PORTION)):
            _decide(portion, session.engine, footprint, found)
        asking = [supply.count_asked(job) for job in jobs if job.queries]
    return Preview(
        datasets=found.datasets,
        recipes=dict(Counter(found.executes.values())),
        reused=len(found.reused),
        problems=tuple(found.problems),
        frames=sum(frames for frames, _ in asking),
        files=sum(files for _, files in asking),
        needs=room.needs,
        expected_seconds=found.seconds,
    )


def _decide(items: tuple[Item, ...], engine: Engine | None, footprint: Footprint | None, found: _Found) -> None:
    """Add what would come of a portion of datasets: distinct steps to run by recipe, those to reuse, and problems."""
    found.problems += (f"{item.name}: {item.reason}" for item in items if isinstance(item, Unplanned))
    planned = [item for item in items if isinstance(item, Planned)]
    found.datasets += len(planned)
    if engine is None or footprint is None or not planned:
        return
    resolved = engine.resolve((item.dataset, item.plan) for item in planned)
    found.problems += (f"{ahead.plan.dataset}: {ahead.reason}" for ahead in resolved if isinstance(ahead, Unresolvable))
    decided, known = engine.decide(resolvable(resolved), lambda _: None), frozenset(found.executes)
    for plan in decided:
        name, keys = plan.resolved.plan.dataset, plan.resolved.keys
        found.reused.update(plan.records)
        footprint.add(plan)
        for decision in plan.executes:
            if decision.step.gaps:
                found.problems.append(f"{name}: {decision.step.name}: {'; '.join(decision.step.gaps)}")
            else:
                found.executes[keys[decision.step.name]] = decision.step.recipe
    for key, expected in foresee(decided, engine.store).items():
        if key not in known and expected.seconds is not None:
            recipe = found.executes[key]
            found.seconds[recipe] = found.seconds.get(recipe, 0.0) + expected.seconds

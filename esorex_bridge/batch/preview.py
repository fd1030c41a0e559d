"""What a batch would do: steps to make and to reuse of what is here, files to fetch of what is not. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from esorex_bridge.batch.dataset_source import Planned, Supply, Unplanned
from esorex_bridge.batch.jobs import read_jobs
from esorex_bridge.batch.refusals import refuse_misspelt
from esorex_bridge.batch.start import BatchRequest
from esorex_bridge.disk.room import DiskNeed, Room
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.resolve import Unresolvable
from esorex_bridge.run.engine import resolvable
from esorex_bridge.run.reduction import foresee
from esorex_bridge.session import Session


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


def preview(text: str, asked: BatchRequest) -> Preview:
    """Return what a batch would do.

    Raises
    ------
    DefinitionError
        The jobs say something that is not allowed.
    ParameterError
        If a recipe parameter is wrong.
    UserError
        If the settings name recipes or steps that no workflow of the batch has.
    ArchiveError
        A service failed.
    """
    jobs = read_jobs(text, asked.source).jobs
    refuse_misspelt(jobs, asked.settings)
    with Session(asked.settings) as session:
        room = Room("ignore", *session.products_expected())
        supply = Supply(jobs, asked.settings, lambda: session.client, room)
        items = tuple(supply.on_disk())
        planned = [item for item in items if isinstance(item, Planned)]
        problems = [f"{item.name}: {item.reason}" for item in items if isinstance(item, Unplanned)]
        recipes, reused, seconds = _decide(planned, session, problems, room)
        asking = [supply.count_asked(job) for job in jobs if job.queries]
    return Preview(
        datasets=len(planned),
        recipes=recipes,
        reused=reused,
        problems=tuple(problems),
        frames=sum(frames for frames, _ in asking),
        files=sum(files for _, files in asking),
        needs=room.needs,
        expected_seconds=seconds,
    )


def _decide(
    planned: list[Planned], session: Session, problems: list[str], room: Room
) -> tuple[dict[str, int], int, dict[str, float]]:
    """Return how often each recipe would run, how many distinct steps would be reused, and how long it would take.

    What is made is counted.
    """
    if session.engine is None or not planned:
        return {}, 0, {}
    executes: dict[StepKey, str] = {}
    reused: set[StepKey] = set()
    footprint = session.engine.footprint(room)
    resolved = session.engine.resolve((item.dataset, item.plan) for item in planned)
    problems += (f"{ahead.plan.dataset}: {ahead.reason}" for ahead in resolved if isinstance(ahead, Unresolvable))
    decided = session.engine.decide(resolvable(resolved), lambda _: None)
    for plan in decided:
        name, keys = plan.resolved.plan.dataset, plan.resolved.keys
        reused.update(plan.records)
        footprint.add(plan)
        for decision in plan.executes:
            if decision.step.gaps:
                problems.append(f"{name}: {decision.step.name}: {'; '.join(decision.step.gaps)}")
            else:
                executes[keys[decision.step.name]] = decision.step.recipe
    times: dict[str, float] = {}
    for key, expected in foresee(decided, session.store).items():
        if expected.seconds is not None:
            times[executes[key]] = times.get(executes[key], 0.0) + expected.seconds
    return dict(Counter(executes.values())), len(reused), times

"""What a batch would do: steps to make and to reuse of what is here, files to fetch of what is not. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.batch.dataset_source import Planned, Supply, Unplanned
from esorex_bridge.batch.jobs import Job, read_jobs
from esorex_bridge.batch.refusals import refuse_misspelt
from esorex_bridge.batch.start import BatchRequest
from esorex_bridge.files import DpId
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.resolve import Unresolvable
from esorex_bridge.run.engine import resolvable
from esorex_bridge.session import Session

if TYPE_CHECKING:
    from esorex_bridge.archive.client import ArchiveClient


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
    """

    datasets: int
    recipes: Mapping[str, int]
    reused: int
    problems: tuple[str, ...]
    frames: int
    files: int


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
        items = tuple(Supply(jobs, asked.settings, lambda: session.client).on_disk())
        planned = [item for item in items if isinstance(item, Planned)]
        problems = [f"{item.name}: {item.reason}" for item in items if isinstance(item, Unplanned)]
        recipes, reused = _decide(planned, session, problems)
        asking = [_count_asked(job, session.client) for job in jobs if job.queries]
    return Preview(
        datasets=len(planned),
        recipes=recipes,
        reused=reused,
        problems=tuple(problems),
        frames=sum(frames for frames, _ in asking),
        files=sum(files for _, files in asking),
    )


def _decide(planned: list[Planned], session: Session, problems: list[str]) -> tuple[dict[str, int], int]:
    """Return how often each recipe would run, and how many distinct steps would be reused."""
    if session.engine is None or not planned:
        return {}, 0
    executes: dict[StepKey, str] = {}
    reused: set[StepKey] = set()
    resolved = session.engine.resolve((item.dataset, item.plan) for item in planned)
    problems += (f"{ahead.plan.dataset}: {ahead.reason}" for ahead in resolved if isinstance(ahead, Unresolvable))
    for plan in session.engine.decide(resolvable(resolved), lambda _: None):
        name, keys = plan.resolved.plan.dataset, plan.resolved.keys
        reused.update(plan.records)
        for decision in plan.executes:
            if decision.step.gaps:
                problems.append(f"{name}: {decision.step.name}: {'; '.join(decision.step.gaps)}")
            else:
                executes[keys[decision.step.name]] = decision.step.recipe
    return dict(Counter(executes.values())), len(reused)


def _count_asked(job: Job, client: ArchiveClient) -> tuple[int, int]:
    from esorex_bridge.archive.acquisition import ask
    from esorex_bridge.archive.download_list import wanted

    rows = {DpId(row["dp_id"]): row for query in job.queries for row in client.query(query)}
    replies = ask(client, tuple(rows), job.mode, rows) if rows else ()
    return len(rows), len(wanted(tuple(rows), replies).names)

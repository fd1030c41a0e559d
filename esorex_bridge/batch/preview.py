"""What a batch would do: steps to make and to reuse of what is here, files to fetch of what is not. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.batch.dataset_source import Planned, Supply, Unplanned
from esorex_bridge.batch.jobs import Job, read_jobs
from esorex_bridge.batch.start import BatchRequest
from esorex_bridge.reuse.decide import Execute, Reuse, decide
from esorex_bridge.reuse.key import StepKey
from esorex_bridge.reuse.resolve import Unresolvable
from esorex_bridge.run.engine import resolve_all
from esorex_bridge.session import Session
from esorex_bridge.values import plain

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

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        document: dict[str, Any] = plain(self)
        return document


def preview(text: str, asked: BatchRequest) -> Preview:
    """Return what a batch would do.

    Raises
    ------
    DefinitionError
        The jobs say something that is not allowed.
    ParameterError
        A recipe parameter is wrong.
    ArchiveError
        A service failed.
    """
    jobs = read_jobs(text, asked.source).jobs
    with Session(asked.settings) as session:
        items = tuple(Supply(jobs, asked.settings, lambda: session.client).on_disk())
        planned = [item for item in items if isinstance(item, Planned)]
        problems = [f"{item.name}: {item.reason}" for item in items if isinstance(item, Unplanned)]
        recipes, reused = _decided(planned, session, problems)
        asking = [_asked_for(job, session.client) for job in jobs if job.queries]
    return Preview(
        datasets=len(planned),
        recipes=recipes,
        reused=reused,
        problems=tuple(problems),
        frames=sum(frames for frames, _ in asking),
        files=sum(files for _, files in asking),
    )


def _decided(planned: list[Planned], session: Session, problems: list[str]) -> tuple[dict[str, int], int]:
    if session.esorex is None or not planned:
        return {}, 0
    executes: dict[StepKey, str] = {}
    reused: set[StepKey] = set()
    for ahead in resolve_all(((item.dataset, item.plan) for item in planned), session.store, session.esorex):
        if isinstance(ahead, Unresolvable):
            problems.append(f"{ahead.plan.dataset}: {ahead.reason}")
            continue
        there = session.store.find_all(ahead.keys.values())
        found = {name: there[key] for name, key in ahead.keys.items()}
        for decision in decide(ahead.plan, ahead.stated, found, lambda _: None):
            key = ahead.keys[decision.step.name]
            if isinstance(decision, Execute) and not decision.step.gaps:
                executes[key] = decision.step.recipe
            elif isinstance(decision, Execute):
                problems.append(f"{ahead.plan.dataset}: {decision.step.name}: {'; '.join(decision.step.gaps)}")
            elif isinstance(decision, Reuse):
                reused.add(key)
    return dict(Counter(executes.values())), len(reused)


def _asked_for(job: Job, client: ArchiveClient) -> tuple[int, int]:
    from esorex_bridge.archive.acquisition import ask
    from esorex_bridge.archive.download_list import wanted

    rows = {str(row["dp_id"]): row for query in job.queries for row in client.query(query)}
    replies = ask(client, tuple(rows), job.mode, rows) if rows else ()
    return len(rows), len(wanted(tuple(rows), replies).names)

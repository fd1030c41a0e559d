"""Jobs as they are planned: their main files, what was associated, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from esorex_bridge.edps.child.association import Taken
from esorex_bridge.edps.child.files import ClassifiedFile
from esorex_bridge.edps.child.tasks import AssociatedInput, Task


class Input:
    """What a job takes for one of its inputs: files under their tags, or jobs with all their products.

    Of the classes `replaced` a user gives files of his own, and what the jobs make of them stays out; `odd` says why
    no association rule allows what he chose.
    """

    def __init__(
        self,
        branch: AssociatedInput,
        taken: Taken,
        by_user: bool = False,
        replaced: Iterable[str] = (),
        odd: str = "",
    ) -> None:
        self.branch, self.taken, self.by_user, self.replaced, self.odd = branch, taken, by_user, tuple(replaced), odd
        self.files = [offer.file for offer in taken.offers if offer.file is not None]
        self.jobs: list[PlannedJob] = [offer.job for offer in taken.offers if offer.job is not None]


class Slot(NamedTuple):
    """One associated input of a job: the branches that exist for it, and what was taken."""

    branches: list[AssociatedInput]
    found: Input | None


class PlannedJob:
    """One job: main files or jobs, what was associated, parameters, and what is missing."""

    def __init__(self, task: Task, files: list[ClassifiedFile], upstream: list[PlannedJob]) -> None:
        self.task, self.files, self.upstream = task, files, upstream
        self.raws: list[ClassifiedFile] = files or [file for job in upstream for file in job.raws]
        self.slots: list[Slot] = []
        self.missing: list[str] = []
        self.warnings: list[str] = []
        self.dynamic: dict[str, Any] = {}
        self.answers: dict[str, bool] = {}
        self.computed: dict[str, Any] = {}
        self.dropped: set[str] = set()
        self.number = 0

    @property
    def reference(self) -> ClassifiedFile:
        """The first main file: of a job on a job, the first raw file down the chain."""
        return self.raws[0]

    @property
    def inputs(self) -> list[Input]:
        """What was associated."""
        return [slot.found for slot in self.slots if slot.found is not None]

    def with_inputs(self, upstream: list[PlannedJob], slots: list[Slot]) -> PlannedJob:
        """Return a job of the same files that takes something else."""
        other = PlannedJob(self.task, self.files, upstream)
        other.slots, other.dynamic, other.answers = slots, self.dynamic, dict(self.answers)
        return other

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, here or further down."""
        return not self.missing

    @property
    def needs(self) -> list[PlannedJob]:
        """The jobs whose products it takes."""
        return [*self.upstream, *(job for given in self.inputs for job in given.jobs)]

    @property
    def label(self) -> str:
        """The job in words."""
        return f"{self.task.name} of {self.reference.name}"

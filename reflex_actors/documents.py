"""The documents that `esorex-bridge reflex … --json` prints."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from esorex_bridge.cli.documents.base import Document, Part
from reflex_actors.headless.report import Left
from reflex_actors.headless.running import Firing


class InstallDocument(Document, frozen=True, kw_only=True):
    """`reflex install`: what was written, and the lines of `esoreflex.rc` that make Reflex see it."""

    folder: str
    actors: tuple[str, ...]
    workflows: tuple[str, ...]
    rc_lines: tuple[str, ...] = field(name="esoreflex.rc")
    written: str | None
    backup: str | None


class CheckPart(Part, frozen=True):
    """One look of `reflex doctor`."""

    what: str
    state: Literal["ok", "note", "mend"]
    text: str


class ReflexDoctorDocument(Document, frozen=True, kw_only=True):
    """`reflex doctor`: whether Reflex finds the actors, and they their Python."""

    checks: tuple[CheckPart, ...]


class RecipePart(Part, frozen=True):
    """A recipe of a workflow file: its actor, and the parameters that the workflow sets."""

    actor: str
    recipe: str
    parameters: dict[str, str]


class ActorPart(Part, frozen=True):
    """An actor of a workflow file."""

    name: str
    cls: str = field(name="class")


class TokenLinkPart(Part, frozen=True):
    """Where tokens go: from a port to a port, in a composite."""

    place: str = field(name="in")
    source: str = field(name="from")
    sink: str = field(name="to")


class WorkflowPart(Part, frozen=True):
    """What a workflow file holds."""

    name: str
    parameters: dict[str, Any]
    recipes: tuple[RecipePart, ...]
    actors: tuple[ActorPart, ...]
    links: tuple[TokenLinkPart, ...]


class WorkflowDocument(Document, frozen=True, kw_only=True):
    """`reflex workflow`: what the file holds."""

    name: str
    parameters: dict[str, Any]
    recipes: tuple[RecipePart, ...]
    actors: tuple[ActorPart, ...]
    links: tuple[TokenLinkPart, ...]


class FindingPart(Part, frozen=True):
    """Something wrong in a workflow file."""

    rule: str
    place: str
    text: str


class CheckDocument(Document, frozen=True, kw_only=True):
    """`reflex check`: what is wrong, and what the file holds."""

    findings: tuple[FindingPart, ...]
    workflow: WorkflowPart


class ReflexRunDocument(Document, frozen=True, kw_only=True):
    """`reflex run`: what came of each recipe and script, and where the workflow stood still."""

    version: int
    workflow: str
    datasets: tuple[str, ...]
    firings: tuple[Firing, ...]
    counts: dict[str, int]
    end_products: dict[str, tuple[tuple[str, str], ...]]
    unknown: tuple[str, ...]
    left: tuple[Left, ...]
    problem: str
    said: tuple[str, ...]


DOCUMENTS: dict[str, type[Document]] = {
    "reflex-check": CheckDocument,
    "reflex-doctor": ReflexDoctorDocument,
    "reflex-install": InstallDocument,
    "reflex-run": ReflexRunDocument,
    "reflex-workflow": WorkflowDocument,
}
"""The document of each sub-verb; the published schema has its name."""

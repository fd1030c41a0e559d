"""The documents that `--json` prints, as types: their JSON Schemas are made from them and published with the docs.

A document has `schema: 1`. Words mean the same in all of them: `dataset` is a name, `mode` what calSelector executed,
`requested` what was asked of it, `files` are files with `name` and `path`, `sha256` is 64 hex digits of the content
(decompressed), `executed` and `reused` count steps.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

Value = str | int | float | bool
Mode = Literal["Raw2Raw", "Raw2Master"]
Match = Literal["calib_plan", "extended", "N/A"]


class Part(Struct, kw_only=True, forbid_unknown_fields=True):
    """A part of a document: it has these fields, and no others."""


class Document(Part, kw_only=True, forbid_unknown_fields=True):
    """What a verb prints."""

    schema: Literal[1] = 1


class ErrorPart(Part):
    """What went wrong: its kind, and one sentence with what to do next."""

    kind: str
    message: str


class ErrorDocument(Document):
    """Printed by every verb where it is refused or fails as a whole."""

    error: ErrorPart


class ProductPart(Part):
    """A product: where it lies, and its content."""

    path: str
    category: str
    sha256: str
    size_bytes: int


class AssociationPart(Part):
    """How well a calibration fits the step that takes it."""

    category: str
    source: str
    days: float | None
    level: int | None
    match: Match | None
    certified: bool


class ChosenAssociationPart(AssociationPart):
    """The same, and who put it there: calSelector, rules, a workflow, or a review."""

    chosen_by: str


class StepReportPart(Part):
    """What came of a step; `recipe` is null where the workflow has none for the group."""

    dataset: str
    step: str
    recipe: str | None
    decision: Literal["execute", "reuse", "not_needed"]
    reason: str
    outcome: Literal["done", "planned", "failed", "blocked", "skipped", "no_esorex"]
    sof: str | None
    products: list[ProductPart]
    seconds: float
    warnings: list[str]
    error: str | None
    associations: list[ChosenAssociationPart]


class DatasetReportPart(Part):
    """What came of a dataset. `requested_mode` is the old name of `requested`, and goes with the next release."""

    dataset: str
    workflow: str
    mode: Mode | None
    requested: Mode | None
    requested_mode: Mode | None
    complete: bool
    secondary: bool
    certified: bool
    messages: list[str]
    unreduced: list[str]
    steps: list[StepReportPart]
    end_products: list[ProductPart]


class RunDocument(Document):
    """`run`: how many recipes were started and how many steps reused, and what came of each dataset."""

    executed: int
    reused: int
    datasets: list[DatasetReportPart]


class NamedFilePart(Part):
    """A file that was wanted: its archive name, what became of it, and where it lies."""

    name: str
    status: str
    reason: str | None
    path: str | None


class AnswerPart(Part):
    """calSelector's answer about a frame. `requested_mode` is the old name of `requested`."""

    asked: str
    covers: list[str]
    outcome: str
    requested: Mode
    requested_mode: Mode
    mode: Mode | None
    complete: bool
    certified: bool
    messages: list[str]


class SofCommandPart(Part):
    """A SOF for use by hand, where EsoRex is not installed."""

    step: str
    command: str


class ReduceDocument(Document):
    """`reduce`: what was found, associated and fetched, and what came of each dataset."""

    science_frames: list[str]
    associations: list[AnswerPart]
    planned_files: list[str]
    files: list[NamedFilePart]
    executed: int
    reused: int
    datasets: list[DatasetReportPart]
    sofs: list[SofCommandPart]


class InputPart(Part, omit_defaults=True):
    """An input of a step: a file, or the products of a category of an earlier step; how well a calibration fits."""

    category: str
    file: str = ""
    step: str = ""
    product: str = ""
    days: float | None = None
    level: int | None = None
    match: Match | None = None
    certified: bool = True


class PlannedStepPart(Part, omit_defaults=True):
    """A step of a plan. What follows `associations` is of workflow packages of EDPS alone."""

    step: str
    recipe: str
    purpose: str
    target: bool
    setup: dict[str, str]
    parameters: dict[str, Value]
    products: list[str]
    gaps: list[str]
    warnings: list[str]
    inputs: list[InputPart]
    associations: list[AssociationPart]
    task: str = ""
    levels: dict[str, int] = {}
    days: dict[str, float] = {}
    complete: bool = True
    missing: list[str] = []


class UnneededPart(Part):
    """A group of files that needs no step."""

    purpose: str
    recipe: str | None
    reason: str


class UnusedPart(Part):
    """A file that no step takes."""

    file: str
    category: str
    purpose: str
    reason: str
    detail: str


class PlanPart(Part):
    """The plan of a dataset."""

    dataset: str
    workflow: str
    messages: list[str]
    steps: list[PlannedStepPart]
    not_needed: list[UnneededPart]
    complete: bool
    incomplete: list[str]
    not_used: list[UnusedPart]


class PlanDocument(Document, omit_defaults=True):
    """`plan`: the plans of datasets; of a workflow package also all jobs, each once, and files that no job takes."""

    datasets: list[PlanPart]
    steps: list[PlannedStepPart] = []
    not_used: list[UnusedPart] = []


class DatasetFilePart(Part):
    """A file in its role; `path` is null where it is not on this machine."""

    name: str
    category: str
    path: str | None
    match: Match | None
    certified: bool


class ActionPart(Part):
    """A group of files that is processed together, with what calibrates it."""

    name: str
    complete: bool
    secondary: bool
    auxiliary: bool
    certified: bool
    match: Match | None
    messages: list[str]
    replaced: list[str]
    files: list[DatasetFilePart]
    statics: list[DatasetFilePart]
    actions: list[ActionPart]


class DatasetPart(Part):
    """A dataset. `name` is the old name of `dataset`, and goes with the next release."""

    dataset: str
    name: str
    instrument: str
    target: str | None
    complete: bool
    secondary: bool
    missing: list[str]
    certified: bool
    mode: Mode | None
    requested: Mode | None
    descriptors: dict[str, str]
    action: ActionPart


class FaultPart(Part):
    """A file that cannot be used."""

    file: str
    reason: str


class OrganiseDocument(Document):
    """`organise`: the datasets, and what is odd or not here."""

    datasets: list[DatasetPart]
    not_on_this_machine: dict[str, list[str]]
    unclassified: list[str]
    faults: list[FaultPart]
    warnings: list[str]


class QueryDocument(Document, omit_defaults=True):
    """`query`: the ADQL, and without `--adql` the rows, with the columns that were asked for."""

    adql: str
    rows: list[dict[str, Any]] = []


class SofPart(Part):
    """A SOF for use by hand: `arguments` go before it on the command line of EsoRex, `parameters` are what they set."""

    dataset: str
    step: str
    recipe: str
    sof: str
    arguments: list[str]
    parameters: dict[str, str]
    lacking: list[str]


class SofDocument(Document):
    """`sof`: the SOF files, and whether they were written."""

    written: bool
    sofs: list[SofPart]


class RunPart(Part):
    """A run of the past."""

    started: str
    datasets: int
    executed: int
    reused: int
    failed: int
    seconds: float


class RecipePart(Part):
    """What is recorded of a recipe."""

    recipe: str
    steps: int
    seconds: float
    last_made: str
    size_bytes: int


class AdoptedPart(Part):
    """A step that Reflex made."""

    recipe: str
    step: str
    made: str
    sof: str


class StatusDocument(Document):
    """`status`: runs, recipes, disk use; what is after `disk_bytes` is null without `--verify`."""

    root: str
    runs: list[RunPart]
    recipes: list[RecipePart]
    adopted: list[AdoptedPart]
    disk_bytes: dict[str, int]
    verified: int | None
    verified_files: int | None
    files: dict[str, dict[str, int]] | None
    damaged: list[str]


class AlternativePart(Part):
    """A calibration that could be used."""

    purpose: str
    category: str
    file: str
    files: int
    used: bool
    days: float | None
    match: str
    certified: str
    quality: str
    members: list[str]
    level: int | None


class ReviewDocument(Document):
    """`review`: what was chosen for a dataset, and the alternatives."""

    dataset: str
    choices: dict[str, Any]
    alternatives: list[AlternativePart]


class LogDocument(Document):
    """`log`: what a recipe said."""

    step: str
    folder: str
    exit_code: int | None
    warnings: list[str]
    lines: list[str]


class CheckPart(Part):
    """One look of `doctor`."""

    name: str
    result: Literal["ok", "missing", "optional"]
    said: str


class DoctorDocument(Document):
    """`doctor`: what is installed and what can be reached."""

    checks: list[CheckPart]


class WhoDocument(Document):
    """`whoami`: the user, where the password comes from, and when the token ends."""

    user: str | None
    source: str | None
    token_ends: str | None


class CompletionDocument(Document):
    """`completion`: a script for a shell, or the manual page."""

    what: str
    text: str


class LinksDocument(Document):
    """`datalink`: what belongs to a file, as the service says it."""

    id: str
    links: list[dict[str, Any]]


class NightLogDocument(Document):
    """`night-log`: the observer's grade and report."""

    dp_id: str
    grade: str | None
    grades: list[str]
    text: str


class DuePart(Part):
    """A tree that is asked for again, and why."""

    tree: str
    reason: str


class RefreshDocument(Document):
    """`refresh`: which trees were due, and what changed."""

    due: list[DuePart]
    changes: list[dict[str, Any]]


class FetchedFilePart(Part):
    """A file that was wanted. `digest` is the old form of `sha256`, with the name of the algorithm before it."""

    name: str
    status: str
    reason: str
    path: str | None
    size_bytes: int
    sha256: str | None
    digest: str | None


class FetchDocument(Document):
    """`fetch`: what became of each file."""

    folder: str
    complete: bool
    answered: bool
    warnings: list[str]
    associations: list[dict[str, Any]]
    trees: list[str]
    files: list[FetchedFilePart]


class ListedFilePart(Part):
    """A file that would be fetched."""

    name: str
    categories: list[str]
    role: str
    size_bytes: int | None
    present: bool


class FetchListDocument(Document):
    """`fetch --list-only`: what would be fetched."""

    files: list[ListedFilePart]
    warnings: list[str]


class AssociationsDocument(Document):
    """`associations`: calSelector's answers, with the cascade of each."""

    associations: list[dict[str, Any]]
    trees: list[str]


class FolderPart(Part):
    """A folder that may go."""

    path: str
    size_bytes: int
    reason: str


class CleanDocument(Document):
    """`clean`: what no dataset needs, and whether it was removed."""

    removed: bool
    size_bytes: int
    folders: list[FolderPart]
    left_alone: list[dict[str, Any]] = field(default_factory=list)


class WhyDocument(Document):
    """`why`: what is known of a name, line by line."""

    about: str
    lines: list[str]


class ParameterPart(Part):
    """A recipe parameter with what set it."""

    name: str
    value: str
    origin: str


class StatedInputPart(Part):
    """An input as the key of a step states it: a digest, or the step that makes it."""

    category: str
    content: str
    name: str


class ExplainedStepPart(Part):
    """What a step depends on, what is decided, and why."""

    dataset: str
    step: str
    recipe: str
    key: str
    decision: Literal["execute", "reuse", "not_needed"]
    reason: str
    pipeline: str
    plugin: str
    parameters: list[ParameterPart]
    inputs: list[StatedInputPart]
    warnings: list[str]
    gaps: list[str]


class ExplainDocument(Document):
    """`run --explain`: every step with what it depends on."""

    steps: list[ExplainedStepPart]


class FindingPart(Part):
    """Something wrong with a workflow definition."""

    place: str
    problem: str


class PlanCheckDocument(Document):
    """`plan --check`: how many definitions were looked at, and what is wrong."""

    checked: int
    findings: list[FindingPart]


class ReportDocument(Document):
    """`report`: where the page is, and the state of each dataset."""

    report: str
    size_bytes: int
    datasets: dict[str, str]


class LoginDocument(Document):
    """`login`: the user, and whether the password is kept."""

    user: str
    kept: bool


class LogoutDocument(Document):
    """`logout`: the user, and whether a password was removed."""

    user: str | None
    removed: bool


class BatchDocument(Document):
    """`batch`, `batch status`, `batch report`: how a batch stands; see the page of batches for the states."""

    name: str
    state: str
    run: int
    began: str
    ended: str
    datasets: list[dict[str, Any]]
    recipes: list[dict[str, Any]]
    steps: dict[str, int]
    lost: int
    disk_bytes: int
    unfetched: list[FaultPart]
    next: list[str]
    executed: int
    outcomes: dict[str, int]
    verdict: str = ""


DOCUMENTS: dict[str, type[Document]] = {
    "error": ErrorDocument,
    "batch": BatchDocument,
    "login": LoginDocument,
    "logout": LogoutDocument,
    "plan-check": PlanCheckDocument,
    "report": ReportDocument,
    "run-explain": ExplainDocument,
    "why": WhyDocument,
    "associations": AssociationsDocument,
    "clean": CleanDocument,
    "completion": CompletionDocument,
    "datalink": LinksDocument,
    "doctor": DoctorDocument,
    "fetch": FetchDocument,
    "fetch-list": FetchListDocument,
    "log": LogDocument,
    "night-log": NightLogDocument,
    "organise": OrganiseDocument,
    "plan": PlanDocument,
    "query": QueryDocument,
    "reduce": ReduceDocument,
    "refresh": RefreshDocument,
    "review": ReviewDocument,
    "run": RunDocument,
    "sof": SofDocument,
    "status": StatusDocument,
    "whoami": WhoDocument,
}
"""The document of each verb; the published schema has its name. `provenance` has its own beside end products."""


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a document."""
    from msgspec.json import schema

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema(DOCUMENTS[name])}

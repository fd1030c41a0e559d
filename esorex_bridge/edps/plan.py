"""Planning: files and a package become jobs, in the child process, because the package's functions are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from esorex_bridge.definitions.edps.as_workflow import canonical
from esorex_bridge.definitions.edps.options import EdpsOptions
from esorex_bridge.definitions.edps.package import Description, Package
from esorex_bridge.definitions.edps.parameters import choose_set
from esorex_bridge.definitions.edps.planned_jobs import Event, PackageJob, PackageJobs
from esorex_bridge.definitions.oca.library import archive_prefix
from esorex_bridge.edps.chosen import WantedJob, needs_of
from esorex_bridge.edps.process import PackageError, ask_child, refuse_failures
from esorex_bridge.edps.read import request_for
from esorex_bridge.edps.sources import Sources
from esorex_bridge.errors import UserError
from esorex_bridge.fits.cache import HeaderCache
from esorex_bridge.fits.copies import Copies, find_copies
from esorex_bridge.fits.header import read_header
from esorex_bridge.fits.scan import FileFault, scan

PLANNING_SECONDS, SECONDS_A_FILE = 20, 0.02
"""How long planning may take: a night of a thousand files takes a second."""
_ALWAYS = ("MJD-OBS", "DATE-OBS", "PRO.CATG", "INSTRUME", "ARCFILE", "RA", "DEC")
_ROUNDS = 8

Headers = Callable[[tuple[str, ...]], Mapping[str, Mapping[str, Any]]]
"""Returns the values of keywords of all files, by path."""


def keywords_of(description: Description) -> tuple[str, ...]:
    """Return the keywords that a package's rules state, in our form."""
    found = list(_ALWAYS)
    for rule in description.classes:
        found.extend(rule.keywords or ())
    for source in description.sources:
        found.extend((*source.setup, *(source.grouping.keywords or ())))
        found.extend(key for rule in source.rules for key in rule.match)
    for task in description.tasks:
        found.extend(task.grouping.keywords or ())
        found.extend(key for branch in task.branches() for rule in branch.rules for key in rule.match)
    return tuple(dict.fromkeys(canonical(key) for key in found if not key.startswith("$")))


def plan_jobs(
    sources: Sources,
    package: Package,
    headers: Headers,
    options: EdpsOptions,
    events: Iterable[Event] = (),
    wanted: Iterable[WantedJob] = (),
) -> PackageJobs:
    """Return the jobs that a package makes of files, producers first, with all that targets need and nothing else.

    Parameters
    ----------
    sources : Sources
        The package's text.
    package : Package
        What it says.
    headers : callable
        Returns header values of the files; asked again where the package wants keywords that it does not state.
    options : EdpsOptions
        What the user wants.
    events : iterable of Event
        Changes of instruments that no association crosses.
    wanted : iterable of WantedJob
        What a user chose for datasets: their jobs come in `PackageJobs.reviewed` too.

    Raises
    ------
    PackageError
        If the package failed or was ended.
    UserError
        If a target, parameter set or workflow parameter is not there.
    """
    chosen = choose_set(package.sets, options.parameter_set, package.name)
    _refuse_unknown_parameters(package, options.workflow_parameters)
    keys = keywords_of(package.description)
    events, wanted = tuple(events), tuple(wanted)
    own = {path for each in wanted for _, path in each.replace}
    for _ in range(_ROUNDS):
        found = headers(keys)
        request = request_for(
            sources,
            "plan",
            files=[{"name": name, "header": header} for name, header in found.items()],
            workflow_parameters=_merge(chosen.workflow, options.workflow_parameters),
            targets=options.targets,
            meta_targets=options.meta_targets or (() if options.targets else ("science",)),
            preference=options.preference,
            events=_concerning(events, found),
            choices=[_request_choices(each, keys) for each in wanted],
        )
        seconds = PLANNING_SECONDS + SECONDS_A_FILE * len(found)
        answer = ask_child(request, sources.module, options.trusted, seconds)
        jobs = _decode(answer, sources.module, {*found, *own}, {each.dataset for each in wanted})
        if jobs.no_target:
            raise UserError(f"workflow package {package.name}: {jobs.no_target}")
        more = tuple(key for key in jobs.asked if key not in keys)
        if not more:
            return jobs
        keys = (*keys, *more)
    raise PackageError(f"workflow package {package.name} asks for ever more keywords: {', '.join(keys[-5:])}")


def _request_choices(wanted: WantedJob, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return what a user chose for a dataset as values of JSON, with the headers of his own files."""
    own = {path: dict.fromkeys(keys) | read_header(Path(path)).select(keys) for _, path in wanted.replace}
    files = [{"name": name, "header": header} for name, header in own.items()]
    return {**msgspec.to_builtins(wanted), "own": files}


def _concerning(events: Iterable[Event], headers: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the events of the instruments of files, each with the values of INSTRUME that it is about."""
    present = {str(header["INSTRUME"]) for header in headers.values() if header.get("INSTRUME")}
    found = []
    for event in events:
        names = {name.upper() for name in event.instruments}
        about = [each for each in sorted(present) if not names or {each.upper(), archive_prefix(each)} & names]
        if about:
            found.append({"mjd": event.mjd, "instruments": about, "raws": event.raws, "masters": event.masters})
    return found


def _refuse_unknown_parameters(package: Package, given: Iterable[tuple[str, str]]) -> None:
    known = {name.removeprefix("$") for each in package.sets for name in each.workflow}
    for name, _ in given:
        if known and name.removeprefix("$") not in (*known, "quality_threshold"):
            raise UserError(
                f"--workflow-parameter {name}: {package.name} has no such parameter; it has: {', '.join(sorted(known))}"
            )


def _merge(known: Mapping[str, str], given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return workflow parameters with those given, whether a `$` stands before the name or not."""
    found = dict(known)
    for name, value in given:
        plain = name.removeprefix("$")
        for spelling in (plain, f"${plain}"):
            found.pop(spelling, None)
        found[f"${plain}" if f"${plain}" in known else plain] = value
    return found


def _decode(answer: bytes, label: str, names: set[str], datasets: set[str]) -> PackageJobs:
    try:
        document = msgspec.json.decode(answer)
    except msgspec.DecodeError as error:
        raise PackageError(f"workflow package {label} answered what is not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise PackageError(f"workflow package {label} answered what is not a plan")
    refuse_failures(document, label)
    try:
        jobs = msgspec.convert(document, PackageJobs)
    except msgspec.ValidationError as error:
        raise PackageError(f"workflow package {label} answered what is not a plan: {error}") from None
    if not names.issuperset(jobs.classified):
        raise PackageError(f"workflow package {label} answered with files that it was not given")
    if not datasets.issuperset(each.dataset for each in jobs.reviewed):
        raise PackageError(f"workflow package {label} answered with datasets that nobody asked for")
    for listed in (jobs.jobs, *(each.jobs for each in jobs.reviewed)):
        _refuse_strange(listed, label, names)
    return jobs


def _refuse_strange(jobs: Iterable[PackageJob], label: str, names: set[str]) -> None:
    """Refuse jobs of files that were not named, or on jobs that do not come before: the answer is foreign."""
    for number, job in enumerate(jobs):
        inputs = needs_of(job)
        files = [name for name, _ in (*job.main, *(pair for each in job.inputs for pair in each.files))]
        if job.job != number or any(not 0 <= given.job < number for given in inputs) or not names.issuperset(files):
            raise PackageError(f"workflow package {label} answered with jobs of files that it was not given")


class DataFolder:
    """The headers of all FITS files in places, each content once; read again only where more keywords are wanted.

    Parameters
    ----------
    places : iterable of Path
        Folders or files.
    cache_file : Path, optional
        Remembers headers from one run to the next.
    """

    def __init__(self, places: Iterable[Path], cache_file: Path | None = None) -> None:
        self._places, self._cache_file = tuple(places), cache_file
        self._known: dict[str, Mapping[str, Any]] = {}
        self._keys: tuple[str, ...] = ()
        self.faults: tuple[FileFault, ...] = ()
        self.copies: tuple[Copies, ...] = ()

    def __call__(self, keys: tuple[str, ...]) -> Mapping[str, Mapping[str, Any]]:
        """Return header values by path."""
        if not set(keys) <= set(self._keys):
            self._keys = tuple(sorted({*keys, *self._keys}))
            self._read()
        return self._known

    def _read(self) -> None:
        cache = HeaderCache(self._cache_file, self._keys) if self._cache_file is not None else None
        found = scan(self._places, self._keys, cache)
        headers = found.headers
        self.faults, self.copies = found.faults, find_copies(headers)
        again = {str(path) for copy in self.copies for path in copy.others}
        self._known = {name: header for name, header in found.found.items() if name not in again}

"""Planning: files and a package become jobs, in the child process, because the package's functions are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from esorex_bridge.definitions.edps.package import Description, Jobs, Package
from esorex_bridge.definitions.edps.parameters import choose_set
from esorex_bridge.edps.process import PackageError, ask_child, refuse_failures
from esorex_bridge.edps.read import request_for
from esorex_bridge.edps.sources import Sources
from esorex_bridge.errors import UserError

PLANNING_SECONDS = 300
_ALWAYS = ("MJD-OBS", "PRO.CATG", "INSTRUME", "DPR.CATG", "DPR.TYPE", "DPR.TECH", "RA", "DEC", "OBJECT", "TPL.START")
_ROUNDS = 8

Headers = Callable[[tuple[str, ...]], Mapping[str, Mapping[str, Any]]]
"""Returns the values of keywords of all files, by path."""


class Wishes(Struct, frozen=True):
    """What a user wants of a package.

    Parameters
    ----------
    targets, meta_targets : tuple of str
        Tasks by name, and labels of tasks; neither: `science`.
    parameter_set : str or None
        The set of parameters; None for the default one.
    workflow_parameters : tuple of (str, str)
        Win over those of the set.
    preference : str
        Whether raws or masters are tried first.
    """

    targets: tuple[str, ...] = ()
    meta_targets: tuple[str, ...] = ()
    parameter_set: str | None = None
    workflow_parameters: tuple[tuple[str, str], ...] = ()
    preference: str = "raw_per_quality_level"


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


def canonical(key: str) -> str:
    """Return a keyword in our form: `ins.wlen.id` and `HIERARCH ESO INS WLEN ID` become `INS.WLEN.ID`."""
    text = key.strip().upper()
    for prefix in ("HIERARCH ESO ", "HIERARCH ", "ESO "):
        text = text.removeprefix(prefix)
    return text.replace(" ", ".")


def plan_jobs(sources: Sources, package: Package, headers: Headers, wishes: Wishes, trusted: bool = False) -> Jobs:
    """Return the jobs that a package makes of files, producers first, with all that targets need and nothing else.

    Parameters
    ----------
    sources : Sources
        The package's text.
    package : Package
        What it says.
    headers : callable
        Returns header values of the files; asked again where the package wants keywords that it does not state.
    wishes : Wishes
        What the user wants.
    trusted : bool
        Plan without a fence where the kernel has none.

    Raises
    ------
    PackageError
        If the package failed or was ended.
    UserError
        If a target, parameter set or workflow parameter is not there.
    """
    chosen = choose_set(package.sets, wishes.parameter_set, package.name)
    _refuse_unknown_parameters(package, wishes.workflow_parameters)
    keys = keywords_of(package.description)
    for _ in range(_ROUNDS):
        found = headers(keys)
        request = request_for(
            sources,
            "plan",
            files=[{"name": name, "header": header} for name, header in found.items()],
            workflow_parameters=_merged(chosen.workflow, wishes.workflow_parameters),
            targets=wishes.targets,
            meta_targets=wishes.meta_targets or (() if wishes.targets else ("science",)),
            preference=wishes.preference,
        )
        jobs = _decode(ask_child(request, sources.module, trusted, PLANNING_SECONDS), sources.module, set(found))
        if jobs.no_target:
            raise UserError(f"workflow package {package.name}: {jobs.no_target}")
        more = tuple(key for key in jobs.asked if key not in keys)
        if not more:
            return jobs
        keys = (*keys, *more)
    raise PackageError(f"workflow package {package.name} asks for ever more keywords: {', '.join(keys[-5:])}")


def _refuse_unknown_parameters(package: Package, given: Iterable[tuple[str, str]]) -> None:
    known = {name.removeprefix("$") for each in package.sets for name in each.workflow}
    for name, _ in given:
        if known and name.removeprefix("$") not in (*known, "quality_threshold"):
            raise UserError(
                f"--workflow-parameter {name}: {package.name} has no such parameter; it has: {', '.join(sorted(known))}"
            )


def _merged(known: Mapping[str, str], given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return workflow parameters with those given, whether a `$` stands before the name or not."""
    found = dict(known)
    for name, value in given:
        plain = name.removeprefix("$")
        for spelling in (plain, f"${plain}"):
            found.pop(spelling, None)
        found[f"${plain}" if f"${plain}" in known else plain] = value
    return found


def _decode(answer: bytes, label: str, names: set[str]) -> Jobs:
    try:
        document = msgspec.json.decode(answer)
    except msgspec.DecodeError as error:
        raise PackageError(f"workflow package {label} answered what is not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise PackageError(f"workflow package {label} answered what is not a plan")
    refuse_failures(document, label)
    try:
        jobs = msgspec.convert(document, Jobs)
    except msgspec.ValidationError as error:
        raise PackageError(f"workflow package {label} answered what is not a plan: {error}") from None
    _refuse_strange(jobs, label, names)
    return jobs


def _refuse_strange(jobs: Jobs, label: str, names: set[str]) -> None:
    """Refuse jobs of files that were not named, or on jobs that do not come before: the answer is foreign."""
    for number, job in enumerate(jobs.jobs):
        inputs = [*job.upstream, *(given for each in job.inputs for given in each.jobs)]
        files = [name for name, _ in (*job.main, *(pair for each in job.inputs for pair in each.files))]
        if job.job != number or any(not 0 <= given.job < number for given in inputs) or not names.issuperset(files):
            raise PackageError(f"workflow package {label} answered with jobs of files that it was not given")


def data_headers(places: Iterable[Path], cache_file: Path | None = None) -> Headers:
    """Return what reads the headers of all FITS files in places."""
    from esorex_bridge.fits.cache import HeaderCache
    from esorex_bridge.fits.scan import scan

    listed = tuple(places)

    def read(keys: tuple[str, ...]) -> Mapping[str, Mapping[str, Any]]:
        wanted = tuple(sorted(keys))
        cache = HeaderCache(cache_file, wanted) if cache_file is not None else None
        return scan(listed, wanted, cache).found

    return read

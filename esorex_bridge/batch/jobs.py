"""JOBS.yaml: which datasets are to be reduced, how, and with which parameters; read with line numbers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.archive.query import Constraints
from esorex_bridge.datasets.association import Mode
from esorex_bridge.definitions.located import Located, Scalar, read_yaml
from esorex_bridge.definitions.parameters import ParameterSetting
from esorex_bridge.files import DpId

MODES: dict[str, Mode] = {"raw": "Raw2Raw", "master": "Raw2Master"}

_TEXTS = ("target", "instrument", "type", "tech", "where")
_NUMBERS = ("ra", "dec", "radius")
_COMMON = ("mode", "workflow", "parameters", "sweep", "overrides", "skip")
_QUERY = ("program", "night", *_TEXTS, *_NUMBERS, "from", "to", "category", "max")
_JOB = ("name", "datasets", "dp_ids", *_QUERY, *_COMMON)
_BATCH = ("batch", "jobs", "mode", "workflow", "parameters")


class Variant(Struct, frozen=True):
    """Parameters under which a dataset is reduced, and what tells them apart from others.

    Parameters
    ----------
    label : str
        Appended to the dataset's name (`@rej=1_1`); empty where there is only one variant.
    settings : tuple of ParameterSetting
        In the order in which they count: a later one wins.
    """

    label: str
    settings: tuple[ParameterSetting, ...]


class Job(Struct, frozen=True):
    """Datasets that are reduced in one way.

    Parameters
    ----------
    name : str
        For reports.
    datasets : tuple of str
        Names of datasets that lie in the data root; `all` for all of them.
    queries : tuple of Constraints
        What to ask the archive for.
    mode : {'Raw2Raw', 'Raw2Master'}
        Calibrations as raw frames or as processed masters.
    workflow : Path or None
        A definition instead of the one for the instrument.
    settings : tuple of ParameterSetting
        Recipe parameters.
    sweep : tuple of (tuple of ParameterSetting)
        For each parameter of a sweep the values that it takes in turn.
    overrides : tuple of (str, tuple of ParameterSetting)
        Parameters of single datasets.
    skip : tuple of str
        Datasets to leave out.
    """

    name: str
    datasets: tuple[str, ...] = ()
    queries: tuple[Constraints, ...] = ()
    mode: Mode = "Raw2Raw"
    workflow: Path | None = None
    settings: tuple[ParameterSetting, ...] = ()
    sweep: tuple[tuple[ParameterSetting, ...], ...] = ()
    overrides: tuple[tuple[str, tuple[ParameterSetting, ...]], ...] = ()
    skip: tuple[str, ...] = ()

    @property
    def given_settings(self) -> Iterator[ParameterSetting]:
        """All parameters that it gives, for whichever dataset."""
        yield from self.settings
        for settings in (*self.sweep, *(own for _, own in self.overrides)):
            yield from settings

    def variants(self, dataset: str) -> Iterator[Variant]:
        """Yield the ways in which a dataset is reduced: one for each combination of the sweep."""
        own = dict(self.overrides).get(dataset, ())
        for chosen in product(*self.sweep):
            words = "".join(f"@{setting.name}={setting.value}" for setting in chosen)
            yield Variant(words.replace(" ", "_"), (*self.settings, *own, *chosen))


class Jobs(Struct, frozen=True):
    """All that a batch is to do.

    Parameters
    ----------
    name : str
        Of the batch; empty where the file gives none.
    jobs : tuple of Job
        In the order of the file.
    """

    name: str
    jobs: tuple[Job, ...]


def read_jobs(text: str, source: str) -> Jobs:
    """Read a jobs file.

    Raises
    ------
    DefinitionError
        If it says something that is not allowed; the message has file, line, and what is allowed.
    """
    fields = read_yaml(text, source).fields("a jobs file", _BATCH, required=("jobs",))
    common = _common(Job(""), {name: value for name, value in fields.items() if name in _COMMON})
    listed = fields["jobs"].sequence("jobs")
    if not listed:
        raise fields["jobs"].complain("jobs is empty; name datasets, dp_ids, or a query (program, night, target …)")
    jobs = tuple(_job(element, number, common) for number, element in enumerate(listed, start=1))
    for element, job in zip(listed, jobs, strict=True):
        if sum(other.name == job.name for other in jobs) > 1:
            raise element.complain(f"two jobs are named '{job.name}'")
    name = fields["batch"].text("batch") if "batch" in fields else ""
    if name and not is_batch_name(name):
        raise fields["batch"].complain(f"'{name}' is no name for a batch: letters, digits, '.', '_' and '-'")
    return Jobs(name, jobs)


def is_batch_name(name: str) -> bool:
    """Tell whether a name can be that of a batch, and so of a folder."""
    return name.replace("-", "").replace("_", "").replace(".", "").isalnum() and name.isascii() and name[0] != "."


def _job(element: Located, number: int, common: Job) -> Job:
    fields = element.fields("a job", _JOB)
    queries = {name: value for name, value in fields.items() if name in _QUERY}
    sources = ("datasets" in fields) + ("dp_ids" in fields) + bool(queries)
    if sources != 1:
        raise element.complain(
            "a job names its data in one way: 'datasets' (names, or all), 'dp_ids', or a query (program, night, …)"
        )
    job = replace(common, name=fields["name"].text("name") if "name" in fields else f"job {number}")
    if "datasets" in fields:
        job = replace(job, datasets=fields["datasets"].texts("datasets"))
    elif "dp_ids" in fields:
        job = replace(job, queries=(Constraints(dp_ids=_dp_ids(fields["dp_ids"]), category=None),))
    else:
        job = replace(job, queries=tuple(_queries(element, queries)))
    return _common(job, fields)


def _dp_ids(given: Located) -> tuple[DpId, ...]:
    from esorex_bridge.files import is_dp_id

    names = given.texts("dp_ids")
    for name in names:
        if not is_dp_id(name):
            raise given.complain(f"'{name}' is no archive name; they look like NACO.2016-03-02T02:00:00.000")
    return tuple(map(DpId, names))


def _queries(element: Located, fields: dict[str, Located]) -> Iterator[Constraints]:
    """Yield one query for each programme and night."""
    texts = {name: fields[name].text(name) for name in _TEXTS if name in fields}
    numbers = {name: _number(fields[name], name) for name in _NUMBERS if name in fields}
    category = fields["category"].text("category") if "category" in fields else "SCIENCE"
    start = Constraints(
        target=texts.get("target"),
        instrument=texts.get("instrument"),
        type=texts.get("type"),
        tech=texts.get("tech"),
        where=texts.get("where"),
        ra=numbers.get("ra"),
        dec=numbers.get("dec"),
        radius=numbers.get("radius"),
        begin=_date(fields["from"]) if "from" in fields else None,
        end=_date(fields["to"]) if "to" in fields else None,
        category=None if category.lower() == "any" else category,
        limit=fields["max"].count("max") if "max" in fields else None,
    )
    programs = fields["program"].texts("program") if "program" in fields else (None,)
    nights = _dates(fields["night"]) if "night" in fields else (None,)
    for program, night in product(programs, nights):
        yield replace(start, program=program, night=night)


def _date(given: Located) -> str:
    """Return a date as it is written; YAML would make a date of it."""
    return str(given.scalar("a date"))


def _dates(given: Located) -> tuple[str, ...]:
    import yaml

    return (
        tuple(_date(each) for each in given.sequence("night"))
        if isinstance(given.node, yaml.SequenceNode)
        else (_date(given),)
    )


def _number(given: Located, name: str) -> float:
    value = given.scalar(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise given.complain(f"{name} must be a number of degrees")
    return float(value)


def _common(job: Job, fields: dict[str, Located]) -> Job:
    if "mode" in fields:
        mode = fields["mode"].text("mode")
        if mode not in MODES:
            raise fields["mode"].complain(f"mode is '{mode}'; allowed: {', '.join(MODES)}")
        job = replace(job, mode=MODES[mode])
    if "workflow" in fields:
        job = replace(job, workflow=Path(fields["workflow"].text("workflow")))
    if "parameters" in fields:
        job = replace(job, settings=(*job.settings, *_settings(fields["parameters"])))
    if "sweep" in fields:
        job = replace(job, sweep=tuple(_expand_sweep(fields["sweep"])))
    if "overrides" in fields:
        listed = fields["overrides"].items("overrides")
        job = replace(job, overrides=tuple((dataset, tuple(_settings(value))) for dataset, value in listed))
    if "skip" in fields:
        job = replace(job, skip=fields["skip"].texts("skip"))
    return job


def _settings(given: Located) -> Iterator[ParameterSetting]:
    for recipe, parameters in given.items("parameters"):
        for name, value in parameters.items(f"the parameters of {recipe}"):
            yield _setting(recipe, name, value.scalar(f"parameter {name}"), value)


def _expand_sweep(given: Located) -> Iterator[tuple[ParameterSetting, ...]]:
    for recipe, parameters in given.items("sweep"):
        for name, values in parameters.items(f"the sweep of {recipe}"):
            found = values.sequence(f"the values of {name}")
            if not found:
                raise values.complain(f"the sweep of {recipe}.{name} has no values")
            yield tuple(_setting(recipe, name, value.scalar(f"a value of {name}"), value) for value in found)


def _setting(recipe: str, name: str, value: Scalar, place: Located) -> ParameterSetting:
    return ParameterSetting(recipe, name, value, f"{place.source}:{place.line}")

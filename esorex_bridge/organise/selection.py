"""Selection of datasets, as in Reflex's DataSetChooser: by state, by name, or by a keyword of the science files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.definitions.oca.evaluate import NOTHING, Keywords, holds
from esorex_bridge.definitions.oca.expressions import Expression


class Method(Enum):
    """Which datasets, by what happened to them so far."""

    ALL = "all"
    NEW = "new"
    REDUCED = "reduced"
    FAILED = "failed"


class State(Enum):
    """What happened to a dataset so far."""

    NEW = "new"
    REDUCED = "reduced"
    FAILED = "failed"


def select(
    datasets: Iterable[Dataset],
    method: Method = Method.ALL,
    states: Mapping[str, State] | None = None,
    pattern: str | None = None,
    where: Expression | None = None,
    headers: Mapping[Path, Keywords] | None = None,
) -> tuple[Dataset, ...]:
    """Return the datasets that are asked for.

    Parameters
    ----------
    datasets : iterable of Dataset
        To choose from.
    method : Method
        `ALL` takes all, the incomplete ones included: leaving these out is the caller's business, who must say so.
    states : mapping of str to State
        By name; what is not in it is new.
    pattern : str, optional
        Of the name, with `*` and `?`.
    where : Expression, optional
        In the language of OCA rules, about the first science file: `INS.FILT1.NAME == "Ks"`.
    headers : mapping of Path to keywords
        Needed for `where`.
    """
    known, seen = states or {}, headers or {}
    return tuple(
        dataset
        for dataset in datasets
        if _has_state(known.get(dataset.name, State.NEW), method)
        and (pattern is None or fnmatchcase(dataset.name, pattern))
        and (where is None or holds(where, science_header(dataset, seen)))
    )


def science_header(dataset: Dataset, headers: Mapping[Path, Keywords]) -> Keywords:
    """Return what is known of a dataset's first science file: its header, or the keywords displayed."""
    paths = (file.path for file in dataset.action.files if file.path is not None)
    header = next((headers[path] for path in paths if path in headers), NOTHING)
    shown = {key: value for key, value in dataset.descriptors if value != "UNDEFINED"}
    return {"INSTRUME": dataset.instrument, **shown, **header}


def _has_state(state: State, method: Method) -> bool:
    return method is Method.ALL or state.value == method.value

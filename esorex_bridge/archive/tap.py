"""TAP: questions to the archive's tables, put by pyvo over our connection.

Sync first; an async job where the sync service gives up (at about 60 s), or the user says so. A table that was cut off
is an error, not a short table.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import requests

from esorex_bridge.archive.connection import Connection
from esorex_bridge.archive.exchange import Form, ServiceError
from esorex_bridge.errors import ArchiveError, BridgeError, UserError

if TYPE_CHECKING:
    from astropy.table import Table

MAX_ROWS = 15_000_000
"""The greatest MAXREC that ESO's service takes."""

JOB_DURATION_S = 3600
"""The longest that an async job may run there."""

_ENDED = ("COMPLETED", "ERROR", "ABORTED")
_LONGEST_POLL_S = 5.0

Watch = Callable[[str], None]
"""Told the phase of a job whenever it changes."""


class TruncatedError(ArchiveError):
    """The service cut the table off."""


class _Session:
    """What pyvo needs of a session, over our connection: its patience, its login, its care with redirects."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._answers: list[requests.Response] = []

    def get(self, url: str, params: Mapping[str, Any] | None = None, **_: Any) -> requests.Response:
        return self._open("GET", url, params=_pairs(params))

    def post(self, url: str, data: Mapping[str, Any] | None = None, **_: Any) -> requests.Response:
        return self._open("POST", url, form=_pairs(data))

    def delete(self, url: str, **_: Any) -> requests.Response:
        return self._open("DELETE", url)

    def close(self) -> None:
        """Close all answers: pyvo leaves those that say an error half read."""
        for answer in self._answers:
            answer.close()

    def _open(self, method: str, url: str, params: Form = (), form: Form = ()) -> requests.Response:
        # A sync query that takes too long will do so again; it becomes a job instead.
        answer = self._connection.open(method, url, params, form, slow_is_final=True)
        self._answers.append(answer)
        return answer


def ask(
    connection: Connection, adql: str, limit: int | None = None, job: bool = False, watch: Watch | None = None
) -> Table:
    """Return the rows of an ADQL query as an astropy table.

    Parameters
    ----------
    connection : Connection
        To the archive.
    adql : str
        The query.
    limit : int, optional
        MAXREC: a table that is cut off there is no error.
    job : bool
        Ask by an async job at once.
    watch : callable, optional
        Told what phase an async job is in.

    Raises
    ------
    UserError
        Where the service does not understand the query; with what it said.
    TruncatedError
        Where the service cut the table off, and no limit was given.
    ServiceError
        Where the service failed.
    """
    from pyvo.dal import TAPService

    session = _Session(connection)
    service = TAPService(connection.services.tap, session=session)
    with closing(session), _translated(connection.services.tap, adql), warnings.catch_warnings():
        # A table that was cut off is looked at below; other warnings are about units and versions of the format.
        warnings.simplefilter("ignore")
        results = None
        if not job:
            results = _sync(service, adql, limit)
        if results is None:
            results = _async(service, adql, limit, watch or _silent)
        status, said = results.status
        table = results.to_table()
    if status == "OVERFLOW" and limit is None:
        raise TruncatedError(
            f"the archive cut the table off after {len(table)} rows{f' ({said})' if said else ''}; "
            "narrow the query, or give --max to accept a part"
        )
    return table


def rows(table: Table) -> tuple[dict[str, Any], ...]:
    """Return the rows of a table as plain values; None where the archive has none."""
    names = list(table.colnames)
    columns = [_plain(table[name]) for name in names]
    return tuple(dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))


def _plain(column: Any) -> list[Any]:
    values = column.filled(column.fill_value).tolist() if hasattr(column, "mask") else column.tolist()
    mask = column.mask.tolist() if hasattr(column, "mask") else [False] * len(values)
    return [None if gone or _is_nothing(value) else value for value, gone in zip(values, mask, strict=True)]


def _is_nothing(value: Any) -> bool:
    """Tell whether a value stands for none: VOTables write it as NaN, or as an empty text."""
    return value == "" or (isinstance(value, float) and value != value)


def _sync(service: Any, adql: str, limit: int | None) -> Any:
    """Return the results of a sync query; None where it takes too long for one."""
    from pyvo.dal.exceptions import DALAccessError

    try:
        return service.run_sync(adql, maxrec=limit or MAX_ROWS)
    except DALAccessError as error:
        ours = _ours(error)
        if isinstance(ours, ServiceError) and ours.slow:
            return None
        raise


def _async(service: Any, adql: str, limit: int | None, watch: Watch) -> Any:
    job = service.submit_job(adql, maxrec=limit or MAX_ROWS)
    try:
        job.execution_duration = JOB_DURATION_S
        job.run()
        _wait(job, watch)
        job.raise_if_error()
        return job.fetch_result()
    finally:
        job.delete()


def _wait(job: Any, watch: Watch) -> None:
    pause, last = 0.1, ""
    while (phase := job.phase) not in _ENDED:
        if phase != last:
            watch(last := phase)
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_POLL_S)
    watch(phase)


@contextmanager
def _translated(url: str, adql: str) -> Iterator[None]:
    from pyvo.dal.exceptions import DALAccessError, DALQueryError

    try:
        yield
    except DALQueryError as error:
        raise UserError(f"the archive does not understand the query: {error}\n{adql}") from error
    except DALAccessError as error:
        if (ours := _ours(error)) is not None:
            raise ours from None
        raise ServiceError(url, None, f"the query failed: {error}") from error


def _ours(error: BaseException | None) -> BridgeError | None:
    """Return the error of our connection that pyvo wrapped into one of its own."""
    while error is not None and not isinstance(error, BridgeError):
        error = error.__cause__ or error.__context__
    return error


def _pairs(values: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in (values or {}).items())


def _silent(_: str) -> None:
    pass

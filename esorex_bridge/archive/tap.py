"""TAP: questions to the archive's tables, put by pyvo over our connection.

Sync first; an async job where the sync service gives up (after one or two minutes), or the user says so. It gives up in
many ways: with 502 or 504 of the front end, with 202, or with an ERROR that speaks of time, also behind rows. A table
that was cut off is an error, not a short table.
"""

from __future__ import annotations

import io
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import requests

from esorex_bridge.archive.connection import Connection
from esorex_bridge.archive.exchange import Form, ServiceError, TooLongError, is_page, speaks_of_time, what_came
from esorex_bridge.archive.table_rows import Rows, read_rows
from esorex_bridge.errors import ArchiveError, BridgeError, UserError
from esorex_bridge.log import logger
from esorex_bridge.values import visible

if TYPE_CHECKING:
    from astropy.table import Table

MAX_ROWS = 15_000_000
"""The greatest MAXREC that ESO's service takes."""

JOB_DURATION_S = 3600
"""The longest that an async job may run there."""

JOB_MARGIN_S = 300
"""How much longer than that we wait: for a job to begin, and for its result to be written."""

_ENDED = ("COMPLETED", "ERROR", "ABORTED", "ARCHIVED")
_NOT_BEGUN = ("PENDING", "HELD")
_LONGEST_POLL_S = 5.0
_PENDING_POLLS = 5
_TRY_AS_JOB = 202
_UNKNOWN_COLUMN = re.compile(r"unresolved|unknown|invalid|not found|does not exist|no such", re.IGNORECASE)

_log = logger(__name__)

Watch = Callable[[str], None]
"""Told the phase of a job whenever it changes."""


class QueryError(UserError):
    """The service does not understand a query.

    Parameters
    ----------
    said : str
        What the service said.
    adql : str
        The query.
    """

    def __init__(self, said: str, adql: str) -> None:
        self.said, self.adql = said, adql
        super().__init__(
            f"the archive does not understand the query: {said}; look at --where and --columns (--adql prints it)"
        )


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
        # The redirection to the list of jobs is not followed: that list is not for everybody.
        return self._open("DELETE", url, follows=False, attempts=1)

    def close(self) -> None:
        """Close all answers: pyvo leaves those that say an error half read."""
        for answer in self._answers:
            answer.close()

    def _open(self, method: str, url: str, params: Form = (), form: Form = (), **manner: Any) -> requests.Response:
        # A sync query that takes too long will do so again; it becomes a job instead.
        sync = url.endswith("/sync")
        manner = {"slow_is_final": True, "thinks_long": sync, "no_page": True, **manner}
        answer = self._connection.open(method, self._connection.services.upgrade_address(url), params, form, **manner)
        self._answers.append(answer)
        if sync and answer.status_code == _TRY_AS_JOB:
            came = what_came(answer.headers.get("Content-Type", ""), next(answer.iter_content(8192), b""))
            raise ServiceError(url, answer.status_code, f"it answers HTTP {answer.status_code} with {came}", slow=True)
        _limit(answer, self._connection.patience.longest_document_bytes)
        return answer


def _limit(answer: requests.Response, longest_bytes: int) -> None:
    """Let an answer end with an error where more comes than is to be read."""
    read, seen = answer.raw.read, 0

    def read_limited(*args: Any, **options: Any) -> bytes:
        nonlocal seen
        data: bytes = read(*args, **options)
        seen += len(data)
        if seen > longest_bytes:
            raise TooLongError(answer.url, longest_bytes)
        return data

    answer.raw.read = read_limited  # type: ignore[method-assign]


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
        If the service does not understand the query; with what it said.
    TruncatedError
        If the service cut the table off, and no limit was given.
    ServiceError
        If the service failed.
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
            results = _async(service, adql, limit, watch or _silent, connection)
        return _table(results, limit)


def _table(results: Any, limit: int | None) -> Table:
    """Return what pyvo read as a table; one that was cut off against our will is refused."""
    status, said = results.status
    table = results.to_table()
    if status == "OVERFLOW" and limit is None:
        raise _describe_truncation(len(table), said)
    return table


def ask_rows(
    connection: Connection, adql: str, limit: int | None = None, job: bool = False, watch: Watch | None = None
) -> tuple[dict[str, Any], ...]:
    """Return the rows of an ADQL query as plain values; as `ask`, in a fraction of the time."""
    found = None if job else _sync_rows(connection, adql, limit)
    if found is None:
        return rows(ask(connection, adql, limit, True, watch))
    if found.status == "OVERFLOW" and limit is None:
        raise _describe_truncation(len(found.rows), found.message)
    return found.rows


def _sync_rows(connection: Connection, adql: str, limit: int | None) -> Rows | None:
    """Return what a sync query gives; None where it takes too long for one.

    Raises
    ------
    QueryError
        If the service does not understand the query.
    """
    url = f"{connection.services.tap}/sync"
    form = [("REQUEST", "doQuery"), ("LANG", "ADQL"), ("MAXREC", str(limit or MAX_ROWS)), ("QUERY", adql)]
    try:
        answer = connection.post(url, form, slow_is_final=True, thinks_long=True, no_page=True)
    except ServiceError as error:
        if not error.slow:
            raise
        _log.info("the synchronous query takes too long (%s); it becomes a job", error.reason)
        return None
    if answer.status == _TRY_AS_JOB:
        return None
    kind = answer.headers.get("Content-Type", "")
    found = read_rows(answer.body)
    if found is None and answer.status == 200 and not is_page(kind, answer.body):
        return _rows_of_other_form(connection, adql, limit, answer.body)
    if found is not None and found.status not in ("OK", "OVERFLOW"):
        if speaks_of_time(found.message):
            return None
        raise QueryError(visible(found.message, 2000), adql)
    if found is None or answer.status != 200:
        reason = f"it answers HTTP {answer.status} with {what_came(kind, answer.body)} instead of a table"
        raise ServiceError(connection.services.tap, answer.status, reason)
    return found


def _rows_of_other_form(connection: Connection, adql: str, limit: int | None, document: bytes) -> Rows | None:
    """Return the rows of a table that only astropy reads (binary, FITS); None where the query took too long."""
    from astropy.io.votable import parse
    from pyvo.dal import TAPResults
    from pyvo.dal.exceptions import DALQueryError

    with _translated(connection.services.tap, adql), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = _table(TAPResults(parse(io.BytesIO(document), verify="ignore")), limit)
        except DALQueryError as error:
            if speaks_of_time(str(error)):
                return None
            raise
        return Rows("OK", "", tuple(table.colnames), rows(table))


def _describe_truncation(rows_there: int, said: str) -> TruncatedError:
    return TruncatedError(
        f"the archive cut the table off after {rows_there} rows{f' ({said})' if said else ''}; "
        "narrow the query, or give --max to accept a part"
    )


def unknown_columns(error: UserError, columns: Iterable[str]) -> tuple[str, ...]:
    """Return those of the columns that the archive says it does not have.

    Parameters
    ----------
    error : UserError
        Of a query that was not understood.
    columns : iterable of str
        What was asked for.
    """
    said = error.said if isinstance(error, QueryError) else ""
    if not _UNKNOWN_COLUMN.search(said):
        return ()
    named = {word.lower() for word in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", said)}
    return tuple(column for column in columns if column.lower() in named)


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
    from pyvo.dal.exceptions import DALAccessError, DALQueryError

    try:
        return service.run_sync(adql, maxrec=limit or MAX_ROWS)
    except (DALAccessError, DALQueryError) as error:
        ours = _ours(error)
        slow = isinstance(ours, ServiceError) and ours.slow
        if not slow and not (ours is None and speaks_of_time(str(error))):
            raise
        _log.info("the synchronous query takes too long (%s); it becomes a job", visible(str(error), 160))
        return None


def _async(service: Any, adql: str, limit: int | None, watch: Watch, connection: Connection) -> Any:
    job = service.submit_job(adql, maxrec=limit or MAX_ROWS)
    try:
        job.execution_duration = JOB_DURATION_S
        job.run()
        _wait(job, watch, connection)
        job.raise_if_error()
        return job.fetch_result()
    finally:
        _delete(job)


def _delete(job: Any) -> None:
    """Delete a job, if that can be done: the archive deletes it by itself in the end."""
    from pyvo.dal.exceptions import DALAccessError

    try:
        job.delete()
    except (DALAccessError, BridgeError, requests.RequestException) as error:
        _log.info("the job could not be deleted: %s", visible(str(error), 160))


def _wait(job: Any, watch: Watch, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
    """Wait until a job has ended; one that does not begin is asked once more to run.

    Raises
    ------
    ServiceError
        If it takes longer than it may.
    """
    pause, last, polls, ends = 0.1, "", 0, clock() + JOB_DURATION_S + JOB_MARGIN_S
    while (phase := job.phase) not in _ENDED:
        if phase != last:
            watch(last := phase)
        polls += 1
        if phase in _NOT_BEGUN and polls == _PENDING_POLLS:
            job.run()
        if clock() > ends:
            waited_s = JOB_DURATION_S + JOB_MARGIN_S
            raise ServiceError(job.url, None, f"the job is still {phase.lower()} after {waited_s} s", slow=True)
        connection.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_POLL_S)
    watch(phase)


@contextmanager
def _translated(url: str, adql: str) -> Iterator[None]:
    from pyvo.dal.exceptions import DALAccessError, DALQueryError

    try:
        yield
    except (DALAccessError, DALQueryError) as error:
        if (ours := _ours(error)) is not None:
            raise ours from None
        said = visible(str(error), 2000)
        if isinstance(error, DALQueryError) and not speaks_of_time(said):
            raise QueryError(said, adql) from error
        raise ServiceError(url, None, f"the query failed: {said}") from error
    except (ValueError, TypeError, LookupError) as error:
        # What pyvo and astropy raise on documents that are neither tables nor jobs.
        raise ServiceError(url, None, f"it answers with what cannot be read: {visible(str(error), 200)}") from error


def _ours(error: BaseException | None) -> BridgeError | None:
    """Return the error of our connection that pyvo wrapped into one of its own."""
    while error is not None and not isinstance(error, BridgeError):
        error = error.__cause__ or error.__context__
    return error


def _pairs(values: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in (values or {}).items())


def _silent(_: str) -> None:
    pass

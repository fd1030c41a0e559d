"""Asynchronous queries: UWS jobs that a client makes, starts, watches, reads and deletes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event, Lock, Thread
from typing import Literal
from xml.sax.saxutils import escape

from msgspec.structs import replace

from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest, html_error, redirect, text_reply
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.archive.tap import TapDatabase, answer_query

Phase = Literal["PENDING", "EXECUTING", "COMPLETED", "ERROR", "ABORTED"]
KEPT_DAYS = 1
EXECUTION_SECONDS = 60
LONGEST_WAIT_S = 10


@dataclass(slots=True)
class TapJob:
    """A query that a client asked for.

    Parameters
    ----------
    number : str
        Names the job.
    request : HttpRequest
        With all parameters of the query.
    created : datetime
        UT.
    phase : Phase
        Where it stands.
    asked_to_run : int
        How often a client asked it to.
    reply : HttpReply or None
        The result or the error, once it has ended.
    ended : Event
        Set when it has.
    """

    number: str
    request: HttpRequest
    created: datetime
    phase: Phase = "PENDING"
    asked_to_run: int = 0
    reply: HttpReply | None = field(default=None, repr=False)
    ended: Event = field(default_factory=Event, repr=False)


class TapJobs:
    """The jobs of a TAP service.

    Parameters
    ----------
    database : TapDatabase
        Answers the queries.
    address : str
        Of the list of jobs.
    """

    def __init__(self, database: TapDatabase, address: str) -> None:
        self._database = database
        self._address = address
        self._jobs: dict[str, TapJob] = {}
        self._numbers = count(1)
        self._lock = Lock()

    def answer(self, request: HttpRequest) -> HttpReply:
        """Answer a request below `/tap_obs/async`."""
        number, *rest = request.path.removeprefix("/tap_obs/async").strip("/").split("/")
        if not number:
            return self._make(request) if request.method == "POST" else _job_list(request)
        job = self._jobs.get(number)
        if job is None:
            return html_error(404, "Not Found")
        if request.method == "DELETE" or request.first("ACTION").upper() == "DELETE":
            if Fault.ASYNC_DELETE_403 in request.faults:
                return html_error(403, "Forbidden")
            del self._jobs[number]
            return redirect(303, self._address)
        return self._part(job, "/".join(rest), request)

    def _make(self, request: HttpRequest) -> HttpReply:
        with self._lock:
            number = f"job{next(self._numbers):06d}"
        job = TapJob(number, request, datetime.now(UTC))
        self._jobs[number] = job
        if request.first("PHASE").upper() == "RUN":
            self._start(job)
        return redirect(303, f"{self._address}/{number}")

    def _part(self, job: TapJob, part: str, request: HttpRequest) -> HttpReply:
        if request.method == "POST":
            self._change(job, part, request)
            return redirect(303, f"{self._address}/{job.number}")
        if part == "":
            _wait(job, request.first("WAIT"))
            return text_reply(200, self._document(job), "application/xml")
        if part == "phase":
            return text_reply(200, job.phase)
        if part in ("results/result", "error") and job.reply is not None:
            return replace(job.reply, status=200)
        values = {
            "executionduration": str(EXECUTION_SECONDS),
            "destruction": _destruction(job),
            "owner": "",
            "quote": "",
        }
        return text_reply(200, values[part]) if part in values else html_error(404, "Not Found")

    def _change(self, job: TapJob, part: str, request: HttpRequest) -> None:
        wanted = request.first("PHASE").upper()
        if part == "phase" and wanted == "RUN" and job.phase == "PENDING":
            job.asked_to_run += 1
            if job.asked_to_run > 1 or Fault.RUN_LOST not in request.faults:
                self._start(job)
        elif part == "phase" and wanted == "ABORT":
            job.phase = "ABORTED"
        elif part == "parameters":
            job.request = replace(job.request, parameters=(*request.parameters, *job.request.parameters))

    def _start(self, job: TapJob) -> None:
        job.phase = "EXECUTING"
        Thread(target=self._execute, args=(job,), daemon=True).start()

    def _execute(self, job: TapJob) -> None:
        job.reply = answer_query(self._database, job.request.first("QUERY"), job.request)
        if job.phase == "EXECUTING":
            job.phase = "COMPLETED" if job.reply.status == 200 else "ERROR"
        job.ended.set()

    def _document(self, job: TapJob) -> str:
        address = f"{self._address}/{job.number}/results/result"
        results = f'<uws:result id="result" xlink:href="{address}"/>' if job.phase == "COMPLETED" else ""
        failed = '<uws:errorSummary type="fatal" hasDetail="true"><uws:message>The query failed</uws:message>'
        error = f"{failed}</uws:errorSummary>" if job.phase == "ERROR" else ""
        query = escape(job.request.first("QUERY"))
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<uws:job xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="1.1">\n'
            f'<uws:jobId>{job.number}</uws:jobId><uws:ownerId xsi:nil="true"/><uws:phase>{job.phase}</uws:phase>'
            f'<uws:quote xsi:nil="true"/><uws:creationTime>{_utc(job.created)}</uws:creationTime>'
            f"<uws:executionDuration>{EXECUTION_SECONDS}</uws:executionDuration>"
            f"<uws:destruction>{_destruction(job)}</uws:destruction>"
            f'<uws:parameters><uws:parameter id="query">{query}</uws:parameter></uws:parameters>'
            f"<uws:results>{results}</uws:results>{error}</uws:job>\n"
        )


def _job_list(request: HttpRequest) -> HttpReply:
    if Fault.JOB_LIST_REDIRECT in request.faults:
        return html_error(403, "Forbidden")
    return text_reply(200, "", "text/plain")


def _wait(job: TapJob, seconds: str) -> None:
    """Wait until a running job has ended, if the client asked to (`WAIT`, -1 for as long as we like)."""
    if seconds.lstrip("-").isdigit() and job.phase == "EXECUTING":
        job.ended.wait(LONGEST_WAIT_S if int(seconds) < 0 else min(int(seconds), LONGEST_WAIT_S))


def _destruction(job: TapJob) -> str:
    return _utc(job.created + timedelta(days=KEPT_DAYS))


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.000Z}"

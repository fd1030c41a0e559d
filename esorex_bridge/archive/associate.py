"""Associating: calSelector asked about many frames in few requests, until every frame has its answer.

One frame of each template is asked first: its tree covers the whole template, as a rule. Who is left is asked next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from esorex_bridge.archive.calselector import (
    BATCH,
    AssociationReply,
    Document,
    Outcome,
    documents,
    from_links,
    read_replies,
    unanswered,
    without_tree,
)
from esorex_bridge.archive.connection import Connection
from esorex_bridge.archive.exchange import Answer, ServiceError
from esorex_bridge.archive.votable import UnreadableTableError, read_links
from esorex_bridge.datasets.association import Mode

CONTENT_TRIES = 3
"""How often frames without an answer are asked again: a valid reply that lacks them is a fault of the service that
passes, or it is all that there is."""

_BAD_REQUEST, _UNAUTHORISED, _FORBIDDEN = 400, 401, 403


def associations(
    connection: Connection, dp_ids: Sequence[str], mode: Mode, template_of: Mapping[str, str] | None = None
) -> tuple[AssociationReply, ...]:
    """Return calSelector's answers for science frames: together they cover every frame.

    Parameters
    ----------
    connection : Connection
        To the archive.
    dp_ids : sequence of str
        Science frames only.
    mode : {'Raw2Raw', 'Raw2Master'}
        Kind of calibrations.
    template_of : mapping, optional
        Something that frames of one template share (`tpl_start`), by dp_id; spares requests.

    Raises
    ------
    ServiceError
        Where the service fails. Nothing is passed off as "no calibrations" then.
    """
    names = tuple(dict.fromkeys(dp_ids))
    replies: list[AssociationReply] = []
    for batch in _batches(_first_of_each(names, template_of or {})):
        replies += _answers(connection, unanswered(batch, replies), mode)
    while rest := unanswered(names, replies):
        replies += _answers(connection, rest[:BATCH], mode)
    return tuple(replies)


def _first_of_each(names: Sequence[str], template_of: Mapping[str, str]) -> tuple[str, ...]:
    first: dict[object, str] = {}
    for name in names:
        # Two instruments may begin a template in one second.
        first.setdefault((name.partition(".")[0], template_of[name]) if template_of.get(name) else name, name)
    return tuple(first.values())


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]


def _answers(connection: Connection, names: Sequence[str], mode: Mode) -> tuple[AssociationReply, ...]:
    """Return answers that cover all names, by asking until they do; an empty answer is believed the last time."""
    replies: tuple[AssociationReply, ...] = ()
    empty: tuple[AssociationReply, ...] = ()
    for attempt in range(1, CONTENT_TRIES + 1):
        left = unanswered(names, replies)
        if not left:
            return replies
        if attempt > 1:
            connection.rest(attempt - 1)
        found = _asked(connection, left, mode)
        empty = tuple(reply for reply in found if reply.outcome is Outcome.EMPTY)
        replies += tuple(reply for reply in found if reply.outcome is not Outcome.EMPTY)
    replies += empty
    while rest := unanswered(names, replies):
        replies += (_by_table(connection, rest[0], mode),)
    return replies


def _asked(connection: Connection, names: Sequence[str], mode: Mode) -> tuple[AssociationReply, ...]:
    form = [*(("dp_id", name) for name in names), ("mode", mode)]
    answer = connection.post(connection.services.calselector, form)
    if answer.status == 200:
        return read_replies(names, mode, _documents(answer))
    if answer.status not in (_BAD_REQUEST, _UNAUTHORISED, _FORBIDDEN):
        raise ServiceError(connection.services.calselector, answer.status, f"it answers HTTP {answer.status}")
    if len(names) > 1:
        # One frame that is unknown or protected spoils the batch: halve it until it stands alone.
        middle = len(names) // 2
        first = _asked(connection, names[:middle], mode)
        return first + _asked(connection, unanswered(names[middle:], first), mode) if middle else first
    return (_refused(connection, names[0], mode, answer.status),) if names else ()


def _refused(connection: Connection, name: str, mode: Mode, status: int) -> AssociationReply:
    if status == _BAD_REQUEST:
        return without_tree(name, mode, Outcome.NO_TREE, f"calSelector does not know {name} (HTTP 400)")
    how = "this user has no access to it" if connection.has_login else "log in with 'esorex-bridge login'"
    return without_tree(name, mode, Outcome.DENIED, f"the metadata of {name} are protected (HTTP {status}): {how}")


def _by_table(connection: Connection, name: str, mode: Mode) -> AssociationReply:
    """Ask for the table form, which lists files where there is no tree; its content is checked as well."""
    params = (("dp_id", name), ("mode", mode), ("responseformat", "votable"))
    reply = without_tree(name, mode, Outcome.NO_TREE, "calSelector gives neither a tree nor a list of files")
    for attempt in range(1, CONTENT_TRIES + 1):
        answer = connection.get(connection.services.calselector, params)
        if answer.status in (_BAD_REQUEST, _UNAUTHORISED, _FORBIDDEN):
            return _refused(connection, name, mode, answer.status)
        try:
            reply = from_links(name, mode, read_links(answer.body))
        except UnreadableTableError:
            pass
        else:
            if reply.outcome is not Outcome.EMPTY and reply.executed is not None:
                return reply
        if attempt < CONTENT_TRIES:
            connection.rest(attempt)
    return reply


def _documents(answer: Answer) -> tuple[Document, ...]:
    return documents(answer.headers.get("Content-Type", ""), answer.headers.get("Content-Disposition", ""), answer.body)

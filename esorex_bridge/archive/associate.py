"""Associating: calSelector asked about many frames in few requests, until every frame has its answer.

One frame of each template is asked first: its tree covers the whole template, as a rule. Who is left is asked next.
"The service has nothing" and "the service did not answer" are never mixed up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from esorex_bridge.archive.calselector import (
    BATCH,
    AssociationReply,
    Outcome,
    TreeDocument,
    documents,
    from_links,
    is_answer,
    list_unanswered,
    read_replies,
    without_tree,
)
from esorex_bridge.archive.connection import Connection
from esorex_bridge.archive.exchange import Answer, ServiceError, what_came
from esorex_bridge.archive.votable import UnreadableTableError, read_links
from esorex_bridge.datasets.association import Mode
from esorex_bridge.files import DpId

CONTENT_TRIES = 3
"""How often frames without an answer are asked again: a valid reply that lacks them is a fault of the service that
passes, or it is all that there is."""

_BAD_REQUEST = 400
_REFUSED = (401, 403)
_SMALL = 5
_SHRINK, _GROW_AFTER = 4, 4
_REFUSALS_IN_A_ROW = 3

IsPublic = Callable[[DpId], bool]


def associations(
    connection: Connection, dp_ids: Sequence[DpId], mode: Mode, template_of: Mapping[DpId, str] | None = None
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
        If the service fails. Nothing is passed off as "no calibrations" then.
    """
    return tuple(reply for batch in batches(connection, dp_ids, mode, template_of) for reply in batch)


def batches(
    connection: Connection,
    dp_ids: Sequence[DpId],
    mode: Mode,
    template_of: Mapping[DpId, str] | None = None,
    is_public: IsPublic = lambda name: False,
) -> Iterator[tuple[AssociationReply, ...]]:
    """Yield calSelector's answers as they come, batch by batch; as `associations`.

    Parameters
    ----------
    connection, dp_ids, mode, template_of
        As there.
    is_public : callable
        Returns whether a frame is known to be public: a refusal is waited out then.
    """
    asker = _Asker(connection, mode, is_public)
    names = tuple(dict.fromkeys(dp_ids))
    covered: set[str] = set()
    for asked in (_first_of_each(names, template_of or {}), names):
        place = 0
        while place < len(asked):
            batch = tuple(name for name in asked[place : place + asker.size] if name not in covered)
            place += asker.size
            if not batch:
                continue
            for replies in asker.answers(batch):
                covered.update(name for reply in replies for name in (reply.asked, *reply.covers))
                yield replies


def _first_of_each(names: Sequence[DpId], template_of: Mapping[DpId, str]) -> tuple[DpId, ...]:
    first: dict[object, DpId] = {}
    for name in names:
        # Two instruments may begin a template in one second.
        first.setdefault((name.partition(".")[0], template_of[name]) if template_of.get(name) else name, name)
    return tuple(first.values())


class _Asker:
    """Asks calSelector, and learns on the way how much may be asked at a time.

    Parameters
    ----------
    connection : Connection
        To the archive.
    mode : {'Raw2Raw', 'Raw2Master'}
        Kind of calibrations.
    is_public : callable
        Returns whether a frame is known to be public.
    """

    def __init__(self, connection: Connection, mode: Mode, is_public: IsPublic) -> None:
        self.size = BATCH
        self._connection = connection
        self._mode = mode
        self._is_public = is_public
        self._successes = 0
        self._refusals = 0

    def answers(self, names: Sequence[DpId]) -> Iterator[tuple[AssociationReply, ...]]:
        """Yield answers as they come until they cover all names; an empty answer is believed the last time."""
        left, empty = tuple(names), list[AssociationReply]()
        for attempt in range(1, CONTENT_TRIES + 1):
            if not left:
                return
            if attempt > 1:
                self._connection.rest(attempt - 1)
            empty = []
            for found in self._ask(left, refusals=_waits(self._connection) if all(map(self._is_public, left)) else 1):
                empty += [reply for reply in found if reply.outcome is Outcome.EMPTY]
                if told := tuple(reply for reply in found if reply.outcome is not Outcome.EMPTY):
                    left = list_unanswered(left, told)
                    yield told
        if empty:
            yield tuple(empty)
        rest = list_unanswered(left, empty)
        while rest:
            reply = self._by_table(rest[0])
            rest = list_unanswered(rest, (reply,))
            yield (reply,)

    def _ask(self, names: Sequence[DpId], refusals: int = 0) -> Iterator[tuple[AssociationReply, ...]]:
        if len(names) > self.size:
            yield from self._in_parts(names, None, refusals)
            return
        try:
            answer = self._send(names, refusals)
        except ServiceError as error:
            if len(names) <= _SMALL or not (error.slow or (error.status or 0) >= 500):
                raise
            # It is too much for the service as it is now: less at a time, and more again when that goes well.
            self.size, self._successes = max(1, min(self.size, len(names)) // _SHRINK), 0
            yield from self._in_parts(names, None)
            return
        if answer.status == 200:
            self._grow()
            yield read_replies(names, self._mode, _documents(answer))
        else:
            yield from self._retry_refused(names, answer.status)

    def _in_parts(
        self, names: Sequence[DpId], most: int | None, refusals: int = 0
    ) -> Iterator[tuple[AssociationReply, ...]]:
        """Yield the answers to parts of a request, of so many names or of as many as the service can do now."""
        left = tuple(names)
        while left:
            size = most or self.size
            part, left = left[:size], left[size:]
            for replies in self._ask(part, refusals):
                left = list_unanswered(left, replies)
                yield replies

    def _send(self, names: Sequence[DpId], refusals: int) -> Answer:
        """Return the answer to one request, or to the last of those that it took until something else than a page came.

        Raises
        ------
        ServiceError
            If the service fails, or sends what is no answer.
        """
        connection, url = self._connection, self._connection.services.calselector
        form = [*(("dp_id", name) for name in names), ("mode", self._mode)]
        small, public = len(names) <= _SMALL, all(map(self._is_public, names))
        attempts = connection.patience.attempts if small else min(2, connection.patience.attempts)
        for attempt in range(1, attempts + 1):
            answer = connection.post(
                url,
                form,
                anonymous=public,
                refusals=refusals,
                attempts=attempts,
                slow_is_final=not small,
                thinks_long=True,
            )
            kind = answer.headers.get("Content-Type", "")
            if answer.status in (_BAD_REQUEST, *_REFUSED) or (answer.status == 200 and is_answer(kind, answer.body)):
                return answer
            if attempt < attempts:
                connection.rest(attempt)
        came = f"it answers HTTP {answer.status} with {what_came(kind, answer.body)} instead of associations"
        raise ServiceError(url, answer.status, f"{came}, after {attempts} tries")

    def _grow(self) -> None:
        self._refusals = 0
        self._successes += 1
        if self._successes >= _GROW_AFTER:
            self.size, self._successes = min(BATCH, self.size * 2), 0

    def _retry_refused(self, names: Sequence[DpId], status: int) -> Iterator[tuple[AssociationReply, ...]]:
        """Yield the answers after a refusal: one frame that is unknown or protected spoils a batch, so halve it.

        Where single frames are refused one after the other, the service refuses everything, and is asked no more.
        """
        if len(names) == 1:
            self._refusals += status in _REFUSED
            yield (self._refusal(names[0], status),)
        elif self._refusals >= _REFUSALS_IN_A_ROW:
            said = "calSelector refuses one frame after the other"
            yield tuple(self._refusal(name, status, said) for name in names)
        else:
            yield from self._in_parts(names, (len(names) + 1) // 2)

    def _refusal(self, name: DpId, status: int, said: str = "") -> AssociationReply:
        if status == _BAD_REQUEST:
            return without_tree(name, self._mode, Outcome.NO_TREE, f"calSelector does not know {name} (HTTP 400)")
        if self._is_public(name):
            reason = f"{said or 'calSelector refuses a public frame'} (HTTP {status}); run again later"
            return without_tree(name, self._mode, Outcome.UNANSWERED, reason)
        has_login = self._connection.has_login
        how = "this user has no access to it" if has_login else "log in with 'esorex-bridge login'"
        reason = f"{said or f'the metadata of {name} are protected'} (HTTP {status}): {how}"
        return without_tree(name, self._mode, Outcome.DENIED, reason)

    def _by_table(self, name: DpId) -> AssociationReply:
        """Ask for the table form, which lists files where there is no tree; its content is checked as well."""
        url = self._connection.services.calselector
        params = (("dp_id", name), ("mode", self._mode), ("responseformat", "votable"))
        reply = without_tree(name, self._mode, Outcome.NO_TREE, "calSelector gives neither a tree nor a list of files")
        for attempt in range(1, CONTENT_TRIES + 1):
            answer = self._connection.get(url, params, thinks_long=True, anonymous=self._is_public(name))
            if answer.status in (_BAD_REQUEST, *_REFUSED):
                return self._refusal(name, answer.status)
            try:
                reply = from_links(name, self._mode, read_links(answer.body))
            except UnreadableTableError:
                came = what_came(answer.headers.get("Content-Type", ""), answer.body)
                said = f"it answers HTTP {answer.status} with {came} instead of a list of files"
                reply = without_tree(name, self._mode, Outcome.UNANSWERED, said)
            else:
                if reply.outcome is not Outcome.EMPTY and reply.executed is not None:
                    return reply
            if attempt < CONTENT_TRIES:
                self._connection.rest(attempt)
        return reply


def _waits(connection: Connection) -> int:
    return len(connection.patience.refusal_waits_s)


def _documents(answer: Answer) -> tuple[TreeDocument, ...]:
    return documents(answer.headers.get("Content-Type", ""), answer.headers.get("Content-Disposition", ""), answer.body)

"""calSelector's replies: documents out of a reply, and what they say about the frames asked for.

Chooses and parses; `associate` sends. Outcomes are values: nothing about completeness, certification or the executed
mode is only logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.archive.exchange import is_page
from esorex_bridge.archive.services import is_archive_name
from esorex_bridge.archive.votable import CALIBRATION, SIBLING, THIS, Links, read_statement
from esorex_bridge.datasets.association import (
    AssociatedFile,
    AssociationTree,
    Mode,
    distinct_files,
    is_secondary,
    walk,
)
from esorex_bridge.datasets.xml import UnreadableTreeError, read_tree
from esorex_bridge.files import DpId
from esorex_bridge.values import visible

if TYPE_CHECKING:
    from email.message import Message

BATCH = 100
"""Frames per request; more make the service unstable, other clients found."""

_UNREADABLE_MESSAGE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What Python's mail parser raises on headers that make no sense."""

_DOCUMENT_NAME = re.compile(r"(?P<id>.+?)(?:_(?P<mode>raw2raw|raw2master))?\.xml", re.IGNORECASE)


class Outcome(Enum):
    """What calSelector could do for a frame."""

    ASSOCIATED = "associated"
    INCOMPLETE = "incomplete"
    INCOMPLETE_AUXILIARY = "incomplete_auxiliary"
    EMPTY = "empty"
    NOT_SUPPORTED = "not_supported"
    DENIED = "denied"
    NO_TREE = "no_tree"
    UNANSWERED = "unanswered"


class AssociationReply(Struct, frozen=True):
    """What calSelector answered for one frame, and for the others of its template.

    Parameters
    ----------
    asked : str
        The dp_id that was asked.
    covers : tuple of str
        The science files that the answer is for: the main files of the tree's root, `asked` among them.
    outcome : Outcome
        What became of it.
    requested : {'Raw2Raw', 'Raw2Master'}
        The mode asked for.
    executed : {'Raw2Raw', 'Raw2Master'} or None
        The mode carried out; None where nothing was.
    tree : AssociationTree or None
        The cascade; None where calSelector gave none.
    listed : tuple of AssociatedFile
        All files of the dataset, science files included; also without a tree, where calSelector listed them.
    complete, certified : bool
        As stated for the whole association.
    messages : tuple of str
        What calSelector or the transport said.
    file_name : str or None
        The name that ESO gives to the document.
    document : bytes
        The document as delivered, to be kept beside the data.
    """

    asked: DpId
    covers: tuple[DpId, ...]
    outcome: Outcome
    requested: Mode
    executed: Mode | None = None
    tree: AssociationTree | None = None
    listed: tuple[AssociatedFile, ...] = ()
    complete: bool = False
    certified: bool = False
    messages: tuple[str, ...] = ()
    file_name: str | None = None
    document: bytes = b""

    @property
    def downgraded(self) -> bool:
        """Whether master calibrations were asked for and raw ones given."""
        return self.executed is not None and self.executed != self.requested


class TreeDocument(Struct, frozen=True):
    """One document of a reply.

    Parameters
    ----------
    name : str
        As the service names it; empty where it does not.
    content : bytes
        The XML.
    """

    name: str
    content: bytes


def documents(content_type: str, disposition: str, body: bytes) -> tuple[TreeDocument, ...]:
    """Split a reply into its documents, whether it is multipart or a single one.

    Parameters
    ----------
    content_type, disposition : str
        The headers `Content-Type` and `Content-Disposition` of the reply.
    body : bytes
        The reply.
    """
    if not content_type.lower().startswith("multipart/"):
        return (TreeDocument(attachment_name(disposition), body),) if body.strip() else ()
    header = content_type.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")
    try:
        from email import message_from_bytes

        message = message_from_bytes(b"Content-Type: " + header + b"\r\n\r\n" + body)
        return tuple(_parts(message))
    except _UNREADABLE_MESSAGE:
        return ()


def _parts(message: Message) -> Iterator[TreeDocument]:
    for part in message.walk():
        content = None if part.is_multipart() else part.get_payload(decode=True)
        if isinstance(content, bytes) and content.strip():
            yield TreeDocument(attachment_name(str(part.get("Content-Disposition", ""))), content)


def is_answer(content_type: str, body: bytes) -> bool:
    """Return whether a reply is of a kind that calSelector answers with: XML, also several parts of it, or nothing."""
    kind = content_type.partition(";")[0].strip().lower()
    return not is_page(content_type, body) and (kind.startswith("multipart/") or kind.endswith("xml") or not kind)


def attachment_name(disposition: str) -> str:
    """Return the bare file name of a Content-Disposition header; empty where there is none that is safe."""
    from email.message import Message

    message = Message()
    try:
        message["Content-Disposition"] = disposition.replace("\r", " ").replace("\n", " ")
        stated = message.get_filename() or ""
    except _UNREADABLE_MESSAGE:
        return ""
    name = PurePosixPath(str(stated).replace("\\", "/")).name
    return name if is_archive_name(name) else ""


def reply_of_tree(tree: AssociationTree, file_name: str, asked: DpId, mode: Mode) -> AssociationReply | None:
    """Return the answer that a tree is which was kept; None where it does not concern the frame.

    Parameters
    ----------
    tree : AssociationTree
        As it lies.
    file_name : str
        Of its document.
    asked : str
        The frame that it was asked for.
    mode : {'Raw2Raw', 'Raw2Master'}
        As asked.
    """
    return _from_tree(tree, TreeDocument(file_name, b""), {asked}, mode)


def read_replies(asked: Sequence[DpId], mode: Mode, found: Iterable[TreeDocument]) -> tuple[AssociationReply, ...]:
    """Return the answers that documents give to the frames asked for, one per group of science files.

    Where one frame has both a raw and a master tree, the one of the mode asked for counts. What is no tree is passed
    over: the frames that it should have answered stay unanswered, and the caller asks again.
    """
    known: dict[AssociatedFile, AssociatedFile] = {}
    wanted = set(asked)
    replies: dict[str, AssociationReply] = {}
    for document in found:
        try:
            tree = read_tree(document.content, known)
        except UnreadableTreeError:
            continue
        reply = _from_tree(tree, document, wanted, mode)
        if reply is not None and (reply.asked not in replies or not reply.downgraded):
            replies[reply.asked] = reply
    # Two frames of one template may each bring the tree of the whole template.
    first: dict[frozenset[str], AssociationReply] = {}
    for name in asked:
        if name in replies:
            first.setdefault(frozenset(replies[name].covers), replies[name])
    return tuple(first.values())


def all_answered(replies: Iterable[AssociationReply]) -> bool:
    """Return whether the service answered for every frame: where it did not, calibrations may be missing."""
    return not any(reply.outcome in (Outcome.UNANSWERED, Outcome.DENIED) for reply in replies)


def list_unanswered(asked: Iterable[DpId], replies: Iterable[AssociationReply]) -> tuple[DpId, ...]:
    """Return the frames that no reply covers, in their order."""
    covered = {name for reply in replies for name in (reply.asked, *reply.covers)}
    return tuple(dict.fromkeys(name for name in asked if name not in covered))


def from_links(asked: DpId, mode: Mode, links: Links) -> AssociationReply:
    """Return the answer that the table form gives: files without a tree."""
    this = next(iter(links.of(THIS)), None)
    if this is None or this.error or links.status == "ERROR":
        said = next((row.error for row in links.rows if row.error), links.message)
        return without_tree(asked, mode, Outcome.DENIED if said else Outcome.NO_TREE, visible(said, 500))
    stated = read_statement(this.description)
    siblings = [AssociatedFile(DpId(row.target), row.category) for row in links.of(SIBLING) if row.target]
    calibrations = [AssociatedFile(DpId(row.target), row.category) for row in links.of(CALIBRATION) if row.target]
    outcome = Outcome.NO_TREE
    if not calibrations:
        outcome = Outcome.NOT_SUPPORTED if _is_unsupported(stated.category, (stated.messages,)) else Outcome.EMPTY
    return AssociationReply(
        asked=asked,
        covers=tuple(dict.fromkeys((asked, *(file.name for file in siblings)))),
        outcome=outcome,
        requested=mode,
        executed="Raw2Master" if stated.mode.lower() == "raw2master" else "Raw2Raw",
        listed=tuple(dict.fromkeys((AssociatedFile(asked, this.category), *siblings, *calibrations))),
        complete=stated.complete,
        certified=stated.certified,
        messages=tuple(filter(None, (visible(stated.messages, 500), _of_unknown_kind(links)))),
    )


def _of_unknown_kind(links: Links) -> str:
    listed = ", ".join(f"{row.target or row.access_url} ({row.semantics})" for row in links.unknown)
    return visible(f"links of a kind that is not known here are left out: {listed}", 500) if listed else ""


def without_tree(asked: DpId, mode: Mode, outcome: Outcome, message: str = "") -> AssociationReply:
    """Return the answer for a frame for which there is nothing but the frame."""
    return AssociationReply(
        asked, (asked,), outcome, mode, listed=(AssociatedFile(asked, ""),), messages=tuple(filter(None, (message,)))
    )


def outcome_of(tree: AssociationTree) -> Outcome:
    """Tell what a tree amounts to.

    A tree is also stated to be incomplete where only auxiliary groups are: nothing that a recipe needs is missing then.
    """
    root = tree.root
    if _is_unsupported(root.category, root.messages):
        return Outcome.NOT_SUPPORTED
    if not root.associated:
        return Outcome.EMPTY if root.complete or not root.messages else Outcome.INCOMPLETE
    if root.complete:
        return Outcome.ASSOCIATED
    return Outcome.INCOMPLETE_AUXILIARY if is_secondary(root) else Outcome.INCOMPLETE


def _from_tree(tree: AssociationTree, document: TreeDocument, wanted: set[DpId], mode: Mode) -> AssociationReply | None:
    named = _DOCUMENT_NAME.fullmatch(document.name)
    members = tuple(file.name for file in tree.root.files)
    owner = DpId(named["id"].replace("_", ":") if named else "")
    candidates = (owner, *members)
    asked = next((name for name in candidates if name in wanted), None)
    if asked is None:
        return None
    executed = tree.mode
    if named and named["mode"]:
        # The name is the documented way to see which mode was carried out.
        executed = "Raw2Master" if named["mode"].lower() == "raw2master" else "Raw2Raw"
    return AssociationReply(
        asked=asked,
        covers=tuple(dict.fromkeys((asked, *members))),
        outcome=outcome_of(tree),
        requested=mode,
        executed=executed,
        tree=tree,
        listed=tuple(dict.fromkeys((*distinct_files(tree.root), *_asked_alone(asked, members)))),
        complete=tree.root.complete,
        certified=tree.root.certified,
        messages=tuple(dict.fromkeys(visible(text, 500) for node in walk(tree.root) for text in node.messages)),
        file_name=document.name if named else f"{asked}_{executed.lower()}.xml",
        document=document.content,
    )


def _asked_alone(asked: DpId, members: tuple[DpId, ...]) -> tuple[AssociatedFile, ...]:
    return () if asked in members else (AssociatedFile(asked, ""),)


def _is_unsupported(category: str, messages: Iterable[str]) -> bool:
    return category.startswith("UNKNOWN") or any("not supported" in text for text in messages)

"""calSelector's answers as text and as JSON values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from esorex_bridge.archive.calselector import AssociationReply
from esorex_bridge.archive.download_list import remarks
from esorex_bridge.datasets.association import Association

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.archive import CascadePart, ReplyPart


def cascade_lines(reply: AssociationReply) -> Iterator[str]:
    """Yield the lines of an answer: groups with counts, match, and messages, indented by their place."""
    state = (
        f"{reply.outcome.value}, {reply.executed or 'nothing'} carried out, "
        f"{'certified' if reply.certified else 'not certified'}"
    )
    files = len({file.name for file in reply.listed})
    yield f"{reply.asked}: {len(reply.covers)} science files, {files} files in all; {state}"
    for line in remarks(reply):
        yield f"  warning: {line.partition(': ')[2]}"
    if reply.tree is not None:
        yield from _group(reply.tree.root, 1)


def describe_reply(reply: AssociationReply) -> ReplyPart:
    """Return an answer as a document has it."""
    from esorex_bridge.cli.documents.archive import ReplyPart

    return ReplyPart(
        asked=reply.asked,
        science=reply.covers,
        outcome=reply.outcome.value,
        requested=reply.requested,
        executed=reply.executed,
        downgraded=reply.downgraded,
        complete=reply.complete,
        certified=reply.certified,
        messages=reply.messages,
        tree=reply.file_name,
        files=reply.listed,
        cascade=_describe_group(reply.tree.root) if reply.tree is not None else None,
    )


def _group(node: Association, depth: int) -> Iterator[str]:
    files = (
        ", ".join(f"{number} {category}" for category, number in Counter(file.category for file in node.files).items())
        or "no files"
    )
    facts = [
        text
        for text in (
            node.match if node.match not in (None, "N/A") else "",
            "auxiliary" if node.kind == "auxiliary" else "",
            "" if node.complete else "incomplete",
        )
        if text
    ]
    remark = f" ({', '.join(facts)})" if facts else ""
    yield f"{'  ' * depth}{node.category}: {files}{remark}"
    for message in node.messages:
        yield f"{'  ' * depth}  ! {message}"
    # Sub-trees repeat literally; each is told once here, with how often it stands there.
    for child, number in Counter(node.associated).items():
        lines = list(_group(child, depth + 1))
        yield lines[0] + (f" ×{number}" if number > 1 else "")
        yield from lines[1:]


def _describe_group(node: Association) -> CascadePart:
    from esorex_bridge.cli.documents.archive import CascadePart

    return CascadePart(
        category=node.category,
        files=node.files,
        match=node.match,
        kind=node.kind,
        complete=node.complete,
        certified=node.certified,
        messages=node.messages,
        associated=tuple(map(_describe_group, node.associated)),
    )

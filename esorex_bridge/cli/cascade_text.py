"""calSelector's answers as text and as JSON values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from esorex_bridge.archive.calselector import AssociationReply
from esorex_bridge.archive.download_list import remarks
from esorex_bridge.datasets.association import LEVELS, Association
from esorex_bridge.datasets.distance import days_away, list_distances

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.archive import CascadePart, ReplyPart


def cascade_lines(reply: AssociationReply) -> Iterator[str]:
    """Yield the lines of an answer: groups with counts, match, and messages, indented by their place."""
    state = (
        f"{reply.outcome.value.replace('_', ' ')}, {reply.executed or 'nothing'} carried out, "
        f"{'certified' if reply.certified else 'not certified'}"
    )
    files = len({file.name for file in reply.listed})
    science = f"{len(reply.covers)} science file{'s' * (len(reply.covers) != 1)}"
    yield f"{reply.asked}: {science}, {files} file{'s' * (files != 1)} in all; {state}"
    for line in remarks(reply):
        yield f"  warning: {line.partition(': ')[2]}"
    if reply.tree is not None:
        yield from _group(reply.tree.root, 1)


DISTANCE_COLUMNS = ("group", "groups", "match", "level", "days")


def distance_rows(replies: Iterable[AssociationReply]) -> Iterator[tuple[object, ...]]:
    """Yield a row for each kind of group: how well it keeps to the calibration plan, and how many days away it is."""
    for each in list_distances(reply.tree.root for reply in replies if reply.tree is not None):
        ends = tuple(dict.fromkeys(f"{days:.1f}" for days in each.days))
        level = "-" if each.level is None else each.level
        yield each.purpose, each.groups, each.match or "-", level, " to ".join(ends) or "-"


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
        cascade=_describe_group(reply.tree.root, None) if reply.tree is not None else None,
    )


def _group(node: Association, depth: int, above: Association | None = None) -> Iterator[str]:
    files = (
        ", ".join(f"{number} {category}" for category, number in Counter(file.category for file in node.files).items())
        or "no files"
    )
    facts = [
        text
        for text in (
            node.match if node.match not in (None, "N/A") else "",
            f"level {LEVELS[node.match]}" if node.match in LEVELS else "",
            _describe_days(node, above),
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
        lines = list(_group(child, depth + 1, node))
        yield lines[0] + (f" ×{number}" if number > 1 else "")
        yield from lines[1:]


def _describe_days(node: Association, above: Association | None) -> str:
    days = None if above is None else days_away(node, above)
    return "" if days is None else f"{days:.1f} days"


def _describe_group(node: Association, above: Association | None) -> CascadePart:
    from esorex_bridge.cli.documents.archive import CascadePart

    return CascadePart(
        category=node.category,
        files=node.files,
        match=node.match,
        level=LEVELS.get(node.match),
        days=None if above is None else days_away(node, above),
        kind=node.kind,
        complete=node.complete,
        certified=node.certified,
        messages=node.messages,
        associated=tuple(_describe_group(child, node) for child in node.associated),
    )

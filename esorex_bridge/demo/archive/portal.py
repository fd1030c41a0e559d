"""The data portal: files by name, whole or from a byte on, and the night log."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import unquote

from msgspec.structs import replace

from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest, html_error, text_reply
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.archive.holdings import DeliveredFile, Holdings
from esorex_bridge.demo.archive.login import LoginPages
from esorex_bridge.demo.archive.odd_files import odd
from esorex_bridge.demo.nights.night import ArchiveFile

NIGHT_LOG_SUFFIX = ".NL"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def deliver(holdings: Holdings, login: LoginPages, request: HttpRequest) -> HttpReply:
    """Answer a request for a file; the last part of the path is its name."""
    name = unquote(request.path.rsplit("/", 1)[-1])
    dp_id = name.removesuffix(NIGHT_LOG_SUFFIX)
    if dp_id not in holdings or (name != dp_id and not holdings.is_raw(dp_id)):
        return html_error(404, "Not Found")
    if login.refuses(request) or (dp_id in holdings.proprietary and login.user(request) is None):
        return html_error(401, "Unauthorized").with_header("WWW-Authenticate", 'Basic realm="ESO"')
    if name != dp_id:
        return _night_log(holdings.file(dp_id))
    if Fault.OTHER_FRAME in request.faults:
        others = (file.dp_id for night in holdings.nights for file in night.raws if file.dp_id != dp_id)
        return _whole_or_part(replace(holdings.deliver(next(others)), name=holdings.delivered_name(dp_id)), request)
    return _whole_or_part(odd(holdings.deliver(dp_id), request.faults), request)


def header_page(holdings: Holdings, request: HttpRequest) -> HttpReply:
    """Answer a request for the header of a file: an HTML page with one `pre`."""
    dp_id = request.first("DpId")
    if dp_id not in holdings:
        return html_error(404, "Not Found")
    cards = "\n".join(f"{name:<40} = {value!r}" for name, value in holdings.file(dp_id).keywords)
    return text_reply(200, f"<html><body><pre>{escape(cards)}</pre></body></html>", "text/html; charset=utf-8")


def _whole_or_part(file: DeliveredFile, request: HttpRequest) -> HttpReply:
    etag, patched = file.etag, Fault.HOTFLY in request.faults
    headers = (
        ("Content-Type", file.content_type),
        ("Content-Disposition", f'attachment; filename="{file.name}"'),
        *(() if patched else (("ETag", etag), ("Accept-Ranges", "bytes"))),
    )
    total = len(file.content)
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    changed = request.headers.get("if-range", etag) != etag
    if asked is None or changed or patched or Fault.RANGE_IGNORED in request.faults:
        return HttpReply(200, file.content, headers)
    first, last = int(asked[1]), min(int(asked[2] or total - 1), total - 1)
    if first >= total or last < first:
        return HttpReply(416, b"", (*headers, ("Content-Range", f"bytes */{total}")))
    part = file.content[first : last + 1]
    return HttpReply(206, part, (*headers, ("Content-Range", f"bytes {first}-{last}/{total}")))


def _night_log(file: ArchiveFile) -> HttpReply:
    """Return the night log: header blocks between lines of dashes, as the observatory writes them."""
    rule = "-" * 51
    blocks = (
        "General weather conditions:\nSeeing:          0.7 - 0.9 arcsec",
        f"OB:         {file.keyword('ESO OBS ID')}\nInstrument: {file.keyword('INSTRUME')}\n"
        f"Name:       {file.keyword('ESO OBS NAME')}\nTarget:     {file.keyword('ESO OBS TARG NAME')}\n"
        f"Run:        {file.keyword('ESO OBS PROG ID')}",
        "Constraint       \tFulfilled\tRequested\nSeeing:          \tYes\t\t1.0\nGrade:       \t \tA",
        f"Template: {file.keyword('ESO TPL ID')}\n{file.keyword('ORIGFILE')}\t{file.dp_id}\t"
        f"{file.keyword('ESO TPL EXPNO')}/{file.keyword('ESO TPL NEXP')}\t{file.keyword('ESO DPR TYPE')}",
    )
    text = "".join(f"{block}\n{rule}\n\n" for block in blocks)
    reply = text_reply(200, text, "text/plain")
    return reply.with_header("Content-Disposition", f'attachment; filename="{file.dp_id}.NL.txt"')

"""What faults do to a reply; faults that change what a service decides are dealt with by the service."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from esorex_bridge.demo.archive.exchange import Delivery, HttpReply, HttpRequest, html_error, text_reply
from esorex_bridge.demo.archive.faults import Fault

SLOW_BYTES_PER_S = 20_000.0
MISSING_BYTES = 100
LOGIN_PAGE = "<!DOCTYPE html>\n<html><head><title>Login</title></head><body><form>Please log in</form></body></html>\n"

MAINTENANCE_PAGE = "<!DOCTYPE html>\n<html><head><title>ESO Archive: maintenance</title></head><body></body></html>\n"
TRICKLE_BYTES_PER_S = 1.0

Effect = Callable[[HttpReply], HttpReply]


def apply_faults(reply: HttpReply, request: HttpRequest) -> HttpReply:
    """Return the reply as the faults of a request leave it."""
    for fault in Fault:
        if fault in request.faults and fault in _EFFECTS:
            reply = _EFFECTS[fault](reply)
    return reply


def _status(status: int, reason: str) -> Effect:
    return lambda reply: html_error(status, reason)


def _retry_later(status: int, reason: str) -> Effect:
    return lambda reply: html_error(status, reason).with_header("Retry-After", "1")


def _login_page(reply: HttpReply) -> HttpReply:
    return text_reply(200, LOGIN_PAGE, "text/html; charset=utf-8")


def _maintenance(reply: HttpReply) -> HttpReply:
    return text_reply(200, MAINTENANCE_PAGE, "text/html; charset=utf-8")


def _trickle(reply: HttpReply) -> HttpReply:
    return replace(reply, delivery=Delivery(bytes_per_s=TRICKLE_BYTES_PER_S))


def _truncate(reply: HttpReply) -> HttpReply:
    return replace(reply, delivery=Delivery(cut_after=len(reply.body) // 2))


def _reset(reply: HttpReply) -> HttpReply:
    return replace(reply, delivery=Delivery(cut_after=len(reply.body) // 2, reset=True))


def _wrong_length(reply: HttpReply) -> HttpReply:
    """Promise more than is sent; the connection must close, or the client would wait for the rest."""
    longer = reply.with_header("Content-Length", str(len(reply.body) + MISSING_BYTES))
    return replace(longer, delivery=Delivery(cut_after=len(reply.body)))


def _slow(reply: HttpReply) -> HttpReply:
    return replace(reply, delivery=Delivery(bytes_per_s=SLOW_BYTES_PER_S))


def _other_etag(reply: HttpReply) -> HttpReply:
    return reply.with_header("ETag", '"another-version"') if reply.status == 206 else reply


def _other_total(reply: HttpReply) -> HttpReply:
    span, _, total = (reply.header("Content-Range") or "").partition("/")
    return reply.with_header("Content-Range", f"{span}/{int(total) + 2880}") if reply.status == 206 else reply


def _damage(reply: HttpReply) -> HttpReply:
    """Flip 16 bytes in the middle."""
    middle = len(reply.body) // 2
    flipped = bytes(byte ^ 0xFF for byte in reply.body[middle : middle + 16])
    return replace(reply, body=reply.body[:middle] + flipped + reply.body[middle + 16 :])


def _half(reply: HttpReply) -> HttpReply:
    return replace(reply, body=reply.body[: len(reply.body) // 2])


def _malicious_name(reply: HttpReply) -> HttpReply:
    return reply.with_header("Content-Disposition", 'attachment; filename="../../evil.fits"')


_EFFECTS: dict[Fault, Effect] = {
    Fault.HTTP_500: _status(500, "Internal Server Error"),
    Fault.HTTP_401: _status(401, "Unauthorized"),
    Fault.HTTP_403: _status(403, "Forbidden"),
    Fault.HTTP_404: _status(404, "Not Found"),
    Fault.HTTP_429: _retry_later(429, "Too Many Requests"),
    Fault.HTTP_503: _retry_later(503, "Service Unavailable"),
    Fault.TRUNCATED: _truncate,
    Fault.RESET: _reset,
    Fault.WRONG_LENGTH: _wrong_length,
    Fault.SLOW: _slow,
    Fault.LOGIN_PAGE: _login_page,
    Fault.OTHER_ETAG: _other_etag,
    Fault.OTHER_TOTAL: _other_total,
    Fault.DAMAGED: _damage,
    Fault.TRUNCATED_LZW: _half,
    Fault.MALICIOUS_NAME: _malicious_name,
    Fault.FLAKY401: _status(401, "Unauthorized"),
    Fault.REFUSING: _status(401, "Unauthorized"),
    Fault.MAINTENANCE: _maintenance,
    Fault.CALHTML: _maintenance,
    Fault.CALHTML_ONCE: _maintenance,
    Fault.CAL500LATE: _status(500, "Internal Server Error"),
    Fault.TRICKLE: _trickle,
}

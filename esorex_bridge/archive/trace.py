"""Trace: every exchange with the archive written down, so that what a service did can be looked at elsewhere.

`exchanges.jsonl` holds a JSON object a line, in the order in which answers ended; `bodies/` what was answered, by its
SHA-256. Documents are kept whole, of files the first bytes alone. Nothing that came for a token is kept, nor what the
login service answers. Passwords and tokens are never written, the user's name is replaced; at the end everything
written is looked through once more, and what holds a secret all the same is removed.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

import requests
from msgspec import Struct

from esorex_bridge.archive.services import Services
from esorex_bridge.disk.atomic import write_bytes_whole
from esorex_bridge.errors import DataError
from esorex_bridge.values import plain
from esorex_bridge.version import __version__

VERSION = 1
EXCHANGES, BODIES = "exchanges.jsonl", "bodies"
EXCERPT_BYTES = 8192
USER = "<user>"

_REQUEST_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "If-Range", "Range", "User-Agent")
_UNTOLD_HEADERS = ("set-cookie", "content-encoding", "transfer-encoding", "authorization", "proxy-authenticate")
_ADDRESSES = ("location", "content-location", "refresh", "link")
_SESSION = re.compile(r";jsessionid=[^/?#;]*", re.IGNORECASE)
_CONTACT = re.compile(r" \([^)]*\)")
UNTOLD_FIELDS = frozenset(
    ("password", "client_secret", "id_token", "access_token", "token", "code", "ticket", "session_state", "signature")
)
"""Fields of addresses and forms that may hold a secret."""


class Exchange(Struct, frozen=True, omit_defaults=True):
    """One request and what came of it.

    Parameters
    ----------
    method, url : str
        Without the fields of the address.
    params, form : tuple of (str, str)
        Fields of the address and of the body; passwords left out.
    request_headers : dict
        Those that matter.
    auth : {'none', 'bearer', 'other'}
        What was sent along.
    began, seconds : float
        Unix time, and how long it took to the end of the answer.
    status : int or None
        None where no answer came.
    headers : dict
        Of the answer, without cookies.
    length : int or None
        Bytes of the body that were read.
    sha256 : str or None
        Of those bytes.
    kept : {'whole', 'beginning', 'nothing'}
        What of the body lies in `bodies/`.
    broke_off : str
        Why the body ended before its end; empty where it did not.
    errors : tuple of str
        The chain of errors where no answer came.
    """

    method: str
    url: str
    params: tuple[tuple[str, str], ...] = ()
    form: tuple[tuple[str, str], ...] = ()
    request_headers: dict[str, str] = {}
    auth: str = "none"
    began: float = 0.0
    seconds: float = 0.0
    status: int | None = None
    headers: dict[str, str] = {}
    length: int | None = None
    sha256: str | None = None
    kept: str = "nothing"
    broke_off: str = ""
    errors: tuple[str, ...] = ()


class Trace:
    """A folder that exchanges are written into; safe to share between threads.

    Parameters
    ----------
    folder : Path
        Made where it does not exist; several commands may write into one.
    services : Services
        Tells files and the login from documents.

    Raises
    ------
    DataError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, services: Services) -> None:
        self.folder = folder
        self._services = services
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._user = ""
        self._written: set[Path] = set()
        try:
            (folder / BODIES).mkdir(parents=True, exist_ok=True)
            self._lines: IO[bytes] = (folder / EXCHANGES).open("ab", buffering=0)
            if self._lines.tell() == 0:
                self._write({"esorex_bridge_trace": VERSION, "bridge": __version__})
        except OSError as error:
            raise DataError(f"{folder} cannot be written: {error.strerror or error}; name another folder") from error

    def hide(self, user: str, secrets: Iterable[str]) -> None:
        """Learn what must never be written: passwords and tokens, and the user's name."""
        with self._lock:
            self._user = user or self._user
            for secret in filter(None, secrets):
                self._secrets.update((secret, quote(secret), quote(secret, safe=""), quote_plus(secret)))

    def failed(self, request: requests.PreparedRequest, began: float, error: BaseException) -> None:
        """Write down a request that had no answer."""
        chain = tuple(f"{type(link).__name__}: {link}" for link in _chain(error))
        self._write(plain(self._begin_exchange(request, began, errors=chain)))

    def watch(self, request: requests.PreparedRequest, response: requests.Response, began: float) -> None:
        """Write an answer down as it is read; it is written when its body ends."""
        whole = not response.url.startswith(self._services.files) or _is_page(response)
        auth = _auth(request)
        limit = None if whole else EXCERPT_BYTES
        is_token = response.url.startswith(self._services.token) and response.status_code == 200
        if auth != "none" or is_token:
            limit = 0

        def keep_body(body: _Body, broke_off: str) -> None:
            kept = "nothing"
            if limit != 0 and body.beginning:
                kept = "whole" if len(body.beginning) == body.size else "beginning"
                self._keep(bytes(body.beginning))
            headers = {name: value for name, value in response.headers.items() if name.lower() not in _UNTOLD_HEADERS}
            headers |= {name: told_address(headers[name]) for name in headers if name.lower() in _ADDRESSES}
            exchange = self._begin_exchange(
                request,
                began,
                status=response.status_code,
                headers=headers,
                length=body.size,
                sha256=body.hash.hexdigest(),
                kept=kept,
                broke_off=broke_off,
            )
            self._write(plain(exchange))

        response.raw = _Body(response.raw, limit, keep_body)

    def close(self) -> tuple[Path, ...]:
        """End the trace; return files that were removed because they held a secret all the same."""
        with self._lock:
            self._lines.close()
            secrets = [secret.encode() for secret in self._secrets]
            secrets += [self._user.encode()] if self._user else []
            removed = []
            for path in (self.folder / EXCHANGES, *sorted(self._written)):
                if path.is_file() and _holds(path.read_bytes(), secrets):
                    path.unlink()
                    removed.append(path)
        return tuple(removed)

    def _begin_exchange(self, request: requests.PreparedRequest, began: float, **came: Any) -> Exchange:
        address = str(request.url)
        form = request.body.decode("utf-8", "replace") if isinstance(request.body, bytes) else str(request.body or "")
        headers = {name: str(request.headers[name]) for name in _REQUEST_HEADERS if name in request.headers}
        if "User-Agent" in headers:
            headers["User-Agent"] = _CONTACT.sub("", headers["User-Agent"])
        return Exchange(
            str(request.method),
            urlsplit(told_address(address))._replace(query="").geturl(),
            self._fields(urlsplit(address).query),
            self._fields(form),
            headers,
            _auth(request),
            began,
            time.time() - began,
            **came,
        )

    def _fields(self, text: str) -> tuple[tuple[str, str], ...]:
        pairs = parse_qsl(text, keep_blank_values=True)
        return tuple(
            (name, USER if name == "username" else value) for name, value in pairs if name not in UNTOLD_FIELDS
        )

    def _keep(self, content: bytes) -> None:
        path = self.folder / BODIES / hashlib.sha256(content).hexdigest()
        with self._lock:
            self._written.add(path)
        if not path.exists():
            write_bytes_whole(path, content)

    def _write(self, document: Mapping[str, Any]) -> None:
        with self._lock:
            line = json.dumps(self._clean(document), ensure_ascii=False)
            if not self._lines.closed:
                self._lines.write(f"{line}\n".encode())

    def _clean(self, value: Any) -> Any:
        """Return a value without secrets, in which the user has no name."""
        if isinstance(value, dict):
            return {name: self._clean(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(inner) for inner in value]
        if not isinstance(value, str):
            return value
        for secret in self._secrets:
            value = value.replace(secret, "<secret>")
        return re.sub(_word(self._user), USER, value) if self._user else value


class _Body:
    """The body of an answer on its way to its reader."""

    def __init__(self, raw: Any, limit: int | None, done: Callable[[_Body, str], None]) -> None:
        self._raw, self._limit, self._done = raw, limit, done
        self._ended = False
        self.beginning = bytearray()
        self.hash = hashlib.sha256()
        self.size = 0

    @property
    def inner(self) -> Any:
        """The body that is watched."""
        return self._raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def read(self, amt: int | None = None, decode_content: bool | None = None, **_: Any) -> bytes:
        return self._copy_read(lambda: self._raw.read(amt, decode_content=decode_content), amt)

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        return self._copy_read(lambda: self._raw.read1(amt, decode_content=decode_content), amt)

    def stream(self, amt: int = 65536, decode_content: bool | None = None) -> Any:
        while piece := self.read(amt, decode_content):
            yield piece

    def close(self) -> None:
        self._end("closed before its end")
        self._raw.close()

    def release_conn(self) -> None:
        self._end("left before its end")
        self._raw.release_conn()

    def _copy_read(self, read: Callable[[], bytes], amt: int | None) -> bytes:
        try:
            data = read()
        except BaseException as error:
            self._end(f"{type(error).__name__}: {error}")
            raise
        self.hash.update(data)
        self.size += len(data)
        room = len(data) if self._limit is None else max(0, self._limit - len(self.beginning))
        self.beginning += data[:room]
        if not data or amt is None:
            self._end("")
        return data

    def _end(self, why: str) -> None:
        if not self._ended:
            self._ended = True
            left = getattr(self._raw, "length_remaining", None)
            self._done(self, "" if left == 0 else why)


def told_address(text: str) -> str:
    """Return an address without what may be secret in it: user and password, a session, tokens, the fragment."""
    try:
        parts = urlsplit(_SESSION.sub("", text))
        fields = [pair for pair in parts.query.split("&") if pair.partition("=")[0] not in UNTOLD_FIELDS]
        host = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=host, query="&".join(fields), fragment="").geturl()
    except ValueError:
        return ""


def _auth(request: requests.PreparedRequest) -> str:
    sent = request.headers.get("Authorization", "")
    return "bearer" if sent.startswith("Bearer ") else "other" if sent else "none"


def _is_page(response: requests.Response) -> bool:
    return response.headers.get("Content-Type", "").lower().startswith(("text/html", "text/plain", "application/json"))


def _chain(error: BaseException) -> Iterable[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _word(name: str) -> str:
    return rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"


def _holds(content: bytes, secrets: Iterable[bytes]) -> bool:
    return any(re.search(rb"(?<![A-Za-z0-9])" + re.escape(secret) + rb"(?![A-Za-z0-9])", content) for secret in secrets)

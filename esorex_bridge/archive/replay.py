"""Replay: a session that answers from a trace, without a network.

`ArchiveClient(services, session=replay_session(folder))` asks what it always asks; each question gets the answers that
were recorded for it, in their order, and the last one again where it is asked more often.
"""

from __future__ import annotations

import glob
import hashlib
import io
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from esorex_bridge.archive.trace import BODIES, EXCHANGES, UNTOLD_FIELDS, VERSION, Exchange, told_address
from esorex_bridge.errors import DataError

_UNTOLD_FIELDS = frozenset((*UNTOLD_FIELDS, "username"))

_Key = tuple[str, str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...], str]


def replay_session(folder: Path, files: Iterable[Path] = ()) -> requests.Session:
    """Return a session that answers from a trace.

    Parameters
    ----------
    folder : Path
        As `--trace-http` wrote it.
    files : iterable of Path
        Data folders with the files that were fetched then: a trace holds the beginnings of files alone.

    Raises
    ------
    DataError
        If there is no trace in the folder, or one of another version.
    """
    session = requests.Session()
    session.trust_env = False
    adapter = _ReplayAdapter(folder, read_trace(folder), tuple(files))
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def read_trace(folder: Path) -> tuple[Exchange, ...]:
    """Return the exchanges of a trace.

    Raises
    ------
    DataError
        If there is none that can be read.
    """
    path = folder / EXCHANGES
    try:
        lines = path.read_bytes().splitlines()
        head = json.loads(lines[0])
        if head["esorex_bridge_trace"] != VERSION:
            raise DataError(f"{path} is of version {head['esorex_bridge_trace']}; this program reads {VERSION}")
        return tuple(msgspec.json.decode(line, type=Exchange) for line in lines[1:])
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is not a trace of this program: {error}") from error


class _ReplayAdapter(BaseAdapter):
    """Answers from exchanges."""

    def __init__(self, folder: Path, exchanges: Iterable[Exchange], files: tuple[Path, ...]) -> None:
        super().__init__()
        self._folder = folder
        self._files = files
        self._lock = threading.Lock()
        self._answers: defaultdict[_Key, list[Exchange]] = defaultdict(list)
        for exchange in exchanges:
            self._answers[_key_of(exchange)].append(exchange)

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Return the next answer to a request."""
        exchange = self._next(_key(request))
        if exchange is None:
            raise requests.ConnectionError(f"the trace holds no answer to {request.method} {_bare(request)}")
        if exchange.status is None:
            raise requests.ConnectionError("; ".join(exchange.errors))
        return _response(request, exchange, self._body(exchange))

    def close(self) -> None:
        """Nothing is open."""

    def _next(self, key: _Key) -> Exchange | None:
        with self._lock:
            answers = self._answers.get(key, [])
            return answers.pop(0) if len(answers) > 1 else answers[0] if answers else None

    def _body(self, exchange: Exchange) -> bytes:
        if not exchange.length:
            return b""
        if exchange.kept == "whole":
            return (self._folder / BODIES / str(exchange.sha256)).read_bytes()
        name = unquote(exchange.url.rpartition("/")[2])
        start = _start(exchange)
        for folder in self._files:
            for path in sorted(folder.rglob(f"{glob.escape(name)}*")):
                piece = _piece(path, start, exchange.length)
                if hashlib.sha256(piece).hexdigest() == exchange.sha256:
                    return piece
        raise requests.ConnectionError(f"the trace does not hold the whole of {exchange.url}")


def _start(exchange: Exchange) -> int:
    """Return the place in the file of the first byte that came."""
    match = re.match(r"bytes ([0-9]{1,18})-", exchange.headers.get("Content-Range", ""))
    return int(match[1]) if match else 0


def _piece(path: Path, start: int, length: int) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(length)


def _response(request: requests.PreparedRequest, exchange: Exchange, body: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code = exchange.status or 0
    response.url, response.request = str(request.url), request
    response.headers.update(exchange.headers)
    response.raw = HTTPResponse(
        io.BytesIO(body),
        headers=exchange.headers,
        status=response.status_code,
        preload_content=False,
        enforce_content_length=False,
    )
    return response


def _key_of(exchange: Exchange) -> _Key:
    fields = tuple(pair for pair in exchange.params if pair[0] not in _UNTOLD_FIELDS)
    return exchange.method, exchange.url, fields, exchange.form, exchange.request_headers.get("Range", "")


def _key(request: requests.PreparedRequest) -> _Key:
    parts = urlsplit(told_address(str(request.url)))
    form = request.body.decode("utf-8", "replace") if isinstance(request.body, bytes) else str(request.body or "")
    return (
        str(request.method),
        parts._replace(query="").geturl(),
        _fields(parts.query),
        _fields(form),
        _header(request.headers, "Range"),
    )


def _fields(text: str) -> tuple[tuple[str, str], ...]:
    pairs = parse_qsl(text, keep_blank_values=True)
    return tuple((name, value) for name, value in pairs if name not in _UNTOLD_FIELDS)


def _header(headers: Mapping[str, str | bytes], name: str) -> str:
    value = headers.get(name, "")
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _bare(request: requests.PreparedRequest) -> str:
    return str(request.url).partition("?")[0]

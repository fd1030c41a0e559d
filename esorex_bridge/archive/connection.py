"""Connection: the only module that speaks HTTP.

Polite (one pause for all threads when a service says so), patient (faults that pass are waited out), and careful with
credentials: anonymous until a service answers 401, a token only to the archive's own hosts, never another user from
`.netrc` (which `requests` would let replace the token), and nothing sent along to another host by a redirect.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from esorex_bridge.archive.auth import PASSWORD_VARIABLE, USER_VARIABLE, Credentials, Login
from esorex_bridge.archive.exchange import (
    AccessDeniedError,
    Answer,
    Form,
    Question,
    RetryPolicy,
    ServiceError,
    StoppedError,
    bare,
    follow,
    keeps_secrets,
    retry_after_s,
)
from esorex_bridge.archive.services import Services
from esorex_bridge.version import __version__

__all__ = ["Connection", "FindCredentials", "RetryPolicy"]

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_PASSING = frozenset((429, 500, 502, 503, 504))
_MAX_REDIRECTS = 5
_MAX_DOCUMENT = 128 * 1024 * 1024
_CHUNK = 256 * 1024
_SLOW = "the service does not answer in time"

FindCredentials = Callable[[], Credentials | None]
_T = TypeVar("_T")


class Bearer(AuthBase):
    """A token on a request, which `.netrc` does not replace."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token on a request."""
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Anonymous(AuthBase):
    """No credentials on a request; keeps `requests` from looking into `.netrc`."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Take credentials off a request."""
        request.headers.pop("Authorization", None)
        return request


class Given(AuthBase):
    """What the caller's session sends by itself."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave a request as it is."""
        return request


class Connection:
    """The archive's services over HTTP; safe to share between threads.

    Parameters
    ----------
    services : Services
        Where they are.
    session : requests.Session, optional
        One of the caller's (proxies, certificates, pools); an Authorization header of its own goes to the archive.
    credentials : Credentials or callable, optional
        Used where a service answers 401; a callable is asked then, once (it may look into a keyring).
    patience : Patience
        When to give up.
    """

    def __init__(
        self,
        services: Services,
        session: requests.Session | None = None,
        credentials: FindCredentials | Credentials | None = None,
        patience: RetryPolicy | None = None,
    ) -> None:
        self.services = services
        self.patience = patience or RetryPolicy()
        self.session = session or _session()
        self._own_session = session is None
        self._credentials = credentials
        self._found_login: Login | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._pause_until = 0.0
        self._protected: set[str] = set()
        self._environment: dict[tuple[str, str], dict[str, Any]] = {}

    def get(self, url: str, params: Form = ()) -> Answer:
        """Return the answer to a GET, whatever its status, after waiting out faults that pass.

        Raises
        ------
        ServiceError
            Where the service keeps failing, or cannot be reached.
        """
        return self._patiently(Question("GET", url, params), _read)

    def post(self, url: str, form: Form) -> Answer:
        """Return the answer to a POST of form fields; as `get`."""
        return self._patiently(Question("POST", url, form=form), _read)

    def open(
        self,
        method: str,
        url: str,
        params: Form = (),
        form: Form = (),
        headers: Mapping[str, str] | None = None,
        slow_is_final: bool = False,
    ) -> requests.Response:
        """Return an answer whose body is not read yet; as `get`. The caller closes it.

        With `slow_is_final`, a service that does not answer in time is not asked again (`ServiceError.slow`).
        """
        return self._patiently(Question(method, url, params, form, headers or {}, slow_is_final), _unread)

    def close(self) -> None:
        """Close the connections of our own session; one of the caller's stays open."""
        if self._own_session:
            self.session.close()

    def login(self) -> Login:
        """Return the login.

        Raises
        ------
        AccessDeniedError
            Where there are no credentials.
        """
        login = self._login()
        if login is None:
            raise AccessDeniedError(
                f"this needs a login; run 'esorex-bridge login', or set {USER_VARIABLE} and {PASSWORD_VARIABLE}"
            )
        return login

    @property
    def has_login(self) -> bool:
        """Whether there are credentials, as far as anybody asked for them yet."""
        return self._found_login is not None

    def _login(self) -> Login | None:
        with self._lock:
            if self._credentials is not None:
                found = self._credentials() if callable(self._credentials) else self._credentials
                self._credentials = None
                self._found_login = Login(found, self._ask_token) if found else None
            return self._found_login

    def use_token_for(self, url: str) -> None:
        """Send the token to a service from now on; without a login, nothing changes."""
        self._protected.add(_service(url))

    def pause(self, seconds: float) -> None:
        """Let all threads wait: a service said that it is busy."""
        with self._lock:
            self._pause_until = max(self._pause_until, time.monotonic() + seconds)

    def stop(self) -> None:
        """Let every wait end at once, and every request from now on be refused."""
        self._stopped.set()

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Undo a stop at the end of a piece of work."""
        try:
            yield
        finally:
            self._stopped.clear()

    def check_stopped(self) -> None:
        """Raise where the connection was stopped.

        Raises
        ------
        StoppedError
            Then.
        """
        if self._stopped.is_set():
            raise StoppedError("stopped before the end")

    def _patiently(self, question: Question, read: Callable[[requests.Response], _T]) -> _T:
        failures = 0
        while True:
            status: int | None = None
            wanted_pause: float | None = None
            try:
                response = self._authorised(question)
                if (status := response.status_code) not in _PASSING:
                    return read(response)
            except (requests.RequestException, HTTPError) as error:
                reason = _reason(error)
            else:
                reason = f"the service answers HTTP {status}"
                wanted_pause = retry_after_s(response.headers.get("Retry-After"))
                response.close()
            failures += 1
            slow = status == 504 or reason == _SLOW
            if failures >= self.patience.attempts or (slow and question.slow_is_final):
                raise ServiceError(question.url, status, f"{reason}, after {failures} tries", slow)
            self._rest(failures, wanted_pause)

    def _rest(self, failures: int, wanted_s: float | None) -> None:
        if wanted_s is not None:
            self.pause(min(wanted_s, self.patience.longest_wait_s))
        else:
            self.rest(failures)

    def rest(self, failures: int) -> None:
        """Wait as long as so many failures ask for."""
        self._stopped.wait(self.patience.wait_s(failures))

    def _authorised(self, question: Question) -> requests.Response:
        auth = self._authorisation(question.url)
        response = self._redirected(question, auth)
        if response.status_code != 401 or not self.services.trusts(question.url):
            return response
        if (login := self._login()) is not None:
            response.close()
            refused = auth.token if isinstance(auth, Bearer) else None
            response = self._redirected(question, Bearer(login.token(refused).value))
            if response.status_code not in (401, 403):
                self._protected.add(_service(question.url))
        return response

    def _authorisation(self, url: str) -> AuthBase:
        if _service(url) in self._protected and self.services.trusts(url) and (login := self._login()) is not None:
            return Bearer(login.token().value)
        if "Authorization" in self.session.headers and self.services.trusts(url):
            return Given()
        return Anonymous()

    def _redirected(self, question: Question, auth: AuthBase) -> requests.Response:
        response = self._send(question, auth)
        for _ in range(_MAX_REDIRECTS):
            if response.status_code not in _REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            target = urljoin(response.url, response.headers["Location"])
            if urlsplit(target).scheme not in ("http", "https"):
                break
            if not self.services.trusts(target):
                auth = Anonymous()
            question = follow(question, response.status_code, target)
            response = self._send(question, auth)
        raise ServiceError(question.url, response.status_code, "the service redirects in circles, or to no web address")

    def _send(self, question: Question, auth: AuthBase) -> requests.Response:
        self._await_turn()
        prepared = self.session.prepare_request(
            requests.Request(
                question.method,
                question.url,
                headers=dict(question.headers),
                params=list(question.params) or None,
                data=list(question.form) or None,
                auth=auth,
            )
        )
        timeout = (self.patience.connect_s, self.patience.read_s)
        return self.session.send(prepared, allow_redirects=False, timeout=timeout, **self._settings(question.url))

    def _settings(self, url: str) -> dict[str, Any]:
        """Return proxies and certificates for an address; looked up once per host, which costs a millisecond."""
        origin = urlsplit(url)[:2]
        if origin not in self._environment:
            found = self.session.merge_environment_settings(url, {}, True, None, None)
            self._environment[origin] = dict(found)
        return self._environment[origin]

    def _await_turn(self) -> None:
        while (left := self._pause_until - time.monotonic()) > 0 and not self._stopped.is_set():
            self._stopped.wait(left)
        self.check_stopped()

    def _ask_token(self, parameters: Mapping[str, str]) -> tuple[int, bytes]:
        if not keeps_secrets(self.services.token):
            raise AccessDeniedError(f"{bare(self.services.token)}: a password is sent over https only")
        question = Question("GET", self.services.token, tuple(parameters.items()))
        try:
            answer = _read(self._send(question, Anonymous()))
        except (requests.RequestException, HTTPError) as error:
            # The error repeats the address, and the address holds the password.
            raise ServiceError(self.services.token, None, _reason(error)) from None
        if answer.status in _PASSING:
            raise ServiceError(self.services.token, answer.status, f"the login service answers HTTP {answer.status}")
        return answer.status, answer.body


def _read(response: requests.Response) -> Answer:
    with response:
        pieces, size = [], 0
        for piece in response.iter_content(_CHUNK):
            size += len(piece)
            if size > _MAX_DOCUMENT:
                raise ServiceError(response.url, response.status_code, f"the answer is longer than {_MAX_DOCUMENT}")
            pieces.append(piece)
    return Answer(response.status_code, response.headers, b"".join(pieces))


def _unread(response: requests.Response) -> requests.Response:
    return response


def _session() -> requests.Session:
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=32)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.headers["User-Agent"] = f"esorex-bridge/{__version__} (python-requests/{requests.__version__})"
    return session


def _service(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{parts.path.lstrip('/').partition('/')[0]}"


def _reason(error: Exception) -> str:
    if isinstance(error, requests.ConnectTimeout | requests.ReadTimeout):
        return _SLOW
    if isinstance(error, requests.exceptions.SSLError):
        return "the service's certificate cannot be verified"
    if isinstance(error, requests.ConnectionError):
        return "the service cannot be reached, or broke the connection off"
    return f"the request failed ({type(error).__name__})"

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
from msgspec import Struct
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from esorex_bridge.archive.auth import PASSWORD_VARIABLE, USER_VARIABLE, Credentials, Login
from esorex_bridge.archive.bodies import is_page_answer, leave_unread, pieces_of, read_excerpt
from esorex_bridge.archive.causes import SLOW, is_slow, reason_of
from esorex_bridge.archive.exchange import (
    AccessDeniedError,
    Answer,
    Form,
    Question,
    RetryPolicy,
    ServiceError,
    StoppedError,
    TooLongError,
    bare,
    follow,
    keeps_secrets,
    retries,
    retry_after_s,
    speaks_of_time,
    what_came,
)
from esorex_bridge.archive.http_login import Anonymous, Bearer, Given
from esorex_bridge.archive.services import Services
from esorex_bridge.archive.sockets import OpenSockets, StoppableAdapter
from esorex_bridge.archive.speed import SpeedWatch
from esorex_bridge.archive.trace import Trace
from esorex_bridge.errors import DataError
from esorex_bridge.version import __version__

__all__ = ["Connection", "FindCredentials", "RetryPolicy", "pieces_of"]

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_PASSING = frozenset((429, 500, 502, 503, 504))
_REFUSED = frozenset((401, 403))
_MAX_REDIRECTS = 5
_CHUNK = 256 * 1024
_REFUSALS_IN_A_ROW = 3


FindCredentials = Callable[[], Credentials | None]
_T = TypeVar("_T")


class _Failure(Struct, frozen=True):
    """What was wrong with one try, and how long the service wants to be left alone."""

    reason: str
    status: int | None
    slow: bool = False
    pause_s: float | None = None


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
    patience : RetryPolicy
        When to give up.
    trace : Trace, optional
        Where every exchange is written down.
    contact : str
        Who asks: an address for the operators of the archive.
    """

    def __init__(
        self,
        services: Services,
        session: requests.Session | None = None,
        credentials: FindCredentials | Credentials | None = None,
        patience: RetryPolicy | None = None,
        trace: Trace | None = None,
        contact: str = "",
    ) -> None:
        self.services = services
        self._trace = trace
        self.patience = patience or RetryPolicy()
        self._sockets = OpenSockets()
        self.session = session or _session(self._sockets, contact)
        self._own_session = session is None
        self._credentials = credentials
        self._found_login: Login | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._pause_until = 0.0
        self._refusals_in_a_row = 0
        self._protected: set[str] = set()
        self._environment: dict[tuple[str, str], dict[str, Any]] = {}

    def get(self, url: str, params: Form = (), **manner: Any) -> Answer:
        """Return the answer to a GET, whatever its status, after waiting out faults that pass.

        Parameters
        ----------
        url : str
            Where to.
        params : sequence of (str, str)
            Fields of the address.
        **manner
            Further fields of `Question`.

        Raises
        ------
        ServiceError
            If the service keeps failing, or cannot be reached.
        """
        return self._patiently(Question("GET", url, params, **manner), self._read)

    def post(self, url: str, form: Form, **manner: Any) -> Answer:
        """Return the answer to a POST of form fields; as `get`."""
        return self._patiently(Question("POST", url, form=form, **manner), self._read)

    def open(self, method: str, url: str, params: Form = (), form: Form = (), **manner: Any) -> requests.Response:
        """Return an answer whose body is not read yet; as `get`. The caller closes it.

        With `slow_is_final`, a service that does not answer in time is not asked again (`ServiceError.slow`).
        """
        return self._patiently(Question(method, url, params, form, **manner), leave_unread)

    def close(self) -> None:
        """Close the connections of our own session; one of the caller's stays open. A trace ends here.

        Raises
        ------
        DataError
            If the trace held a secret: what held it was removed.
        """
        if self._own_session:
            self.session.close()
        if self._trace is not None and (removed := self._trace.close()):
            names = ", ".join(path.name for path in removed)
            raise DataError(f"{self._trace.folder}: {names} held a password, a token or a user's name; removed")

    def login(self) -> Login:
        """Return the login.

        Raises
        ------
        AccessDeniedError
            If there are no credentials.
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

    def login_of(self, credentials: Credentials) -> Login:
        """Return the login of a given user, who is not used for anything else."""
        return Login(credentials, self._ask_token)

    def use_token_for(self, url: str) -> None:
        """Send the token to a service from now on; without a login, nothing changes."""
        self._protected.add(_service(url))

    def pause(self, seconds: float) -> None:
        """Let all threads wait: a service said that it is busy."""
        with self._lock:
            self._pause_until = max(self._pause_until, time.monotonic() + seconds)

    def stop(self) -> None:
        """Let every wait end at once, also one for an answer, and every request from now on be refused."""
        self._stopped.set()
        self._sockets.shut_down()

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Undo a stop at the end of a piece of work."""
        try:
            yield
        finally:
            self._stopped.clear()
            self._sockets.allow()

    def check_stopped(self) -> None:
        """Raise where the connection was stopped.

        Raises
        ------
        StoppedError
            If it was.
        """
        if self._stopped.is_set():
            raise StoppedError("stopped before the end")

    def _patiently(self, question: Question, read: Callable[[requests.Response], _T]) -> _T:
        failures, refusals = 0, 0
        while True:
            self.check_stopped()
            failure = None
            try:
                response = self._send_with_login(question)
                if self._is_refusal_that_may_pass(response.status_code, question, refusals):
                    refusals += 1
                    response.close()
                    self._wait_out_refusal(question, response.status_code, refusals)
                    continue
                if response.status_code not in _PASSING and not (question.no_page and is_page_answer(response)):
                    return read(response)
                failure = self._failure_of(response, question)
            except (requests.RequestException, HTTPError) as error:
                self.check_stopped()
                failure = _Failure(reason_of(error, self._settings(question.url), question.url), None, is_slow(error))
            failures += 1
            self._give_up_or_rest(question, failure, failures)

    def _give_up_or_rest(self, question: Question, failure: _Failure, failures: int) -> None:
        attempts = question.attempts or self.patience.attempts
        if failures >= attempts or (failure.slow and question.slow_is_final):
            tries = "1 try" if failures == 1 else f"{failures} tries"
            raise ServiceError(question.url, failure.status, f"{failure.reason}, after {tries}", failure.slow)
        wait_s = self.patience.wait_s(failures) if failure.pause_s is None else failure.pause_s
        retries.warning(
            "%s: %s; try %d of %d in %.3g s", bare(question.url), failure.reason, failures + 1, attempts, wait_s
        )
        self._rest(failures, failure.pause_s)

    def _failure_of(self, response: requests.Response, question: Question) -> _Failure:
        """Return what is wrong with an answer of the kind that passes, and close it."""
        status = response.status_code
        with response:
            said = read_excerpt(response)
        came = what_came(response.headers.get("Content-Type", ""), said) if said.strip() else ""
        gave_up = status == 504 or (question.thinks_long and (status == 502 or speaks_of_time(came)))
        reason = f"{SLOW} (HTTP {status})" if gave_up else f"the service answers HTTP {status}"
        pause_s = retry_after_s(response.headers.get("Retry-After"))
        return _Failure(f"{reason} with {came}" if came else reason, status, gave_up, pause_s)

    def _is_refusal_that_may_pass(self, status: int, question: Question, refusals: int) -> bool:
        """Return whether a refusal is to be waited out; after some that did not pass, none is any more."""
        if not question.refusals:
            return False
        if status not in _REFUSED:
            self._refusals_in_a_row = 0
            return False
        if self._refusals_in_a_row >= _REFUSALS_IN_A_ROW:
            return False
        if refusals >= min(question.refusals, len(self.patience.refusal_waits_s)):
            self._refusals_in_a_row += 1
            return False
        return True

    def _wait_out_refusal(self, question: Question, status: int, refusals: int) -> None:
        wait_s = self.patience.refusal_waits_s[refusals - 1]
        retries.warning("%s: HTTP %d for what should be public; again in %.3g s", bare(question.url), status, wait_s)
        self._stopped.wait(wait_s)

    def _rest(self, failures: int, wanted_s: float | None) -> None:
        if wanted_s is not None:
            self.pause(min(wanted_s, self.patience.longest_wait_s))
        else:
            self.rest(failures)

    def sleep(self, seconds: float) -> None:
        """Let time pass, until the connection is stopped.

        Raises
        ------
        StoppedError
            If it is.
        """
        self._stopped.wait(seconds)
        self.check_stopped()

    def rest(self, failures: int) -> None:
        """Wait as long as so many failures ask for."""
        self._stopped.wait(self.patience.wait_s(failures))

    def _send_with_login(self, question: Question) -> requests.Response:
        auth = self._authorisation(question)
        response = self._follow_redirects(question, auth)
        if response.status_code not in _REFUSED or question.anonymous or not self.services.trusts(question.url):
            return response
        if isinstance(auth, Bearer) and response.status_code == 403:
            return response  # the service knows who asks, and says no
        if question.method == "DELETE":
            return response  # nothing is worth a login for being thrown away
        if (login := self._login()) is not None:
            response.close()
            refused = auth.token if isinstance(auth, Bearer) else None
            response = self._follow_redirects(question, Bearer(login.token(refused).value))
            if response.status_code not in _REFUSED:
                self._protected.add(_service(question.url))
        return response

    def _authorisation(self, question: Question) -> AuthBase:
        if not self.services.trusts(question.url):
            return Anonymous()
        protected = _service(question.url) in self._protected and not question.anonymous
        if protected and (login := self._login()) is not None:
            return Bearer(login.token().value)
        return Given() if "Authorization" in self.session.headers else Anonymous()

    def _follow_redirects(self, question: Question, auth: AuthBase) -> requests.Response:
        response = self._send(question, auth)
        for _ in range(_MAX_REDIRECTS):
            moved = response.status_code in _REDIRECTS and "Location" in response.headers
            if not moved or not question.follows:
                return response
            response.close()
            target = self._target(response)
            if not self.services.trusts(target):
                auth = Anonymous()
            question = follow(question, response.status_code, target)
            response = self._send(question, auth)
        response.close()
        raise ServiceError(question.url, response.status_code, "the service redirects in circles")

    def _target(self, response: requests.Response) -> str:
        """Return where a redirect leads."""
        try:
            target = self.services.upgrade_address(urljoin(response.url, response.headers["Location"]))
            scheme = urlsplit(target).scheme
        except ValueError:
            scheme = ""
        if scheme not in ("http", "https"):
            raise ServiceError(response.url, response.status_code, "the service redirects to no web address")
        return target

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
        read_s = max(self.patience.read_s, self.patience.slow_read_s) if question.thinks_long else self.patience.read_s
        began = time.time()
        try:
            response = self.session.send(
                prepared,
                stream=True,
                allow_redirects=False,
                timeout=(self.patience.connect_s, read_s),
                **self._settings(question.url),
            )
        except Exception as error:
            if self._trace is not None:
                self._hide_secrets(prepared)
                self._trace.failed(prepared, began, error)
            raise
        if self._trace is not None:
            self._hide_secrets(prepared)
            self._trace.watch(prepared, response, began)
        return response

    def _hide_secrets(self, request: requests.PreparedRequest) -> None:
        """Tell the trace what it must not hold."""
        if self._trace is None:
            return
        known = self._found_login.credentials if self._found_login is not None else None
        sent = str(request.headers.get("Authorization", "")).partition(" ")[2]
        self._trace.hide(known.user if known else "", (sent, known.password if known else ""))

    def _settings(self, url: str) -> dict[str, Any]:
        """Return proxies and certificates for an address; looked up once per host, which costs a millisecond."""
        origin = urlsplit(url)[:2]
        if origin not in self._environment:
            found = dict(self.session.merge_environment_settings(url, {}, True, None, None))
            found.pop("stream", None)
            self._environment[origin] = found
        return self._environment[origin]

    def _await_turn(self) -> None:
        while (left := self._pause_until - time.monotonic()) > 0 and not self._stopped.is_set():
            self._stopped.wait(left)
        self.check_stopped()

    def _ask_token(self, parameters: Mapping[str, str]) -> Answer:
        if not keeps_secrets(self.services.token):
            raise AccessDeniedError(f"{bare(self.services.token)}: a password is sent over https only")
        question = Question("GET", self.services.token, tuple(parameters.items()))
        try:
            answer = self._read(self._send(question, Anonymous()))
        except (requests.RequestException, HTTPError) as error:
            # The error repeats the address, and the address holds the password.
            reason = reason_of(error, self._settings(self.services.token), self.services.token)
            raise ServiceError(self.services.token, None, reason) from None
        if answer.status in _PASSING:
            came = what_came(answer.headers.get("Content-Type", ""), answer.body)
            reason = f"the login service answers HTTP {answer.status} with {came}"
            raise ServiceError(self.services.token, answer.status, reason)
        return answer

    def watch_speed(self) -> SpeedWatch:
        """Return what tells whether a transfer that begins now is too slow."""
        return SpeedWatch(self.patience.least_bytes_per_s, self.patience.slow_window_s)

    def _read(self, response: requests.Response) -> Answer:
        longest, watch = self.patience.longest_document_bytes, self.watch_speed()
        with response:
            pieces, size = [], 0
            for piece in pieces_of(response, _CHUNK, decoded=True):
                size += len(piece)
                if size > longest:
                    raise TooLongError(response.url, longest)
                if watch.is_too_slow(size):
                    raise requests.ReadTimeout(watch.reason)
                pieces.append(piece)
        return Answer(response.status_code, response.headers, b"".join(pieces))


def _session(sockets: OpenSockets, contact: str) -> requests.Session:
    session = requests.Session()
    adapter = StoppableAdapter(sockets, pool_connections=4, pool_maxsize=32)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.headers["User-Agent"] = user_agent(contact)
    return session


def user_agent(contact: str = "") -> str:
    """Return how we name ourselves, as ESO asks of clients: program, who asks where that is known, HTTP library."""
    who = f" ({contact})" if contact else ""
    return f"esorex-bridge/{__version__}{who} python-requests/{requests.__version__}"


def _service(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{parts.path.lstrip('/').partition('/')[0]}"

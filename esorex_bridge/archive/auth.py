"""Login: who the user is to the archive, and the token that says so.

ESO's login service gives a token (JWT) for user and password, valid for eight hours, and no way to prolong it: the
bridge asks again shortly before it ends. The password travels in the address of that one request, as ESO's service
wants it, so that request is never logged and its errors never repeat the address.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from esorex_bridge.archive.exchange import Answer, what_came
from esorex_bridge.errors import ArchiveError, UserError
from esorex_bridge.log import logger
from esorex_bridge.values import visible

KEYRING_SERVICE = "astroquery:www.eso.org"
"""astroquery's name for the same password, so that one login serves both."""

USER_VARIABLE, PASSWORD_VARIABLE = "ESO_USERNAME", "ESO_PASSWORD"

_MARGIN_S = 600.0
_CLIENT_ID, _CLIENT_SECRET = "clientid", "clientSecret"
"""As in ESO's own programs; the secret is that of astroquery, and no secret."""


class LoginError(UserError):
    """ESO does not accept user and password, or there are none."""


class NoLoginServiceError(ArchiveError):
    """The login service does not say whether it knows the user: it has moved, or something on the way blocks it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user of the archive.

    Parameters
    ----------
    user : str
        Name at the ESO User Portal.
    password : str
        Never shown.
    source : str
        Where they came from, in words.
    """

    user: str
    password: str = field(repr=False)
    source: str = "given"


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its time.

    Parameters
    ----------
    value : str
        Never shown.
    renew_at, expires_at : float
        Unix times, seconds.
    """

    value: str = field(repr=False)
    renew_at: float
    expires_at: float


def find_credentials(
    environment: Mapping[str, str], remembered_user: str | None = None, keyring: bool = True
) -> Credentials | None:
    """Return user and password from the environment, or from the keyring; None where there are none.

    Parameters
    ----------
    environment : mapping
        `ESO_USERNAME` and `ESO_PASSWORD`; the user alone is enough where the keyring has the password.
    remembered_user : str, optional
        The user of the last `login`.
    keyring : bool
        Whether the keyring counts: its password is for ESO's own services.
    """
    user = environment.get(USER_VARIABLE) or remembered_user
    if not user:
        return None
    if environment.get(PASSWORD_VARIABLE) and environment.get(USER_VARIABLE):
        return Credentials(user, environment[PASSWORD_VARIABLE], "environment")
    password = stored_password(user) if keyring else None
    return Credentials(user, password, "keyring") if password else None


def stored_password(user: str) -> str | None:
    """Return the password that the keyring has for a user; None where there is none, or no keyring that works."""
    import keyring
    from keyring.errors import KeyringError

    try:
        found: str | None = keyring.get_password(KEYRING_SERVICE, user)
    except (KeyringError, RuntimeError):
        return None
    return found


def store_password(credentials: Credentials) -> None:
    """Put a password into the keyring.

    Raises
    ------
    UserError
        If this machine has no keyring that works; the message names the other way.
    """
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(KEYRING_SERVICE, credentials.user, credentials.password)
        kept = keyring.get_password(KEYRING_SERVICE, credentials.user) is not None
    except (KeyringError, RuntimeError):
        kept = False
    if not kept:
        raise UserError(
            f"this machine has no keyring that keeps a password; set {USER_VARIABLE} and "
            f"{PASSWORD_VARIABLE} in the environment instead"
        )


def forget_password(user: str) -> bool:
    """Remove a password from the keyring, and tell whether there was one."""
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.delete_password(KEYRING_SERVICE, user)
    except (KeyringError, RuntimeError):
        return False
    return True


class Login:
    """A user with the token of the moment; safe to share between threads.

    Parameters
    ----------
    credentials : Credentials
        User and password.
    ask : callable
        Sends the parameters of the token request and returns the answer.
    clock : callable
        Unix time, seconds.
    """

    def __init__(
        self,
        credentials: Credentials,
        ask: Callable[[Mapping[str, str]], Answer],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.credentials = credentials
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._final: LoginError | NoLoginServiceError | None = None

    def token(self, refused: str | None = None) -> Token:
        """Return a token that is good now, asking for a new one where needed; what was refused once is not tried again.

        Parameters
        ----------
        refused : str, optional
            A token that a service just refused: it is not used again.

        Raises
        ------
        LoginError
            If ESO refuses user and password.
        NoLoginServiceError
            If the login service answers what cannot be read.
        ServiceError
            If it fails.
        """
        with self._lock:
            now = self._clock()
            if self._token is None or now >= self._token.renew_at or self._token.value == refused:
                if self._final is not None:
                    raise self._final
                try:
                    self._token = self._new_token(now)
                except (LoginError, NoLoginServiceError) as error:
                    # An account is locked after some tries with a wrong password.
                    self._final = error
                    raise
            return self._token

    def _new_token(self, now: float) -> Token:
        parameters = {
            "response_type": "id_token token",
            "grant_type": "password",
            "client_id": _CLIENT_ID,
            "username": self.credentials.user,
            "password": self.credentials.password,
        }
        answer = self._ask(parameters)
        if _stated_error(answer) == "invalid_client":
            answer = self._ask({**parameters, "client_secret": _CLIENT_SECRET})
        if answer.status != 200:
            raise self._refusal(answer)
        try:
            document = json.loads(answer.body)
            value = document["id_token"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise _no_judgement(answer) from None
        if not isinstance(value, str) or not value.isascii() or any(letter.isspace() for letter in value):
            raise NoLoginServiceError("ESO's login service answered with a token that cannot be sent; try again later")
        return _make_token(value, document.get("expires_in"), now)

    def _refusal(self, answer: Answer) -> NoLoginServiceError | LoginError:
        """Return the error for an answer without a token: only the service itself says that a password is wrong."""
        if answer.status not in (400, 401) or not (stated := _stated_error(answer)):
            return _no_judgement(answer)
        if stated == "invalid_client":
            return NoLoginServiceError(
                "ESO's login service does not know this program any more (invalid_client); report it"
            )
        return LoginError(
            f"ESO does not accept user '{self.credentials.user}' with the password from "
            f"{self.credentials.source} (HTTP {answer.status}, {visible(stated, 60)}); run 'esorex-bridge login'"
        )


def _stated_error(answer: Answer) -> str:
    """Return the `error` of an answer in JSON; empty where it states none."""
    try:
        stated = json.loads(answer.body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return str(stated)


def _no_judgement(answer: Answer) -> NoLoginServiceError:
    """Return the error for an answer that says nothing about user and password."""
    came = what_came(answer.headers.get("Content-Type", ""), answer.body)
    where = answer.headers.get("Location", "").partition("?")[0]
    moved = f", and sends to {visible(where, 200)}" if where else ""
    return NoLoginServiceError(
        f"ESO's login service answers HTTP {answer.status} with {came}{moved}: it has moved, or something on the way "
        "blocks it; user and password were not looked at. Public data need no login"
    )


def _make_token(value: str, lifetime: object, now: float) -> Token:
    expires = _expiry(value)
    if expires is None:
        expires = now + (float(lifetime) if isinstance(lifetime, int | float) else _MARGIN_S)
    # Short-lived tokens are used for nine tenths of their time.
    margin = min(_MARGIN_S, max(0.0, expires - now) * 0.1)
    return Token(value, expires - margin, expires)


def _expiry(value: str) -> float | None:
    """Return `exp` of a JWT; None for a token that is no JWT."""
    parts = value.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    expires = claims.get("exp") if isinstance(claims, dict) else None
    return float(expires) if isinstance(expires, int | float) else None


class _NoPasswords(logging.Filter):
    """Keeps the token request out of the log of the HTTP library, which writes addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "password=" not in record.getMessage()


logger("urllib3.connectionpool").addFilter(_NoPasswords())

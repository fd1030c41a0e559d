"""Login: tokens of the archive's single sign-on, and the check of what a request presents."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from esorex_bridge.demo.archive.exchange import HttpReply, HttpRequest, html_error, json_reply, redirect
from esorex_bridge.demo.archive.faults import Fault

DEMO_USER = "demo"
DEMO_PASSWORD = "demo-password"  # the only account of an archive that is reachable from this machine alone
TOKEN_LIFETIME_S = 28800
SHORT_LIFETIME_S = 2
ISSUER = "https://www.eso.org/sso/oidc"


@dataclass(frozen=True, slots=True)
class LoginPages:
    """The accounts of the embedded archive.

    Parameters
    ----------
    now : callable
        Clock, seconds since 1970.
    passwords : mapping
        By user.
    """

    now: Callable[[], float]
    passwords: Mapping[str, str] = field(default_factory=lambda: {DEMO_USER: DEMO_PASSWORD}, repr=False)

    def answer(self, request: HttpRequest) -> HttpReply:
        """Answer a request for a token; any mistake in it is 401."""
        if Fault.MOVED_TOKEN in request.faults:
            return redirect(302, f"{request.base}/iam/realms/eso/token?from=old")
        if Fault.BLOCKED_TOKEN in request.faults:
            return html_error(403, "Access blocked by the firewall")
        if Fault.CLIENT_SECRET in request.faults and not request.first("client_secret"):
            return json_reply(401, {"error": "invalid_client"})
        user = request.first("username")
        if not self._knows(user, request.first("password")) or request.first("grant_type") != "password":
            return json_reply(401, {"error": "invalid_grant", "error_description": "Authentication failed"})
        lifetime = SHORT_LIFETIME_S if Fault.SHORT_TOKEN in request.faults else TOKEN_LIFETIME_S
        token = {
            "access_token": self._token(user, lifetime),
            "id_token": self._token(user, lifetime),
            "token_type": "bearer",
            "expires_in": lifetime,
            "scope": "",
        }
        return json_reply(200, token)

    def refuses(self, request: HttpRequest) -> bool:
        """Tell whether a request presents credentials that are wrong: such a request fails even for public data."""
        return "authorization" in request.headers and self.user(request) is None

    def user(self, request: HttpRequest) -> str | None:
        """Return who sent a request, by its token or its password; None for nobody."""
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._user_of_token(credentials)
        if scheme.lower() == "basic":
            user, _, password = _decode(credentials).partition(":")
            return user if self._knows(user, password) else None
        return None

    def _knows(self, user: str, password: str) -> bool:
        return bool(password) and self.passwords.get(user) == password

    def _token(self, user: str, lifetime_s: int) -> str:
        now = int(self.now())
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": "clientid",
            "iat": now,
            "nbf": now - 300,
            "exp": now + lifetime_s,
        }
        header = {"alg": "RS256", "kid": "sso", "typ": "JWT"}
        return ".".join((_encode(json.dumps(header)), _encode(json.dumps(claims)), _encode("unsigned")))

    def _user_of_token(self, token: str) -> str | None:
        try:
            claims = json.loads(_decode(token.split(".")[1]))
            return str(claims["sub"]) if claims["exp"] > self.now() and claims["sub"] in self.passwords else None
        except (ValueError, KeyError, IndexError, TypeError):
            return None


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""

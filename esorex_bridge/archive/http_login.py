"""Who a request is made as: nobody, or the owner of a token or of a user's name and password."""

from __future__ import annotations

import requests
from requests.auth import AuthBase


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

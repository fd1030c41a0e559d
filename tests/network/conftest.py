"""What tests over loopback share: a plain HTTP client that looks at no environment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests


@pytest.fixture
def web() -> Iterator[requests.Session]:
    """Give a session that takes nothing from .netrc or proxy variables."""
    with requests.Session() as session:
        session.trust_env = False
        yield session

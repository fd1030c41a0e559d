"""Causes: why a request failed, in words that say what to look at: the host, the proxy, the certificates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from esorex_bridge.archive.exchange import bare
from esorex_bridge.values import visible

SLOW = "the service does not answer in time"

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def is_slow(error: Exception) -> bool:
    """Return whether a request failed because the service did not answer in time."""
    return isinstance(error, requests.ConnectTimeout | requests.ReadTimeout)


def reason_of(error: Exception, settings: Mapping[str, Any], url: str) -> str:
    """Return why a request failed, with the cause that the system gives, and the proxy and certificates in use.

    Parameters
    ----------
    error : Exception
        Of `requests` or `urllib3`.
    settings : mapping
        `proxies` and `verify`, as the request was sent with them.
    url : str
        Where it went.
    """
    through = _through(settings, url)
    if is_slow(error):
        return f"{SLOW}{through}"
    said = _cause(error)
    if isinstance(error, requests.exceptions.SSLError):
        return f"the service's certificate cannot be verified{said}{_certificates(settings)}{through}"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy does not let the request through{said}{through}"
    if isinstance(error, requests.ConnectionError):
        return f"the service cannot be reached, or broke the connection off{said}{through}"
    return f"the request failed ({type(error).__name__}){said}{through}"


def _cause(error: BaseException) -> str:
    """Return what the deepest error says that the system raised; nothing where none did."""
    found, seen = "", set[int]()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, OSError) and not isinstance(current, requests.RequestException):
            found = str(getattr(current, "verify_message", "") or current.strerror or found)
        current = current.__cause__ or current.__context__ or _find_wrapped(current)
    return f" ({visible(found, 160)})" if found else ""


def _find_wrapped(error: BaseException) -> BaseException | None:
    """Return the error that another one carries as an argument, as those of the HTTP libraries do."""
    held = (getattr(error, "reason", None), *error.args)
    return next((inner for inner in held if isinstance(inner, BaseException)), None)


def _through(settings: Mapping[str, Any], url: str) -> str:
    proxies = settings.get("proxies") or {}
    parts = urlsplit(url)
    proxy = proxies.get(f"{parts.scheme}://{parts.hostname}") or proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return ""
    names = (f"{parts.scheme.upper()}_PROXY", f"{parts.scheme}_proxy", "ALL_PROXY", "all_proxy")
    named = next((name for name in names if os.environ.get(name) == proxy), None)
    return f"; through the proxy {bare(str(proxy))}" + (f" ({named})" if named else "")


def _certificates(settings: Mapping[str, Any]) -> str:
    bundle = settings.get("verify")
    if not isinstance(bundle, str):
        return "; where a proxy or firewall uses certificates of its own, name their file in REQUESTS_CA_BUNDLE"
    named = next((name for name in _CA_VARIABLES if os.environ.get(name) == bundle), None)
    return f"; certificates from {visible(bundle, 200)}" + (f" ({named})" if named else "")

"""Services: where the archive's services are, as one value."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

from msgspec import Struct

from esorex_bridge.errors import UserError

_ARCHIVE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*(?:\.[A-Za-z0-9_:+-]+)+")


class Services(Struct, frozen=True):
    """The addresses of all services of one archive; ESO's own by default.

    Parameters
    ----------
    tap : str
        TAP service of observations (`dbo.raw`, `ivoa.ObsCore`, `phase3v2.product_files`).
    calselector : str
        The association service.
    datalink : str
        DataLink `links` resource.
    files : str
        Downloads; the name of a file is appended after a slash.
    token : str
        Where user and password are exchanged for a token.
    sesame : str
        CDS's name service; no credentials go there.
    """

    tap: str = "https://archive.eso.org/tap_obs"
    calselector: str = "https://archive.eso.org/calselector/v1/associations"
    datalink: str = "https://archive.eso.org/datalink/links"
    files: str = "https://dataportal.eso.org/dataPortal/file"
    token: str = "https://www.eso.org/sso/oidc/token"
    sesame: str = "https://cds.unistra.fr/cgi-bin/nph-sesame"

    @classmethod
    def at(cls, base: str) -> Services:
        """Return the services below one address, such as an embedded archive (`--archive URL`).

        Raises
        ------
        UserError
            If the address is no http or https URL.
        """
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"'{base}' is no address of an archive; give one like http://127.0.0.1:8080")
        root = base.rstrip("/")
        return cls(
            f"{root}/tap_obs",
            f"{root}/calselector/v1/associations",
            f"{root}/datalink/links",
            f"{root}/dataPortal/file",
            f"{root}/sso/oidc/token",
            f"{root}/sesame",
        )

    def file_url(self, name: str) -> str:
        """Return the download address of a file by its archive name (`<dp_id>`, `<dp_id>.NL`, `M.…`, `ADP.…`)."""
        return f"{self.files}/{quote(name, safe=':+')}"

    def trusts(self, url: str) -> bool:
        """Return whether an address belongs to this archive, so that credentials may be sent there."""
        return _origin(url) in self._origins

    def upgrade_address(self, url: str) -> str:
        """Return the address to use for one that the archive names: `http://` and port 80 or 443 of a host that we know
        by https become its https address. ESO's services still name such addresses, and redirect to them.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return url
        plain_port = port in (None, 80, 443)
        if parts.scheme not in ("http", "https") or not plain_port or parts.username is not None:
            return url
        if ("https", parts.hostname, None) not in self._origins:
            return url
        return urlunsplit(("https", str(parts.hostname), parts.path, parts.query, ""))

    @property
    def _origins(self) -> frozenset[tuple[str, str | None, int | None]]:
        return frozenset(map(_origin, (self.tap, self.calselector, self.datalink, self.files, self.token)))


def is_archive_name(name: str) -> bool:
    """Return whether a text can be the archive name of a file, and so the name of a file in a folder of ours.

    Wider than `is_dp_id`: night logs (`<dp_id>.NL`) count too. Never a path: no slash, no leading dot.
    """
    return len(name) < 200 and _ARCHIVE_NAME.fullmatch(name) is not None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, None if (parts.scheme, parts.port) == ("https", 443) else parts.port
    except ValueError:
        return "", None, None

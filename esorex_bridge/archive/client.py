"""ArchiveClient: everything the archive offers, as calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import requests
from msgspec.structs import replace

from esorex_bridge.archive import associate, tap
from esorex_bridge.archive.auth import Credentials
from esorex_bridge.archive.calselector import AssociationReply
from esorex_bridge.archive.connection import Connection, FindCredentials
from esorex_bridge.archive.download import PARALLEL, fetch
from esorex_bridge.archive.download_list import WantedFile
from esorex_bridge.archive.exchange import AccessDeniedError, RetryPolicy, ServiceError, what_came
from esorex_bridge.archive.names import resolve_names
from esorex_bridge.archive.nightlog import NightLog, read_night_log
from esorex_bridge.archive.query import Constraints, adql, product_files_adql, products_adql
from esorex_bridge.archive.report import FetchReport, Progress
from esorex_bridge.archive.services import Services
from esorex_bridge.archive.trace import Trace
from esorex_bridge.archive.unpack import Unpacking
from esorex_bridge.archive.votable import Links, UnreadableTableError, read_links
from esorex_bridge.datasets.association import Mode
from esorex_bridge.errors import UserError
from esorex_bridge.files import DpId
from esorex_bridge.log import logger

if TYPE_CHECKING:
    from astropy.table import Table

_IDS_PER_QUERY = 400

_log = logger(__name__)

Row = dict[str, Any]
_Found = TypeVar("_Found")


class ArchiveClient:
    """The archive's services.

    Parameters
    ----------
    services : Services, optional
        Where they are; ESO's own by default.
    session : requests.Session, optional
        One of the caller's, with its proxies and certificates.
    credentials : Credentials or callable, optional
        Used where a service asks for a login, and only there; a callable is asked for them then.
    patience : RetryPolicy, optional
        How long to bear with a service.
    trace : Path, optional
        A folder that every exchange is written into; see `trace`.
    contact : str, optional
        An address at which the archive's operators reach whoever asks; goes into the User-Agent.

    Attributes
    ----------
    unknown_columns : dict
        Columns that the archive turned out not to have, in the order in which that was noticed.

    Examples
    --------
    >>> client = ArchiveClient()
    >>> rows = client.query(Constraints(program="098.C-0739(C)"))          # doctest: +SKIP
    >>> replies = client.associations([row["dp_id"] for row in rows])      # doctest: +SKIP
    """

    def __init__(
        self,
        services: Services | None = None,
        session: requests.Session | None = None,
        credentials: FindCredentials | Credentials | None = None,
        patience: RetryPolicy | None = None,
        trace: Path | None = None,
        contact: str = "",
    ) -> None:
        there = services or Services()
        kept = Trace(trace, there) if trace is not None else None
        self.connection = Connection(there, session, credentials, patience, kept, contact)
        self.unknown_columns: dict[str, None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    @property
    def services(self) -> Services:
        """Where the services are."""
        return self.connection.services

    def authenticate(self) -> None:
        """Send the token to the metadata services from now on: protected metadata are left out silently otherwise.

        Raises
        ------
        AccessDeniedError
            If there are no credentials.
        LoginError
            If they are not accepted.
        """
        self.connection.login().token()
        for url in (self.services.tap, self.services.calselector, self.services.datalink):
            self.connection.use_token_for(url)

    def query(self, constraints: Constraints, job: bool = False, watch: tap.Watch | None = None) -> tuple[Row, ...]:
        """Return the raw frames that meet constraints, as rows of plain values; None where the archive has none.

        Raises
        ------
        UserError
            If a constraint is malformed, or the service does not understand the query.
        ArchiveError
            If the service fails, or cut the table off without a limit.
        """
        found: list[Row] = []
        for part in _parts(self.locate(constraints)):
            found += self._without_unknown_columns(
                part, lambda wanted: tap.ask_rows(self.connection, adql(wanted), wanted.limit, job, watch)
            )
        lacking = dict.fromkeys(column for column in constraints.columns if column in self.unknown_columns)
        return tuple({**lacking, **row} for row in found[: constraints.limit])

    def query_table(self, constraints: Constraints, job: bool = False, watch: tap.Watch | None = None) -> Table:
        """Return the raw frames that meet constraints as an astropy table, with units and descriptions; as `query`."""
        from astropy.table import vstack

        tables = [
            self._without_unknown_columns(part, lambda wanted: self.ask(adql(wanted), wanted.limit, job, watch))
            for part in _parts(self.locate(constraints))
        ]
        return vstack(tables, metadata_conflicts="silent")[: constraints.limit] if len(tables) > 1 else tables[0]

    def locate(self, constraints: Constraints) -> Constraints:
        """Return constraints with the position of their target, where a name service knows it."""
        return resolve_names(self.connection, constraints)

    def ask(self, adql_text: str, limit: int | None = None, job: bool = False, watch: tap.Watch | None = None) -> Table:
        """Return the answer to any ADQL query as an astropy table; errors as `query`."""
        return tap.ask(self.connection, adql_text, limit, job, watch)

    def products(self, constraints: Constraints) -> tuple[Row, ...]:
        """Return processed products (Phase 3) that meet constraints, as rows of plain values; errors as `query`."""
        return tap.ask_rows(self.connection, products_adql(self.locate(constraints)), constraints.limit)

    def product_files(
        self,
        product: str | None = None,
        collection: str | None = None,
        category: str | None = None,
        limit: int | None = None,
        place: Constraints | None = None,
    ) -> Table:
        """Return the files of processed products (`phase3v2.product_files`), science and ancillary.

        Parameters
        ----------
        product : str, optional
            One product (`ADP.…`).
        collection : str, optional
            All products of a collection (`MUSE`).
        category : str, optional
            `eso_category`, such as `ANCILLARY.PREVIEW`; a `%` stands for any text.
        limit : int, optional
            Greatest number of rows.
        place : Constraints, optional
            Products of its target, or about its position.
        """
        there = None if place is None else self.locate(place)
        return self.ask(product_files_adql(product, collection, category, limit, there), limit)

    def associations(
        self, dp_ids: Sequence[DpId], mode: Mode = "Raw2Raw", template_of: Mapping[DpId, str] | None = None
    ) -> tuple[AssociationReply, ...]:
        """Return calSelector's answers, which together cover all frames; see `associate.associations`."""
        return associate.associations(self.connection, dp_ids, mode, template_of)

    def association_batches(
        self,
        dp_ids: Sequence[DpId],
        mode: Mode,
        template_of: Mapping[DpId, str] | None = None,
        is_public: Callable[[DpId], bool] = lambda name: False,
    ) -> Iterator[tuple[AssociationReply, ...]]:
        """Yield calSelector's answers as they come; see `associate.batches`."""
        return associate.batches(self.connection, dp_ids, mode, template_of, is_public)

    def fetch(
        self,
        files: Iterable[DpId | WantedFile],
        into: Path,
        parallel: int = PARALLEL,
        progress: Progress | None = None,
        unpacking: Unpacking = "auto",
    ) -> FetchReport:
        """Fetch files into a folder, resumed and verified; see `download.fetch`."""
        return fetch(files, into, self.connection, parallel, progress, unpacking)

    def links(self, dp_id: DpId) -> Links:
        """Return what belongs to a file (DataLink).

        Raises
        ------
        AccessDeniedError
            If the archive has no such file, or the user no access: the service does not tell which.
        """
        answer = self.connection.get(self.services.datalink, (("ID", f"ivo://eso.org/ID?{dp_id}"),), no_page=True)
        if answer.status in (401, 403):
            raise AccessDeniedError(f"{dp_id}: the archive wants a login; run 'esorex-bridge login'")
        if answer.status != 200:
            raise ServiceError(self.services.datalink, answer.status, f"it answers HTTP {answer.status}")
        try:
            links = read_links(answer.body)
        except UnreadableTableError:
            came = what_came(answer.headers.get("Content-Type", ""), answer.body)
            raise ServiceError(self.services.datalink, 200, f"it answers with {came} instead of links") from None
        refused = next((row.error for row in links.rows if row.error and not row.access_url), "")
        if refused or links.status == "ERROR" or not links.rows:
            said = refused or links.message or "no rows"
            raise AccessDeniedError(f"{dp_id}: the archive has no such file, or you have no access to it ({said})")
        return links

    def night_log(self, dp_id: DpId) -> NightLog:
        """Return the excerpt of the night log that goes with a raw frame.

        Raises
        ------
        UserError
            If there is none.
        AccessDeniedError
            If it needs a login.
        """
        answer = self.connection.get(self.services.file_url(f"{dp_id}.NL"))
        if answer.status in (401, 403):
            raise AccessDeniedError(f"the night log of {dp_id} needs a login; run 'esorex-bridge login'")
        if answer.status != 200:
            raise UserError(
                f"the archive has no night log of {dp_id} (HTTP {answer.status}); "
                "there are none before about 2007, and none of calibrations"
            )
        return read_night_log(answer.body)

    def whoami(self) -> tuple[str, float]:
        """Return the user and when the token ends (Unix time), after logging in.

        Raises
        ------
        AccessDeniedError
            If there are no credentials.
        LoginError
            If they are not accepted.
        """
        login = self.connection.login()
        return login.credentials.user, login.token().expires_at

    def _without_unknown_columns(self, wanted: Constraints, asking: Callable[[Constraints], _Found]) -> _Found:
        """Return the answer to a query; columns that the archive does not have any more are left out, with a note."""
        try:
            return asking(wanted)
        except UserError as error:
            unknown = tap.unknown_columns(error, wanted.columns)
            left = tuple(column for column in wanted.columns if column not in unknown)
            if not unknown or not left:
                raise
        self.unknown_columns.update(dict.fromkeys(unknown))
        _log.warning("the archive has no column %s (any more); asked without", ", ".join(unknown))
        return self._without_unknown_columns(replace(wanted, columns=left), asking)


def _parts(constraints: Constraints) -> list[Constraints]:
    """Return constraints for several queries, where they name more frames than one query may."""
    names = constraints.dp_ids
    return [
        replace(constraints, dp_ids=names[start : start + _IDS_PER_QUERY])
        for start in range(0, max(len(names), 1), _IDS_PER_QUERY)
    ]

"""The report as a file in the data root, or where somebody wants it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.disk.atomic import written_whole
from esorex_bridge.errors import BridgeError, DataError
from esorex_bridge.log import logger
from esorex_bridge.pages.collect import collect
from esorex_bridge.pages.files import PageLimits
from esorex_bridge.pages.model import ReportView
from esorex_bridge.pages.reflex_rows import has_bookkeeping
from esorex_bridge.pages.render import render_report
from esorex_bridge.workspace.folders import Workspace

if TYPE_CHECKING:
    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings

NAME = "report.html"

_log = logger(__name__)


def write_report(
    session: Session, target: Path | None = None, limits: PageLimits | None = None
) -> tuple[Path, ReportView]:
    """Write the report of a data root, and return where it lies and what it shows.

    Raises
    ------
    DataError
        If the root is not there, or the file cannot be written.
    """
    workspace = session.workspace
    require_books(workspace)
    place = (target or workspace.bookkeeping / NAME).absolute()
    view = collect(session, limits)
    try:
        with written_whole(place) as part:
            part.write_text(render_report(view), encoding="utf-8")
    except OSError as error:
        raise DataError(f"the report cannot be written to {place}: {error.strerror}; give --html FILE") from None
    return place, view


def require_books(workspace: Workspace) -> None:
    """Refuse a folder in which neither the bridge nor Reflex made anything.

    Raises
    ------
    DataError
        If it is such a folder.
    """
    if not workspace.store.is_file() and not has_bookkeeping(workspace.bookkeeping):
        raise DataError(f"{workspace.root} is not a data root: nothing was reduced there yet; give --root")


def leave_report(settings: Settings, executed: int) -> Path | None:
    """Leave the report of a run in its data root, and return where; None where nothing ran or it cannot be written.

    A result that is there already is not lost over its picture: what went wrong is logged as a warning.
    """
    if not executed:
        return None
    from esorex_bridge.session import Session

    try:
        with Session(settings) as session:
            return write_report(session)[0]
    except BridgeError as error:
        _log.warning("no report was written: %s", error)
        return None

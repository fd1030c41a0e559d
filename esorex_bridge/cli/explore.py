"""`esorex-bridge explore`: the report in the browser, following a run that is going on."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output

if TYPE_CHECKING:
    from esorex_bridge.settings import Settings

EXAMPLE = "esorex-bridge explore --root night"

_LOOK_S = 0.2
_LOOK_AGAIN_S = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    options.page(parser)
    options.planning(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""

    import webbrowser

    from esorex_bridge.cli import arguments
    from esorex_bridge.pages.live import serve_report
    from esorex_bridge.pages.report_file import require_books
    from esorex_bridge.pages.server import lead_to
    from esorex_bridge.workspace.folders import Workspace

    settings = arguments.settings(args)
    workspace = Workspace(settings.root.absolute())
    require_books(workspace)
    page = serve_report(_Report(settings).read, args.port)
    redirect = workspace.bookkeeping / "explore.html"
    with lead_to(page, redirect):
        if args.json:
            from esorex_bridge.cli.documents.history import ExploreDocument

            output.emit_json(ExploreDocument(address_file=str(redirect)))
        else:
            print(f"{redirect.as_uri()} leads to the report; Ctrl-C ends it", flush=True)
        if not args.no_browser:
            webbrowser.open(redirect.as_uri())
        while True:
            time.sleep(_LOOK_S)


class _Report:
    """The page of a data root, made anew where the root's books changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: tuple[tuple[str, int, int], ...] = ()
        self._page = ""
        self._version = ""
        self._looked = 0.0
        self._made = 0

    def read(self) -> tuple[str, str]:
        """Return the version of what there is, and the page."""
        now = time.monotonic()
        if not self._page or now - self._looked > _LOOK_AGAIN_S:
            self._looked = now
            seen = self._look()
            if seen != self._seen:
                self._seen = seen
                self._make()
        return self._version, self._page

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        """Return what changes when something was made or failed: the store with its journal, folders of runs."""
        from esorex_bridge.workspace.folders import Workspace

        books = Workspace(self._settings.root.absolute()).bookkeeping
        places = sorted({*books.glob("esorex_bridge.db*"), *books.glob("*/*"), *books.glob("batches/*/*")})
        states = ((str(path), path.stat()) for path in places if path.exists())
        return tuple((name, state.st_size, int(state.st_mtime * 1000)) for name, state in states)

    def _make(self) -> None:
        from esorex_bridge.pages.collect import collect
        from esorex_bridge.pages.live import LIVE_POLICY
        from esorex_bridge.pages.render import render_report
        from esorex_bridge.session import Session

        with Session(self._settings) as session:
            view = collect(session)
        self._made += 1
        self._version = str(self._made)
        self._page = render_report(view, LIVE_POLICY, live=self._version)

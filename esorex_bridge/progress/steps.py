"""Progress of a reduction as plain lines on stderr: what was found, what runs, how each step ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from esorex_bridge.progress.lines import note

if TYPE_CHECKING:
    from esorex_bridge.archive.calselector import AssociationReply
    from esorex_bridge.archive.report import Progress as Transfer
    from esorex_bridge.disk.room import DiskNeed
    from esorex_bridge.progress.live import LiveLine
    from esorex_bridge.run.report import StepReport
    from esorex_bridge.store.file_digests import Rereading

FailureMode = Literal["Continue", "Stop", "Ask"]
"""Reflex's words for what to do after a recipe failed."""


class Progress:
    """Tells on stderr which recipe runs, and how each step ended; knows what to do after a failure.

    Parameters
    ----------
    failure_mode : {'Continue', 'Stop', 'Ask'}
        Reflex's Recipe Failure Mode. `Ask` asks on the terminal; where there is none it acts as `Stop`.
    root : Path, optional
        The data root; with it a line on the terminal says how long each recipe runs, and its last message.

    Attributes
    ----------
    needs : tuple of DiskNeed
        What was estimated to come onto disks.
    """

    def __init__(self, failure_mode: FailureMode = "Continue", root: Path | None = None) -> None:
        self._failure_mode = failure_mode
        self._live = _live_line(root)
        self.needs: tuple[DiskNeed, ...] = ()

    def tell_needs(self, needs: tuple[DiskNeed, ...]) -> None:
        """Keep what will come onto which disk, for who shows the result."""
        self.needs = needs

    def started(self, what: str, number: int, of: int, expected_seconds: float | None) -> None:
        """Tell that a recipe was started."""
        about = f" (about {expected_seconds:.1f} s)" if expected_seconds is not None else ""
        note(f"[{number}/{of}] {what} …{about}")
        if self._live is not None:
            self._live.start(what.partition(" of ")[0], expected_seconds)

    def told(self, line: str) -> None:
        """Tell of something that happens to a step meanwhile."""
        note(f"      {line}")

    def finished(self, report: StepReport) -> None:
        """Tell how a step ended; why it failed is said once, in the result."""
        if self._live is not None:
            self._live.end(report.step)
        if report.outcome == "done" and report.decision == "execute":
            made = f"{len(report.products)} product{'s' * (len(report.products) != 1)}"
            note(f"      {report.step}: {made} in {report.seconds:.2f} s")
        elif report.outcome in ("failed", "blocked"):
            note(f"      {report.step}: {report.outcome}")

    def go_on(self, step: str, error: str) -> bool:
        """Tell whether to go on with what does not need a step that failed."""
        if self._failure_mode != "Ask" or not sys.stdin.isatty():
            return self._failure_mode == "Continue"
        sys.stderr.write(f"{step} failed. Go on with what does not need it? [Y/n] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("", "y", "yes")


def _live_line(root: Path | None) -> LiveLine | None:
    """Return the line that follows what runs; None where there is no terminal to draw it on."""
    if root is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return None
    from esorex_bridge.progress.live import LiveLine
    from esorex_bridge.workspace.folders import Workspace

    return LiveLine(Workspace(root.absolute()).bookkeeping)


class SilentFetch:
    """Tells nobody how association and downloads go on."""

    def found(self, rows: Sequence[object]) -> None:
        """Pass over what the query found."""

    def associating(self, replies: Sequence[AssociationReply], frames: int, of: int) -> None:
        """Pass over what calSelector answers."""

    def associated(self, replies: Sequence[AssociationReply], files: Sequence[str]) -> None:
        """Pass over what calSelector answered."""

    def fetching(self, files: int) -> AbstractContextManager[Transfer]:
        """Give what downloads tell their progress to: nobody."""
        return nullcontext(lambda event: None)


class FetchProgress:
    """Tells on stderr what was found, what calSelector answered, and how the downloads go on."""

    def found(self, rows: Sequence[object]) -> None:
        """Tell how many frames the query found."""
        note(f"query: {len(rows)} science frames")

    def associating(self, replies: Sequence[AssociationReply], frames: int, of: int) -> None:
        """Tell how many frames have their answer, and what should be known before trusting what came just now."""
        from esorex_bridge.archive.download_list import remarks

        if frames < of:
            note(f"calSelector: {frames} of {of} frames")
        for reply in replies:
            for remark in remarks(reply):
                note(f"  {remark}")

    def associated(self, replies: Sequence[AssociationReply], files: Sequence[str]) -> None:
        """Tell what calSelector answered."""
        trees = sum(reply.tree is not None for reply in replies)
        note(f"calSelector: {trees} association tree{'s' * (trees != 1)}, naming {len(files)} files")

    def fetching(self, files: int) -> AbstractContextManager[Transfer]:
        """Give what downloads tell their progress to."""
        from esorex_bridge.progress.transfer import watching

        return watching(files)


def report_rereading(reread: Rereading) -> None:
    """Report on stderr how much had to be read again only because it looked other than before."""
    if reread.files:
        note(str(reread))

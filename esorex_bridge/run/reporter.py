"""Who is told what goes on while steps are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from esorex_bridge.disk.room import DiskNeed
    from esorex_bridge.run.report import StepReport


class Reporter(Protocol):
    """Is told what goes on."""

    def tell_needs(self, needs: tuple[DiskNeed, ...]) -> None:
        """Tell what will come onto which disk, before anything is made."""

    def started(self, what: str, number: int, of: int, expected_seconds: float | None) -> None:
        """Tell that a recipe was started, and how long it took on earlier occasions."""

    def told(self, line: str) -> None:
        """Tell of something that happens to a step meanwhile."""

    def finished(self, report: StepReport) -> None:
        """Tell how a step ended."""

    def go_on(self, step: str, error: str) -> bool:
        """Tell whether to go on with what does not need a step that failed."""


class SilentReporter:
    """Tells nobody, and goes on after failures."""

    def tell_needs(self, needs: tuple[DiskNeed, ...]) -> None:
        """Pass over what will come onto which disk."""

    def started(self, what: str, number: int, of: int, expected_seconds: float | None) -> None:
        """Pass over that a recipe was started."""

    def told(self, line: str) -> None:
        """Pass over what happens to a step meanwhile."""

    def finished(self, report: StepReport) -> None:
        """Pass over how a step ended."""

    def go_on(self, step: str, error: str) -> bool:
        """Go on."""
        return True

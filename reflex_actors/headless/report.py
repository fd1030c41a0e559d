"""What came of running a workflow, as a document and as text."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from reflex_actors.headless.running import Firing, Running

VERSION = 1
FINISHED = ("ran", "reused", "foreseen", "empty", "skipped", "disabled", "passed through")


class Left(Struct, frozen=True):
    """Tokens that an actor did not take.

    Parameters
    ----------
    actor : str
        Full name.
    holds : tuple of str
        Ports and what stands there.
    waits_for : tuple of str
        Ports on which nothing came.
    """

    actor: str
    holds: tuple[str, ...]
    waits_for: tuple[str, ...]


class RunReport(Struct, frozen=True):
    """What came of running a workflow.

    Parameters
    ----------
    version : int
        Of this form.
    workflow : str
        Its name.
    datasets : tuple of str
        Those that were selected.
    firings : tuple of Firing
        Recipes and scripts, in their order.
    counts : dict of str to int
        How often each actor fired.
    end_products : dict of str to list of (str, str)
        Paths and categories, by dataset.
    unknown : tuple of str
        What a dry run found that cannot be run.
    left : tuple of Left
        Where the workflow stood still with work left.
    problem : str
        Why it ended early; empty where it did not.
    said : tuple of str
        What the workflow showed.
    """

    version: int
    workflow: str
    datasets: tuple[str, ...]
    firings: tuple[Firing, ...]
    counts: dict[str, int]
    end_products: dict[str, list[tuple[str, str]]]
    unknown: tuple[str, ...]
    left: tuple[Left, ...]
    problem: str
    said: tuple[str, ...]

    @classmethod
    def of(
        cls, workflow: str, run: Running, left: tuple[Left, ...], unknown: tuple[str, ...], problem: str
    ) -> RunReport:
        """Return the report of a workflow that has ended."""
        account = run.account
        return cls(
            VERSION,
            workflow,
            tuple(account.datasets),
            tuple(account.firings),
            account.counts,
            account.end_products,
            unknown,
            () if problem else left,
            problem,
            tuple(account.said),
        )

    @property
    def failed(self) -> tuple[Firing, ...]:
        """The firings that failed."""
        return tuple(firing for firing in self.firings if firing.outcome not in FINISHED)

    @property
    def done(self) -> bool:
        """Whether all went well: no failure, nothing left, nothing unknown."""
        return not (self.problem or self.left or self.unknown or self.failed)


def lines(report: RunReport, whole: bool = False) -> Iterator[str]:
    """Yield the report as text; where it is not to be whole, without what did nothing: empty steps, scripts."""
    for firing in report.firings if whole else filter(_is_worth_telling, report.firings):
        what = f"{firing.recipe} on {len(firing.sof)} files" if firing.recipe else "script"
        yield f"{firing.outcome:<14} {firing.actor}: {what}" + (f" of {firing.dataset}" if firing.dataset else "")
        if firing.reason:
            yield f"               {firing.reason}"
    for dataset, products in report.end_products.items():
        yield f"{dataset}: {len(products)} end product{'' if len(products) == 1 else 's'}"
        yield from (f"    {path}" for path, _ in products)
    yield from (f"cannot be run: {part}" for part in report.unknown)
    for left in report.left:
        waits = f"; it waits for {', '.join(left.waits_for)}" if left.waits_for else ""
        yield f"stood still: {left.actor} holds {', '.join(left.holds)}{waits}"
    if report.problem:
        yield f"ended early: {report.problem}"


def _is_worth_telling(firing: Firing) -> bool:
    return bool(firing.recipe and firing.outcome != "empty") or firing.outcome not in FINISHED

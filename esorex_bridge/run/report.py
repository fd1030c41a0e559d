"""What came of a run: one record a step, one a dataset, for tables and documents."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from esorex_bridge.datasets.association import Mode
from esorex_bridge.esorex.recipe import Usage
from esorex_bridge.plan.plan import AssociatedInput
from esorex_bridge.reuse.record import Product

if TYPE_CHECKING:
    from esorex_bridge.run.expected import Expected

DecisionWord = Literal["execute", "reuse", "not_needed"]
Outcome = Literal["done", "planned", "failed", "blocked", "skipped", "no_esorex"]
"""done; planned (dry run); failed; blocked (a gap, or an earlier step failed); skipped (not needed); no EsoRex here."""


_ENDED: dict[Outcome, str] = {"no_esorex": "no EsoRex"}
_DONE: dict[DecisionWord, str] = {"execute": "ran", "reuse": "reused", "not_needed": "not needed"}


class StepReport(Struct, frozen=True):
    """What came of one step, or of a group that needed none.

    Parameters
    ----------
    dataset, step : str
        Where it belongs; the purpose stands for the step where there was none.
    recipe : str or None
        None where the workflow has no recipe for the group.
    decision : {'execute', 'reuse', 'not_needed'}
        What was decided.
    reason : str
        Why, in words.
    outcome : str
        What came of it.
    sof : Path or None
        The SOF that was run, now or when the products were made.
    products : tuple of Product
        What there is now.
    seconds : float
        Time that EsoRex took in this run; 0 for what was reused.
    warnings : tuple of str
        What a reader of the products should know.
    error : str
        What went wrong, in words; empty where nothing did.
    associations : tuple of AssociatedInput
        How well its calibrations fit.
    usage : Usage or None
        What it took of the machine in this run; None for what was reused.
    notes : tuple of str
        What happened on the way: that it waited for memory, or was run again.
    expected : Expected or None
        What it is expected to take, of a dry run; None where nothing is known.
    """

    dataset: str
    step: str
    recipe: str | None
    decision: DecisionWord
    reason: str
    outcome: Outcome
    sof: Path | None = None
    products: tuple[Product, ...] = ()
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    error: str = ""
    associations: tuple[AssociatedInput, ...] = ()
    usage: Usage | None = None
    notes: tuple[str, ...] = ()
    expected: Expected | None = None

    @property
    def result(self) -> str:
        """What came of it, in a word or two: `ran`, `reused`, `not needed`, `failed`, `blocked`, `planned` …"""
        return _DONE[self.decision] if self.outcome in ("done", "skipped") else _ENDED.get(self.outcome, self.outcome)

    def __repr__(self) -> str:
        """Return the step and what came of it."""
        return f"<StepReport {self.step} of {self.dataset}: {self.result}: {self.error or self.reason}>"


class DatasetReport(Struct, frozen=True):
    """What came of one dataset.

    Parameters
    ----------
    dataset, workflow : str
        Names of both.
    steps : tuple of StepReport
        In the order of the plan, then the groups that needed no step.
    end_products : tuple of Product
        What the dataset is for, where it lies under its readable name.
    complete, certified : bool
        As calSelector or the rules state them.
    secondary : bool
        Whether it is incomplete in nothing that a recipe needs.
    mode, requested : str or None
        What calSelector executed, and what was asked.
    messages : tuple of str
        What calSelector or the rules said.
    unreduced : tuple of str
        Science files that no step reduces, and why.
    """

    dataset: str
    workflow: str
    steps: tuple[StepReport, ...]
    end_products: tuple[Product, ...] = ()
    complete: bool = True
    certified: bool = True
    mode: Mode | None = None
    requested: Mode | None = None
    messages: tuple[str, ...] = ()
    unreduced: tuple[str, ...] = ()
    secondary: bool = False

    @property
    def failed(self) -> bool:
        """Whether a step failed or could not run, or science files are not reduced."""
        return bool(self.unreduced) or any(step.outcome in ("failed", "blocked") for step in self.steps)

    @property
    def could_run(self) -> bool:
        """Whether EsoRex was there."""
        return all(step.outcome != "no_esorex" for step in self.steps)

    def __repr__(self) -> str:
        """Return the dataset and what came of each step."""
        return f"<DatasetReport {self.dataset}: {', '.join(f'{step.step} {step.result}' for step in self.steps)}>"


def count(reports: Iterable[DatasetReport], decision: DecisionWord) -> int:
    """Return how many steps of all datasets were decided so."""
    return sum(step.decision == decision for report in reports for step in report.steps)


def count_started(reports: Iterable[DatasetReport]) -> int:
    """Return how many recipes were started; of a dry run, how many would be. What is blocked is none of them."""
    started = ("done", "failed", "planned")
    return sum(step.decision == "execute" and step.outcome in started for report in reports for step in report.steps)


def summarise_steps(reports: Iterable[DatasetReport]) -> str:
    """Return how many steps ended how: `2 ran, 1 reused, 1 blocked`."""
    counts: dict[str, int] = {}
    for report in reports:
        for step in report.steps:
            if step.decision != "not_needed":
                counts[step.result] = counts.get(step.result, 0) + 1
    return ", ".join(f"{number} {result}" for result, number in counts.items()) or "nothing to run"

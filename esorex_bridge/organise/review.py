"""What a review of a dataset is: alternatives with what is used, choices, and what they change in the plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

from msgspec import Struct

from esorex_bridge.datasets.choices import Choices
from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.plan.plan import Plan

Planner: TypeAlias = Callable[[Dataset], tuple[Workflow, Plan] | None]
"""Returns the plan of a dataset as `run` makes it, with its workflow; None where nothing is known of its recipes."""


class Alternative(Struct, frozen=True):
    """One row of a review.

    Parameters
    ----------
    purpose : str
        What it is for.
    category : str
        What it would be used as.
    file : str
        It, or the first file of its group.
    files : int
        How many files its group has.
    used : bool
        Whether it is in use.
    days : float or None
        Time from the frames it is for; None where not known.
    match : str
        calSelector's word, or the settings in which it differs.
    certified : str
        `yes`, `no`, or `-` where calSelector did not bring it.
    quality : str
        The grade that its header carries, `-` where it has none.
    level : int or None
        How well what the plan takes keeps to the calibration plan (0); None where nothing says.
    members : tuple of str
        All files of its group.
    input : str
        The task or data source of a workflow package that it is for; empty elsewhere.
    """

    purpose: str
    category: str
    file: str
    files: int
    used: bool
    days: float | None
    match: str
    certified: str
    quality: str = "-"
    members: tuple[str, ...] = ()
    level: int | None = None
    input: str = ""

    @property
    def key(self) -> str:
        """What a choice among its likes is kept under: the input or category with its purpose."""
        return f"{self.input or self.category}/{self.purpose}"


class Effect(Struct, frozen=True):
    """What a choice does to the plan of a dataset.

    Parameters
    ----------
    lines : tuple of str
        What differs, in words.
    problem : str
        Why the plan would not do with it; empty where it does.
    """

    lines: tuple[str, ...] = ()
    problem: str = ""


class Review(Protocol):
    """A dataset under review.

    Parameters
    ----------
    name : str
        Of the dataset.
    choices : Choices
        Those that are kept.
    """

    name: str
    choices: Choices

    def key_of(self, category: str, purpose: str | None) -> str:
        """Return the key of a choice: the category with its purpose, by default that nearest to the science.

        Raises
        ------
        UserError
            If nothing is known of it.
        """

    def recipe_of(self, name: str) -> str:
        """Return the recipe that is meant where parameters are given: a task of a package stands for its own."""

    def effect_of(self, choices: Choices) -> Effect:
        """Return what choices change in the plan that there is with those that are kept.

        Raises
        ------
        UserError
            If one names a file, category, purpose or recipe that is not known.
        """

    def alternatives(self, choices: Choices) -> tuple[Alternative, ...]:
        """Return what could be used for each purpose, and what is used with choices; errors as `effect_of`."""

    def messages(self, choices: Choices) -> tuple[str, ...]:
        """Return what is said of the dataset with choices; errors as `effect_of`."""

    def main_files(self) -> tuple[str, ...]:
        """Return the names of the files that are to be reduced, those that were left out among them."""

    def path_of(self, name: str) -> Path | None:
        """Return where a file lies; None where it is not on this machine."""

    def keep(self, choices: Choices) -> None:
        """Keep choices in the data root, in place of those so far."""

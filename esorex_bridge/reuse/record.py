"""What was made before: the record of a finished step, and why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from esorex_bridge.esorex.recipe import Usage
from esorex_bridge.files import Digest
from esorex_bridge.reuse.key import StepKey

ADOPTED = "made by Reflex"
"""How the warning of a record begins that was taken over from a history of Reflex."""

TAKEN_OVER = "recorded by version 0.1.0, and taken over: all libraries of the recipe are older than this record"
"""Said of a record whose statement had no libraries."""

How = Literal["unless_there", "forced", "reflex"]
"""When to run a step: unless its products are there; in any case; or as Reflex's own rule says."""


class Product(Struct, frozen=True, gc=False):
    """A product in the store: where it lies (an absolute path as text), its category, its content.

    `stamp` is what it looked like when it was put there; empty where that is not known.
    """

    file: str = field(name="path")
    category: str
    digest: Digest
    size_bytes: int
    stamp: str = ""

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.file)


class Record(Struct, frozen=True, gc=False):
    """A finished step.

    Parameters
    ----------
    key : StepKey
        What it was made of.
    products : tuple of Product
        What it made, in the recipe's order.
    seconds : float
        How long EsoRex took.
    made : str
        When, ISO 8601 in UTC.
    sof_file : str
        Absolute path of the SOF that was run.
    warnings : tuple of str
        What was said about it.
    usage : Usage or None
        What it took of the machine; None where that was not measured.
    """

    key: StepKey
    products: tuple[Product, ...]
    seconds: float
    made: str
    sof_file: str = field(name="sof")
    warnings: tuple[str, ...] = ()
    usage: Usage | None = None

    @property
    def sof(self) -> Path:
        """The SOF that was run."""
        return Path(self.sof_file)

    @property
    def adopted(self) -> bool:
        """Whether Reflex made it: its files are Reflex's, and none of ours to remove."""
        return any(text.startswith(ADOPTED) for text in self.warnings)


class Absent(Struct, frozen=True, gc=False):
    """Why the products of a key cannot be reused, in words; empty where the key was never recorded."""

    reason: str = ""

"""SOF files for use by hand with `esorex`: what a step takes, as far as it is there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from esorex_bridge.disk.atomic import written_whole
from esorex_bridge.plan.plan import FileInput, Plan, Step, StepName
from esorex_bridge.plan.sof import Sof, SofLink, of_entries, readable
from esorex_bridge.reuse.record import Product
from esorex_bridge.workspace.folders import make_links, safe_name

Made = Mapping[StepName, tuple[Product, ...]]


class SofFile(Struct, frozen=True):
    """A SOF for use by hand.

    Parameters
    ----------
    dataset : str
        What it is for.
    step : StepName
        Which step of its plan.
    recipe : str
        The recipe to give it to.
    path : Path
        Where it lies.
    parameters : tuple of str
        Options to put before it on the command line.
    sof : Sof
        What it holds.
    links : tuple of SofLink
        Links that it needs, for paths that EsoRex cannot read.
    lacking : tuple of str
        What the step takes and is not there, with the reason; noted in the file as comments.
    """

    dataset: str
    step: StepName
    recipe: str
    path: Path
    parameters: tuple[str, ...]
    sof: Sof
    links: tuple[SofLink, ...]
    lacking: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command that runs it, for a shell."""
        return shlex.join(("esorex", self.recipe, *self.parameters, str(self.path)))


def foreseen_sofs(plan: Plan, made: Made, folder: Path) -> tuple[SofFile, ...]:
    """Return a SOF for each step of a plan, not written yet.

    Parameters
    ----------
    plan : Plan
        The steps.
    made : mapping of StepName to tuple of Product
        Products that are there.
    folder : Path
        Shall get a folder by the dataset's name, with `<step>.sof` in it.
    """
    place = folder / safe_name(plan.dataset)
    return tuple(_foreseen(plan.dataset, step, made, place) for step in plan.steps)


def write_sofs(plan: Plan, made: Made, folder: Path) -> tuple[SofFile, ...]:
    """Write a SOF for each step of a plan, and return them; as `foreseen_sofs`."""
    sofs = foreseen_sofs(plan, made, folder)
    for sof in sofs:
        sof.path.parent.mkdir(parents=True, exist_ok=True)
        make_links(sof.links)
        with written_whole(sof.path) as part:
            part.write_text(sof.sof.text() + "".join(f"# {text}\n" for text in sof.lacking), encoding="utf-8")
    return sofs


def _foreseen(dataset: str, step: Step, made: Made, place: Path) -> SofFile:
    entries: list[tuple[Path, str]] = []
    lacking: list[str] = list(step.gaps)
    for entry in step.inputs:
        if isinstance(entry, FileInput):
            entries.append((entry.path, entry.category))
            continue
        tagged = ((product.path, entry.tag_of(product.category)) for product in made.get(entry.step, ()))
        found = [(path, tag) for path, tag in tagged if tag is not None]
        entries.extend(found)
        if not found and not entry.optional:
            lacking.append(f"{entry.product} of {entry.step} is not made yet")
    sof, links = readable(of_entries(entries), place / f"{step.name}.links")
    options = tuple(f"--{setting.name}={_option(setting.value)}" for setting in step.settings)
    return SofFile(dataset, step.name, step.recipe, place / f"{step.name}.sof", options, sof, links, tuple(lacking))


def _option(value: object) -> str:
    return str(value).upper() if isinstance(value, bool) else str(value)

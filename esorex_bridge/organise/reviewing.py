"""Opening a dataset for review: one of trees or rules, or one that a workflow package of EDPS makes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.definitions.edps.words import PREFIX
from esorex_bridge.errors import UnknownNameError, UserError
from esorex_bridge.files import stem
from esorex_bridge.organise.choices_file import read_choices_file, write_choices_file

if TYPE_CHECKING:
    from esorex_bridge.organise.organised_data import Request
    from esorex_bridge.organise.review import Planner, Review


def open_review(request: Request, places: Iterable[Path], name: str, planner: Planner, reset: bool = False) -> Review:
    """Return a dataset under review.

    Parameters
    ----------
    request : Request
        What to organise by.
    places : iterable of Path
        Where the data lie.
    name : str
        The dataset.
    planner : Planner
        Makes the plans of a dataset of trees or rules; a package makes its own.
    reset : bool
        Take its choices back first, since one of them may be what stands in the way.

    Raises
    ------
    UserError
        If there is no such dataset, or it cannot be organised.
    """
    if (request.workflow or "").startswith(PREFIX):
        from esorex_bridge.organise.package_review import open_package_review

        return open_package_review(request, tuple(places), name, reset)
    from esorex_bridge.datasets.choices import Choices
    from esorex_bridge.organise.choosing import DatasetReview
    from esorex_bridge.organise.from_disk import load

    if reset:
        reset_choices(request.root, name)
    data = load(request, places)
    dataset = data.before.get(name)
    if dataset is None:
        raise UnknownNameError("dataset", name, data.before)
    return DatasetReview(request.root, data, dataset, data.choices.get(name, Choices()), planner)


def reset_choices(root: Path, name: str, package: str = "") -> None:
    """Take back all choices for a dataset, of trees and rules or of a workflow package."""
    kept = read_choices_file(root, package)
    if kept.pop(name, None):
        write_choices_file(root, kept, package)


def use_file(review: Review, category: str, file: str, purpose: str | None, force: bool = False) -> tuple[str, ...]:
    """Keep the choice of a file for a category of a dataset, and return what it changes in the plan, in words.

    Raises
    ------
    UserError
        If there is no such file, category or purpose, or the plan would not do with it and nobody forces it.
    """
    changed = review.choices.with_use(review.key_of(category, purpose), stem(Path(file).name))
    effect = review.effect_of(changed)
    if effect.problem and not force:
        raise UserError(f"the plan would not do with this choice: {effect.problem}; force keeps it all the same")
    review.keep(changed)
    return effect.lines

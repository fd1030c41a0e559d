"""What a dataset of trees or rules could use instead, and the user's choices applied to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.datasets.choices import Choices
    from esorex_bridge.datasets.dataset import Action, Dataset, DatasetFile
    from esorex_bridge.organise.organised_data import OrganisedData


def with_choices(data: OrganisedData, dataset: Dataset, choices: Choices | None) -> Dataset:
    """Return a dataset with choices applied.

    Raises
    ------
    UserError
        If a choice names what is not there.
    """
    from esorex_bridge.datasets.choices import apply_choices

    if not choices:
        return dataset
    for category, path in choices.replace:
        if not path.is_file():
            raise UserError(
                f"{path}, chosen as {category} for {dataset.name}, is not there; put it back, or take the "
                f"choice back with 'esorex-bridge review {dataset.name} --reset'"
            )
    return apply_choices(
        dataset,
        choices,
        find_offers(data, dataset),
        lambda action: find_products(data, dataset, action),
        lambda action: find_run_with(data, dataset, action),
    )


def find_offers(data: OrganisedData, dataset: Dataset) -> tuple[Action | DatasetFile, ...]:
    """Return the groups and single files that the rules could use in a dataset, and did not."""
    from esorex_bridge.organise.association import as_file

    of_instrument = (
        known for known in data.organised if any(frame.instrument == dataset.instrument for frame in known.frames)
    )
    known = data.of(dataset.name) or next(of_instrument, None)
    if known is None:
        return ()
    associator = known.associator
    groups = [associator.action(group) for group in known.groups if group not in known.targets]
    return (*groups, *(as_file(frame, frame.category) for frame in known.frames))


def find_run_with(data: OrganisedData, dataset: Dataset, action: Action) -> tuple[str, ...]:
    """Return the categories of main files that go into the same run as those of an action."""
    categories = {file.category for file in action.files}
    return tuple(
        dict.fromkeys(
            category
            for workflow in data.workflows
            if dataset.instrument.upper() in map(str.upper, workflow.instruments)
            for step in workflow.steps
            if categories.intersection(step.main)
            for category in step.main
        )
    )


def find_products(data: OrganisedData, dataset: Dataset, action: Action) -> tuple[str, ...]:
    """Return the categories of the products of an action: by its workflow, or by the rules."""
    categories = {file.category for file in action.files}
    steps = (
        step
        for workflow in data.workflows
        if dataset.instrument.upper() in map(str.upper, workflow.instruments)
        for step in workflow.steps
        if categories.intersection(step.main)
    )
    named = tuple(product for step in steps for product in step.products)
    ruled = (
        product.name
        for known in data.organised
        for rule in known.rules.actions
        if rule.name == action.name
        for product in rule.products
    )
    return tuple(dict.fromkeys((*named, *ruled)))

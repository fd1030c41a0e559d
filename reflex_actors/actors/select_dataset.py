"""`select_dataset`: some of several datasets by a rule, for runs without a display."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from esorex_bridge.errors import UserError
from reflex_actors.dataset_json import ReflexDataset, read_datasets
from reflex_actors.protocol import Actor, Inputs, Port

ACTOR = Actor(
    "select_dataset",
    "Selects datasets by a rule.",
    (
        Port("datasets", "the datasets", kind="json", required=True),
        Port("rule", "complete, all, first, or a name with * and ?", default="complete"),
    ),
    (
        Port("out_datasets", "those selected", kind="json"),
        Port("out_dataset", "the first of them", kind="json"),
        Port("out_sof", "all files of the first", kind="sof"),
        Port("n_selected", "how many"),
    ),
)


def work(inputs: Inputs) -> dict[str, Any]:
    """Select."""
    known = read_datasets(inputs.json("datasets"))
    rule = inputs.text("rule")
    chosen = select(known, rule)
    if not chosen:
        names = ", ".join(dataset.name for dataset in known) or "none"
        said = "; ".join(text for dataset in known for text in dataset.messages())
        raise UserError(f"no dataset meets the rule '{rule}'; there are: {names}{f' ({said})' if said else ''}")
    return {
        "out_datasets": [dataset.document() for dataset in chosen],
        "out_dataset": chosen[0].document(),
        "out_sof": chosen[0].sof(),
        "n_selected": len(chosen),
    }


def select(datasets: tuple[ReflexDataset, ...], rule: str) -> tuple[ReflexDataset, ...]:
    """Return the datasets that a rule selects."""
    if rule == "all":
        return datasets
    if rule == "first":
        return datasets[:1]
    if rule == "complete":
        return tuple(dataset for dataset in datasets if dataset.action.complete)
    return tuple(dataset for dataset in datasets if fnmatchcase(dataset.name, rule))

"""`review_association`: what calibrates what, with warnings and alternatives; the user's choices are kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from reflex_actors.folder import existing_folder, organise_folders, require_datasets, root_of
from reflex_actors.protocol import Actor, Inputs, Port

if TYPE_CHECKING:
    from pathlib import Path

    from esorex_bridge.datasets.dataset import Dataset
    from esorex_bridge.organise.organised_data import OrganisedData
    from esorex_bridge.organise.review import Alternative
    from esorex_bridge.planning.planning import Planning
    from reflex_actors.page import Form, PageQuestion

ACTOR = Actor(
    "review_association",
    "Shows what calibrates what, and lets the user choose.",
    (
        Port("data_dir", "data folder", required=True),
        Port("root_dir", "data root; default: the folder above reflex_input"),
        Port("enable", "whether to show anything", kind="flag", default="false"),
    ),
    (
        Port("out_data_dir", "the same folder"),
        Port("messages", "what is missing or odd, and what was chosen"),
    ),
)

Chosen = tuple[tuple[str, str, str], ...]
"""(dataset, key, file) for each choice; the key is a category with its purpose."""


def work(inputs: Inputs) -> dict[str, Any]:
    """Ask, where a window can be opened and the user wants one; else hand the folder on."""
    folder = existing_folder(inputs.text("data_dir"), "data_dir")
    answer = {"out_data_dir": str(folder)}
    if not inputs.flag("enable"):
        return answer
    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings
    from reflex_actors.page import ask, can_show

    if not can_show(os.environ):
        unasked = "no display answers, so nobody is asked about calibrations"
        sys.stderr.write(f"{unasked}\n")
        return {**answer, "messages": unasked}
    root = root_of(folder, inputs.text("root_dir"))
    data = organise_folders([folder], root)
    require_datasets(data.datasets, [folder], data.warnings)
    with Session(Settings(root)) as session:
        asked = question(data, root, session.planning)
    chosen = ask(asked) or ()
    keep(data, root, chosen)
    said = [f"{dataset}: {file} for {key}" for dataset, key, file in chosen]
    return {**answer, "messages": "\n".join((*said, *data.warnings))}


def keep(data: OrganisedData, root: Path, chosen: Chosen) -> None:
    """Keep choices in the data root, where every later run applies them."""
    from esorex_bridge.datasets.choices import Choices
    from esorex_bridge.organise.choices_file import write_choices_file

    if not chosen:
        return
    kept = dict(data.choices)
    for dataset, key, file in chosen:
        kept[dataset] = kept.get(dataset, Choices()).with_use(key, file)
    write_choices_file(root, kept)


def question(data: OrganisedData, root: Path, planning: Planning) -> PageQuestion[Chosen]:
    """Return the page for what was organised."""
    from esorex_bridge.datasets.choices import Choices
    from esorex_bridge.organise.choosing import DatasetReview
    from reflex_actors.page import PageQuestion

    reviews = [
        DatasetReview(root, data, before, data.choices.get(name, Choices()), planning.planner())
        for name, before in data.before.items()
    ]
    offered = {review.name: review.alternatives(review.choices) for review in reviews}
    parts = "".join(_dataset(dataset, offered[dataset.name]) for dataset in data.datasets)
    warnings = "".join(f'<p class="said">{escape(text)}</p>' for text in data.warnings)

    def body(_form: Form, _problem: str) -> str:
        return f'{warnings}{parts}<button name="do" value="keep">Go on</button>'

    def read(form: Form) -> Chosen:
        known = {
            _key(name, row): (name, f"{row.category}/{row.purpose}", row.file)
            for name, rows in offered.items()
            for row in rows
        }
        used = {_key(name, row) for name, rows in offered.items() for row in rows if row.used}
        return tuple(
            known[value]
            for key, value in form.items()
            if key.startswith("use.") and value in known and value not in used
        )

    return PageQuestion("What calibrates what", body, read)


def _dataset(dataset: Dataset, rows: Iterable[Alternative]) -> str:
    state = " ".join(
        (
            "" if dataset.complete else "incomplete in what no recipe needs" if dataset.secondary else "incomplete",
            "" if dataset.certified else "not certified",
            f"{dataset.mode}" if dataset.mode else "",
        )
    ).strip()
    messages = "".join(f'<p class="said">{escape(text)}</p>' for text in dataset.action.messages)
    heading = (
        "<tr><th>use</th><th>for</th><th>category</th><th>file</th><th>files</th><th>days</th><th>match</th>"
        "<th>certified</th></tr>"
    )
    lines = "".join(_row(dataset.name, row) for row in rows)
    return f"<h2>{escape(dataset.name)}</h2><p>{escape(state)}</p>{messages}<table>{heading}{lines}</table>"


def _row(dataset: str, row: Alternative) -> str:
    group = escape(f"use.{dataset}.{row.purpose}.{row.category}")
    mark = " checked" if row.used else ""
    cells = (
        row.purpose,
        row.category,
        row.file,
        str(row.files),
        "-" if row.days is None else f"{row.days:.2f}",
        row.match,
        row.certified,
    )
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    name = escape(f"use {row.file} as {row.category} for {row.purpose}")
    return (
        f'<tr{" class=used" if row.used else ""}><td><input aria-label="{name}" type="radio" name="{group}" '
        f'value="{escape(_key(dataset, row))}"{mark}></td>{shown}</tr>'
    )


def _key(dataset: str, row: Alternative) -> str:
    return f"{dataset}|{row.purpose}|{row.category}|{row.file}"

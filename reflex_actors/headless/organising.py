"""DataOrganizer, DataSetChooser and CurrentDataSet: from folders to one dataset after the other."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from reflex_actors.dataset_json import ReflexDataset
from reflex_actors.headless.director import Fire
from reflex_actors.headless.network import RunningActor
from reflex_actors.headless.running import Running
from reflex_actors.headless.tokens import (
    Token,
    Value,
    WorkflowError,
    datasets_in,
    first,
    settle,
    sof_of,
    text_of,
    whole,
)


def data_organizer(node: RunningActor, run: Running) -> Fire:
    """Return how DataOrganizer fires: a list of datasets passes, folders are organised."""

    def fire() -> None:
        node.send("datasets out", json.dumps(_datasets(node, run, first(node.take("input data")))))

    return fire


def _datasets(node: RunningActor, run: Running, token: Token) -> Any:
    if run.options.datasets is not None:
        return json.loads(run.options.datasets.read_text(encoding="utf-8"))
    value = settle(token)
    if isinstance(value, str) and value.strip().startswith("["):
        return json.loads(value)
    return organise(node, run, _folders(value))


def _folders(value: Value) -> tuple[Path, ...]:
    texts = map(text_of, value) if isinstance(value, tuple) else (text_of(value),)
    folders = tuple(Path(text).expanduser().absolute() for text in texts if text.strip())
    found = tuple(dict.fromkeys(folder for folder in folders if folder.is_dir()))
    if not found:
        raise WorkflowError(f"there is no data folder: {', '.join(map(str, folders)) or 'none is named'}")
    return found


def organise(node: RunningActor, run: Running, folders: tuple[Path, ...]) -> list[dict[str, Any]]:
    """Return the datasets in folders, by the rules that the workflow names, or by association trees.

    Raises
    ------
    DataError
        If there is none.
    UserError
        If a rule is wrong.
    """
    from esorex_bridge.organise.alternatives import best_alternatives
    from esorex_bridge.reflex.checksum import reflex_checksum
    from esorex_bridge.reflex.datasets_json import datasets_json
    from reflex_actors.folder import organise_folders, require_datasets, root_of

    rules = node.text("OCA File").strip()
    by_trees = node.flag("Use CalSelector associations")
    root = root_of(folders[0], run.variables.text("ROOT_DATA_DIR"))
    if rules and not by_trees and not Path(rules).is_file():
        raise WorkflowError(f"OCA File is {rules}, which is not there; correct it in the workflow file")
    by = "calselector" if by_trees else "oca" if rules else "both"
    data = organise_folders(folders, root, by, "" if by_trees else rules)
    require_datasets(data.datasets, folders, data.warnings)
    return datasets_json([best_alternatives(each, data.headers) for each in data.datasets], reflex_checksum)


def dataset_chooser(node: RunningActor, run: Running) -> Fire:
    """Return how DataSetChooser fires: the datasets that its mode selects, one token each, and how many."""

    def fire() -> None:
        node.take("execution time")
        offered = [each for token in node.take("datasets in") for each in datasets_in(token)]
        chosen = [each for each in offered if whole(each.action)]
        for each in offered:
            if each not in chosen:
                text = f"{each.name} is incomplete, so it is left out: {'; '.join(each.messages())}"
                run.account.said.append(text)
                sys.stderr.write(f"{text}\n")
        if offered and not chosen:
            raise WorkflowError(f"no dataset is complete; esorex-bridge why says more of {offered[0].name}")
        for each in chosen:
            run.account.datasets.append(each.name)
            node.send("dataset out", each)
        node.send("#selected", len(chosen))

    return fire


def current_dataset(node: RunningActor, run: Running) -> Fire:
    """Return how CurrentDataSet fires: the name of a dataset."""

    def fire() -> None:
        token = settle(first(node.take("in")))
        name = token.name if isinstance(token, ReflexDataset) else sof_of(token, run.options.flatten).dataset
        node.send("dataset name", name)

    return fire

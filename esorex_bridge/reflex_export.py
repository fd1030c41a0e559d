"""Datasets for ESO Reflex: the tree that a plan decides by headers, written as DataOrganizer writes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from esorex_bridge.datasets.dataset import Dataset
from esorex_bridge.errors import UserError
from esorex_bridge.fits.hdus import read_keywords
from esorex_bridge.organise.alternatives import best_alternatives
from esorex_bridge.plan.plan import Keywords, Plan
from esorex_bridge.plan.unfold import shared_steps, unfold_plan
from esorex_bridge.planning.planning import Planning
from esorex_bridge.reflex.checksum import reflex_checksum
from esorex_bridge.reflex.datasets_json import datasets_json


class ReflexExport(Struct, frozen=True):
    """Datasets as Reflex takes them.

    Parameters
    ----------
    datasets : list of dict
        As DataOrganizer writes them.
    left_out : tuple of str
        What is said of those that no workflow takes.
    plans : dict of str to Plan
        What they were made from, by the name of the dataset; those without a workflow have none.
    """

    datasets: list[dict[str, Any]]
    left_out: tuple[str, ...]
    plans: dict[str, Plan]


def export_for_reflex(
    planning: Planning, datasets: Iterable[Dataset], headers: Mapping[Path, Keywords]
) -> ReflexExport:
    """Return datasets as Reflex's DataOrganizer writes them, and what is said of those that are left out.

    Where a workflow is known for the instrument, the tree is that of its plan: what the plan decides by headers
    (which dark for which flat, settings never mixed, statics of a kit) then stands in the purposes, and Reflex does
    the same. Otherwise the tree is that of the dataset, with the best of several alternatives. Where a workflow is
    named, datasets of other instruments are left out.
    """
    header = cache(read_keywords)
    named = planning.named_workflow is not None
    found: list[Dataset] = []
    left_out: list[str] = []
    plans: dict[str, Plan] = {}
    for dataset in datasets:
        workflow = None
        try:
            workflow = planning.workflow_for(dataset) if named or planning.settings.workflow is None else None
        except UserError as error:
            if named:
                left_out.append(str(error))
                continue
        planned, plan = planning.plan(dataset, workflow, header) if workflow else (dataset, None)
        if workflow is not None and plan is not None and plan.steps:
            unfolded = unfold_plan(planned, plan, shared_steps(workflow))
            found += unfolded
            plans |= dict.fromkeys((each.name for each in unfolded), plan)
        else:
            found.append(best_alternatives(dataset, headers))
    return ReflexExport(datasets_json(found, reflex_checksum), tuple(left_out), plans)

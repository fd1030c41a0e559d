"""Nights of which the archive has processed calibrations: those that a reduction from raws has made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from esorex_bridge.datasets.association import Association, AssociationTree, walk
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.tables import describe_processed
from esorex_bridge.files import DpId, is_processed
from tests.flows.instrument_runs import Reduction


def with_its_masters(night: DemoNight, made: Reduction) -> DemoNight:
    """Return the science of a night with what the recipes made of its raw calibrations, and its static ones."""
    (tree,) = night.trees
    masters = tuple(_master(night, number, *product) for number, product in enumerate(_calibrations(made)))
    statics = {file.name: night.file(file.name) for node in walk(tree.root) for file in node.files}
    calibrations = (*masters, *(file for name, file in statics.items() if is_processed(name)))
    associated = tuple(group(category, files, match="N/A") for category, files in _by_category(calibrations).items())
    root = Association(tree.root.category, tree.root.files, associated)
    files = (*night.science, *calibrations)
    return DemoNight(
        f"{night.name}-masters", night.instrument, files, (AssociationTree(root, "Raw2Master"),), kept=False
    )


def _calibrations(made: Reduction) -> Iterator[tuple[str, Path]]:
    """Yield category and path of the products that are not the last ones."""
    for dataset in made.runs[0]["datasets"]:
        last = {product["category"] for product in dataset["end_products"]}
        for step in dataset["steps"]:
            if not last & {product["category"] for product in step["products"]}:
                yield from ((product["category"], Path(product["path"])) for product in step["products"])


def _master(night: DemoNight, number: int, category: str, path: Path) -> ArchiveFile:
    prefix = night.science[0].dp_id.split(".")[0]
    dp_id = DpId(f"M.{prefix}.2020-01-01T12:{number // 60:02d}:{number % 60:02d}.000")
    return ArchiveFile(dp_id, category, describe_processed(dp_id, night.instrument, category), path.read_bytes)


def _by_category(files: tuple[ArchiveFile, ...]) -> dict[str, tuple[ArchiveFile, ...]]:
    found: dict[str, tuple[ArchiveFile, ...]] = {}
    for file in files:
        found[file.category] = (*found.get(file.category, ()), file)
    return found

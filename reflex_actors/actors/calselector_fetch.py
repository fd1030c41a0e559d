"""`calselector_fetch`: science frames with all that calibrates them, verified, in a data folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esorex_bridge.errors import ArchiveError, DataError, UserError
from reflex_actors.actors.query_archive import names_in
from reflex_actors.folder import mode_of
from reflex_actors.protocol import Actor, Inputs, Port
from reflex_actors.sof_json import FitsFile, SetOfFiles

if TYPE_CHECKING:
    from esorex_bridge.archive.calselector import AssociationReply
    from esorex_bridge.archive.client import ArchiveClient
    from esorex_bridge.archive.unpack import Unpacking
    from esorex_bridge.datasets.association import AssociationTree, Mode
    from esorex_bridge.files import DpId

ACTOR = Actor(
    "calselector_fetch",
    "Fetches science frames with the calibrations that calSelector associates.",
    (
        Port("data_dir", "data folder", required=True),
        Port("dp_ids", "science frames; without any, those in the data folder"),
        Port("mode", "calibrations: raw or master; none: fetch nothing", default="raw"),
        Port("lazy", "ask nobody where all is there", kind="flag", default="true"),
        Port("unpack", "unpack .Z files", kind="flag", default="true"),
        Port("max_frames", "fetch nothing where more files than this are missing"),
        Port("max_gb", "fetch nothing where they are larger than this together, as far as the archive tells"),
        Port("archive", "base address of an archive that is not ESO's"),
    ),
    (
        Port("out_data_dir", "data folder"),
        Port("out_sof", "all files, with category and purposes", kind="sof"),
        Port("messages", "what calSelector says is missing or odd"),
        Port("complete", "whether all calibrations were found", kind="flag"),
        Port("certified", "whether ESO certified the associations", kind="flag"),
        Port("executed_mode", "the mode that was carried out"),
        Port("n_files", "how many files"),
    ),
)


@dataclass(frozen=True, slots=True)
class Associated:
    """What is known of the associations of some science frames."""

    trees: tuple[AssociationTree, ...]
    messages: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether everything was found; a tree that associates nothing is not complete, whatever it says."""
        return bool(self.trees) and all(tree.root.complete and tree.root.associated for tree in self.trees)

    @property
    def certified(self) -> bool:
        """Whether ESO certified them all."""
        return bool(self.trees) and all(tree.root.certified for tree in self.trees)

    @property
    def modes(self) -> str:
        """The modes carried out."""
        return " ".join(sorted({tree.mode for tree in self.trees}))


def work(inputs: Inputs) -> dict[str, Any]:
    """Fetch what is not there, or find that all is."""
    folder = Path(inputs.text("data_dir")).expanduser().absolute()
    if inputs.text("mode").lower() == "none":
        return {"out_data_dir": str(folder), "executed_mode": "none", "messages": "nothing was asked or fetched"}
    mode = mode_of(inputs.text("mode"))
    science = names_in(inputs.text("dp_ids")) or science_in(folder)
    if not science:
        raise UserError(f"no science frames: give dp_ids, or put science frames into {folder}")
    found = at_hand(folder, science, mode) if inputs.flag("lazy") else None
    if found is None:
        found = _fetch(inputs, folder, science, mode)
    sof = sof_of(found.trees, folder)
    return {
        "out_data_dir": str(folder),
        "out_sof": sof,
        "messages": "\n".join(found.messages),
        "complete": found.complete,
        "certified": found.certified,
        "executed_mode": found.modes,
        "n_files": len(sof.files),
    }


def science_in(folder: Path) -> tuple[DpId, ...]:
    """Return the archive names of the raw science frames in a folder, or else of those that its trees are for."""
    from esorex_bridge.archive.trees import saved_trees
    from esorex_bridge.files import is_dp_id
    from esorex_bridge.fits.header import read_header
    from esorex_bridge.workspace.scan import scan

    if not folder.is_dir():
        return ()
    files = {name: path for name, path in scan(folder).files.items() if is_dp_id(name) and not name.startswith("M.")}
    found = tuple(name for name, path in files.items() if read_header(path).get("DPR.CATG") == "SCIENCE")
    return found or tuple(dict.fromkeys(file.name for each in saved_trees(folder) for file in each.tree.root.files))


def at_hand(folder: Path, science: Sequence[DpId], mode: Mode) -> Associated | None:
    """Return the associations in a folder where they cover all frames in a mode and every file they name is there."""
    from esorex_bridge.archive.trees import saved_trees
    from esorex_bridge.datasets.association import distinct_files
    from esorex_bridge.workspace.scan import scan

    if not folder.is_dir():
        return None
    here = scan(folder).files
    trees = [saved.tree for saved in saved_trees(folder) if saved.mode == mode]
    used = [tree for tree in trees if any(file.name in science for file in tree.root.files)]
    covered = {file.name for tree in used for file in tree.root.files}
    named = {file.name for tree in used for file in distinct_files(tree.root)}
    if not covered.issuperset(science) or not named.issubset(here):
        return None
    return Associated(tuple(used), _messages(used))


def sof_of(trees: Iterable[AssociationTree], folder: Path) -> SetOfFiles:
    """Return the files of associations that are in a folder, with their categories and purposes."""
    from esorex_bridge.datasets.build import dataset_from_tree
    from esorex_bridge.datasets.dataset import purposes
    from esorex_bridge.workspace.scan import scan
    from reflex_actors.purposes import unite_purposes

    here = scan(folder).files
    files: list[FitsFile] = []
    names = []
    for tree in trees:
        dataset = dataset_from_tree(tree, here)
        names.append(dataset.name)
        for file, served in purposes(dataset).items():
            if file.path is not None:
                files.append(FitsFile(str(file.path), file.category, tuple(served)))
    return SetOfFiles(names[0] if len(names) == 1 else "", unite_purposes(files))


def _fetch(inputs: Inputs, folder: Path, science: Sequence[DpId], mode: Mode) -> Associated:
    from esorex_bridge.archive.download_list import list_files
    from esorex_bridge.archive.trees import save_trees
    from esorex_bridge.progress.transfer import watching
    from reflex_actors.archive import client

    with client(inputs.text("archive"), os.environ) as archive:
        replies = archive.associations(science, mode)
        _refuse_without_trees(replies)
        files = list_files(science, replies)
        missing = _not_in(folder, files.names)
        _refuse_too_much(inputs, missing, _sizes(archive, missing))
        save_trees(replies, folder, datetime.now(UTC))
        unpacking: Unpacking = "always" if inputs.flag("unpack") else "auto"
        with watching(len(files.names)) as progress:
            report = archive.fetch(files.names, folder, progress=progress, unpacking=unpacking)
    absent = [f"{file.name}: {file.reason or file.status.value}" for file in report.files if not file.here]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(report.files)} files could not be fetched; what came is kept in "
            f"{folder}, run again for the rest. {'; '.join(absent[:5])}"
        )
    trees = tuple(reply.tree for reply in replies if reply.tree is not None)
    return Associated(trees, (*files.warnings, *_messages(trees)))


def _not_in(folder: Path, names: Iterable[DpId]) -> tuple[DpId, ...]:
    from esorex_bridge.workspace.scan import scan

    here = scan(folder).files if folder.is_dir() else {}
    return tuple(name for name in names if name not in here)


def _sizes(archive: ArchiveClient, names: Sequence[DpId]) -> dict[DpId, int]:
    from esorex_bridge.archive.sizes import estimated_sizes

    try:
        return estimated_sizes(archive, names)
    except ArchiveError as error:
        sys.stderr.write(f"sizes are unknown: {error}\n")
        return {}


def _refuse_too_much(inputs: Inputs, names: Sequence[DpId], sizes: Mapping[DpId, int]) -> None:
    """Say how much there is to fetch, and refuse more than the user wants."""
    gigabytes = sum(sizes.get(name, 0) for name in names) / 1e9
    unknown = sum(name not in sizes for name in names)
    of_unknown = f", {unknown} of unknown size" if unknown else ""
    estimate = f"{len(names)} files to fetch, about {gigabytes:.2f} GB{of_unknown}"
    sys.stderr.write(f"{estimate}\n")
    for port, number in (("max_frames", float(len(names))), ("max_gb", gigabytes)):
        most = inputs.text(port)
        if most and number > _limit(port, most):
            raise UserError(f"{estimate}, and {port.upper()} is {most}: ask for less, or set {port.upper()} higher")


def _limit(port: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{port} is '{text}'; it must be a number") from None


def _refuse_without_trees(replies: Iterable[AssociationReply]) -> None:
    from esorex_bridge.archive.download_list import remarks

    listed = tuple(replies)
    if not any(reply.tree for reply in listed):
        said = "; ".join(line for reply in listed for line in remarks(reply))
        raise DataError(f"calSelector gave no association for these frames: {said or 'no reason given'}")


def _messages(trees: Iterable[AssociationTree]) -> tuple[str, ...]:
    from esorex_bridge.datasets.association import walk

    return tuple(dict.fromkeys(text for tree in trees for node in walk(tree.root) for text in node.messages))

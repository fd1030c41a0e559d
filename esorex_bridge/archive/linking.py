"""Linking: a file that two data folders need is fetched once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from esorex_bridge.archive.file_fetcher import existing
from esorex_bridge.archive.manifest import Manifest
from esorex_bridge.disk.stamp import stamp_of
from esorex_bridge.files import DpId


def link_files(names: Iterable[DpId], source: Path, target: Path) -> tuple[Path, ...]:
    """Link files that lie in one data folder into another one, as far as they are not there.

    Parameters
    ----------
    names : iterable of str
        Archive names; those that the source does not have are passed over.
    source, target : Path
        The folders. Where the disk cannot link, nothing is done: the files are fetched into the target then.

    Returns
    -------
    tuple of Path
        The links.
    """
    if not source.is_dir():
        return ()
    target.mkdir(parents=True, exist_ok=True)
    there, here = existing(source), existing(target)
    verified = (Manifest(source), Manifest(target))
    wanted = (name for name in dict.fromkeys(names) if name in there and name not in here)
    return tuple(path for name in wanted if (path := _link(there[name], target, *verified)) is not None)


def _link(file: Path, target: Path, source_notes: Manifest, target_notes: Manifest) -> Path | None:
    """Link a file; what was verified of it holds for the link, which has the same content."""
    digest, version = source_notes.digest(file), source_notes.header_version(file)
    path = target / file.name
    try:
        os.link(file, path)
    except OSError:
        return None
    stamp = stamp_of(path)
    if digest is not None:
        # To link is a change of the inode: the stamp of before holds for neither name any more.
        source_notes.record(file, digest, stamp, version)
        target_notes.record(path, digest, stamp, version)
    return path

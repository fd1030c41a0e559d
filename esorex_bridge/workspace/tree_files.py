"""Files of association trees, read from disk."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

from esorex_bridge.datasets.association import AssociationTree
from esorex_bridge.datasets.xml import MAX_BYTES, UnreadableTreeError, read_tree


def read_tree_file(path: Path, read: Callable[[bytes], AssociationTree] = read_tree) -> AssociationTree:
    """Read an association tree from a file.

    Parameters
    ----------
    path : Path
        Of the file.
    read : callable, optional
        Reads the document: that of a reader of many.

    Raises
    ------
    UnreadableTreeError
        As `read_tree`, with the path; or where the file cannot be read.
    """
    try:
        with io.FileIO(path) as stream:
            if os.fstat(stream.fileno()).st_size > MAX_BYTES:
                raise UnreadableTreeError(f"longer than {MAX_BYTES} bytes")
            return read(stream.readall())
    except (UnreadableTreeError, OSError) as error:
        raise UnreadableTreeError(f"{path}: {error}") from error

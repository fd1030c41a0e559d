"""A synthetic NACO night of which the archive has processed calibrations: what is asked for by Raw2Master."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.naco import (
    BIAS_COUNTS,
    DARK_COUNTS_PER_S,
    EVENING,
    HOT_COUNTS,
    HOT_COUNTS_PER_S,
    NACO,
    SCIENCE_DIT_S,
    NacoDetector,
    detector_pixels,
    naco_night,
)
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.tables import describe_processed, inherit_keywords
from esorex_bridge.files import DpId, is_processed

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image, Mask

Pixels = Callable[["Image", "Mask"], Any]


def naco_masters_night(npix: int = 512, science_frames: int = 5, seed: int = 7) -> DemoNight:
    """Return a night like `naco_night`, a week later, with a tree of raws and one of masters.

    Parameters
    ----------
    npix, science_frames, seed : int
        As for `naco_night`.
    """
    night = naco_night(npix, science_frames, seed=seed, evening=EVENING + timedelta(days=7))
    (raw_tree,) = night.trees
    masters = _masters(NacoDetector(npix, seed), night)
    others = (node for node in raw_tree.root.associated if node.kind != "main" or is_processed(node.files[0].name))
    associated = (*(group(file.category, (file,), match="N/A") for file in masters), *others)
    tree = AssociationTree(Association(raw_tree.root.category, raw_tree.root.files, associated), "Raw2Master")
    return DemoNight(f"{night.name}-masters", night.instrument, (*night.files, *masters), (raw_tree, tree))


def _masters(detector: NacoDetector, night: DemoNight) -> tuple[ArchiveFile, ...]:
    """Return what a pipeline has made of the raws of the night before, under the names of its products."""
    firsts = {file.category: file.keywords for file in reversed(night.raws)}
    made: tuple[tuple[str, str, Pixels], ...] = (
        ("NACO_IMG_DARK_AVG", "CAL_DARK", _dark),
        ("MASTER_IMG_FLAT", "CAL_FLAT_TW", _flat),
        ("MASTER_IMG_FLAT_BADPIX", "CAL_FLAT_TW", _bad),
    )
    return tuple(
        _master(number, category, firsts[raw], partial(_pixels, detector, pixels))
        for number, (category, raw, pixels) in enumerate(made, start=1)
    )


def _master(number: int, category: str, raw: Keywords, pixels: Callable[[], Any]) -> ArchiveFile:
    dp_id = DpId(f"M.NACO.2016-03-09T12:00:{number:02d}.{123 + 77 * number}")
    keywords = describe_processed(dp_id, NACO.name, category, inherit_keywords(raw))
    return ArchiveFile(dp_id, category, keywords, partial(_stream, keywords, pixels))


def _stream(keywords: Keywords, pixels: Callable[[], Any]) -> bytes:
    return fits_bytes(keywords, pixels())


def _pixels(detector: NacoDetector, pixels: Pixels) -> Any:
    return pixels(*detector_pixels(detector))


def _dark(sensitivity: Image, hot: Mask) -> Any:
    import numpy as np

    level = BIAS_COUNTS + DARK_COUNTS_PER_S * SCIENCE_DIT_S
    return np.where(hot, level + HOT_COUNTS + HOT_COUNTS_PER_S * SCIENCE_DIT_S, level).astype(">f4")


def _flat(sensitivity: Image, hot: Mask) -> Any:
    import numpy as np

    return (sensitivity / np.median(sensitivity)).astype(">f4")


def _bad(sensitivity: Image, hot: Mask) -> Any:
    return (hot | (sensitivity < 0.5)).astype(">i2")

"""A synthetic UVES night of flats through the telescope, in the blue arm, held against an older one.

Since then the detector has become less sensitive towards one end.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.tables import describe_processed, inherit_keywords
from esorex_bridge.demo.nights.uves import SLIT_PIX, TFLAT_COUNTS, TFLAT_S, blue_echelle, setting_keywords, take_frames
from esorex_bridge.demo.nights.uves_echelle import Echelle, continuum
from esorex_bridge.demo.nights.uves_headers import UVES
from esorex_bridge.demo.nights.uves_statics import line_catalogue, line_guess
from esorex_bridge.files import DpId

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

LOST = 0.2
"""How much more of the light the older flat saw at the last column than at the first."""
OLDER_H = 116 * 24.0


def uves_tflat_night(seed: int = 5) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for."""
    echelle = blue_echelle()
    take = partial(take_frames, echelle, seed)
    biases = take("BIAS", 24.0, 3, 0.0)
    definition = take("ORDER_FLAT", 29.0, 1, 20.0)
    lamps = take("ARC_LAMP", 29.5, 1, 60.0)
    flats = take("TFLAT", 36.0, 3, TFLAT_S)
    lines, guess = line_catalogue((echelle,), seed, 1), line_guess(echelle, seed, 2, setting_keywords(echelle))
    (raw,) = take("TFLAT", -OLDER_H, 1, TFLAT_S)
    older = _older_flat(echelle, raw)
    bias = group("BIAS_BLUE", biases)
    orders = group("ORDER_FLAT_BLUE", definition, bias)
    tables = tuple(group(file.category, (file,), match="N/A") for file in (lines, guess))
    wave = group("ARC_LAMP_BLUE", lamps, bias, orders, *tables)
    names = tuple(file.associated for file in flats)
    cascade = (bias, orders, wave, group("REF_TFLAT_BLUE", (older,), match="N/A"))
    tree = AssociationTree(Association("TFLAT_BLUE", names, cascade), "Raw2Raw")
    files = (*biases, *definition, *lamps, *flats, lines, guess, older)
    return DemoNight(f"uves-tflat-seed{seed}", UVES.name, files, (tree,))


def sensitivity_then(echelle: Echelle) -> Image:
    """Return what the detector saw of the light when the older flat was taken, beside now."""
    import numpy as np

    values: Image = np.linspace(1, 1 + LOST, echelle.length, dtype=np.float32)
    return values


def _older_flat(echelle: Echelle, raw: ArchiveFile) -> ArchiveFile:
    """Return a master of flats, the first of which is not in the archive."""
    dp_id = DpId("M.UVES.2013-11-05T10:02:00.741")
    keywords = describe_processed(dp_id, UVES.name, "REF_TFLAT_BLUE", inherit_keywords(raw.keywords))
    return ArchiveFile(dp_id, "REF_TFLAT_BLUE", keywords, partial(_older_bytes, echelle, keywords))


def _older_bytes(echelle: Echelle, keywords: Keywords) -> bytes:
    """Return a master as the pipeline makes it: counts a second, in its own orientation."""
    light = (continuum(echelle, SLIT_PIX, TFLAT_COUNTS) + 10) / TFLAT_S
    return fits_bytes(keywords, light * sensitivity_then(echelle))

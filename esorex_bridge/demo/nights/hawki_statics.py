"""Processed and static calibrations of the synthetic HAWK-I night: what the archive delivers as `M.HAWKI.*`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from esorex_bridge.demo.nights.frames import Keywords, fits_bytes
from esorex_bridge.demo.nights.hawki_mosaic import (
    CHIPS,
    DIT_S,
    GAIN_E_PER_COUNT,
    HAWKI,
    Detectors,
    chip_keywords,
    chip_pixels,
    chip_stars,
    chip_wcs,
    image_extension,
    pointing_deg,
)
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.survey_tables import (
    CATALOGUE_NAME,
    ZERO_POINT_MAG,
    catalogue_bytes,
    photometry_bytes,
    schlegel_bytes,
)
from esorex_bridge.demo.nights.tables import describe_processed, inherit_keywords, table
from esorex_bridge.files import DpId

MADE = datetime(2019, 5, 30, 12, 0)

Build = Callable[[Keywords], bytes]
Fields = tuple[tuple[int, int], ...]


def static_calibrations(
    detectors: Detectors, science: Keywords, made: datetime = MADE, fields: Fields = ((0, 0),)
) -> tuple[ArchiveFile, ...]:
    """Return all that the science recipe needs beside the dark, each as one file.

    Parameters
    ----------
    detectors : Detectors
        What is on the sky depends on their size.
    science : Keywords
        A raw header.
    made : datetime
        To the minute; it is in the names.
    fields : tuple
        Of which the catalogues have the stars, as `Light.field` says where they are.
    """
    raw = inherit_keywords(science)
    catalogue = partial(_catalogue_bytes, detectors, fields)
    builders: tuple[tuple[str, Keywords, Build], ...] = (
        ("MASTER_TWILIGHT_FLAT", raw, partial(_mosaic_bytes, detectors, _flat)),
        ("MASTER_CONF", raw, partial(_mosaic_bytes, detectors, _confidence)),
        ("MASTER_READGAIN", (), _readgain_bytes),
        ("PHOTCAL_TAB", (), partial(photometry_bytes, "Ks", "K", 0.05, 0.33)),
        ("MASTER_LOCAL_CATALOGUE_ASTROM", (("CATNAME", CATALOGUE_NAME),), catalogue),
        ("MASTER_LOCAL_CATALOGUE_PHOTOM", (("CATNAME", CATALOGUE_NAME),), catalogue),
        ("SCHLEGEL_MAP_NORTH", (), partial(schlegel_bytes, 1)),
        ("SCHLEGEL_MAP_SOUTH", (), partial(schlegel_bytes, -1)),
    )
    return tuple(
        _static(made, number, category, more, build) for number, (category, more, build) in enumerate(builders, start=1)
    )


def master_dark(detectors: Detectors, dark: Keywords) -> ArchiveFile:
    """Return the processed dark that Raw2Master associates; `dark` is the header of a raw one."""
    return _static(MADE, 0, "MASTER_DARK", inherit_keywords(dark), partial(_mosaic_bytes, detectors, _dark))


def _static(made: datetime, number: int, category: str, more: Keywords, build: Build) -> ArchiveFile:
    dp_id = DpId(f"M.HAWKI.{made:%Y-%m-%dT%H:%M}:{number:02d}.{123 + 77 * number % 800:03d}")
    keywords = describe_processed(dp_id, HAWKI.name, category, more)
    return ArchiveFile(dp_id, category, keywords, partial(build, keywords))


def _mosaic_bytes(detectors: Detectors, chip_image: Callable[[Detectors, int], Any], keywords: Keywords) -> bytes:
    extensions = [
        image_extension(
            (*chip_keywords(detectors, chip, MADE, (0, 0)), ("ESO DRS MEDFLAT", 10000.0)), chip_image(detectors, chip)
        )
        for chip in CHIPS
    ]
    return fits_bytes(keywords, extensions=extensions)


def _flat(detectors: Detectors, chip: int) -> Any:
    import numpy as np

    sensitivity, _ = chip_pixels(detectors, chip)
    return (sensitivity / np.median(sensitivity)).astype(">f4")


def _confidence(detectors: Detectors, chip: int) -> Any:
    import numpy as np

    sensitivity, hot = chip_pixels(detectors, chip)
    return np.where((sensitivity > 0.5) & ~hot, 100, 0).astype(">i4")


def _dark(detectors: Detectors, chip: int) -> Any:
    import numpy as np

    _, hot = chip_pixels(detectors, chip)
    return (20 + 0.05 * DIT_S + np.where(hot, 200 * DIT_S, 0)).astype(">f4")


def _readgain_bytes(keywords: Keywords) -> bytes:
    columns = {
        "EXTNAME": ("16A", [f"CHIP{chip}.INT1" for chip in CHIPS]),
        "READNOISE": ("1E", [5.0] * len(CHIPS)),
        "GAIN": ("1E", [GAIN_E_PER_COUNT] * len(CHIPS)),
        "COVAR": ("1E", [1.0] * len(CHIPS)),
    }
    return fits_bytes(keywords, extensions=[table(columns, "READGAIN")])


def _catalogue_bytes(detectors: Detectors, fields: Fields, keywords: Keywords) -> bytes:
    """Return the injected stars with the places and magnitudes that they have."""
    import numpy as np

    sky = np.concatenate([sky_positions(detectors, chip, field) for field in fields for chip in CHIPS], axis=1)
    return catalogue_bytes(sky, {"J": 0.3, "H": 0.1, "K": 0.0}, keywords)


def sky_positions(detectors: Detectors, chip: int, field: tuple[int, int] = (0, 0)) -> Any:
    """Return right ascension, declination and magnitude of a chip's stars in a field."""
    import numpy as np
    from astropy.wcs import WCS

    stars = chip_stars(detectors, chip)
    reference, cd = chip_wcs(chip)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = pointing_deg(field)
    wcs.wcs.crpix = reference
    wcs.wcs.cd = np.reshape(cd, (2, 2))
    ra, dec = wcs.wcs_pix2world([star.x for star in stars], [star.y for star in stars], 1)
    mag = ZERO_POINT_MAG - 2.5 * np.log10([star.flux / DIT_S for star in stars])
    return np.array([ra, dec, mag])

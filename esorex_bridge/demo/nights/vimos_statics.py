"""What the science recipe of VIMOS takes beside calibrations: catalogues of the injected stars, extinction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from esorex_bridge.demo.nights.frames import Keywords, Star
from esorex_bridge.demo.nights.night import ArchiveFile
from esorex_bridge.demo.nights.series import FIELD
from esorex_bridge.demo.nights.survey_tables import (
    CATALOGUE_NAME,
    ZERO_POINT_MAG,
    catalogue_bytes,
    photometry_bytes,
    schlegel_bytes,
)
from esorex_bridge.demo.nights.tables import describe_processed
from esorex_bridge.demo.nights.vimos_detectors import CHIPS, VIMOS, reference_pixel
from esorex_bridge.files import DpId

EXTINCTION_MAG = 0.07
"""Of the atmosphere in R, a unit of airmass."""
StarsOf = Callable[[int], tuple[Star, ...]]


def static_calibrations(stars_of: StarsOf, exposure_s: float) -> tuple[ArchiveFile, ...]:
    """Return the files; `stars_of` gives the stars of a quadrant, whose fluxes are those of one exposure."""
    named = (("CATNAME", CATALOGUE_NAME),)
    catalogue = partial(_catalogue_bytes, stars_of, exposure_s)
    builders: tuple[tuple[str, Keywords, Callable[[Keywords], bytes]], ...] = (
        ("PHOTCAL_TAB", (), partial(photometry_bytes, "R", "R", EXTINCTION_MAG, 2.3)),
        ("MASTER_LOCAL_CATALOGUE_ASTROM", named, catalogue),
        ("MASTER_LOCAL_CATALOGUE_PHOTOM", named, catalogue),
        ("SCHLEGEL_MAP_NORTH", (), partial(schlegel_bytes, 1)),
        ("SCHLEGEL_MAP_SOUTH", (), partial(schlegel_bytes, -1)),
    )
    return tuple(_static(number, *builder) for number, builder in enumerate(builders, start=1))


def sky_positions(stars_of: StarsOf, quadrant: int) -> Any:
    """Return right ascension and declination (degrees) of a quadrant's stars."""
    import numpy as np
    from astropy.wcs import WCS

    scale = VIMOS.pixel_arcsec / 3600
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = FIELD
    wcs.wcs.crpix = reference_pixel(quadrant)
    wcs.wcs.cd = [[-scale, 0], [0, scale]]
    stars = stars_of(quadrant)
    return np.array(wcs.wcs_pix2world([star.x for star in stars], [star.y for star in stars], 1))


def _static(number: int, category: str, more: Keywords, build: Callable[[Keywords], bytes]) -> ArchiveFile:
    dp_id = DpId(f"M.VIMOS.2015-03-30T12:00:{number:02d}.{123 + 77 * number}")
    keywords = describe_processed(dp_id, VIMOS.name, category, more)
    return ArchiveFile(dp_id, category, keywords, partial(build, keywords))


def _catalogue_bytes(stars_of: StarsOf, exposure_s: float, keywords: Keywords) -> bytes:
    import numpy as np

    sky = np.concatenate([sky_positions(stars_of, quadrant) for quadrant in CHIPS], axis=1)
    flux = np.array([star.flux for quadrant in CHIPS for star in stars_of(quadrant)])
    magnitudes = ZERO_POINT_MAG - 2.5 * np.log10(flux / exposure_s)
    return catalogue_bytes(np.vstack([sky, magnitudes]), {"R": 0.0}, keywords)

"""Synthetic raw frames: ESO primary headers as plain values, star fields, and the FITS bytes made of them.

What a header of an ESO frame holds: ESO's data interface control document (GEN-SPE-ESO-19400-0794) and headers of
public frames. A frame is the same, byte for byte, whenever it is made with the same seed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.files import DpId

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Mask = NDArray[np.bool_]

KeywordValue = str | int | float | bool
Keywords = tuple[tuple[str, KeywordValue], ...]
"""Header cards in order; a name that begins with `ESO ` is written as a HIERARCH card."""

PROGRAMME = "60.A-9999(A)"
"""ESO's own number for technical and demonstration data."""

MJD_EPOCH = datetime(1858, 11, 17)
FWHM_PER_SIGMA = 2.3548


class Instrument(Struct, frozen=True):
    """What is the same in every header of an instrument.

    Parameters
    ----------
    name : str
        FITS `INSTRUME`.
    prefix : str
        First part of the dp_id; not always the name (`NACO` for `NAOS+CONICA`).
    telescope : str
        FITS `TELESCOP`.
    pixel_arcsec : float
        Size of a pixel on the sky.
    """

    name: str
    prefix: str
    telescope: str
    pixel_arcsec: float


class Template(Struct, frozen=True):
    """A sequence of exposures that the instrument takes in one go.

    Parameters
    ----------
    name : str
        `TPL ID`.
    start : datetime
        When its exposures begin, UT; as a rule `TPL START`.
    exposures : int
        `TPL NEXP`.
    ob_id : int
        Number of the observation block that it belongs to.
    ob_name : str
        Name of that block.
    number : int
        `OBS TPLNO`: its place in the block, from 1.
    begun : datetime or None
        `TPL START`, where these exposures are a later part of a template.
    """

    name: str
    start: datetime
    exposures: int
    ob_id: int
    ob_name: str
    number: int = 1
    begun: datetime | None = None


class Exposure(Struct, frozen=True):
    """One exposure of a template, before it has pixels.

    Parameters
    ----------
    instrument : Instrument
        Taken with.
    template : Template
        Belongs to.
    number : int
        `TPL EXPNO`, from 1.
    start : datetime
        UT, to the millisecond; names the file.
    dit_s : float
        Integration time in seconds.
    dpr : tuple of str
        `DPR CATG`, `DPR TYPE`, `DPR TECH`.
    target : str
        `OBJECT`.
    ra_deg, dec_deg : float
        Pointing.
    """

    instrument: Instrument
    template: Template
    number: int
    start: datetime
    dit_s: float
    dpr: tuple[str, str, str]
    target: str
    ra_deg: float
    dec_deg: float

    @property
    def dp_id(self) -> DpId:
        """The archive's name of the file."""
        return DpId(f"{self.instrument.prefix}.{timestamp(self.start)[:-1]}")


class Star(Struct, frozen=True):
    """A star put into a frame.

    Parameters
    ----------
    x, y : float
        Centre in FITS pixels: the centre of the first pixel is (1, 1).
    flux : float
        Sum over all pixels, in counts.
    """

    x: float
    y: float
    flux: float


def timestamp(moment: datetime) -> str:
    """Return a time as in `DATE-OBS`: UT with four decimals of a second."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 100:04d}"


def mjd(moment: datetime) -> float:
    """Return the modified Julian date of a UT time."""
    return (moment - MJD_EPOCH).total_seconds() / 86400.0


def exposure_times(start: datetime, count: int, spacing_s: float) -> tuple[datetime, ...]:
    """Return the start times of a template's exposures, each to a millisecond that looks like no other."""
    return tuple(
        start + timedelta(seconds=index * spacing_s, milliseconds=76 + 137 * index % 900) for index in range(count)
    )


def primary_keywords(exposure: Exposure, more: Keywords) -> Keywords:
    """Return the whole primary header of an exposure; `more` holds what the instrument adds (DET, INS, SEQ, WCS)."""
    return (*_observation_keywords(exposure), *_template_keywords(exposure), *_telescope_keywords(exposure), *more)


def _observation_keywords(exposure: Exposure) -> Keywords:
    start = exposure.start
    seconds_of_day = (start - datetime(start.year, start.month, start.day)).total_seconds()
    return (
        ("ORIGIN", "ESO"),
        ("DATE", timestamp(start)),
        ("TELESCOP", exposure.instrument.telescope),
        ("INSTRUME", exposure.instrument.name),
        ("OBJECT", exposure.target),
        ("RA", exposure.ra_deg),
        ("DEC", exposure.dec_deg),
        ("EQUINOX", 2000.0),
        ("RADESYS", "FK5"),
        ("EXPTIME", exposure.dit_s),
        ("MJD-OBS", mjd(start)),
        ("DATE-OBS", timestamp(start)),
        ("UTC", round(seconds_of_day, 3)),
        ("LST", round(_sidereal_seconds(start), 3)),
        ("PI-COI", "SYNTHETIC"),
        ("OBSERVER", "UNKNOWN"),
        ("ARCFILE", f"{exposure.dp_id}.fits"),
        ("ORIGFILE", _original_name(exposure)),
    )


def _template_keywords(exposure: Exposure) -> Keywords:
    template = exposure.template
    category, kind, technique = exposure.dpr
    return (
        ("ESO OBS DID", "ESO-VLT-DIC.OBS-1.12"),
        ("ESO OBS ID", template.ob_id),
        ("ESO OBS NAME", template.ob_name),
        ("ESO OBS GRP", "0"),
        ("ESO OBS PI-COI ID", 9999),
        ("ESO OBS PI-COI NAME", "SYNTHETIC"),
        ("ESO OBS PROG ID", PROGRAMME),
        ("ESO OBS START", timestamp(template.start)[:19]),
        ("ESO OBS TARG NAME", exposure.target),
        ("ESO OBS TPLNO", template.number),
        ("ESO TPL DID", "ESO-VLT-DIC.TPL-1.9"),
        ("ESO TPL ID", template.name),
        ("ESO TPL NAME", template.name.replace("_", " ")),
        ("ESO TPL NEXP", template.exposures),
        ("ESO TPL EXPNO", exposure.number),
        ("ESO TPL START", timestamp(template.begun or template.start)[:19]),
        ("ESO DPR CATG", category),
        ("ESO DPR TYPE", kind),
        ("ESO DPR TECH", technique),
    )


def _telescope_keywords(exposure: Exposure) -> Keywords:
    return (
        ("ESO TEL DID", "ESO-VLT-DIC.TCS"),
        ("ESO TEL ALT", 60.0),
        ("ESO TEL AZ", 10.0),
        ("ESO TEL AIRM START", 1.15),
        ("ESO TEL AIRM END", 1.16),
        ("ESO TEL AMBI RHUM", 10.0),
        ("ESO TEL AMBI TEMP", 12.0),
        ("ESO TEL AMBI TAU0", 0.004),
        ("ESO TEL AMBI WINDDIR", 20.0),
        ("ESO TEL AMBI WINDSP", 5.0),
        ("ESO TEL AMBI FWHM START", 0.8),
        ("ESO TEL AMBI FWHM END", 0.8),
        ("ESO TEL AMBI PRES START", 743.0),
        ("ESO TEL AMBI PRES END", 743.0),
        ("ESO TEL IA FWHM", 0.7),
        ("ESO TEL PARANG START", 10.0),
        ("ESO TEL PARANG END", 11.0),
        ("ESO TEL TARG ALPHA", _sexagesimal(exposure.ra_deg / 15.0)),
        ("ESO TEL TARG DELTA", _sexagesimal(exposure.dec_deg)),
        ("ESO TEL TARG EQUINOX", 2000.0),
        ("ESO TEL TARG EPOCH", 2000.0),
        ("ESO TEL GEOELEV", 2648.0),
        ("ESO TEL GEOLAT", -24.6254),
        ("ESO TEL GEOLON", -70.4032),
    )


def sky_plane(
    position_deg: tuple[float, float],
    reference_pix: tuple[float, float],
    scale_deg: float,
) -> Keywords:
    """Return the world coordinates of an image: a plane that touches the sky, with north up and east to the left.

    Parameters
    ----------
    position_deg : (float, float)
        Right ascension and declination of the reference pixel.
    reference_pix : (float, float)
        Counted from 1.
    scale_deg : float
        Size of a pixel.
    """
    matrix = (-scale_deg, 0.0, 0.0, scale_deg)
    return (
        ("CTYPE1", "RA---TAN"),
        ("CTYPE2", "DEC--TAN"),
        *zip(("CRVAL1", "CRVAL2"), position_deg, strict=True),
        *zip(("CRPIX1", "CRPIX2"), reference_pix, strict=True),
        *zip(("CD1_1", "CD1_2", "CD2_1", "CD2_2"), matrix, strict=True),
    )


def _original_name(exposure: Exposure) -> str:
    """Return the name at the telescope: instrument, type, day of the year, running number."""
    kind = exposure.dpr[1].split(",")[0]
    return f"{exposure.instrument.prefix}_{kind}{exposure.start:%j}_{exposure.number:04d}.fits"


def _sidereal_seconds(moment: datetime) -> float:
    days = mjd(moment) - 51544.5
    return (280.46061837 + 360.98564736629 * days - 70.4032) % 360.0 * 240.0


def _sexagesimal(value: float) -> float:
    """Return a number as in `TEL TARG`: 95959.999 means 9h 59m 59.999s."""
    minutes, seconds = divmod(abs(value) * 3600.0, 60.0)
    hours, minutes = divmod(minutes, 60.0)
    return round((hours * 10000 + minutes * 100 + seconds) * (1 if value >= 0 else -1), 3)


def star_image(shape: tuple[int, int], stars: Iterable[Star], fwhm_pix: float) -> Image:
    """Return an image of Gaussian stars, each cut off at six sigma."""
    import numpy as np

    image = np.zeros(shape, dtype=np.float32)
    sigma = fwhm_pix / FWHM_PER_SIGMA
    reach = int(6 * sigma) + 2
    for star in stars:
        x, y = star.x - 1.0, star.y - 1.0
        rows = slice(max(0, int(y) - reach), max(0, int(y) + reach + 1))
        columns = slice(max(0, int(x) - reach), max(0, int(x) + reach + 1))
        grid_y, grid_x = np.mgrid[rows, columns][:, : shape[0] - rows.start, : shape[1] - columns.start]
        profile = np.exp(-((grid_x - x) ** 2 + (grid_y - y) ** 2) / (2 * sigma**2))
        image[rows, columns] += star.flux / (2 * np.pi * sigma**2) * profile
    return image


def counts(image: Image) -> Any:
    """Return an image as a 16-bit detector would deliver it."""
    import numpy as np

    return np.clip(np.rint(image), -32768, 32767).astype(">i2")


def fits_bytes(keywords: Keywords, image: Any = None, extensions: Sequence[Any] = ()) -> bytes:
    """Return the FITS stream of a primary header, its image if any, and extensions (astropy HDUs), with checksums.

    The comments of the checksum cards, where astropy writes the time of day, carry the frame's own date, so that a
    frame made twice is one and the same.
    """
    from astropy.io import fits

    primary = fits.PrimaryHDU(data=image)
    fill_header(primary.header, keywords)
    when = str(dict(keywords).get("DATE", "2000-01-01T00:00:00"))
    for hdu in (primary, *extensions):
        hdu.add_checksum(when=when)
    stream = io.BytesIO()
    fits.HDUList([primary, *extensions]).writeto(stream, output_verify="exception")
    return stream.getvalue()


def fill_header(header: Any, keywords: Keywords) -> None:
    """Add cards to an astropy header."""
    for name, value in keywords:
        header[f"HIERARCH {name}" if name.startswith("ESO ") else name] = value

"""A synthetic VIMOS night of jittered imaging in R: all four quadrants at full size, all calibrations raw.

The recipes know the size of the detectors by heart, so the frames are large: each is made when it is asked for, and
delivered plain.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import (
    Exposure,
    Keywords,
    Star,
    Template,
    fits_bytes,
    primary_keywords,
    star_image,
)
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FrameSeries, noise
from esorex_bridge.demo.nights.vimos_detectors import (
    CHIPS,
    COLUMNS,
    CONAD_E_PER_COUNT,
    OVERSCAN,
    PRESCAN,
    ROWS,
    VIMOS,
    make_unsigned,
    quadrant_keywords,
)
from esorex_bridge.demo.nights.vimos_statics import static_calibrations

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

READ_NOISE_COUNTS = 4.0
BIAS_STEP_COUNTS = 8.0
"""How much higher the bias of the last column is than that of the first; what overscans cannot tell."""
DARK_COUNTS_PER_HOUR = 48.0
DARK_S, FLAT_S, SCIENCE_S = 300.0, 3.0, 60.0
SKY_COUNTS = 600.0
FLAT_LEVELS = (20000.0, 20050.0)
"""In counts; alike, because the noise is measured on the difference of two, in which a slope would stay."""
OFFSETS_PIX = ((0, 0), (7, 5), (-6, 8), (4, -9))
FWHM_PIX = 3.5
STARS = 250
"""In each quadrant."""
DEAD_SENSITIVITY = 0.03
TEMPLATES = {
    "BIAS": "VIMOS_img_cal_Bias",
    "DARK": "VIMOS_img_cal_Dark",
    "FLAT,SKY": "VIMOS_img_cal_SkyFlats",
    "STD": "VIMOS_img_cal_Photom",
    "OBJECT": "VIMOS_img_obs_Jitter",
}
"""By `DPR TYPE`."""
BETWEEN_QUADRANTS = timedelta(milliseconds=11)


class VimosLight(Struct, frozen=True):
    """What fell on a detector.

    Parameters
    ----------
    level : float
        Even light in counts; 0 when the shutter was closed.
    offset : tuple of int
        Displacement of the stars from the first frame, in pixels.
    stars : bool
        Whether stars are seen; in twilight they are not.
    """

    level: float = 0.0
    offset: tuple[int, int] = (0, 0)
    stars: bool = False


def vimos_full_night(science_exposures: int = 2, seed: int = 31) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    science_exposures : int
        Jittered; each makes four files.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    shut = (VimosLight(), VimosLight())
    biases = _series(seed, "BIAS", "BIAS", datetime(2015, 4, 3, 12, 0), 0.0, shut)
    darks = _series(seed, "DARK", "DARK", datetime(2015, 4, 3, 13, 0), DARK_S, shut)
    twilight = tuple(VimosLight(level) for level in FLAT_LEVELS)
    flats = _series(seed, "IMG_SKY_FLAT", "FLAT,SKY", datetime(2015, 4, 3, 22, 50), FLAT_S, twilight)
    sky = tuple(
        VimosLight(SKY_COUNTS, OFFSETS_PIX[index % len(OFFSETS_PIX)], True) for index in range(science_exposures)
    )
    science = _series(seed, "IMG_SCIENCE", "OBJECT", datetime(2015, 4, 4, 3, 0), SCIENCE_S, sky)
    standards = _series(seed, "IMG_STANDARD", "STD", datetime(2015, 4, 4, 1, 0), SCIENCE_S, sky[:1])
    statics = static_calibrations(partial(injected_stars, seed), SCIENCE_S)
    bias = group("BIAS", biases)
    dark = group("DARK", darks, bias)
    flat = group("IMG_SKY_FLAT", flats, bias, dark)
    fixed = tuple(group(file.category, (file,), match="N/A") for file in statics)
    cascade = (bias, dark, flat, group("IMG_STANDARD", standards, bias, dark, flat, *fixed), *fixed)
    names = tuple(file.associated for file in science)
    tree = AssociationTree(Association("IMG_SCIENCE", names, cascade), "Raw2Raw")
    files = (*biases, *darks, *flats, *standards, *science, *statics)
    return DemoNight(f"vimos-full-{science_exposures}-seed{seed}", VIMOS.name, files, (tree,), kept=False)


@lru_cache(maxsize=4)
def sensitivity(seed: int, quadrant: int) -> Image:
    """Return what each pixel makes of the same light, about 1; dead pixels far below."""
    import numpy as np

    rng = np.random.default_rng([seed, 0, quadrant])
    shape = (ROWS, COLUMNS)
    x = np.linspace(-0.5, 0.5, COLUMNS, dtype=np.float32)
    y = np.linspace(-0.5, 0.5, ROWS, dtype=np.float32)[:, None]
    pixels: Image = 1 + 0.02 * quadrant * x - 0.05 * y + 0.008 * rng.standard_normal(shape, dtype=np.float32)
    pixels[rng.random(shape, dtype=np.float32) < 5e-4] = DEAD_SENSITIVITY
    return pixels


def bias_counts(quadrant: int) -> float:
    """Return the bias of the first column of a quadrant, which pre- and overscan have too."""
    return 190.0 + 5.0 * quadrant


def injected_stars(seed: int, quadrant: int) -> tuple[Star, ...]:
    """Return the stars of a quadrant in the first science frame, in pixels of the image without prescan."""
    import numpy as np

    rng = np.random.default_rng([seed, 1, quadrant])
    x = rng.uniform(60, COLUMNS - 60, STARS).round(2).tolist()
    y = rng.uniform(60, ROWS - 60, STARS).round(2).tolist()
    flux = (10 ** rng.uniform(4.2, 5.4, STARS)).round(1).tolist()
    return tuple(Star(*values) for values in zip(x, y, flux, strict=True))


def _series(
    seed: int, category: str, dpr_type: str, start: datetime, exposure_s: float, lights: tuple[VimosLight, ...]
) -> tuple[ArchiveFile, ...]:
    """Return the files of a template: for each exposure one of each quadrant."""
    purpose = "SCIENCE" if dpr_type == "OBJECT" else "CALIB"
    template = Template(TEMPLATES[dpr_type], start, len(lights), 200400100 + start.hour, "VIMOS_SYNTH")
    series = FrameSeries(VIMOS, template, category, (purpose, dpr_type, "IMAGE"), exposure_s, spacing_s=exposure_s + 60)
    return tuple(
        _file(
            seed,
            category,
            replace(exposure, start=exposure.start + (quadrant - 1) * BETWEEN_QUADRANTS),
            quadrant,
            light,
        )
        for exposure, light in zip(series.exposures, lights, strict=True)
        for quadrant in CHIPS
    )


def _file(seed: int, category: str, exposure: Exposure, quadrant: int, light: VimosLight) -> ArchiveFile:
    keywords = primary_keywords(exposure, quadrant_keywords(quadrant, exposure.dit_s, offset=light.offset))
    build = partial(_stream, seed, keywords, exposure, quadrant, light)
    return ArchiveFile(exposure.dp_id, category, keywords, build, 2 * ROWS * (COLUMNS + PRESCAN + OVERSCAN))


def _stream(seed: int, keywords: Keywords, exposure: Exposure, quadrant: int, light: VimosLight) -> bytes:
    """Return the FITS stream of a raw frame: bias everywhere, all else between prescan and overscan."""
    import numpy as np

    rng = noise(seed, exposure)
    frame: Image = READ_NOISE_COUNTS * rng.standard_normal((ROWS, PRESCAN + COLUMNS + OVERSCAN), dtype=np.float32)
    frame += np.float32(bias_counts(quadrant))
    lit = frame[:, PRESCAN : PRESCAN + COLUMNS]
    lit += np.linspace(0, BIAS_STEP_COUNTS, COLUMNS, dtype=np.float32)
    lit += rng.poisson(DARK_COUNTS_PER_HOUR * exposure.dit_s / 3600, lit.shape)
    if light.level:
        counts = sensitivity(seed, quadrant) * _even_light_and_stars(seed, quadrant, light)
        lit += counts + np.sqrt(counts / CONAD_E_PER_COUNT) * rng.standard_normal(lit.shape, dtype=np.float32)
    return fits_bytes(keywords, make_unsigned(frame))


def _even_light_and_stars(seed: int, quadrant: int, light: VimosLight) -> Image:
    import numpy as np

    dx, dy = light.offset
    stars = injected_stars(seed, quadrant) if light.stars else ()
    moved = (Star(star.x + dx, star.y + dy, star.flux) for star in stars)
    return np.float32(light.level) + star_image((ROWS, COLUMNS), moved, FWHM_PIX)

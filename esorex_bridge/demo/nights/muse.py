"""Synthetic MUSE nights: biases and darks of all 24 spectrographs (IFUs), and a star from raws to a cube for one.

The recipes take quadrants of any size. Bias and dark want nothing of the image; the flat is searched for 48 slices,
each some 76 pixels wide, so it needs the full width of a detector but few of its rows.

The archive delivers MUSE's raws plain: the recipes open a file once for each IFU, and would unpack it each time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Exposure, Instrument, Keywords, Template, counts, fill_header, fits_bytes
from esorex_bridge.demo.nights.muse_arc import LAMP, arc_counts, line_catalogue
from esorex_bridge.demo.nights.muse_field import (
    STANDARD,
    STANDARD_FLUX,
    TARGET,
    slice_place,
    star_counts,
    wavelengths_angstrom,
)
from esorex_bridge.demo.nights.muse_sky import line_table, nebula_per_s, profile_cube, sky_per_s
from esorex_bridge.demo.nights.muse_statics import (
    MODE,
    extinction_table,
    flux_table,
    geometry_table,
    wavelength_table,
)
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group
from esorex_bridge.demo.nights.series import FIELD, FrameSeries, frames, noise

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.frames import Image

MUSE = Instrument("MUSE", "MUSE", "ESO-VLT-U4", pixel_arcsec=0.2)
PORTS = {1: (1, 1), 2: (4096, 1), 3: (4096, 4112), 4: (1, 4112)}
"""Where the quadrants are read out; the pipeline tells them by these numbers, whatever their size."""
EDGE = 32
"""Width of prescan and overscan."""
GAIN_E_PER_COUNT = 1.1
READ_NOISE_COUNTS = 2.5
DARK_COUNTS_PER_HOUR = 6.0
TEMPLATES = {
    "BIAS": "MUSE_wfm_cal_bias",
    "DARK": "MUSE_wfm_cal_dark",
    "FLAT": "MUSE_wfm_cal_specflat",
    "ARC": "MUSE_wfm_cal_specarc",
    "ARC_LSF": "MUSE_wfm_cal_lsf",
    "SKYFLAT": "MUSE_wfm_cal_skyflat",
    "STD": "MUSE_wfm_cal_specphot",
    "OBJECT": "MUSE_wfm-noao_obs_genericoffset",
    "SKY": "MUSE_wfm-noao_obs_genericoffset",
}
"""Names of the templates, by the category of the frames: rules tell flats apart by them."""
FLAT_COUNTS = 20000.0
TWILIGHT_COUNTS = 9000.0
SKY_COUNTS = 800.0
STANDARD_SKY_COUNTS = 40.0
STANDARD_S, SCIENCE_S = 30.0, 600.0
SLICES = 48
SLICE_WIDTH_PIX = 76.0
MARGIN_PIX = 24
"""From the edge of the detector to the first slice."""
FULL_WIDTH, FULL_HEIGHT = 2048, 2056
"""Columns and rows of a quadrant on the real detector."""


class Spectrographs(Struct, frozen=True):
    """What the pixels of all frames depend on.

    Parameters
    ----------
    ifus : int
        The first so many of the 24.
    columns, rows : int
        Size of a quadrant; a detector has two by two.
    seed : int
        Of noise.
    tilt : float
        How much more light the last slice gets than that in the middle, of the sky and not of lamps.
    nebula : bool
        Whether the object fills the field, before a sky with lines.
    """

    ifus: int
    columns: int
    rows: int
    seed: int
    tilt: float = 0.0
    nebula: bool = False


def bias_level(ifu: int) -> float:
    """Return the bias level of an IFU's detector in counts."""
    return 1000.0 + 3.0 * ifu


def muse_night(ifus: int = 24, columns: int = 64, rows: int = 64, seed: int = 9) -> DemoNight:
    """Return a night of biases and darks, whose dataset is the dark; nothing is computed before a frame is asked for.

    Parameters
    ----------
    ifus : int
        The first so many of the 24. The recipes are asked for all at once, and want all.
    columns, rows : int
        Size of a quadrant; from 32, without warnings from 128.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    spectrographs = Spectrographs(ifus, columns, rows, seed)
    noon = datetime(2018, 3, 1, 12, 0)
    biases, darks = _biases(spectrographs, noon), _darks(spectrographs, noon)
    names = tuple(file.associated for file in darks)
    tree = AssociationTree(Association("DARK", names, (group("BIAS", biases),)), "Raw2Raw")
    return DemoNight(f"muse-{ifus}x{columns}x{rows}-seed{seed}", MUSE.name, (*biases, *darks), (tree,), kept=False)


def muse_twilight_night() -> DemoNight:
    """Return a night whose field is lit unevenly, with flats of the twilight sky that show it."""
    return muse_cube_night(exposures=1, tilt=0.15)


def muse_cube_night(exposures: int = 2, rows: int = 192, seed: int = 9, tilt: float = 0.0) -> DemoNight:
    """Return a night of one IFU with all that takes exposures of a star to a cube in units of flux.

    Parameters
    ----------
    exposures : int
        Of the star; two and more are combined.
    rows : int
        Of a quadrant.
    seed : int
        Nights of different seeds differ in every pixel.
    tilt : float
        See `Spectrographs`; where there is one, the night has flats of the twilight sky.
    """
    spectrographs = Spectrographs(1, FULL_WIDTH, rows, seed, tilt)
    noon = datetime(2018, 3, 16 if tilt else 15, 12, 0)
    biases, darks = _biases(spectrographs, noon), _darks(spectrographs, noon)
    flats = _series(spectrographs, "FLAT", ("CALIB", "FLAT,LAMP", "IFU"), noon + timedelta(hours=3), 3, 3.0)
    standard = _series(spectrographs, "STD", ("CALIB", "STD", "IFU"), noon + timedelta(hours=13), 1, STANDARD_S)
    science = _series(
        spectrographs,
        "OBJECT",
        ("SCIENCE", "OBJECT", "IFU"),
        noon + timedelta(hours=15),
        exposures,
        SCIENCE_S,
    )
    first, *_, last = wavelengths_angstrom(2 * rows).tolist()
    statics = (
        geometry_table(1, SLICES, 4, slice_place),
        wavelength_table(1, SLICES, 2 * rows, first, last),
    )
    extinction, flux = extinction_table(), flux_table(*FIELD, STANDARD_FLUX)
    tables = tuple(group(file.category, (file,), match="N/A") for file in statics)
    air, known = (group(file.category, (file,), match="N/A") for file in (extinction, flux))
    bias = group("BIAS", biases)
    dark = group("DARK", darks, bias)
    basic = (bias, dark, group("FLAT", flats, bias, dark), *tables)
    twilights = _twilights(spectrographs, noon) if tilt else ()
    evening = (group("SKYFLAT", twilights, *basic),) if tilt else ()
    cascade = (*basic, *evening, air, group("STD", standard, *basic, *evening, air, known))
    tree = AssociationTree(Association("OBJECT", tuple(file.associated for file in science), cascade), "Raw2Raw")
    files = (*biases, *darks, *flats, *twilights, *standard, *science, *statics, extinction, flux)
    kind = "twilight" if tilt else "cube"
    return DemoNight(f"muse_{kind}-{exposures}x{rows}-seed{seed}", MUSE.name, files, (tree,), kept=False)


def muse_sky_night(rows: int = 192, seed: int = 9) -> DemoNight:
    """Return a night of one IFU whose object fills the field, with the sky beside it; see `muse_cube_night`."""
    spectrographs = Spectrographs(1, FULL_WIDTH, rows, seed, nebula=True)
    noon = datetime(2018, 3, 17, 12, 0)
    biases = _biases(spectrographs, noon)
    flats = _series(spectrographs, "FLAT", ("CALIB", "FLAT,LAMP", "IFU"), noon + timedelta(hours=3), 3, 3.0)
    standard = _series(spectrographs, "STD", ("CALIB", "STD", "IFU"), noon + timedelta(hours=13), 1, STANDARD_S)
    science = _series(spectrographs, "OBJECT", ("SCIENCE", "OBJECT", "IFU"), noon + timedelta(hours=15), 1, SCIENCE_S)
    skies = _series(spectrographs, "SKY", ("SCIENCE", "SKY", "IFU"), noon + timedelta(hours=16), 1, SCIENCE_S)
    first, *_, last = wavelengths_angstrom(2 * rows).tolist()
    statics = (
        geometry_table(1, SLICES, 4, slice_place),
        wavelength_table(1, SLICES, 2 * rows, first, last),
    )
    extinction, flux = extinction_table(), flux_table(*FIELD, STANDARD_FLUX)
    lines, profile = line_table(), profile_cube(1)
    air, known, listed, spread = (
        group(file.category, (file,), match="N/A") for file in (extinction, flux, lines, profile)
    )
    bias = group("BIAS", biases)
    basic = (bias, group("FLAT", flats, bias), *(group(file.category, (file,), match="N/A") for file in statics))
    star = group("STD", standard, *basic, air, known)
    cascade = (*basic, air, star, listed, spread)
    of_sky = Association("SKY", tuple(file.associated for file in skies), cascade)
    of_object = Association(
        "OBJECT", tuple(file.associated for file in science), (*cascade, group("SKY", skies, *cascade))
    )
    trees = (AssociationTree(of_object, "Raw2Raw"), AssociationTree(of_sky, "Raw2Raw"))
    files = (*biases, *flats, *standard, *science, *skies, *statics, extinction, flux, lines, profile)
    return DemoNight(f"muse_sky-{rows}-seed{seed}", MUSE.name, files, trees, kept=False)


def _twilights(spectrographs: Spectrographs, noon: datetime) -> tuple[ArchiveFile, ...]:
    return _series(spectrographs, "SKYFLAT", ("CALIB", "FLAT,SKY", "IFU"), noon + timedelta(hours=10), 3, 3.0)


def illumination(tilt: float, number: int) -> float:
    """Return how much light of the sky a slice gets, in parts of that in the middle of the field."""
    return 1 + tilt * slice_place(1, number)[1] / 24.0


def muse_arcs_night(rows: int = FULL_HEIGHT, seed: int = 9) -> DemoNight:
    """Return a night of one IFU of full size: what its lamps tell of slices, wavelengths and the width of lines.

    Parameters
    ----------
    rows : int
        Of a quadrant; the recipe for wavelengths wants 4000 of a detector.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    spectrographs = Spectrographs(1, FULL_WIDTH, rows, seed)
    noon = datetime(2018, 3, 20, 12, 0)
    biases = _biases(spectrographs, noon)
    flats = _series(spectrographs, "FLAT", ("CALIB", "FLAT,LAMP", "IFU"), noon + timedelta(hours=3), 3, 3.0)
    arcs = _series(spectrographs, "ARC", ("CALIB", "WAVE", "IFU"), noon + timedelta(hours=4), 3, 5.0)
    profiles = _series(spectrographs, "ARC_LSF", ("CALIB", "WAVE,LSF", "IFU"), noon + timedelta(hours=5), 3, 5.0)
    lines = line_catalogue()
    bias, listed = group("BIAS", biases), group("LINE_CATALOG", (lines,), match="N/A")
    flat = group("FLAT", flats, bias)
    cascade = (bias, flat, listed, group("ARC", arcs, bias, flat, listed))
    tree = AssociationTree(Association("ARC_LSF", tuple(file.associated for file in profiles), cascade), "Raw2Raw")
    files = (*biases, *flats, *arcs, *profiles, lines)
    return DemoNight(f"muse_arcs-{rows}-seed{seed}", MUSE.name, files, (tree,), kept=False)


def slice_centre(columns: int, number: int) -> float:
    """Return the column (from 1) in the middle of a slice (from 1), in a detector without prescan and overscan."""
    pitch = 2 * (columns - MARGIN_PIX) / SLICES
    return MARGIN_PIX + pitch * (number - 0.5) + 0.5


def _biases(spectrographs: Spectrographs, noon: datetime) -> tuple[ArchiveFile, ...]:
    return _series(spectrographs, "BIAS", ("CALIB", "BIAS", "IFU"), noon, 3, 0.0)


def _darks(spectrographs: Spectrographs, noon: datetime) -> tuple[ArchiveFile, ...]:
    return _series(spectrographs, "DARK", ("CALIB", "DARK", "IFU"), noon + timedelta(hours=1), 3, 1800.0)


def _series(
    spectrographs: Spectrographs,
    category: str,
    dpr: tuple[str, str, str],
    start: datetime,
    count: int,
    dit_s: float,
) -> tuple[ArchiveFile, ...]:
    template = Template(TEMPLATES[category], start, count, 200700001, "MUSE_SYNTH")
    target = "SYNTH-STAR" if dpr[0] == "SCIENCE" else ""
    series = FrameSeries(MUSE, template, category, dpr, dit_s, target, dit_s + 60)
    size = spectrographs.ifus * 8 * spectrographs.columns * spectrographs.rows
    return frames(series, partial(_primary, spectrographs), partial(_stream, spectrographs), size)


def _primary(spectrographs: Spectrographs, exposure: Exposure) -> Keywords:
    return (
        *MODE,
        ("ESO DET READ CURNAME", "SCI1.0"),
        ("ESO DET BINX", 1),
        ("ESO DET BINY", 1),
        ("ESO INS DROT POSANG", 0.0),
        ("ESO INS DROT MODE", "SKY"),
        ("ESO INS TEMP7 VAL", 10.0),
        ("ESO INS TEMP11 VAL", 10.0),
        *(LAMP if exposure.dpr[1].startswith("WAVE") else ()),
    )


def _stream(spectrographs: Spectrographs, keywords: Keywords, exposure: Exposure) -> bytes:
    """Return the FITS stream of a raw frame: an extension for each IFU."""
    from astropy.io import fits

    extensions = []
    for ifu in range(1, spectrographs.ifus + 1):
        extension = fits.ImageHDU(counts(_raw_image(spectrographs, exposure, ifu)))
        fill_header(extension.header, _detector_keywords(spectrographs, ifu))
        extensions.append(extension)
    return fits_bytes(keywords, extensions=extensions)


def _raw_image(spectrographs: Spectrographs, exposure: Exposure, ifu: int) -> Image:
    """Return a detector as it is read out: each quadrant with a prescan outside and an overscan inside."""
    import numpy as np

    rng = noise(spectrographs.seed, exposure, ifu)
    light = _light(spectrographs, exposure, ifu)
    light = rng.poisson(light * GAIN_E_PER_COUNT) / GAIN_E_PER_COUNT
    columns, rows = spectrographs.columns, spectrographs.rows
    full = bias_level(ifu) + rng.normal(0, READ_NOISE_COUNTS, (2 * rows + 4 * EDGE, 2 * columns + 4 * EDGE))
    low, high = slice(EDGE, EDGE + rows), slice(-EDGE - rows, -EDGE)
    left, right = slice(EDGE, EDGE + columns), slice(-EDGE - columns, -EDGE)
    full[low, left] += light[:rows, :columns]
    full[low, right] += light[:rows, columns:]
    full[high, left] += light[rows:, :columns]
    full[high, right] += light[rows:, columns:]
    image: Image = full.astype(np.float32)
    return image


def _light(spectrographs: Spectrographs, exposure: Exposure, ifu: int) -> Any:
    import numpy as np

    light = np.full((2 * spectrographs.rows, 2 * spectrographs.columns), DARK_COUNTS_PER_HOUR * exposure.dit_s / 3600)
    kind = exposure.dpr[1]
    if kind == "FLAT,LAMP":
        light += FLAT_COUNTS * _slices(spectrographs.columns)
    if kind.startswith("WAVE"):
        light += arc_counts(len(light))[:, None] * _slices(spectrographs.columns)
    if spectrographs.nebula and kind in ("OBJECT", "SKY"):
        waves = wavelengths_angstrom(len(light))
        per_s = sky_per_s(waves) + (nebula_per_s(waves) if kind == "OBJECT" else 0.0)
        return light + exposure.dit_s * per_s[:, None] * _slices(spectrographs.columns)
    level = {"OBJECT": SKY_COUNTS, "STD": STANDARD_SKY_COUNTS, "FLAT,SKY": TWILIGHT_COUNTS}.get(kind, 0.0)
    falling = _falling(spectrographs)
    if level:
        light += level * _slices(spectrographs.columns) * falling
    source = {"OBJECT": TARGET, "STD": STANDARD}.get(kind)
    if source is not None:
        centre = partial(slice_centre, spectrographs.columns)
        light += exposure.dit_s * star_counts(source, light.shape, ifu, centre) * falling
    return light


def _falling(spectrographs: Spectrographs) -> Any:
    """Return how much light from the sky each column gets."""
    import numpy as np

    if not spectrographs.tilt:
        return 1.0
    x = np.arange(1, 2 * spectrographs.columns + 1)
    centres = np.array([slice_centre(spectrographs.columns, number) for number in range(1, SLICES + 1)])
    nearest = np.abs(x[None, :] - centres[:, None]).argmin(axis=0) + 1
    return np.array([illumination(spectrographs.tilt, int(number)) for number in nearest])


@lru_cache(maxsize=2)
def _slices(columns: int) -> Any:
    """Return which part of the light each column sees: slices with edges a pixel wide."""
    import numpy as np

    x = np.arange(1, 2 * columns + 1)
    centres = np.array([slice_centre(columns, number) for number in range(1, SLICES + 1)])
    away = np.abs(x[None, :] - centres[:, None]).min(axis=0)
    return 1 / (1 + np.exp((away - SLICE_WIDTH_PIX / 2) / 0.5))


def _detector_keywords(spectrographs: Spectrographs, ifu: int) -> Keywords:
    columns, rows = spectrographs.columns, spectrographs.rows
    ports = tuple(
        (f"ESO DET OUT{port} {key}", value)
        for port, (x, y) in PORTS.items()
        for key, value in (
            ("ID", str(port)),
            ("X", x),
            ("Y", y),
            ("NX", columns),
            ("NY", rows),
            ("PRSCX", EDGE),
            ("PRSCY", EDGE),
            ("OVSCX", EDGE),
            ("OVSCY", EDGE),
            ("GAIN", GAIN_E_PER_COUNT),
            ("CONAD", 1 / GAIN_E_PER_COUNT),
            ("RON", READ_NOISE_COUNTS * GAIN_E_PER_COUNT),
        )
    )
    return (
        ("EXTNAME", f"CHAN{ifu:02d}"),
        ("INHERIT", True),
        ("ESO DET CHIP NAME", f"CCD-{ifu:02d}"),
        ("ESO DET CHIP ID", f"ccd{ifu:02d}"),
        ("ESO DET CHIP DATE", "2012-01-01"),
        ("ESO DET CHIP NX", 2 * columns),
        ("ESO DET CHIP NY", 2 * rows),
        ("ESO DET CHIP LIVE", True),
        ("ESO DET BINX", 1),
        ("ESO DET BINY", 1),
        ("ESO DET OUTPUTS", 4),
        ("ESO DET CHIP OUTPUTS", 4),
        *ports,
    )

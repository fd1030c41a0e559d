"""The synthetic nights by the name of their instrument."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from esorex_bridge.definitions.spelling import instrument_name, plain_letters
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.datasets.association import Mode
    from esorex_bridge.demo.nights.night import DemoNight


class ListedNight(NamedTuple):
    """A night in the list of nights: the module and function that make it, loaded when asked for.

    Parameters
    ----------
    module, function : str
        In this package.
    shows : str
        What is reduced, in a few words.
    settings : tuple of str
        Recipe parameters with which it takes less time, as for `--set`. What its frames need, definitions say (cases).
    mode : {'Raw2Raw', 'Raw2Master'}
        Calibrations that are asked for.
    """

    module: str
    function: str
    shows: str
    settings: tuple[str, ...] = ()
    mode: Mode = "Raw2Raw"


HAWKI_QUICK = ("hawki_science_postprocess.stk_fast=fast",)
"""The same image with more memory in less time."""

NIGHTS = {
    "naco": ListedNight("naco", "naco_night", "imaging: dark, twilight flat, jitter"),
    "naco_masters": ListedNight(
        "naco_masters", "naco_masters_night", "imaging by processed dark and flat: jitter", mode="Raw2Master"
    ),
    "naco_standards": ListedNight(
        "naco_standards",
        "naco_standards_night",
        "imaging in a narrow band: dark, flats of two filters, standard star, PSF star, jitter",
    ),
    "naco_polarimetry": ListedNight(
        "naco_polarimetry",
        "naco_polarimetry_night",
        "polarimetry: dark, twilight flat, jitter through a wire grid at each of four angles",
    ),
    "naco_spectra": ListedNight(
        "naco_spectra", "naco_spectra_night", "long-slit spectra: lamp flat, arc, nodding combined"
    ),
    "hawki": ListedNight(
        "hawki",
        "hawki_night",
        "imaging: dark, jitter, one image of all detectors; flats as processed calibrations",
        HAWKI_QUICK,
    ),
    "hawki_sky": ListedNight(
        "hawki_sky", "hawki_sky_night", "imaging of a nebula: dark, object and sky beside it", HAWKI_QUICK
    ),
    "hawki_masters": ListedNight(
        "hawki", "hawki_night", "imaging by processed calibrations alone: jitter", HAWKI_QUICK, mode="Raw2Master"
    ),
    "hawki_full": ListedNight(
        "hawki_full",
        "hawki_full_night",
        "imaging, all from raws: darks, twilight flat, noise, standard field, jitter; takes minutes",
        # Quick stacking; the frames are large.
        (
            *HAWKI_QUICK,
            "hawki_standard_process.psm_niter=1",
            "hawki_standard_process.cat_icrowd=false",
            "hawki_science_process.stk_method=nearest",
            "hawki_science_process.stk_fast=fast",
            "hawki_science_process.psm_niter=1",
            "hawki_science_process.stk_cat_icrowd=false",
        ),
    ),
    "visir": ListedNight("visir", "visir_night", "imaging until 2012: dark, flat and bad pixels, chopping and nodding"),
    "visir_aquarius": ListedNight(
        "visir_aquarius",
        "visir_aquarius_night",
        "imaging since 2012: dark, flat, standard star and star in jansky",
    ),
    "visir_masks": ListedNight(
        "visir_aquarius", "visir_masks_night", "star and standard behind a mask: chopping and nodding taken off"
    ),
    "visir_spectra": ListedNight(
        "visir_spectra",
        "visir_spectra_night",
        "prism and long slit: dark, flat, star and standard star, wavelengths by the sky",
    ),
    "visir_echelle": ListedNight(
        "visir_spectra", "visir_echelle_night", "echelle: six orders of a star and of a standard star"
    ),
    "uves": ListedNight(
        "uves_raw",
        "uves_raw_night",
        "blue arm from raws alone: format check, orders, flat, arc, standard star, science in units of flux",
    ),
    "uves_guess": ListedNight(
        "uves",
        "uves_night",
        "blue arm with a table of guesses: bias, dark, orders, flat, arc, science",
        # Optimal extraction of so bright a star would leave a table without a row among the products.
        ("uves_obs_scired.reduce.extract.method=average",),
    ),
    "uves_tflat": ListedNight(
        "uves_tflat", "uves_tflat_night", "blue arm: flats through the telescope, held against an older one"
    ),
    "uves_red": ListedNight(
        "uves_raw",
        "uves_raw_red_night",
        "red arm with its two chips from raws alone, as the blue one",
    ),
    "muse": ListedNight(
        "muse",
        "muse_cube_night",
        "one IFU from raws to a cube: bias, dark, flat, standard star, two exposures, both combined",
    ),
    "muse_twilight": ListedNight(
        "muse",
        "muse_twilight_night",
        "one IFU lit unevenly: flats of the twilight sky, standard star, one exposure to a cube",
    ),
    "muse_sky": ListedNight(
        "muse",
        "muse_sky_night",
        "one IFU, a nebula that fills it: lines and continuum of the sky from an exposure beside it, to a cube",
    ),
    "muse_arcs": ListedNight(
        "muse",
        "muse_arcs_night",
        "one IFU of full size: bias, flat, arc lamp to wavelengths and profiles of lines; takes minutes",
    ),
    "muse_dark": ListedNight("muse", "muse_night", "bias and dark of all 24 IFUs in parallel"),
    "amber": ListedNight(
        "amber", "amber_night", "three telescopes: fringes of the lamp, calibrator, star to visibilities"
    ),
    "amber_h": ListedNight("amber", "amber_h_night", "as amber, in the H band"),
    "amber_j": ListedNight("amber", "amber_j_night", "as amber, in the J band"),
    "amber_full": ListedNight(
        "amber_detector", "amber_full_night", "all from raws: bad pixels and flat field of the detector, then as amber"
    ),
    "giraf": ListedNight(
        "giraf",
        "giraf_night",
        "fibre spectra: bias, dark, fibre flat, arc, science",
    ),
    "giraf_argus": ListedNight(
        "giraf_argus",
        "giraf_argus_night",
        "field of neighbouring lenses: bias, fibre flat, arc, standard star to response, science to a cube",
    ),
    "vimos": ListedNight("vimos", "vimos_night", "bias, dark of one quadrant at full size"),
    "vimos_masks": ListedNight(
        "vimos_masks",
        "vimos_masks_night",
        "a mask with fourteen slits: bias, flat and arc, standard star, stars in units of flux",
    ),
    "vimos_fibres": ListedNight(
        "vimos_fibres",
        "vimos_fibres_night",
        "integral field of one quadrant: bias, flat and arc, standard star, star in units of flux, cube",
    ),
    "vimos_full": ListedNight(
        "vimos_full",
        "vimos_full_night",
        "imaging, four quadrants, all from raws: bias, dark, twilight flat, noise, jitter, standard; takes minutes",
        # Quick stacking; the frames are large.
        (
            "vimos_ima_science.stk_method=nearest",
            "vimos_ima_science.stk_fast=fast",
            "vimos_ima_science.stk_cat_icrowd=false",
        ),
    ),
}
"""Names as on the command line."""


def night_name(text: str) -> str:
    """Return the name of a night as it stands in the list, from any of ESO's spellings: `GIRAFFE`, `HAWK-I`.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    for name in NIGHTS:
        if plain_letters(name) == plain_letters(text) or instrument_name(name) == instrument_name(text):
            return name
    raise UserError(f"there is no synthetic night '{text}'; there are: {', '.join(NIGHTS)}")


def make_night(text: str) -> DemoNight:
    """Return a night of default size, by any of ESO's spellings of its name.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    listed = NIGHTS[night_name(text)]
    module = importlib.import_module(f"esorex_bridge.demo.nights.{listed.module}")
    night: DemoNight = getattr(module, listed.function)()
    return night

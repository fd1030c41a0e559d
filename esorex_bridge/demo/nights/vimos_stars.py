"""The stars of VIMOS' nights of spectra: what they send, and what of it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from esorex_bridge.demo.nights import vimos_grism as grism
from esorex_bridge.demo.nights.vimos_grism import Light

if TYPE_CHECKING:
    from esorex_bridge.demo.nights.vimos_grism import Values

STANDARD_S, STAR_S = 30.0, 1200.0
AIRMASS, EXTINCTION_MAG = 1.15, 0.05
COUNTS_A_FLUX = 8.0
"""What arrives at 9500 angstrom: counts a second and pixel, of 1e-16 erg/s/cm**2/angstrom above the atmosphere."""
LINE_A, LINE_COUNTS = 7000.0, 20000.0
"""A line in the spectrum of the star, and the counts of its brightest row."""
STANDARD_NAME = "SYNTH-STD"


def standard_flux(wave_a: Values) -> Values:
    """Return the flux of the standard star, 1e-16 erg/s/cm**2/angstrom."""
    return 400.0 * (7500.0 / wave_a)


def star_flux(wave_a: Values) -> Values:
    """Return the flux of the star without its line, 1e-16 erg/s/cm**2/angstrom."""
    return 4.0 * (wave_a / 7500.0)


def count_flux(flux: Values, wave_a: Values, exposure_s: float) -> Values:
    """Return the counts of a star in the rows of its wavelengths: behind atmosphere, mirrors and grism."""
    seen = 10 ** (-0.4 * EXTINCTION_MAG * AIRMASS) * (0.4 + 0.6 * (wave_a - grism.FIRST_A) / 4000)
    values: Values = COUNTS_A_FLUX * flux * seen.clip(0) * exposure_s
    return values


def count_standard(wave_a: Values) -> Values:
    """Return the counts of the standard star in its exposure."""
    return count_flux(standard_flux(wave_a), wave_a, STANDARD_S)


def count_star(wave_a: Values) -> Values:
    """Return the counts of the star in its exposure, without its line."""
    return count_flux(star_flux(wave_a), wave_a, STAR_S)


STANDARD = Light(count_standard)
STAR = Light(count_star, ((LINE_A, LINE_COUNTS),))

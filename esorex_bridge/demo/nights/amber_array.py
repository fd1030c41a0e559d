"""The telescopes that feed AMBER: where they stand, what headers say of them, and how they resolve a star.

The keywords are those from which the pipeline takes the baselines; the stations are those of the VLT.
"""

from __future__ import annotations

from math import atan2, degrees, hypot, pi
from typing import Any

from esorex_bridge.demo.nights.frames import Keywords, fill_header
from esorex_bridge.demo.nights.tables import table

STATIONS = {"U1": (-9.925, -20.335), "U2": (14.887, 30.502), "U3": (44.915, 66.183)}
"""East and north of the centre of the array, metres."""
BASELINES = ((1, 2), (2, 3), (1, 3))
"""Pairs of telescopes, in the order of the pipeline."""
TELESCOPE_M = 8.2
CENTRE_M = {"ARRAYX": 1942014.1545, "ARRAYY": -5455311.818, "ARRAYZ": -2654530.4375}
LATITUDE_DEG = -24.62744
FIELD_HMS, FIELD_DMS = 100000.0, -300000.0
"""The field of all frames: 10h 00m 00s, -30d 00' 00"."""
RADIANS_PER_MAS = pi / 180 / 3600 / 1000


def baseline_m(pair: tuple[int, int]) -> float:
    """Return the length of a baseline on the ground in metres; the synthetic sky is seen from straight above."""
    return hypot(*_vector(pair))


def uniform_disc(diameter_mas: float, pair: tuple[int, int], wavelength_nm: float) -> float:
    """Return the visibility of an even disc, by the first terms of 2 J1(x)/x; the stars are small."""
    x = pi * diameter_mas * RADIANS_PER_MAS * baseline_m(pair) / (wavelength_nm * 1e-9)
    return 1 - x**2 / 8 + x**4 / 192 - x**6 / 9216


def array_keywords() -> Keywords:
    """Return what the header says of the array while it looks at the field."""
    places = tuple(
        (f"ESO ISS CONF T{number}{axis}", value)
        for number, place in enumerate(STATIONS.values(), start=1)
        for axis, value in zip("XYZ", (*place, 0.0), strict=True)
    )
    stations = tuple((f"ESO ISS CONF STATION{number}", name) for number, name in enumerate(STATIONS, start=1))
    return (
        ("ESO ISS REF RA", FIELD_HMS),
        ("ESO ISS REF DEC", FIELD_DMS),
        ("ESO ISS GEOLAT", LATITUDE_DEG),
        ("ESO ISS CONF NTEL", len(STATIONS)),
        *stations,
        *places,
        *(keyword for pair in BASELINES for keyword in _project(pair)),
        ("ESO ISS PARANG START", 1.0),
        ("ESO ISS PARANG END", 1.1),
        ("ESO DEL FT SENSOR", "NONE"),
    )


def array_geometry() -> Any:
    """Return the extension that lists the stations."""
    columns = {
        "TEL_NAME": ("16A", [f"UT{name[1]}" for name in STATIONS]),
        "STA_NAME": ("16A", list(STATIONS)),
        "STA_INDEX": ("1I", range(1, len(STATIONS) + 1)),
        "DIAMETER": ("1E", [TELESCOPE_M] * len(STATIONS)),
        "STAXYZ": ("3D", [(*place, 0.0) for place in STATIONS.values()]),
    }
    hdu = table(columns, "ARRAY_GEOMETRY")
    fill_header(hdu.header, (("ARRNAME", "ESO-VLTI"), ("FRAME", "GEOCENTRIC"), *CENTRE_M.items()))
    return hdu


def _vector(pair: tuple[int, int]) -> tuple[float, float]:
    """Return east and north of a baseline in metres."""
    (east, north), (other_east, other_north) = (list(STATIONS.values())[number - 1] for number in pair)
    return other_east - east, other_north - north


def _project(pair: tuple[int, int]) -> Keywords:
    east, north = _vector(pair)
    values = (("PBL", baseline_m(pair)), ("PBLA", degrees(atan2(east, north))))
    return tuple(
        (f"ESO ISS {name}{pair[0]}{pair[1]} {when}", value) for name, value in values for when in ("START", "END")
    )

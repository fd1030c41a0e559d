"""A synthetic HAWK-I night of a nebula that fills two detectors, with exposures of the sky beside it.

The sky cannot be measured where the nebula is: only exposures beside it tell how bright it was.
"""

from __future__ import annotations

from datetime import datetime

from esorex_bridge.datasets.association import Association, AssociationTree
from esorex_bridge.demo.nights.frames import Template
from esorex_bridge.demo.nights.hawki import (
    OFFSET_SKY,
    OFFSETS_PIX,
    SCIENCE,
    SKY_COUNTS,
    HawkiLight,
    dark_template,
    raw_frame,
)
from esorex_bridge.demo.nights.hawki_mosaic import HAWKI, Detectors
from esorex_bridge.demo.nights.hawki_statics import static_calibrations
from esorex_bridge.demo.nights.night import ArchiveFile, DemoNight, group

NEBULA_COUNTS = 400.0
SEQUENCE = (SCIENCE, OFFSET_SKY, OFFSET_SKY, SCIENCE, SCIENCE, OFFSET_SKY, OFFSET_SKY, SCIENCE)
"""What each exposure of the science template looks at."""
AWAY_PIX = (6000, 0)
"""From the nebula to the sky beside it."""
STARS = 12
"""On each detector."""


def hawki_sky_night(npix: int = 256, seed: int = 42) -> DemoNight:
    """Return the night; nothing is computed before a frame is asked for.

    Parameters
    ----------
    npix : int
        Size of each detector.
    seed : int
        Nights of different seeds differ in every pixel.
    """
    detectors = Detectors(npix, seed, STARS)
    darks = dark_template(detectors, datetime(2019, 6, 4, 18, 0))
    science = _science(detectors, datetime(2019, 6, 5, 1, 0))
    statics = static_calibrations(
        detectors, science[0].keywords, datetime(2019, 6, 3, 12, 0), fields=((0, 0), AWAY_PIX)
    )
    cascade = (group("DARK", darks), *(group(file.category, (file,), match="N/A") for file in statics))
    names = tuple(file.associated for file in science)
    tree = AssociationTree(Association("SCI_IMG_JITTER", names, cascade), "Raw2Raw")
    return DemoNight(f"hawki-sky-{npix}pix-seed{seed}", HAWKI.name, (*darks, *science, *statics), (tree,))


def _science(detectors: Detectors, start: datetime) -> tuple[ArchiveFile, ...]:
    template = Template("HAWKI_img_obs_GenericOffset", start, len(SEQUENCE), 200100102, "SYNTH-002")
    return tuple(
        raw_frame(detectors, template, number, dpr, "SYNTH-NEBULA", _light(number, dpr))
        for number, dpr in enumerate(SEQUENCE, start=1)
    )


def _light(number: int, dpr: tuple[str, str, str]) -> HawkiLight:
    sky, offset = SKY_COUNTS + 10 * number, OFFSETS_PIX[number - 1]
    if dpr == SCIENCE:
        return HawkiLight(sky, offset, nebula=NEBULA_COUNTS)
    return HawkiLight(sky, offset, field=AWAY_PIX)

"""A template's frames: exposures at an even pace, each with the header and the pixels that its instrument gives it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from esorex_bridge.demo.nights.frames import Exposure, Instrument, Keywords, Template, exposure_times, primary_keywords
from esorex_bridge.demo.nights.night import ArchiveFile

if TYPE_CHECKING:
    import numpy as np

FIELD = (150.0, -30.0)
"""Pointing of all frames, degrees."""


class FrameSeries(Struct, frozen=True):
    """The exposures of one template.

    Parameters
    ----------
    instrument : Instrument
        Taken with.
    template : Template
        Its name, start and number of exposures.
    category : str
        The tag in a SOF.
    dpr : tuple of str
        `DPR CATG`, `DPR TYPE`, `DPR TECH`.
    dit_s : float
        Integration time in seconds.
    target : str
        `OBJECT`; `DPR TYPE` by default, as for calibrations.
    spacing_s : float
        From the start of one exposure to that of the next.
    """

    instrument: Instrument
    template: Template
    category: str
    dpr: tuple[str, str, str]
    dit_s: float
    target: str = ""
    spacing_s: float = 60.0

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """The exposures in the order of their taking."""
        times = exposure_times(self.template.start, self.template.exposures, self.spacing_s)
        return tuple(
            Exposure(
                self.instrument,
                self.template,
                number,
                start,
                self.dit_s,
                self.dpr,
                self.target or self.dpr[1],
                *FIELD,
            )
            for number, start in enumerate(times, start=1)
        )


def frames(
    series: FrameSeries,
    keywords: Callable[[Exposure], Keywords],
    stream: Callable[[Keywords, Exposure], bytes],
    estimated_bytes: int,
) -> tuple[ArchiveFile, ...]:
    """Return the frames of a series; nothing is computed before one is asked for.

    Parameters
    ----------
    series : FrameSeries
        What was exposed.
    keywords : callable
        Returns what the instrument adds to the primary header of an exposure.
    stream : callable
        Returns the FITS stream for a whole primary header.
    estimated_bytes : int
        Size of a frame as listings state it.
    """
    found = []
    for exposure in series.exposures:
        header = primary_keywords(exposure, keywords(exposure))
        build = partial(stream, header, exposure)
        found.append(ArchiveFile(exposure.dp_id, series.category, header, build, estimated_bytes))
    return tuple(found)


def noise(seed: int, exposure: Exposure, *more: int) -> np.random.Generator:
    """Return the random numbers of an exposure (and chip), the same whenever they are asked for."""
    import numpy as np

    return np.random.default_rng([seed, zlib.crc32(exposure.dp_id.encode()), *more])

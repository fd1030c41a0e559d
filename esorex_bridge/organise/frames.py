"""Files as rules see them: header, keywords given by classification, and the place within a template."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from esorex_bridge.definitions.oca.classify import Classified, Classifier
from esorex_bridge.definitions.oca.evaluate import Keywords
from esorex_bridge.definitions.oca.rules import TECHNIQUE, Rules, keywords_of, keywords_of_last
from esorex_bridge.files import DpId, stem
from esorex_bridge.fits.card import Value

_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
_SECONDS_PER_DAY = 86400.0

ALWAYS_READ = (
    "INSTRUME",
    "MJD-OBS",
    "DATE-OBS",
    "DPR.CATG",
    "DPR.TYPE",
    "DPR.TECH",
    "PRO.CATG",
    "TPL.START",
    "TPL.ID",
    "TPL.EXPNO",
    "OBS.ID",
    "OBS.NAME",
    "OBS.TARG.NAME",
    "INS.MODE",
    "ARCFILE",
)
"""Keywords needed of every file, whatever the rules look at."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A file, or a product to come, with all keywords that rules can ask for. Compared by identity.

    Parameters
    ----------
    name : str
        The file's name without its FITS ending.
    path : Path or None
        Where it lies; None for a product that a recipe is still to make.
    keywords : mapping
        Header, keywords given by the rules, and the marks of its template (`SIG.TEMPLATE`, `LF.DO.CATG`).
    classified : Classified
        What the rules say of it.
    time : float
        MJD of the observation; infinite where the header has neither MJD-OBS nor DATE-OBS.
    """

    name: DpId
    path: Path | None
    keywords: Keywords = field(repr=False)
    classified: Classified = field(repr=False)
    time: float

    @property
    def category(self) -> str:
        """The tag it has in a SOF; empty where no rule gives one."""
        return self.classified.category or ""

    @property
    def instrument(self) -> str:
        """FITS INSTRUME; empty where the header has none."""
        return str(self.keywords.get("INSTRUME") or "")

    @property
    def is_target(self) -> bool:
        """Whether the rules make it the seed of a dataset (`REFLEX.TARGET = "T"`)."""
        return self.keywords.get("REFLEX.TARGET") in ("T", True)

    @property
    def is_science(self) -> bool:
        """Whether its header says that it is a raw science frame."""
        return self.keywords.get("DPR.CATG") == "SCIENCE" and not self.keywords.get("PRO.CATG")


def wanted_keywords(rules: Rules, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the keywords to read of every file so that it can be organised by rules."""
    return tuple(dict.fromkeys((*ALWAYS_READ, *keywords_of(rules), *more)))


def frames_of(headers: Mapping[Path, Keywords], rules: Rules) -> tuple[Frame, ...]:
    """Classify files and return them in the order of time, then name."""
    classify = Classifier(rules)
    frames = []
    for path, header in headers.items():
        classified = classify(header)
        frames.append(Frame(stem(path.name), path, {**header, **classified.given}, classified, time_of(header)))
    return _with_template_marks(sorted(frames, key=order), keywords_of_last(rules))


def order(frame: Frame) -> tuple[float, str, str]:
    """Return the sort key of frames: time, name, folder."""
    return frame.time, frame.name, str(frame.path)


def time_of(keywords: Keywords) -> float:
    """Return the MJD of an observation, from MJD-OBS or else DATE-OBS; infinite where neither can be read."""
    mjd = keywords.get("MJD-OBS")
    if isinstance(mjd, (int, float)) and not isinstance(mjd, bool) and math.isfinite(mjd):
        return float(mjd)
    date = keywords.get("DATE-OBS")
    if not isinstance(date, str):
        return math.inf
    try:
        moment = datetime.fromisoformat(date.strip())
    except ValueError:
        return math.inf
    return (moment.replace(tzinfo=UTC) - _MJD_EPOCH).total_seconds() / _SECONDS_PER_DAY


def template_of(frame: Frame) -> tuple[Value, ...]:
    """Return what frames of one template share: its start and name; the frame's own name where it has none."""
    start = frame.keywords.get("TPL.START")
    return (frame.name,) if start is None else (start, frame.keywords.get("TPL.ID"), frame.instrument)


def _with_template_marks(frames: list[Frame], of_last: tuple[str, ...]) -> tuple[Frame, ...]:
    """Give frames the marks that Gasgano's rules look at: its template is complete, and what its last file is.

    `SIG.TEMPLATE` and `SIG.FRAME` are signals of the on-line system (a template, a frame has arrived); with files on
    disk both are always there. `LF.X` is keyword X of the last file of the template. `SIG.TECHNIQUE` is our own.
    """
    last: dict[tuple[Value, ...], Keywords] = {}
    for frame in sorted(frames, key=_exposure_order):
        last[_series_of(frame)] = frame.keywords
    marked = []
    for frame in frames:
        final = last[_series_of(frame)]
        marks: Keywords = {
            "SIG.TEMPLATE": 1,
            "SIG.FRAME": 1,
            TECHNIQUE: _technique(frame),
            **{f"LF.{name}": final.get(name) for name in of_last},
        }
        marked.append(Frame(frame.name, frame.path, {**frame.keywords, **marks}, frame.classified, frame.time))
    return tuple(marked)


def _series_of(frame: Frame) -> tuple[Value, ...]:
    """Return the template of a raw; a product keeps the cards of the raw that it was made from, and is alone."""
    return (frame.name,) if frame.keywords.get("PRO.CATG") else template_of(frame)


def _technique(frame: Frame) -> str | None:
    told = frame.keywords.get("DPR.TECH")
    return told.split(",")[0].strip() if isinstance(told, str) else None


def _exposure_order(frame: Frame) -> tuple[float, float, str]:
    """Order within a template: by exposure number where there is one, since clocks jump."""
    number = frame.keywords.get("TPL.EXPNO")
    return (float(number) if isinstance(number, (int, float)) else 0.0, frame.time, frame.name)

"""Which rule file is for which instrument: INSTRUME decides first.

None of the pipelines' own rule files tests INSTRUME when it classifies, so in a mixed folder one instrument's rules
would take other instruments' files for its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from esorex_bridge.definitions.spelling import canonical_instrument

PATTERNS = (
    "esopipes/*/reflex/*.oca",
    "reflex/workflows/*/*.oca",
    "cpl-plugins/*/gasgano/config/*.oca",
    "esopipes/*/gasgano/config/*.oca",
)
"""Where pipelines put their rules below a prefix's `share` folder; those made for Reflex first."""

_NAMES = {
    "NAOS+CONICA": ("naco",),
    "SHOOT": ("xsh", "xshooter"),
    "XSHOOTER": ("xsh", "xshooter"),
    "GIRAFFE": ("giraf", "giraffe"),
    "CRIRES": ("cr2re", "crires", "crire"),
    "SINFONI": ("sinfo", "sinfoni"),
    "SPHERE": ("spher", "sphere"),
    "EFOSC": ("efosc", "efosc2"),
    "GRAVITY": ("gravity", "gravi"),
    "FORS1": ("fors",),
    "FORS2": ("fors",),
    "MATISSE": ("matisse", "mati"),
    "ESPRESSO": ("espresso", "espdr"),
    "HARPS": ("harps", "espdr"),
}
"""Names of rule files and pipelines, where they are not that of the instrument."""

_PREFIXES = {"NAOS+CONICA": "NACO", "SHOOT": "XSHOO", "GIRAFFE": "GIRAF", "SPHERE": "SPHER", "SINFONI": "SINFO"}


def rule_file(instrument: str, files: Iterable[Path]) -> Path | None:
    """Return the rule file for an instrument.

    Parameters
    ----------
    instrument : str
        FITS INSTRUME, in whatever spelling (`NAOS+CONICA`, `EMMI/2.3`, lower case).
    files : iterable of Path
        The rule files that are installed, the preferred ones first.
    """
    name = canonical_instrument(instrument)
    wanted = _NAMES.get(name, (name.lower(),))
    known = tuple(files)
    for word in wanted:
        for path in known:
            if path.stem.lower().removesuffix("_wkf") == word or _pipeline(path) == word:
                return path
    return None


def archive_prefix(instrument: str) -> str:
    """Return the beginning of an instrument's dp_ids (`NACO` for NAOS+CONICA)."""
    name = canonical_instrument(instrument)
    return _PREFIXES.get(name, name)


def _pipeline(path: Path) -> str:
    """Return the name of the pipeline in whose folder (`naco-4.4.11`) a rule file lies."""
    return next(
        (
            part.rpartition("-")[0].lower()
            for part in reversed(path.parts[:-1])
            if "-" in part and part.rpartition("-")[2][:1].isdigit()
        ),
        "",
    )

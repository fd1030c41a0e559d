"""Names of instruments as ESO writes them: `HAWK-I`, `hawki`, `GIRAFFE`, `giraf`, `X-shooter`, `CRIRES+`."""

from __future__ import annotations

INSTRUMENTS = {
    "NACO": "NAOS+CONICA",
    "SPHER": "SPHERE",
    "GRAVI": "GRAVITY",
    "MATIS": "MATISSE",
    "PIONI": "PIONIER",
    "SINFO": "SINFONI",
    "ESPRE": "ESPRESSO",
    "CRIRE": "CRIRES",
    "XSHOO": "XSHOOTER",
    "OMEGA": "OMEGACAM",
    "GIRAF": "GIRAFFE",
    "VIMO": "VIMOS",
}
"""Common names and dp_id prefixes whose INSTRUME keyword is different."""

KNOWN_INSTRUMENTS = (
    *sorted(set(INSTRUMENTS.values())),
    "AMBER",
    "EFOSC",
    "ERIS",
    "FORS1",
    "FORS2",
    "HARPS",
    "HAWKI",
    "ISAAC",
    "KMOS",
    "MIDI",
    "MUSE",
    "NIRPS",
    "SOFI",
    "UVES",
    "VIRCAM",
    "VISIR",
)
"""Values of INSTRUME; others are asked for too."""


def canonical_instrument(instrument: str) -> str:
    """Return INSTRUME in capitals, without a version behind a slash."""
    return instrument.strip().upper().partition("/")[0]


def plain_letters(name: str) -> str:
    """Return a name without what is no letter or digit, in capitals: how names are written differs in just that."""
    return "".join(letter for letter in name.upper() if letter.isalnum())


_INSTRUMES = {
    **{plain_letters(name): name for name in KNOWN_INSTRUMENTS},
    **INSTRUMENTS,
}


def instrument_name(name: str) -> str:
    """Return the INSTRUME of an instrument by its common name, in any of ESO's spellings, or by its dp_id prefix.

    >>> instrument_name("naco"), instrument_name("HAWK-I"), instrument_name("giraffe")
    ('NAOS+CONICA', 'HAWKI', 'GIRAFFE')
    """
    return _INSTRUMES.get(plain_letters(name), name.upper())


def instrument_names(name: str) -> tuple[str, ...]:
    """Return INSTRUME and dp_id prefix of an instrument, as definitions list them; one where they are the same."""
    instrume = instrument_name(name)
    return (instrume, *(prefix for prefix, whole in INSTRUMENTS.items() if whole == instrume))

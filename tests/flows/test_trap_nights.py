"""Nights with a trap each: calibrations that look right and are not, planned by trees, by rules, and by both.

Frames are headers without pixels of NACO, whose rules are those of the installed pipeline.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from msgspec import Struct

from esorex_bridge.definitions.installed_rules import installed_rules
from esorex_bridge.organise.organised_data import By
from esorex_bridge.plan.plan import FileInput, Plan, ProductInput, Step
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from tests.tiny_fits import Value, write_night

pytestmark = pytest.mark.skipif(installed_rules("NAOS+CONICA") is None, reason="the NACO pipeline is not installed")

Kind = Literal["science", "sky", "flat", "dark", "spectrum", "spectral flat", "standard"]

KINDS: dict[Kind, tuple[str, dict[str, Value]]] = {
    "science": ("IM_JITTER_OBJ", {"DPR.CATG": "SCIENCE", "DPR.TYPE": "OBJECT", "DPR.TECH": "IMAGE,JITTER"}),
    "sky": ("IM_JITTER_SKY", {"DPR.CATG": "SCIENCE", "DPR.TYPE": "SKY", "DPR.TECH": "IMAGE,JITTER"}),
    "flat": ("CAL_FLAT_TW", {"DPR.CATG": "CALIB", "DPR.TYPE": "FLAT,SKY", "DPR.TECH": "IMAGE"}),
    "dark": ("CAL_DARK", {"DPR.CATG": "CALIB", "DPR.TYPE": "DARK", "DPR.TECH": "IMAGE"}),
    "spectrum": ("SPEC_NODDING", {"DPR.CATG": "SCIENCE", "DPR.TYPE": "OBJECT", "DPR.TECH": "SPECTRUM,NODDING"}),
    "spectral flat": ("CAL_FLAT_SPEC", {"DPR.CATG": "CALIB", "DPR.TYPE": "FLAT,LAMP", "DPR.TECH": "SPECTRUM"}),
    "standard": ("CAL_STD_JITTER", {"DPR.CATG": "CALIB", "DPR.TYPE": "STD", "DPR.TECH": "IMAGE,JITTER"}),
}

SETTING: dict[str, Value] = {
    "DET.DIT": 2.0,
    "DET.NCORRS.NAME": "Double_RdRstRd",
    "DET.MODE.NAME": "HighDynamic",
    "DET.WIN.NX": 1024,
    "DET.WIN.NY": 1024,
    "INS.OPTI1.ID": "Slit_172",
    "INS.OPTI5.NAME": "empty",
    "INS.OPTI6.NAME": "H",
    "INS.OPTI7.NAME": "S27",
    "INS.CWLEN": 2.2,
    "SEQ.SPECMODE": "S27-3-SK",
}
FILTERS = ("INS.OPTI5.NAME", "INS.OPTI6.NAME", "INS.OPTI7.NAME", "INS.OPTI1.ID")
MIDNIGHT = 57449.1


class Template(Struct, frozen=True):
    """Frames of one template, `number` of each setting, named by `name` and the place within."""

    name: str
    kind: Kind
    settings: tuple[dict[str, Value], ...] = ({},)
    days: float = 0.0
    number: int = 3
    below: str = ""
    """The template under which a tree has it; the science by default."""

    def frames(self) -> Iterator[tuple[str, str, dict[str, Value]]]:
        """Yield name, category and header of each frame."""
        category, kind = KINDS[self.kind]
        start = f"2016-03-02T00:00:00.{abs(hash_of(self.name)) % 10000:04}"
        for place, setting in enumerate(setting for setting in self.settings for _ in range(self.number)):
            header = {
                "INSTRUME": "NAOS+CONICA",
                "MJD-OBS": MIDNIGHT + self.days + place / 1440,
                "TPL.START": start,
                "TPL.ID": self.kind,
                "TPL.EXPNO": place + 1,
                "OBS.TARG.NAME": "TRAP",
                **kind,
                **SETTING,
                **setting,
            }
            yield f"NACO.{self.name}.{place}", category, header


def hash_of(text: str) -> int:
    """Return a number that is the same in every run, as `hash` is not."""
    return sum(ord(letter) * (31**place) for place, letter in enumerate(text))


class Expected(Struct, frozen=True):
    """What a step of a setting takes: for each tag the template that its calibration is made of, or None."""

    recipe: str
    setting: tuple[str, Value]
    takes: dict[str, str | None]


class Trap(Struct, frozen=True):
    """A night, and what is to come of it.

    Parameters
    ----------
    templates : tuple of Template
        The first is the science.
    expected : tuple of Expected
        Steps and what they take.
    reasons : dict of str to (str, str)
        By tree: for a template the reason why none of its frames is used, and words of the detail.
    incomplete : tuple of By
        Ways by which the science cannot be reduced.
    """

    templates: tuple[Template, ...]
    expected: tuple[Expected, ...]
    reasons: dict[str, tuple[str, str]] = {}
    incomplete: tuple[By, ...] = ()


def jitter(flat: str | None, dark: str | None = None, setting: tuple[str, Value] = ("INS.OPTI6.NAME", "H")) -> Expected:
    return Expected("naco_img_jitter", setting, {"MASTER_IMG_FLAT": flat, "NACO_IMG_DARK_AVG": dark})


KS, LONG = {"INS.OPTI6.NAME": "Ks"}, {"DET.DIT": 10.0}
NARROW = {"INS.OPTI5.NAME": "NB_2.17", "INS.OPTI6.NAME": "empty"}
OTHER_NARROW = {"INS.OPTI5.NAME": "NB_2.12", "INS.OPTI6.NAME": "empty"}
FOWLER = {"DET.NCORRS.NAME": "FowlerNsamp"}
WIDE: dict[str, Value] = {"INS.OPTI1.ID": "Slit_86"}
WINDOW: dict[str, Value] = {"DET.WIN.NX": 512, "DET.WIN.NY": 512}
CAMERA, SENSITIVE = {"INS.OPTI7.NAME": "S13"}, {"DET.MODE.NAME": "HighSensitivity"}
UNKNOWN: dict[str, Value] = {"DET.NCORRS.NAME": None}
HAWKI: dict[str, Value] = {"INSTRUME": "HAWKI"}

TRAPS = {
    "two filters": Trap(
        (
            Template("science", "science", ({}, KS)),
            Template("flat-h", "flat", days=-0.3),
            Template("flat-ks", "flat", (KS,), days=-0.2),
        ),
        (jitter("flat-h"), jitter("flat-ks", setting=("INS.OPTI6.NAME", "Ks"))),
    ),
    "two exposure times": Trap(
        (
            Template("science", "science", ({}, LONG)),
            Template("flat", "flat", days=-0.3),
            Template("dark-2", "dark", days=0.3),
            Template("dark-10", "dark", (LONG,), days=0.4),
        ),
        (jitter("flat", "dark-2", ("DET.DIT", "2")), jitter("flat", "dark-10", ("DET.DIT", "10"))),
    ),
    "two read-outs": Trap(
        (
            Template("science", "science", (FOWLER,)),
            Template("flat", "flat", days=-0.3),
            Template("dark-near", "dark", days=0.1),
            Template("dark-far", "dark", (FOWLER,), days=0.5),
        ),
        (jitter("flat", "dark-far"),),
        {"dark-near": ("setting differs", "DET.NCORRS.NAME Double_RdRstRd ≠ FowlerNsamp")},
    ),
    "two slits": Trap(
        (
            Template("science", "spectrum", number=4),
            Template("flat-wide", "spectral flat", (WIDE,), days=0.1),
            Template("flat-right", "spectral flat", days=0.5),
        ),
        (Expected("naco_spc_combine", ("INS.OPTI1.ID", "Slit_172"), {"MASTER_SPC_FLAT": "flat-right"}),),
        {"flat-wide": ("setting differs", "INS.OPTI1.ID Slit_86 ≠ Slit_172")},
    ),
    "the next night's calibrations": Trap(
        (
            Template("science", "science"),
            Template("flat-before", "flat", days=-0.9),
            Template("flat-after", "flat", days=0.6),
        ),
        (jitter("flat-after"),),
        {"flat-before": ("over the limit", "MASTER_IMG_FLAT")},
    ),
    "the wrong filter only": Trap(
        (Template("science", "science"), Template("flat-ks", "flat", (KS,))),
        (),
        incomplete=("oca",),
    ),
    "no darks": Trap(
        (Template("science", "science"), Template("flat", "flat", days=-0.3)),
        (jitter("flat"),),
    ),
    "a narrow band in another wheel": Trap(
        (
            Template("science", "science", (NARROW,)),
            Template("flat-broad", "flat", (KS,), days=0.1),
            Template("flat-other", "flat", (OTHER_NARROW,), days=0.2),
            Template("flat-right", "flat", (NARROW,), days=0.9),
        ),
        (jitter("flat-right", setting=("INS.OPTI5.NAME", "NB_2.17")),),
        {
            "flat-broad": ("setting differs", "INS.OPTI5.NAME empty ≠ NB_2.17"),
            "flat-other": ("setting differs", "INS.OPTI5.NAME NB_2.12 ≠ NB_2.17"),
        },
    ),
    "flats of two filters in one template": Trap(
        (Template("science", "science"), Template("flats", "flat", (KS, {}), days=-0.3)),
        (jitter("flats"),),
    ),
    "flats of another exposure time": Trap(
        (Template("science", "science", (LONG,)), Template("flat", "flat", days=-0.3)),
        (jitter("flat", setting=("DET.DIT", "10")),),
    ),
    "a standard in another filter": Trap(
        (
            Template("science", "science"),
            Template("standard", "standard", (KS,), days=0.01),
            Template("flat-h", "flat", days=-0.3),
            Template("flat-ks", "flat", (KS,), days=-0.2, below="standard"),
        ),
        (jitter("flat-h"),),
    ),
    "a window": Trap(
        (
            Template("science", "science", (WINDOW,)),
            Template("flat-full", "flat", days=-0.1),
            Template("flat-window", "flat", (WINDOW,), days=-0.5),
            Template("dark-full", "dark", days=0.1),
            Template("dark-window", "dark", (WINDOW,), days=0.5),
        ),
        (jitter("flat-window", "dark-window"),),
        {
            "flat-full": ("setting differs", "DET.WIN.NX 1024 ≠ 512"),
            "dark-full": ("setting differs", "DET.WIN.NY 1024 ≠ 512"),
        },
    ),
    "templates over midnight": Trap(
        (
            Template("science", "science"),
            Template("flat", "flat", days=-0.1 - 1.5 / 1440),
            Template("dark", "dark", days=0.9 - 1.5 / 1440),
        ),
        (jitter("flat", "dark"),),
    ),
    "calibrations of the next night only": Trap(
        (Template("science", "science"), Template("flat", "flat", days=0.9), Template("dark", "dark", days=1.4)),
        (jitter("flat", "dark"),),
    ),
    "another mode of the detector": Trap(
        (
            Template("science", "science", (SENSITIVE,)),
            Template("flat", "flat", days=-0.3),
            Template("dark-near", "dark", days=0.1),
            Template("dark-right", "dark", (SENSITIVE,), days=0.5),
        ),
        (jitter("flat", "dark-right"),),
        {"dark-near": ("setting differs", "DET.MODE.NAME HighDynamic ≠ HighSensitivity")},
    ),
    "another camera": Trap(
        (
            Template("science", "science", (CAMERA,)),
            Template("flat-near", "flat", days=-0.1),
            Template("flat-right", "flat", (CAMERA,), days=-0.5),
        ),
        (jitter("flat-right"),),
        {"flat-near": ("setting differs", "INS.OPTI7.NAME S27 ≠ S13")},
    ),
    "two groups of flats with a dark each": Trap(
        (
            Template("science", "science", ({}, KS)),
            Template("flats", "flat", ({}, {**KS, **LONG}), days=-0.3),
            Template("darks", "dark", ({}, LONG), days=0.3, below="flats"),
        ),
        (jitter("flats", "darks"), jitter("flats", "darks", ("INS.OPTI6.NAME", "Ks"))),
    ),
    "a flat of spectra beside images": Trap(
        (
            Template("science", "science"),
            Template("spectral", "spectral flat", days=0.01),
            Template("flat", "flat", days=-0.3),
        ),
        (jitter("flat"),),
        {"spectral": ("its maker is not needed", "no step takes MASTER_SPC_FLAT")},
    ),
    "too few darks nearby": Trap(
        (
            Template("science", "science"),
            Template("flat", "flat", days=-0.3),
            Template("dark-two", "dark", days=0.1, number=2),
            Template("dark-three", "dark", days=0.9),
        ),
        (jitter("flat", "dark-three"),),
        {"dark-two": ("group too small", "2 < 3")},
    ),
    "a dark that does not say its read-out": Trap(
        (
            Template("science", "science"),
            Template("flat", "flat", days=-0.3),
            Template("dark", "dark", (UNKNOWN,), days=0.1),
        ),
        (jitter("flat", "dark"),),
    ),
    "a dark of another instrument": Trap(
        (
            Template("science", "science"),
            Template("flat", "flat", days=-0.3),
            Template("foreign", "dark", (HAWKI,), days=0.1),
        ),
        (jitter("flat"),),
        {"foreign": ("another instrument", "INSTRUME HAWKI, not NAOS+CONICA")},
    ),
    "a dark of another instrument nearer than its own": Trap(
        (
            Template("science", "science"),
            Template("flat", "flat", days=-0.3),
            Template("foreign", "dark", (HAWKI,), days=0.01),
            Template("dark", "dark", days=0.3),
        ),
        (jitter("flat", "dark"),),
        {"foreign": ("another instrument", "INSTRUME HAWKI, not NAOS+CONICA")},
    ),
}


def tree_of(templates: tuple[Template, ...]) -> str:
    """Return the tree of calSelector for a night: all calibrations under the science, or where they say."""

    def group(template: Template, top: bool = False) -> str:
        files = "".join(f'<file category="{category}" name="{name}"/>' for name, category, _ in template.frames())
        mine = (other for other in templates[1:] if (other.below or templates[0].name) == template.name)
        mark = 'mode="Raw2Raw"' if top else 'match="calib_plan"'
        attributes = f'category="{template.kind.upper()}" certified="true" complete="true" {mark} type="main"'
        below = "".join(map(group, mine))
        return (
            f"<association {attributes}><mainFiles>{files}</mainFiles><messages/>"
            f"<associatedFiles>{below}</associatedFiles></association>"
        )

    return f'<?xml version="1.0" encoding="UTF-8"?>\n{group(templates[0], top=True)}'


def planned(trap: Trap, by: By, root: Path, match: str = "calib_plan", quality: int | None = None) -> Plan:
    """Return the plan of the trap's science; `match` is what the tree says of all calibrations."""
    folder = root / "reflex_input" / "data_with_raw_calibs"
    write_night(folder, {name: header for template in trap.templates for name, _, header in template.frames()})
    (folder / "NACO.science.0.xml").write_text(tree_of(trap.templates).replace("calib_plan", match))
    with Session(Settings(root, by=by, quality=quality)) as session:
        plans = [plan for _, plan in session.planning.plan_datasets()]
    (found,) = (plan for plan in plans if plan.dataset.startswith("NACO.science"))
    return found


def template_of(step: Step) -> str:
    return next(entry.name for entry in step.inputs if isinstance(entry, FileInput)).split(".")[1]


def makers_of(plan: Plan, step: Step, tag: str) -> list[Step]:
    """Return the steps whose products a step takes under a tag."""
    made = (entry for entry in step.inputs if isinstance(entry, ProductInput) and entry.category == tag)
    return [plan.step(entry.step) for entry in made]


def taken(plan: Plan, step: Step, tag: str) -> list[str]:
    """Return the templates from which what a step takes under a tag is made."""
    return [template_of(maker) for maker in makers_of(plan, step, tag)]


@pytest.mark.parametrize("by", ["calselector", "oca", "both"])
@pytest.mark.parametrize("name", TRAPS)
def test_each_step_gets_the_calibration_of_its_own_setting(name: str, by: By, tmp_path: Path) -> None:
    trap = TRAPS[name]
    plan = planned(trap, by, tmp_path)
    assert (plan.incomplete != ()) == (by in trap.incomplete), plan.incomplete
    for expected in trap.expected:
        (step,) = (each for each in plan.steps if each.recipe == expected.recipe and expected.setting in each.setup)
        for tag, template in expected.takes.items():
            assert taken(plan, step, tag) == ([template] if template else []), tag
            for maker in makers_of(plan, step, tag):
                mine, its = dict(step.setup), dict(maker.setup)
                assert all(mine[key] == its[key] for key in FILTERS if key in mine and key in its)


@pytest.mark.parametrize("name", [name for name, trap in TRAPS.items() if trap.reasons])
def test_what_a_tree_names_and_nobody_takes_has_its_reason(name: str, tmp_path: Path) -> None:
    trap = TRAPS[name]
    plan = planned(trap, "calselector", tmp_path)
    for template, (reason, words) in trap.reasons.items():
        found = [each for each in plan.not_used if each.name.split(".")[1] == template]
        assert len(found) == next(each.number for each in trap.templates if each.name == template), template
        assert {each.reason for each in found} == {reason}
        assert all(words in each.detail for each in found)


def test_a_wrong_filter_is_refused_by_rules_and_kept_with_a_warning_where_calselector_put_it(tmp_path: Path) -> None:
    trap = TRAPS["the wrong filter only"]
    ruled = planned(trap, "oca", tmp_path / "rules")
    assert any("MASTER_IMG_FLAT" in text for text in ruled.incomplete)
    treed = planned(trap, "calselector", tmp_path / "tree")
    (step,) = (each for each in treed.steps if each.recipe == "naco_img_jitter")
    assert taken(treed, step, "MASTER_IMG_FLAT") == ["flat-ks"]
    assert any("INS.OPTI6.NAME Ks ≠ H" in text for text in step.warnings)


def test_a_step_without_darks_says_so(tmp_path: Path) -> None:
    plan = planned(TRAPS["no darks"], "both", tmp_path)
    assert any("made without NACO_IMG_DARK_AVG" in text for step in plan.steps for text in step.warnings)


def test_no_more_than_the_frames_of_a_template_over_midnight_are_in_its_step(tmp_path: Path) -> None:
    plan = planned(TRAPS["templates over midnight"], "oca", tmp_path)
    for recipe, tag in (("naco_img_twflat", "CAL_FLAT_TW"), ("naco_img_dark", "CAL_DARK")):
        (step,) = (each for each in plan.steps if each.recipe == recipe)
        assert sum(entry.category == tag for entry in step.inputs) == 3


@pytest.mark.parametrize(("setting", "frames"), [({}, 6), (KS, 3)])
def test_skies_below_the_science_go_with_it_in_the_same_filter_alone(
    setting: dict[str, Value], frames: int, tmp_path: Path
) -> None:
    templates = (
        Template("science", "science"),
        Template("sky", "sky", (setting,), days=0.01),
        Template("flat", "flat", days=-0.3),
    )
    plan = planned(Trap(templates, ()), "calselector", tmp_path)
    (step,) = (each for each in plan.steps if each.recipe == "naco_img_jitter")
    assert sum(isinstance(entry, FileInput) for entry in step.inputs) == frames
    assert len([each for each in plan.not_used if each.category == "IM_JITTER_SKY"]) == 6 - frames


@pytest.mark.parametrize("by", ["calselector", "oca", "both"])
def test_a_dark_of_forty_days_is_said_to_be_one_and_refused_above_the_quality_asked_for(by: By, tmp_path: Path) -> None:
    trap = Trap(
        (Template("science", "science"), Template("flat", "flat", days=-0.3), Template("dark", "dark", days=40)), ()
    )
    (step,) = (each for each in planned(trap, by, tmp_path / "any").steps if each.target)
    (dark,) = (each for each in step.associations if each.category == "NACO_IMG_DARK_AVG")
    assert (dark.days, dark.level) == (pytest.approx(40, abs=0.01), 2)
    assert any("40.0 days away is of level 2" in text for text in step.warnings)
    (strict,) = (each for each in planned(trap, by, tmp_path / "good", quality=1).steps if each.target)
    assert "NACO_IMG_DARK_AVG" not in {each.category for each in strict.associations}
    assert any("made without NACO_IMG_DARK_AVG" in text for text in strict.warnings)


def test_a_standard_gets_the_flat_of_its_own_filter(tmp_path: Path) -> None:
    plan = planned(TRAPS["a standard in another filter"], "calselector", tmp_path)
    (step,) = (each for each in plan.steps if each.recipe == "naco_img_zpoint")
    assert taken(plan, step, "MASTER_IMG_FLAT") == ["flat-ks"]


def test_an_extended_association_is_told_and_refused_above_the_quality_asked_for(tmp_path: Path) -> None:
    trap = TRAPS["no darks"]
    told = planned(trap, "calselector", tmp_path, "extended")
    (step,) = (each for each in told.steps if each.target)
    assert [(each.match, each.level) for each in step.associations] == [("extended", 1)] * 2
    assert any("0.3 days away is of the extended calibration plan" in text for text in step.warnings)
    assert any(
        "level 1 is above 0" in text for text in planned(trap, "calselector", tmp_path, "extended", 0).incomplete
    )

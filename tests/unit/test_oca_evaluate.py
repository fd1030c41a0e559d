from __future__ import annotations

from pathlib import Path

import pytest

from esorex_bridge.definitions.oca.classify import Classifier
from esorex_bridge.definitions.oca.evaluate import holds, objections
from esorex_bridge.definitions.oca.grammar import parse_expression, parse_rules
from esorex_bridge.fits.card import Value

PIPELINES = Path("/usr/share/cpl-plugins")


def rules_of(pipeline: str):
    found = sorted(PIPELINES.glob(f"{pipeline}-*/gasgano/config/{pipeline}.oca"))
    if not found:
        pytest.skip(f"the {pipeline} pipeline is not installed")
    return parse_rules(found[-1].read_text(errors="replace"), found[-1].name)


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        ("DET.DIT == 2", True),
        ("DET.DIT == 2.0", True),
        ("TEXT == 2", True),
        ('TEXT == "2"', False),
        ('TEXT == "2.0"', True),
        ("DET.DIT != 2", False),
        ("DET.DIT < 3", True),
        ('"a" < "b"', True),
        ("DET.DIT < TEXT + 1", True),
        ("GONE == 2", False),
        ("GONE < 2", False),
        ("GONE != 2", True),
        ("GONE == AWAY", False),
        ("GONE ?= 2", True),
        ("2 ?= GONE", True),
        ("DET.DIT ?= 3", False),
        ("FLAG == T", True),
        ('FLAG == "T"', True),
        ("FLAG == 1", True),
        ("FLAG", True),
        ("NONE == F", False),
        ("NONE is undefined", True),
        ("GONE is undefined", True),
        ("GONE is null", True),
        ("TYPE is string", True),
        ("DET.DIT is string", False),
        ('TYPE like "%FLAT%"', True),
        ('TYPE like "FLAT"', False),
        ('TYPE like "LAMP,FLAT"', True),
        ('TYPE like "L_MP%"', False),
        ('GONE like "%"', False),
        ('TYPE regexp "LAMP.*"', True),
        ('TYPE regexp "LAMP"', False),
        ('DET.DIT like "2"', True),
        ("DET.DIT between 1 and 2", True),
        ("DET.DIT between 2.5 and 3", False),
        ("GONE between 1 and 2", False),
        ("GONE tryBetween 1 and 2", True),
        ("DET.DIT tryBetween 3 and 4", False),
        ("not GONE == 2", True),
        ("DET.DIT * 3 - 4 / 2 == 4", True),
        ("-DET.DIT == 0 - 2", True),
        ("DET.DIT / 0 == 0", False),
        ("inputFile.DET.DIT == 7", True),
        ("inputFile.DET.DIT == DET.DIT", False),
        ("T or GONE == 1", True),
        ('FLAG == T and (TYPE == "X" or DET.DIT == 2)', True),
    ],
)
def test_conditions_mean_what_the_reference_says(condition: str, truth: bool) -> None:
    keywords: dict[str, Value] = {"DET.DIT": 2.0, "TEXT": "2.0", "FLAG": True, "NONE": None, "TYPE": "LAMP,FLAT"}
    assert holds(parse_expression(condition), keywords, {"DET.DIT": 7}) is truth


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("inputFile.DET.DIT == DET.DIT", "DET.DIT 10 ≠ 2"),
        ("DET.DIT == inputFile.DET.DIT", "DET.DIT 10 ≠ 2"),
        ('INS.FILT1.NAME == "Ks" and DET.DIT == 10', "INS.FILT1.NAME J ≠ Ks"),
        ("GONE == 2", "GONE is undefined"),
        ("MJD-OBS between inputFile.MJD-OBS - 7 and inputFile.MJD-OBS + 7", "12.3 days away, limit 7"),
        ("MJD-OBS - inputFile.MJD-OBS < 7", "12.3 days away, limit 7"),
        ('INS.FILT1.NAME like "K%"', "INS.FILT1.NAME J is not like 'K%'"),
        ("DET.DIT < 5", "DET.DIT 10 ≥ 5"),
        ("inputFile.DET.DIT > DET.DIT", "DET.DIT 10 ≥ 2"),
    ],
)
def test_a_refusal_is_told_in_words(condition: str, told: str) -> None:
    candidate: dict[str, Value] = {"DET.DIT": 10.0, "INS.FILT1.NAME": "J", "MJD-OBS": 57012.3}
    asking: dict[str, Value] = {"DET.DIT": 2.0, "MJD-OBS": 57000.0}
    assert objections(parse_expression(condition), candidate, asking) == (told,)


def test_what_holds_meets_no_objection() -> None:
    assert objections(parse_expression("DET.DIT == 2 or DET.DIT == 3"), {"DET.DIT": 3}) == ()


@pytest.mark.parametrize(
    ("pipeline", "catg", "kind", "tech", "category"),
    [
        ("hawki", "CALIB", "DARK", "IMAGE", "DARK"),
        ("hawki", "CALIB", "FLAT", "IMAGE", "FLAT_TWILIGHT"),
        ("hawki", "SCIENCE", "OBJECT", "IMAGE", "OBJECT"),
        ("naco", "CALIB", "DARK", "IMAGE", "CAL_DARK"),
        ("naco", "CALIB", "FLAT,LAMP", "IMAGE", "CAL_FLAT_LAMP"),
        ("naco", "SCIENCE", "OBJECT", "IMAGE,JITTER", "IM_JITTER_OBJ"),
        ("naco", "CALIB", "FLAT,SKY", "IMAGE", "CAL_FLAT_TW"),
        ("naco", "CALIB", "FLAT,LAMP", "SPECTRUM", "CAL_FLAT_SPEC"),
        ("naco", "SCIENCE", "OBJECT", "SPECTRUM,NODDING", "SPEC_NODDING"),
        ("visir", "CALIB", "DARK", "IMAGE", "IM_CAL_DARK"),
        ("visir", "CALIB", "FLAT,LAMP", "IMAGE,DIRECT", "IM_CAL_FLAT"),
        ("visir", "SCIENCE", "OBJECT", "IMAGE,CHOPNOD,JITTER", "IM_OBS_CHO_NOD_JIT"),
        ("uves", "CALIB", "BIAS", "IMAGE", "BIAS_BLUE"),
        ("uves", "CALIB", "DARK", "IMAGE", "DARK_BLUE"),
        ("uves", "CALIB", "LAMP,FLAT", "ECHELLE", "FLAT_BLUE"),
        ("uves", "CALIB", "LAMP,ORDERDEF", "ECHELLE", "ORDER_FLAT_BLUE"),
        ("giraf", "CALIB", "BIAS", "IMAGE", "BIAS"),
        ("giraf", "CALIB", "DARK", "IMAGE", "DARK"),
        ("muse", "CALIB", "BIAS", "IFU", "BIAS"),
        ("muse", "CALIB", "DARK", "IFU", "DARK"),
    ],
)
def test_frames_get_the_category_that_their_pipeline_knows(
    pipeline: str, catg: str, kind: str, tech: str, category: str
) -> None:
    more = {"hawki": {"INSTRUME": "HAWKI"}, "uves": {"DET.CHIPS": 1, "INS.SLIT1.NAME": "FREE"}}.get(pipeline, {})
    header: dict[str, Value] = {"DPR.CATG": catg, "DPR.TYPE": kind, "DPR.TECH": tech, **more}
    assert Classifier(rules_of(pipeline))(header).category == category


def test_the_last_match_wins_and_earlier_ones_are_remembered() -> None:
    header: dict[str, Value] = {"DPR.CATG": "SCIENCE", "DPR.TYPE": "OBJECT", "DPR.TECH": "IMAGE", "INSTRUME": "HAWKI"}
    found = Classifier(rules_of("hawki"))(header)
    assert [rule.assignments[0].value.value for rule in found.rules] == ["JITTER_OBS", "OBJECT"]  # type: ignore
    assert found.winner is found.rules[-1]


def test_a_product_that_kept_the_cards_of_its_raw_file_is_no_raw() -> None:
    rules = parse_rules(
        'if DPR.TYPE == "OBJECT" then { DO.CATG = "SCIENCE"; }'
        'if PRO.CATG like "%REDUCED%" then { DO.CATG = "REDUCED"; }',
        "x.oca",
    )
    classify = Classifier(rules)
    assert classify({"DPR.TYPE": "OBJECT"}).category == "SCIENCE"
    assert classify({"DPR.TYPE": "OBJECT", "PRO.CATG": "SCIENCE_REDUCED"}).category == "REDUCED"
    assert classify({"DPR.TYPE": "OBJECT", "PRO.CATG": "UNHEARD_OF"}).category is None


def test_a_table_with_a_blank_in_its_category_is_known() -> None:
    classify = Classifier(parse_rules('if PRO.CATG == "ASTROMETRIC_TABLE" then { DO.CATG = PRO.CATG; }', "x.oca"))
    assert classify({"PRO.CATG": "ASTROMETRIC TABLE"}).category == "ASTROMETRIC_TABLE"


def test_rules_may_compute_keywords_that_later_rules_use() -> None:
    rules = parse_rules(
        'if DPR.CATG == "SCIENCE" then { INS.BLUE = INS.NAME like "Blue%"; }'
        'if INS.BLUE == T then { DO.CATG = "BLUE"; }',
        "x.oca",
    )
    classify = Classifier(rules)
    assert classify({"DPR.CATG": "SCIENCE", "INS.NAME": "Blue1"}).category == "BLUE"
    assert classify({"DPR.CATG": "SCIENCE", "INS.NAME": "Red1"}).category is None


def test_a_category_that_means_none_is_none() -> None:
    rules = parse_rules('if (T) then { REFLEX.CATG = "UNDEFINED"; } if A == 1 then { REFLEX.CATG = "X"; }', "x.oca")
    assert Classifier(rules)({}).category is None
    assert Classifier(rules)({"A": 1}).category == "X"

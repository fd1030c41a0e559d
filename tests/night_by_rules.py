"""A small night and rules in Reflex's manner that organise it: bias, flat by filter, science by template."""

from __future__ import annotations

from pathlib import Path

from esorex_bridge.definitions.oca.evaluate import Keywords
from esorex_bridge.definitions.oca.grammar import parse_rules
from esorex_bridge.organise.organiser import Organised, organise

RULES = """
if DPR.TYPE == "BIAS" then { REFLEX.CATG = "BIAS"; RAW.TYPE = "BIAS"; }
if DPR.TYPE == "FLAT" then { REFLEX.CATG = "FLAT"; RAW.TYPE = "FLAT"; }
if DPR.CATG == "SCIENCE" then { REFLEX.CATG = "OBJECT"; RAW.TYPE = "OBJECT"; REFLEX.TARGET = "T"; }
if PRO.CATG == "REFERENCE" then { REFLEX.CATG = "REFERENCE"; }
if PRO.CATG == "MASTER_BIAS" then { REFLEX.CATG = "MASTER_BIAS"; }
if PRO.CATG == "MASTER_FLAT" then { REFLEX.CATG = "MASTER_FLAT"; }

select execute(BIAS) from inputFiles where RAW.TYPE == "BIAS" group by TPL.START;
select execute(FLAT) from inputFiles where RAW.TYPE == "FLAT" group by TPL.START, INS.FILT1.NAME;
select execute(SCI) from inputFiles where RAW.TYPE == "OBJECT" group by INS.FILT1.NAME, TPL.START as (TPL_A,tpl);

action BIAS { recipe r_bias; product MASTER_BIAS { PRO.CATG = "MASTER_BIAS"; } }
action FLAT
{
  minRet = 1; maxRet = 1;
  select file as MASTER_BIAS from calibFiles where REFLEX.CATG == "MASTER_BIAS";
  recipe r_flat;
  product MASTER_FLAT { PRO.CATG = "MASTER_FLAT"; }
}
action SCI
{
  minRet = 1; maxRet = 1;
  select file as MASTER_BIAS from calibFiles where REFLEX.CATG == "MASTER_BIAS";
  minRet = 1; maxRet = 1;
  select file as MASTER_FLAT from calibFiles where REFLEX.CATG == "MASTER_FLAT"
    and inputFile.INS.FILT1.NAME == INS.FILT1.NAME
    and MJD-OBS between inputFile.MJD-OBS - 7 and inputFile.MJD-OBS + 7;
  minRet = 1; maxRet = 1;
  select file as REFERENCE from calibFiles where REFLEX.CATG == "REFERENCE"
    and inputFile.INS.FILT1.NAME == INS.FILT1.NAME;
  recipe r_sci;
}
"""

Night = dict[str, Keywords]


def night() -> Night:
    """Return a night with two biases groups, flats and science in J and K, and a reference for each filter."""
    files: Night = {}
    for group, start in enumerate((57000.0, 57001.0)):
        for number in range(3):
            files[f"BIAS.{group}.{number}"] = _raw("BIAS", f"b{group}", start + number * 1e-3, number)
    for name in ("J", "K"):
        begin = 57000.2 if name == "J" else 57000.3
        for number in range(3):
            files[f"FLAT.{name}.{number}"] = {
                **_raw("FLAT", f"f{name}", begin + number * 1e-3, number),
                "INS.FILT1.NAME": name,
            }
        for number in range(2):
            files[f"SCI.{name}.{number}"] = {
                **_raw("OBJECT", f"s{name}", begin + 0.1 + number * 1e-3, number),
                "DPR.CATG": "SCIENCE",
                "INS.FILT1.NAME": name,
                "OBS.TARG.NAME": f"field {name}",
            }
        files[f"REF.{name}"] = {"INSTRUME": "TESTCAM", "PRO.CATG": "REFERENCE", "INS.FILT1.NAME": name}
    return files


def _raw(kind: str, template: str, mjd: float, number: int) -> Keywords:
    return {
        "INSTRUME": "TESTCAM",
        "DPR.CATG": "CALIB",
        "DPR.TYPE": kind,
        "TPL.START": template,
        "MJD-OBS": mjd,
        "TPL.EXPNO": number + 1,
    }


def organised(files: Night, rules: str = RULES) -> Organised:
    """Organise files by their names."""
    return organise(
        {Path("/night") / f"{name}.fits": header for name, header in files.items()}, parse_rules(rules, "test.oca")
    )

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esorex_bridge.definitions.oca import expressions as ex
from esorex_bridge.definitions.oca import rules as ru
from esorex_bridge.definitions.oca.grammar import OcaError, parse_expression, parse_rules
from esorex_bridge.definitions.oca.library import rule_file

INSTALLED = sorted(Path("/usr/share/cpl-plugins").glob("*/gasgano/config/*.oca"))

EVERYTHING = """
// a comment
if (T) then {REFLEX.CATG="UNDEFINED";} /* another
one */
if (DPR.CATG like "%CALIB%" or DPR.CATG == 'TEST') and not DET.CHIPS == 1 then
{
  DO.CATG = PRO.CATG;
  INS.BLUE = INS.OPTI1.NAME like "Blue%";
  N = 3;
}
if TPL.ID regexp "MUSE_[wn]fm_.*" and INS.X is undefined and A is null and PRO.CATG is string then { RAW.TYPE = "X"; }
minRet = 1;
select execute(SCIENCE) from inputFiles where RAW.TYPE == "SCI" and MJD-OBS >= 56100.0
  group by DET.DIT,INS.FILT1.NAME, TPL.START as (TPL_A,tpl);
select execute(ALONE) from rawFiles where SIG.FRAME == 1;
action SCIENCE
{
  minRet = 0; maxRet = 3;
  select file as MASTER_DARK from calibFiles where DO.CATG == "MASTER_DARK" and inputFile.DET.DIT ?= DET.DIT
    and MJD-OBS between inputFile.MJD-OBS - 7 and inputFile.MJD-OBS+7
    and INS.TEMP tryBetween -(3 + 2)*2 and 57823.;
  select file as FLAT from inputFiles where VIRTUAL==T;
  minRet = 1; maxRet = 1;
  recipe one { "--a=b"; "--c=d e"; }
  recipe two;
  product OUT { PRO.CATG = "OUT"; PRO.EXT="tpl_0000.fits"; }
  priority = 30;
}
"""


def test_all_of_the_language_is_read() -> None:
    rules = parse_rules(EVERYTHING, "x.oca")
    assert [len(rules.classifications), len(rules.executions), len(rules.actions)] == [3, 2, 1]
    science, alone = rules.executions
    assert science.keys == ("DET.DIT", "INS.FILT1.NAME", "TPL.START")
    assert science.alias == ("TPL_A", "tpl")
    assert (science.min_ret, alone.min_ret) == (1, None)
    action = rules.action("SCIENCE")
    assert [(s.category, s.least, s.most) for s in action.selections] == [("MASTER_DARK", 0, 3), ("FLAT", 1, 1)]
    assert action.recipes == (ru.RuleRecipe("one", ("--a=b", "--c=d e")), ru.RuleRecipe("two"))
    assert action.priority == 30
    assert action.products[0].assignments[0] == ru.Assignment("PRO.CATG", ex.Constant("OUT"))


def test_rules_know_where_they_stand() -> None:
    rules = parse_rules(EVERYTHING, "x.oca")
    assert [rule.line for rule in rules.classifications] == [3, 5, 11]
    assert rules.action("SCIENCE").selections[0].line == 19


def test_a_printed_file_reads_back_as_the_same_rules() -> None:
    rules = parse_rules(EVERYTHING, "x.oca")
    assert parse_rules(str(rules), "again") == rules


@pytest.mark.skipif(not INSTALLED, reason="no pipeline with OCA rules is installed")
@pytest.mark.parametrize("path", INSTALLED, ids=lambda path: path.stem)
def test_the_rules_of_installed_pipelines_are_read_and_print_back(path: Path) -> None:
    rules = parse_rules(path.read_text(errors="replace"), path.name)
    assert rules.classifications and rules.executions and rules.actions
    assert {execution.action for execution in rules.executions} <= {action.name for action in rules.actions}
    assert parse_rules(str(rules), "again") == rules


@pytest.mark.real
def test_the_rules_of_the_metis_workflow_are_read(real: Path) -> None:
    rules = parse_rules((real / "reflex" / "metis" / "metis_wkf.oca").read_text(), "metis_wkf.oca")
    assert rules.executions[1].keys[0] == "METIS.SETUP"
    assert rules.assigns("REFLEX.TARGET")
    assert parse_rules(str(rules), "again") == rules


@pytest.mark.parametrize(
    ("text", "line", "column", "told"),
    [
        ("if A == then { B = 1; }", 1, 9, "found 'then', expected a keyword or a value"),
        ('\nselect execute(X) from inputFiles where A=="b"', 2, 47, "found the end, expected ';'"),
        ("action X { foo; }", 1, 12, "found 'foo', expected"),
        ('if A == "x then {}', 1, 9, "text in quotes that does not end"),
        ("if A then { B = 3 }", 1, 19, "found '}', expected ';'"),
        ("/* never ends", 1, 1, "a comment that does not end"),
        ("recipe x;", 1, 1, "expected ';' or 'action' or 'if'"),
        ("if A ~ 3 then {}", 1, 6, "found '~', expected"),
        (
            "action X { select file as Y from nowhere where A == 1; }",
            1,
            34,
            "'calibFiles' or 'inputFiles' or 'rawFiles'",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_place_and_expectation(text: str, line: int, column: int, told: str) -> None:
    with pytest.raises(OcaError) as caught:
        parse_rules(text, "my.oca")
    assert str(caught.value).startswith(f"my.oca:{line}:{column}: ")
    assert told in str(caught.value)


def test_a_wrong_condition_of_a_user_is_told_with_its_column() -> None:
    with pytest.raises(OcaError, match=r"--where:1:16: found 'lke', expected 'and' or 'or' or an operator or the end"):
        parse_expression('INS.FILT1.NAME lke "Ks"', "--where")


def test_hyphens_belong_to_names_and_minus_signs_do_not() -> None:
    assert parse_expression("MJD-OBS-7 < A - B") == ex.Compared(
        ex.Calculated(ex.Keyword("MJD-OBS"), "-", ex.Constant(7)),
        "<",
        ex.Calculated(ex.Keyword("A"), "-", ex.Keyword("B")),
    )


keys = st.sampled_from(["DET.DIT", "MJD-OBS", "INSTRUME", "T2", "INS.FILT1.NAME", "F.X", "isotope", "org"])
keywords = st.builds(ex.Keyword, keys, st.booleans())
texts = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"'), max_size=8)
numbers = st.one_of(st.integers(0, 10**6), st.floats(0, 1e6, allow_nan=False))
terms = st.recursive(
    st.one_of(keywords, st.builds(ex.Constant, st.one_of(texts, numbers, st.booleans()))),
    lambda inner: st.one_of(
        st.builds(ex.Calculated, inner, st.sampled_from(["+", "-", "*", "/"]), inner), st.builds(ex.Negative, inner)
    ),
    max_leaves=5,
)
tests = st.one_of(
    st.builds(ex.Compared, terms, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "?="]), terms),
    st.builds(ex.Like, terms, texts),
    st.builds(ex.Matches, terms, texts),
    st.builds(ex.IsA, terms, st.sampled_from(["string", "undefined", "null"])),
    st.builds(ex.Between, terms, terms, terms, st.booleans()),
)
several = st.lists(st.deferred(lambda: conditions), min_size=2, max_size=3).map(tuple)
conditions: st.SearchStrategy[ex.Expression] = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.builds(ex.All, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(ex.Any, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(ex.Not, inner),
    ),
    max_leaves=6,
)
names = st.from_regex(r"[A-Z][A-Z_]{0,8}", fullmatch=True).filter(lambda name: name not in ("T", "F"))
assignments = st.builds(ru.Assignment, keys, st.one_of(terms, conditions))
some = st.lists(assignments, max_size=3).map(tuple)
limits = st.one_of(st.none(), st.integers(0, 9))
sources = st.sampled_from(["inputFiles", "rawFiles", "calibFiles"])
actions = st.builds(
    ru.ActionRule,
    names,
    st.lists(st.builds(ru.Selection, names, sources, conditions, limits, limits), max_size=2).map(tuple),
    st.lists(st.builds(ru.RuleRecipe, names, st.lists(texts, max_size=2).map(tuple)), max_size=2).map(tuple),
    st.lists(st.builds(ru.RuleProduct, names, some), max_size=2).map(tuple),
    limits,
)
executions = st.builds(
    ru.RuleExecution,
    names,
    sources,
    conditions,
    st.lists(keys, max_size=3).map(tuple),
    st.one_of(st.none(), st.tuples(names, names)),
    limits,
)
rule_sets = st.builds(
    ru.Rules,
    st.lists(st.builds(ru.ClassificationRule, conditions, some), max_size=2).map(tuple),
    st.lists(executions, max_size=2).map(tuple),
    st.lists(actions, max_size=2).map(tuple),
)


@settings(max_examples=80, deadline=None)
@given(conditions)
def test_any_expression_reads_back_from_its_text(expression: ex.Expression) -> None:
    assert parse_expression(str(expression)) == expression


@settings(max_examples=40, deadline=None)
@given(rule_sets)
def test_any_rules_read_back_from_their_text(rules: ru.Rules) -> None:
    assert parse_rules(str(rules), "printed") == rules


@pytest.mark.parametrize(
    ("instrument", "chosen"),
    [
        ("NAOS+CONICA", "naco.oca"),
        ("naos+conica", "naco.oca"),
        ("HAWKI", "hawki.oca"),
        ("GIRAFFE", "giraf.oca"),
        ("SHOOT", "xshooter_wkf.oca"),
        ("MUSE/1.2", "muse.oca"),
        ("EFOSC", None),
        ("METIS", "metis_wkf.oca"),
    ],
)
def test_the_rule_file_is_chosen_by_instrume(instrument: str, chosen: str | None) -> None:
    files = [
        Path("/opt/share/esopipes/xshoo-3.5.0/reflex/xshooter_wkf.oca"),
        Path("/opt/share/esopipes/metis-0.1/reflex/metis_wkf.oca"),
        *(
            Path(f"/usr/share/cpl-plugins/{name}-1.0/gasgano/config/{name}.oca")
            for name in ("naco", "hawki", "giraf", "muse")
        ),
    ]
    found = rule_file(instrument, files)
    assert (found.name if found else None) == chosen


def test_a_semicolon_that_real_files_leave_out_is_read_as_if_it_were_there_and_named() -> None:
    select = 'select file as FLAT from calibFiles where PRO.CATG == "FLAT";'
    text = f"action A\n{{\n// minRet = 3\nminRet = 1 maxRet = 2;\n{select}\n}}\n"
    rules = parse_rules(text, "real.oca")
    (selection,) = rules.actions[0].selections
    assert (selection.min_ret, selection.max_ret) == (1, 2)
    assert rules.remarks == ("real.oca:4: ';' is missing after minRet = 1; read as if it were there",)

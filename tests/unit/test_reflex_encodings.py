"""Sets of files, sets of parameters and datasets go between Reflex actors unchanged, in JSON and as text."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reflex_actors
from reflex_actors.dataset_json import read_datasets
from reflex_actors.install import MODULES
from reflex_actors.sof_json import (
    EncodingError,
    FitsFile,
    RecipeParameter,
    SetOfFiles,
    parameter,
    read_file,
    read_sof,
    read_sop,
    refuse_separators,
    sop_document,
)

WORDS = st.text(string.ascii_letters + string.digits + "_.-+ ", min_size=1, max_size=12)
NAMES = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=12)
PURPOSES = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
CHECKSUMS = st.one_of(st.none(), st.text("0123456789ABCDEF", min_size=32, max_size=32))


def sets_of_files(checksums: st.SearchStrategy[str | None] = CHECKSUMS) -> st.SearchStrategy[SetOfFiles]:
    paths = st.lists(WORDS, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
    files = st.builds(FitsFile, paths, NAMES, st.lists(PURPOSES, max_size=3).map(tuple), checksums)
    return st.builds(SetOfFiles, NAMES, st.lists(files, max_size=5).map(tuple))


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), WORDS)
FIELDS = st.dictionaries(st.sampled_from(["name", "description", "valtype", "partype", "valmin", "valmax"]), WORDS)


@st.composite
def parameters(draw: st.DrawFn) -> RecipeParameter:
    fields = {**draw(FIELDS), "value": draw(VALUES)}
    if draw(st.booleans()):
        fields["valenum"] = tuple(draw(st.lists(WORDS, max_size=3)))
    return RecipeParameter(draw(NAMES), draw(NAMES), tuple(sorted(fields.items())))


@given(sets_of_files())
def test_a_set_of_files_comes_back_from_json(sof: SetOfFiles) -> None:
    assert read_sof(json.loads(json.dumps(sof.document()))) == sof
    assert read_sof(json.dumps(sof.document())) == sof


@given(sets_of_files(st.none()))
def test_a_set_of_files_comes_back_from_text(sof: SetOfFiles) -> None:
    assert read_sof(sof.text()) == sof


@given(st.lists(parameters(), max_size=4).map(tuple))
def test_parameters_come_back_from_json(sop: tuple[RecipeParameter, ...]) -> None:
    assert read_sop(json.loads(json.dumps(sop_document(sop)))) == sop


VALUE_CHARACTERS = string.ascii_letters + string.digits + "_.-+,/ =$"
TEXT_VALUES = st.text(VALUE_CHARACTERS, max_size=15).map(lambda text: text.strip(" ,"))


@given(st.lists(st.builds(parameter, NAMES, NAMES, TEXT_VALUES), max_size=4).map(tuple))
def test_parameters_come_back_from_text_with_commas_in_their_values(sop: tuple[RecipeParameter, ...]) -> None:
    assert read_sop(",".join(each.text() for each in sop)) == sop


def test_parameters_as_text_may_be_separated_by_line_breaks_as_for_sop_creator() -> None:
    found = read_sop("naco_img_dark:r=8,8,8,8\nnaco_img_dark:hot_t=9")
    assert [(each.display_name, each.value) for each in found] == [("r", "8,8,8,8"), ("hot_t", "9")]


def test_a_value_that_would_read_as_another_parameter_is_refused_as_text() -> None:
    with pytest.raises(EncodingError, match="cannot be written as text"):
        parameter("r", "p", "1,other:q=2").text()


def test_an_empty_set_of_files_is_its_dataset_and_a_bar() -> None:
    assert SetOfFiles("night").text() == "night|"
    assert read_sof("night|") == SetOfFiles("night")


def test_an_empty_purpose_field_is_universal() -> None:
    assert read_sof("d|/a.fits;BIAS;").files[0].universal


@pytest.mark.parametrize("path", ["/data/a|b.fits", "/data/run,1/a.fits", "/data/a;b.fits"])
def test_a_path_with_a_separator_is_refused_with_advice(path: str) -> None:
    with pytest.raises(EncodingError, match="symbolic link"):
        refuse_separators(path)
    with pytest.raises(EncodingError, match="rename the folder"):
        SetOfFiles("d", (FitsFile(path, "BIAS"),)).text()
    with pytest.raises(EncodingError, match="symbolic link"):
        read_sof(f"d|{path};BIAS;X")


NO_SETS = ["no bar", "{broken", {"files": 3}, {"nothing": []}, [1], {"files": [{"name": "/a"}]}]


@pytest.mark.parametrize("value", NO_SETS)
def test_what_is_no_set_of_files_is_refused(value: object) -> None:
    with pytest.raises(EncodingError):
        read_sof(value)


@pytest.mark.parametrize("value", ["a", "a:b", "[1", {"a": 1}, [{"recipe": "r"}]])
def test_what_is_no_list_of_parameters_is_refused(value: object) -> None:
    with pytest.raises(EncodingError):
        read_sop(value)


def _equal(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.real
@pytest.mark.parametrize("name", ["input_sof.json", "output_sof.json"])
@pytest.mark.parametrize("run", ["vmbias_1_execution", "vmifuscience_1_failed"])
def test_recorded_sets_of_files_are_written_back_equal(real: Path, run: str, name: str) -> None:
    recorded = json.loads((real / "reflex" / "samples" / run / name).read_text())
    assert _equal([read_file(each).document() for each in recorded], recorded)


@pytest.mark.real
def test_recorded_parameters_are_written_back_equal(real: Path) -> None:
    recorded = json.loads((real / "reflex" / "samples" / "vmbias_1_execution" / "parameters.json").read_text())
    assert recorded
    assert _equal(sop_document(read_sop(recorded)), recorded)


@pytest.mark.real
def test_a_recorded_dataset_is_written_back_equal(real: Path) -> None:
    recorded = json.loads((real / "reflex" / "samples" / "datasets_first_only.json").read_text())
    assert _equal([dataset.document() for dataset in read_datasets(recorded)], recorded)


@pytest.mark.parametrize("name", ["__init__", *MODULES])
def test_what_reflex_itself_loads_is_python_38_and_imports_the_standard_library_only(name: str) -> None:
    path = Path(reflex_actors.__file__).with_name(f"{name}.py")
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    standard = {
        "__future__",
        "collections",
        "contextlib",
        "dataclasses",
        "json",
        "optparse",
        "os",
        "pathlib",
        "re",
        "signal",
        "sys",
        "traceback",
        "typing",
    }
    assert {str(module).split(".")[0] for module in modules} <= standard | {"reflex_actors"}
    assert "slots=True" not in path.read_text()
    assert not list(evaluated_types(tree))


NEWER = {"tuple", "dict", "list", "set", "type", "frozenset", "Callable", "Mapping", "Iterable", "Iterator", "Sequence"}


def evaluated_types(node: ast.AST) -> Iterator[str]:
    """Yield generic types that are evaluated when a module runs: older interpreters have them in annotations only."""
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            for_checkers = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            if not isinstance(child, ast.AST) or name in ("annotation", "returns") or for_checkers:
                continue
            if isinstance(child, ast.Subscript) and isinstance(child.value, ast.Name) and child.value.id in NEWER:
                yield ast.unparse(child)
            yield from evaluated_types(child)


def test_types_that_older_interpreters_cannot_evaluate_are_noticed() -> None:
    assert list(evaluated_types(ast.parse("Work = Callable[[int], str]"))) == ["Callable[[int], str]"]
    assert list(evaluated_types(ast.parse("def f(x: tuple[int, ...]) -> list[int]: ..."))) == []


@pytest.mark.parametrize(
    "odd", [{"purposes": "A/B"}, {"category": None}, {"name": None}, {"purposes": {"A/B": 1}}], ids=str
)
def test_a_file_with_a_field_of_another_type_is_refused(odd: dict[str, object]) -> None:
    file = {"name": "/d/a.fits", "category": "DARK", "purposes": ["A/B"], "checksum": None}
    assert read_sof({"files": [file]}).purposes == ("A/B",)
    with pytest.raises(EncodingError):
        read_sof({"files": [{**file, **odd}]})

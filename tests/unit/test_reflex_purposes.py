"""Purposes are handled as ESO's documentation of its actors says, and as recorded runs show where it is silent."""

from __future__ import annotations

import pytest

from reflex_actors.purposes import (
    DO_NOTHING,
    SET_TO_UNIVERSAL,
    Route,
    accumulate,
    after_recipe,
    combine,
    own_purposes,
    patterns_of,
    route,
    split,
    strip_last,
)
from reflex_actors.sof_json import EncodingError, FitsFile, SetOfFiles


def sof(*files: tuple[str, str, str]) -> SetOfFiles:
    """Return a set of files from (name, category, purposes separated by blanks)."""
    return SetOfFiles("night", tuple(FitsFile(f"/d/{n}", category, tuple(p.split())) for n, category, p in files))


def told(found: SetOfFiles) -> list[tuple[str, str]]:
    return [(file.name[3:], " ".join(file.purposes)) for file in found.files]


def test_strip_last_takes_the_finished_step_off_the_chain() -> None:
    assert strip_last("BIAS/IFU_CAL/SCI_IFU") == "IFU_CAL/SCI_IFU"


def test_strip_last_of_a_single_section_is_universal() -> None:
    assert strip_last("SCI_IFU") is None
    assert after_recipe(["SCI_IFU"]) == ()


def test_a_product_gets_the_purposes_of_all_inputs_once() -> None:
    assert after_recipe(["DARK/OBJECT", "DARK/FLAT/OBJECT", "DARK/OBJECT"]) == ("FLAT/OBJECT", "OBJECT")


def test_do_nothing_and_set_to_universal() -> None:
    assert after_recipe(["A/B"], DO_NOTHING) == ("A/B",)
    assert after_recipe(["A/B"], SET_TO_UNIVERSAL) == ()


def test_the_splitter_makes_one_set_a_purpose() -> None:
    groups = split(sof(("a", "BIAS", "BIAS/FLAT/SCI"), ("b", "BIAS", "BIAS/SCI"), ("c", "BIAS", "BIAS/FLAT/SCI")))
    assert [told(group) for group in groups] == [
        [("a", "BIAS/FLAT/SCI"), ("c", "BIAS/FLAT/SCI")],
        [("b", "BIAS/SCI")],
    ]


def test_the_splitter_merges_groups_of_the_same_files_on_demand() -> None:
    both = sof(("a", "BIAS", "X/S Y/S"), ("b", "BIAS", "X/S Y/S"))
    assert [told(group) for group in split(both)] == [[("a", "X/S Y/S"), ("b", "X/S Y/S")]]
    assert len(split(both, group_purposes=False)) == 2


def test_the_splitter_puts_universal_files_into_every_group() -> None:
    groups = split(sof(("a", "BIAS", "X"), ("b", "BIAS", "Y"), ("u", "TABLE", "")))
    assert [[name for name, _ in told(group)] for group in groups] == [["a", "u"], ["b", "u"]]


def test_an_empty_set_gives_one_empty_group() -> None:
    assert split(SetOfFiles("night")) == (SetOfFiles("night"),)


def test_the_accumulator_puts_back_together_what_the_splitter_took_apart() -> None:
    whole = sof(("a", "BIAS", "X"), ("b", "BIAS", "X Y"), ("c", "DARK", "Y"))
    assert set(accumulate(split(whole, group_purposes=False)).files) == set(whole.files)


def test_the_accumulator_refuses_several_datasets() -> None:
    with pytest.raises(EncodingError, match="put together: night, day"):
        accumulate([SetOfFiles("night"), SetOfFiles("day")])
    assert accumulate([SetOfFiles("night"), SetOfFiles("day")], same_dataset=False).dataset == "night"


def test_the_combiner_keeps_files_whose_purposes_are_in_all_sets() -> None:
    masters = sof(("dark1", "MASTER_DARK", "OBJECT"), ("dark2", "MASTER_DARK", "FLAT/OBJECT"))
    flats = sof(("flat", "FLAT", "FLAT/OBJECT"))
    assert told(combine([masters, flats])) == [("dark2", "FLAT/OBJECT"), ("flat", "FLAT/OBJECT")]


def test_the_combiner_ignores_empty_sets_and_collects_universal_files() -> None:
    flats, statics = sof(("flat", "FLAT", "FLAT/OBJECT")), sof(("table", "TABLE", ""))
    assert told(combine([flats, SetOfFiles("night"), statics])) == [("flat", "FLAT/OBJECT"), ("table", "")]


def test_without_a_common_purpose_only_universal_files_are_left() -> None:
    found = combine([sof(("a", "A", "X")), sof(("b", "B", "Y"), ("u", "U", ""))])
    assert told(found) == [("u", "")]


def test_optional_sets_add_files_and_do_not_restrict() -> None:
    found = combine([sof(("a", "A", "X Y"))], [sof(("b", "B", "X"))])
    assert told(found) == [("a", "X Y"), ("b", "X")]


def test_the_router_sends_a_category_to_the_port_of_its_name() -> None:
    ports, rejected = route(sof(("a", "FLAT", "X"), ("b", "BIAS", "X")), [Route("FLAT")])
    assert told(ports["FLAT"]) == [("a", "X")]
    assert told(rejected) == [("b", "X")]


def test_a_port_may_take_a_list_of_expressions_and_a_file_may_go_to_many_ports() -> None:
    routes = [Route("BIAS", patterns_of("BIAS_UVB, BIAS_VIS")), Route("ALL", (".*",))]
    ports, rejected = route(sof(("a", "BIAS_UVB", "X"), ("b", "BIAS_VIS", "X"), ("c", "BIAS_VISX", "X")), routes)
    assert [name for name, _ in told(ports["BIAS"])] == ["a", "b"]
    assert len(ports["ALL"].files) == 3
    assert not rejected.files


def test_a_port_gets_a_set_even_where_it_is_empty() -> None:
    assert route(SetOfFiles("night"), [Route("FLAT")])[0]["FLAT"] == SetOfFiles("night")


def test_limits_of_a_port() -> None:
    two = sof(("a", "FLAT", "X"), ("b", "FLAT", "X"))
    assert told(route(two, [Route("FLAT", maximum=1)])[0]["FLAT"]) == [("a", "X")]
    with pytest.raises(EncodingError, match="at least 3"):
        route(two, [Route("FLAT", minimum=3)])


def test_a_step_keeps_only_the_purposes_that_are_its_own() -> None:
    both = ("d2", "DARK", "DARK/FLAT/OBJECT FLAT/OBJECT")
    darks = sof(("d1", "DARK", "DARK/OBJECT"), both, ("d3", "DARK", "FLAT/OBJECT"))
    flats = sof(("f", "FLAT", "FLAT/OBJECT"))
    assert told(own_purposes(darks, flats)) == [("d1", "DARK/OBJECT"), ("d2", "DARK/FLAT/OBJECT")]

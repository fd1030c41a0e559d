from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esorex_bridge.plan.sof import LONGEST_LINE_BYTES, Sof, SofEntry, SofError, of_entries, parse_sof, readable

SAFE = st.text("abcXYZ019_.:+-#'[]é", min_size=1, max_size=30).map(lambda text: Path("/data") / f"f{text}")
TAGS = st.text("ABCZ_019", min_size=1, max_size=20)
ANY = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=40)


@given(st.lists(st.tuples(SAFE, TAGS), max_size=8))
def test_what_is_written_is_read_back(entries: list[tuple[Path, str]]) -> None:
    sof = of_entries(entries)
    assert parse_sof(sof.text()) == sof


@given(st.lists(st.tuples(ANY, TAGS), min_size=1, max_size=5))
def test_any_file_name_gets_round_what_esorex_cannot_read(entries: list[tuple[str, str]]) -> None:
    sof = Sof(tuple(SofEntry(Path("/in put") / name, tag) for name, tag in entries if name not in (".", "..")))
    written, links = readable(sof, Path("/run/in"))
    assert len(links) == len(sof.entries)
    assert len({link.at for link in links}) == len(links)
    for line, entry in zip(written.text().splitlines(), sof.entries, strict=True):
        path, tag = line.split(" ")
        assert path.startswith("/run/in/")
        assert tag == entry.category
        assert len(line.encode()) <= LONGEST_LINE_BYTES
    assert [link.to for link in links] == [entry.path for entry in sof.entries]


def test_a_path_at_the_limit_of_a_line_is_written_and_one_byte_more_gets_a_link() -> None:
    fits = Path("/" + "a" * (LONGEST_LINE_BYTES - len("/ TAG")))
    assert readable(of_entries([(fits, "TAG")]), Path("/run"))[1] == ()
    assert len(readable(of_entries([(Path(f"{fits}b"), "TAG")]), Path("/run"))[1]) == 1


@pytest.mark.parametrize("path", ["/a b", "/a\tb", "/a\nb", "/a\rb", "/a\u00a0b"])
def test_a_path_that_esorex_would_misread_is_not_written_as_it_is(path: str) -> None:
    with pytest.raises(SofError, match="which no SOF can hold"):
        of_entries([(Path(path), "TAG")]).text()


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(SofError, match="relative path"):
        readable(of_entries([(Path("a.fits"), "TAG")]), Path("/run"))


@pytest.mark.parametrize("tag", ["", "A B", "A\r", "A#B"])
def test_a_tag_that_no_sof_can_hold_is_refused(tag: str) -> None:
    with pytest.raises(SofError, match="tag"):
        readable(of_entries([(Path("/a.fits"), tag)]), Path("/run"))


def test_a_text_whose_path_esorex_would_execute_is_refused() -> None:
    with pytest.raises(SofError, match=r"starts with '\$'"):
        parse_sof("$(touch /tmp/x) DARK\n")


def test_comments_blank_lines_groups_and_carriage_returns_are_read_over() -> None:
    text = "# comment\n\n/a.fits DARK RAW\r\n  /b.fits\tFLAT\n"
    assert parse_sof(text) == of_entries([(Path("/a.fits"), "DARK"), (Path("/b.fits"), "FLAT")])

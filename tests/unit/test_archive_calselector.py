"""calSelector's replies read: trees, multipart bodies, tables, and what they amount to."""

from __future__ import annotations

import gc
import re
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from esorex_bridge.archive.calselector import (
    AssociationReply,
    Outcome,
    TreeDocument,
    attachment_name,
    documents,
    from_links,
    list_unanswered,
    outcome_of,
    read_replies,
)
from esorex_bridge.archive.download_list import list_files, remarks
from esorex_bridge.archive.votable import (
    CALIBRATION,
    SIBLING,
    THIS,
    Links,
    UnreadableTableError,
    read_links,
    read_statement,
)
from esorex_bridge.datasets.association import (
    AssociatedFile,
    Association,
    AssociationTree,
    distinct_files,
    walk,
)
from esorex_bridge.datasets.xml import MAX_DEPTH, TreeReader, UnreadableTreeError, read_tree
from esorex_bridge.workspace.tree_files import read_tree_file

A, B, C = (f"TESTER.2020-01-01T00:00:0{number}.000" for number in range(3))


def tree_xml(*names: str, category: str = "SCI", mode: str = "Raw2Raw", inner: str = "", extra: str = "") -> bytes:
    files = "".join(f'<file category="RAW" name="{name}"/>' for name in names)
    return (
        f'<?xml version="1.0"?><association category="{category}" certified="true" complete="true" mode="{mode}" '
        f'type="main"{extra}><mainFiles>{files}</mainFiles><messages/>'
        f"<associatedFiles>{inner}</associatedFiles></association>"
    ).encode()


DARK = (
    '<association category="DARK" certified="true" complete="true" match="calib_plan" type="main"><mainFiles>'
    '<file category="DARK_RAW" name="TESTER.2020-01-01T09:00:00.000"/></mainFiles><messages/><associatedFiles/>'
    "</association>"
)


def multipart(*parts: tuple[str, bytes], end: str = "\r\n") -> tuple[str, bytes]:
    body = b""
    for name, content in parts:
        head = (
            f'--b0{end}Content-Disposition: attachment; filename="{name}"{end}'
            f"Content-Type: application/xml;content=calselector{end}{end}"
        )
        body += head.encode() + content + end.encode()
    return "multipart/form-data; boundary=b0;charset=UTF-8", body + f"--b0--{end}".encode()


@pytest.mark.real
def test_the_real_fors2_tree_has_22_associations_190_file_elements_and_51_files(real: Path) -> None:
    tree = read_tree_file(real / "astroquery" / "FORS2.2021-01-02T00_59_12.533_raw2raw.xml")
    nodes = tuple(walk(tree.root))
    assert (len(nodes), sum(len(node.files) for node in nodes)) == (22, 190)
    assert len({file.name for file in distinct_files(tree.root)}) == 51
    assert (tree.mode, outcome_of(tree), tree.root.match) == ("Raw2Raw", Outcome.ASSOCIATED, None)


@pytest.mark.real
def test_the_real_multipart_reply_has_two_parts_in_reverse_order(real: Path) -> None:
    body = (real / "astroquery" / "FORS2.2021-01-02T00_59_12.533_raw2raw_multipart.xml").read_bytes()
    kind = "multipart/form-data; boundary=uFQlfs9nBIDEAIoz0_ZM-O2SXKsZ2iSd4h7H;charset=UTF-8"
    asked = ["FORS2.2021-01-02T00:59:12.533", "FORS2.2021-01-02T00:59:12.534"]
    replies = read_replies(asked, "Raw2Raw", documents(kind, "", body))
    assert [reply.asked for reply in replies] == asked
    assert not list_unanswered(asked, replies)


@pytest.mark.real
def test_the_real_harps_downgrade_is_noticed(real: Path) -> None:
    name = "HARPS.2022-02-19T00:15:10.071"
    path = real / "calselector" / "HARPS.2022-02-19T00_15_10.071_requested_Raw2Master.votable.xml"
    reply = from_links(name, "Raw2Master", read_links(path.read_bytes()))
    assert reply.downgraded and reply.executed == "Raw2Raw"
    assert (reply.complete, reply.certified, len(reply.listed)) == (True, False, 51)
    assert any("Raw2Master was asked for" in line for line in remarks(reply))


@pytest.mark.real
def test_real_tables_are_typed(real: Path) -> None:
    sphere = read_links(
        (real / "calselector" / "SPHER.2016-09-26T03_04_09.308_Raw2Master.RECONSTRUCTED.votable.xml").read_bytes()
    )
    assert (len(sphere.of(THIS)), len(sphere.of(SIBLING)), len(sphere.of(CALIBRATION))) == (1, 3, 8)
    assert sphere.of(CALIBRATION)[0].target == "M.SPHERE.2016-09-27T08:14:14.686"
    old = read_links((real / "datalink" / "old_datalink.vot").read_bytes())
    assert old.of(THIS)[0].size_bytes == 5261760
    assert {row.target for row in old.of("#preview")} == {""}


def test_parts_are_found_in_any_order_and_with_any_line_ends() -> None:
    for end in ("\r\n", "\n"):
        kind, body = multipart(
            (f"{B}_raw2raw.xml", tree_xml(B, inner=DARK)), (f"{A}_raw2raw.xml", tree_xml(A)), end=end
        )
        replies = read_replies([A, B], "Raw2Raw", documents(kind, "", body))
        assert [(reply.asked, reply.outcome) for reply in replies] == [(A, Outcome.EMPTY), (B, Outcome.ASSOCIATED)]


def test_the_tree_of_the_mode_asked_for_counts_where_both_come() -> None:
    kind, body = multipart(
        (f"{A}_raw2master.xml", tree_xml(A, mode="Raw2Master", inner=DARK)),
        (f"{A}_raw2raw.xml", tree_xml(A, inner=DARK)),
    )
    (reply,) = read_replies([A], "Raw2Master", documents(kind, "", body))
    assert reply.executed == "Raw2Master"
    (reply,) = read_replies([A], "Raw2Raw", documents(kind, "", body))
    assert reply.executed == "Raw2Raw"


def test_the_name_of_the_document_tells_the_executed_mode() -> None:
    (reply,) = read_replies([A], "Raw2Master", [TreeDocument(f"{A}_raw2raw.xml", tree_xml(A, mode="Raw2Master"))])
    assert reply.downgraded


def test_two_frames_of_one_template_give_one_answer() -> None:
    found = [TreeDocument(f"{name}_raw2raw.xml", tree_xml(A, B, inner=DARK)) for name in (B, A)]
    (reply,) = read_replies([A, B], "Raw2Raw", found)
    assert (reply.asked, reply.covers) == (A, (A, B))


def test_what_is_no_tree_leaves_its_frame_unanswered() -> None:
    found = [TreeDocument(f"{A}_raw2raw.xml", b"<html/>"), TreeDocument(f"{B}_raw2raw.xml", tree_xml(B)[:-9])]
    assert list_unanswered([A, B], read_replies([A, B], "Raw2Raw", found)) == (A, B)


def test_an_answer_about_other_frames_is_not_taken() -> None:
    assert read_replies([A], "Raw2Raw", [TreeDocument(f"{C}_raw2raw.xml", tree_xml(C, inner=DARK))]) == ()


def test_a_document_that_is_named_like_data_is_not_kept_under_that_name() -> None:
    (reply,) = read_replies([A], "Raw2Raw", [TreeDocument(f"{A}.fits", tree_xml(A, inner=DARK))])
    assert reply.file_name == f"{A}_raw2raw.xml"


def test_a_document_without_a_name_belongs_to_its_main_files() -> None:
    (reply,) = read_replies([B], "Raw2Raw", [TreeDocument("", tree_xml(A, B, inner=DARK))])
    assert (reply.asked, reply.file_name) == (B, f"{B}_raw2raw.xml")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="A.2020-01-01T00:00:00.000_raw2raw.xml"', "A.2020-01-01T00:00:00.000_raw2raw.xml"),
        ("attachment; filename=A.fits.Z", "A.fits.Z"),
        ('attachment; filename="../../evil.fits"', "evil.fits"),
        ('attachment; filename="..\\\\..\\\\evil.fits"', "evil.fits"),
        ('attachment; filename="/etc/passwd"', ""),
        ('attachment; filename=".bashrc"', ""),
        ("attachment", ""),
        ("", ""),
        ("a\r\nb: c", ""),
        ('attachment; filename="a\x00b.fits"', ""),
        (f'attachment; filename="{"a" * 300}.fits"', ""),
    ],
)
def test_a_stated_name_is_bare_and_safe_or_none(header: str, name: str) -> None:
    assert attachment_name(header) == name


def node(category: str, **values: object) -> Association:
    return replace(Association(category, (AssociatedFile(A, category),)), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("root", "outcome"),
    [
        (node("SCI", associated=(node("DARK"),)), Outcome.ASSOCIATED),
        (node("SCI"), Outcome.EMPTY),
        (node("SCI", complete=False, messages=("Missing DARK for X: requested 1, found 0",)), Outcome.INCOMPLETE),
        (node("SCI", complete=False, associated=(node("DARK", complete=False),)), Outcome.INCOMPLETE),
        (
            node("SCI", complete=False, associated=(node("DARK"), node("ACQ", complete=False, kind="auxiliary"))),
            Outcome.INCOMPLETE_AUXILIARY,
        ),
        (
            node(
                "SCI",
                complete=False,
                messages=("Missing ACQ for X: requested 2, found 1",),
                associated=(node("DARK"), node("ACQ", kind="auxiliary")),
            ),
            Outcome.INCOMPLETE_AUXILIARY,
        ),
        (
            node(
                "SCI",
                complete=False,
                messages=("Missing EOP_PARAM for X_tpl: requested 1, found 0",),
                associated=(node("DARK"),),
            ),
            Outcome.INCOMPLETE,
        ),
        (
            node(
                "SCI",
                complete=False,
                messages=("No association could be established: this file type is not supported",),
            ),
            Outcome.NOT_SUPPORTED,
        ),
        (node("UNKNOWN_CATEGORY_NO_ASSOCIATION_ESTABLISHED"), Outcome.NOT_SUPPORTED),
    ],
)
def test_outcomes(root: Association, outcome: Outcome) -> None:
    assert outcome_of(AssociationTree(root, "Raw2Raw")) is outcome


def test_the_grammar_is_read_with_what_it_may_grow() -> None:
    inner = DARK.replace('type="main"', 'type="ancillary" new="thing"').replace("<messages/>", "<new><x/></new>")
    tree = read_tree(tree_xml(A, inner=inner, extra=' later="1"').replace(b'"Raw2Raw"', b'"raw2master"'))
    assert tree.mode == "Raw2Master"
    assert (tree.root.associated[0].kind, tree.root.associated[0].match) == ("auxiliary", "calib_plan")


def test_equal_files_of_many_trees_are_one_value() -> None:
    known: dict[AssociatedFile, AssociatedFile] = {}
    one, two = (read_tree(tree_xml(A, inner=DARK), known) for _ in range(2))
    assert one == two and one.root.files[0] is two.root.files[0]


PLAIN = tree_xml(A, B, inner=DARK)
TAIL = PLAIN[PLAIN.index(b"<associatedFiles>") : PLAIN.rindex(b"</association>")]


@pytest.mark.parametrize(
    "document",
    [
        tree_xml(A, inner=DARK, extra=' later="1"'),
        tree_xml(A, inner=DARK + DARK),
        tree_xml(A),
        PLAIN.replace(TAIL, b"<!-- " + TAIL + b" -->"),
        PLAIN.replace(TAIL, b"<new>" + TAIL + b"</new>"),
        PLAIN.replace(TAIL, b"<![CDATA[" + TAIL + b"]]>"),
        PLAIN.replace(TAIL, b"<?later " + TAIL + b"?>"),
        PLAIN.replace(TAIL, TAIL + b"<messages/>" + TAIL),
        PLAIN.replace(TAIL, TAIL + TAIL),
        PLAIN.replace(TAIL, TAIL[:-1]),
        PLAIN.replace(TAIL, b""),
        PLAIN.replace(A.encode(), C.encode()),
        PLAIN.replace(A.encode(), b"A&amp;B"),
        PLAIN.replace(A.encode(), b"A&B"),
        PLAIN.replace(A.encode(), b"A\n B"),
        PLAIN.replace(A.encode(), b""),
        PLAIN.replace(A.encode(), b"<"),
        PLAIN.replace(A.encode(), A.encode() + b'" category="X'),
        PLAIN.replace(A.encode(), A.encode() + b'" name="' + C.encode()),
        PLAIN.replace(b'name="', b"name='", 1).replace(b'"/>', b"'/>", 1),
        PLAIN.replace(TAIL, b'<messages><message> name="X"</message></messages>' + TAIL),
        PLAIN.replace(TAIL, b'<messages><message text="a name"/></messages>' + TAIL),
        PLAIN.replace(b"<association ", b"<association xmlns:c='c' "),
        b"<html>" + TAIL + b"</html>",
        PLAIN.decode().replace("?>", ' encoding="UTF-16"?>').encode("utf-16"),
    ],
)
def test_a_reader_of_many_trees_reads_each_as_it_is_read_alone(document: bytes) -> None:
    reader = TreeReader()
    known = reader.read(PLAIN)
    assert [known, reader.read(PLAIN), reader.read(PLAIN)] == [read_tree(PLAIN)] * 3
    assert reader.read(tree_xml(B, inner=DARK)).root.associated is known.root.associated
    try:
        alone = read_tree(document)
    except UnreadableTreeError as error:
        with pytest.raises(UnreadableTreeError, match=re.escape(str(error).partition("(")[0])):
            reader.read(document)
    else:
        assert [reader.read(document), reader.read(document), reader.read(PLAIN)] == [alone, alone, known]


@pytest.mark.parametrize("document", [PLAIN, PLAIN.replace(TAIL, TAIL[:-1])], ids=["sound", "broken"])
def test_nothing_of_a_tree_that_was_read_waits_in_memory_for_python_to_look_for_it(document: bytes) -> None:
    def count_parts() -> int:
        return sum(type(value).__module__ == read_tree.__module__ for value in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = count_parts()
        with suppress(UnreadableTreeError):
            read_tree(document)
        assert count_parts() == before
    finally:
        gc.enable()


def test_real_trees_are_read_alike_by_a_reader_of_many(real: Path) -> None:
    documents = [path.read_bytes() for path in sorted(real.glob("*/*.xml"))]
    trees = [document for document in documents if b"<association " in document and not document.startswith(b"--")]
    reader = TreeReader()
    assert len(trees) >= 4
    for document in (*trees, *trees):
        assert reader.read(document) == read_tree(document)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<html/>",
        b"<association>",
        b"<association><mainFiles><file/></mainFiles></association>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><association category="&x;"/>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><association/>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY x "y">]><association/>'.encode("utf-16"),
        b"<association><associatedFiles>" * (MAX_DEPTH + 2) + b"</associatedFiles></association>" * (MAX_DEPTH + 2),
    ],
)
def test_what_is_no_association_tree_is_refused(document: bytes) -> None:
    with pytest.raises(UnreadableTreeError):
        read_tree(document)


@pytest.mark.parametrize("document", [b"", b"<html/>", b'<!DOCTYPE VOTABLE [<!ENTITY x "y">]><VOTABLE/>', b"<VOTABLE"])
def test_what_is_no_votable_is_refused(document: bytes) -> None:
    with pytest.raises(UnreadableTableError):
        read_links(document)


def test_a_table_without_rows_is_no_answer() -> None:
    reply = from_links(A, "Raw2Raw", Links("OK", "", ()))
    assert (reply.outcome, reply.executed) == (Outcome.NO_TREE, None)
    refused = from_links(A, "Raw2Raw", Links("ERROR", "no access", ()))
    assert (refused.outcome, refused.messages) == (Outcome.DENIED, ("no access",))


def test_statements_are_read_with_messages() -> None:
    stated = read_statement(
        'category="SCI" certified="false" complete="false" mode="Raw2Raw" type="main" '
        'messages="Missing X for Y: requested 1, found 0"'
    )
    assert (stated.category, stated.mode, stated.complete, stated.certified) == ("SCI", "Raw2Raw", False, False)
    assert stated.messages == "Missing X for Y: requested 1, found 0"


def test_wanted_names_every_file_once_science_first() -> None:
    (reply,) = read_replies([A], "Raw2Raw", [TreeDocument(f"{A}_raw2raw.xml", tree_xml(A, B, inner=DARK + DARK))])
    found = list_files([A, C], [reply], night_logs=True, sizes={A: 10, B: 20}, present={B})
    assert found.names[:3] == (A, C, B)
    assert [file.role for file in found.files] == ["science"] * 3 + ["calibration"] + ["night log"] * 3
    assert found.files[2].present and found.size_bytes == 10
    assert found.names.count("TESTER.2020-01-01T09:00:00.000") == 1


def test_an_answer_that_is_well_needs_no_remark() -> None:
    (reply,) = read_replies([A], "Raw2Raw", [TreeDocument("", tree_xml(A, inner=DARK))])
    assert isinstance(reply, AssociationReply) and not remarks(reply)


def test_groups_of_the_extended_calibration_plan_are_named() -> None:
    tree = tree_xml(A, inner=DARK.replace('match="calib_plan"', 'match="extended"'))
    (reply,) = read_replies([A], "Raw2Raw", [TreeDocument("", tree)])
    (remark,) = remarks(reply)
    assert "of the extended calibration plan: " in remark

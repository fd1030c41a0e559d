"""What is read from outside may be anything: a reader returns, or raises an error of ours, and nothing else.

Inputs are sound ones, changed at random places in the ways in which files go bad: bytes flipped, cut, doubled, swapped,
and words that mean something put where they do not belong.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from esorex_bridge.archive.auth import Credentials, Login
from esorex_bridge.archive.exchange import Answer, retry_after_s
from esorex_bridge.archive.manifest import Manifest
from esorex_bridge.archive.names import read_position
from esorex_bridge.archive.nightlog import read_night_log
from esorex_bridge.archive.package import read_package
from esorex_bridge.archive.part import stated_begin
from esorex_bridge.archive.replay import read_trace
from esorex_bridge.archive.table_rows import read_rows
from esorex_bridge.archive.transfer import local_name
from esorex_bridge.archive.trees import kept_replies
from esorex_bridge.archive.verify_stream import Arriving
from esorex_bridge.archive.votable import read_links
from esorex_bridge.batch.jobs import read_jobs
from esorex_bridge.datasets.choices import read_choices
from esorex_bridge.datasets.xml import read_tree
from esorex_bridge.definitions.edps.parameters import read_parameter_sets
from esorex_bridge.definitions.located import read_yaml
from esorex_bridge.definitions.oca.grammar import parse_expression, parse_rules
from esorex_bridge.definitions.parameters import read_settings
from esorex_bridge.definitions.workflow_yaml import parse_workflow
from esorex_bridge.errors import BridgeError
from esorex_bridge.esorex.diagnosis import first_error, warnings_in
from esorex_bridge.esorex.libraries import read_libraries
from esorex_bridge.executors.site import read_site
from esorex_bridge.executors.task import read_task
from esorex_bridge.fits.cache import HeaderCache
from esorex_bridge.fits.header import read_header
from esorex_bridge.fits.verify import read_fits
from esorex_bridge.lazy.command import DoubtError
from esorex_bridge.lazy.content import frames_of
from esorex_bridge.lazy.lazy_store import LazyStore
from esorex_bridge.lazy.replay import DamagedError, read_manifest
from esorex_bridge.organise.breakpoints import read_breakpoints
from esorex_bridge.plan.sof import SofError, parse_sof
from esorex_bridge.reflex.bookkeeping_db import read_database
from esorex_bridge.reflex.execution_folders import read_folder
from esorex_bridge.run.result import read_result
from esorex_bridge.store.rebuild import read_statement_file
from reflex_actors.moml.read import read as read_moml
from tests.tiny_fits import fits_of

TYPED = (BridgeError, DoubtError, DamagedError, SofError)

ROOT = Path(__file__).resolve().parents[2]

WORDS = (
    b"\0", b"\xff", b"\xed\xa0\x80", b"-1", b"99999999999999999999", b"1e999", b"nan", b"null", b"true", b"[", b"]", b"{",
    b"}", b'"', b"'", b":", b",", b"\n", b"\r\n", b"\t", b"<", b">", b"&", b"!x ", b"*a", b"&a ", b"%", b"..", b"/", b"\\",
    b"NAXIS   =", b"NAXIS1  =", b"BITPIX  =", b"END", b"XTENSION=", b"2880", b"-2147483649", b"<!DOCTYPE a [", b"]]>",
    "\u202e".encode(), b"()" * 50, b"[" * 200,
)  # fmt: skip


class Target(NamedTuple):
    """A reader, and a sound input for it."""

    read: Callable[[bytes, Path], object]
    sound: bytes


def text(read: Callable[[str], object]) -> Callable[[bytes, Path], object]:
    """Return a reader of bytes, from one of text, as a file is opened that may hold anything."""
    return lambda data, place: read(data.decode("utf-8", "replace"))


def file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    """Return a reader of bytes, from one of a file with a name."""

    def write(data: bytes, place: Path) -> object:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return read(path)

    return write


def _cache(path: Path) -> object:
    return HeaderCache(path, ("INSTRUME",)).get("a", "b")


def arrive(path: Path) -> object:
    """Take a file as a download takes it."""
    arriving = Arriving("a")
    arriving.feed(path.read_bytes())
    return arriving.close(path, fits=True)


FITS = fits_of({"INSTRUME": "NACO", "HIERARCH ESO DPR TYPE": "DARK", "EXPTIME": 1.5})
TREE = b"""<?xml version="1.0" encoding="UTF-8"?><association category="SCI" certified="false" complete="true"
 mode="Raw2Raw" type="main"><mainFiles><file category="OBJECT" name="NACO.2016-03-02T02:00:00.000"/></mainFiles>
<messages/><associatedFiles><association category="DARK" certified="true" complete="true" match="calib_plan" type="main">
<mainFiles><file category="CAL_DARK" name="NACO.2016-03-02T12:00:00.000"/></mainFiles><messages/><associatedFiles/>
</association></associatedFiles></association>"""
VOTABLE = b"""<?xml version="1.0"?><VOTABLE version="1.3"><RESOURCE type="results"><INFO name="QUERY_STATUS" value="OK"/>
<TABLE><FIELD name="ID" datatype="char" arraysize="*"/><FIELD name="access_url" datatype="char" arraysize="*"/>
<FIELD name="n" datatype="int"/><DATA><TABLEDATA><TR><TD>a</TD><TD>http://x/y</TD><TD>5</TD></TR></TABLEDATA></DATA>
</TABLE></RESOURCE></VOTABLE>"""
JOBS = b"parameters:\n  naco_img_dark: {nsamples: 50}\njobs:\n  - datasets: all\n  - datasets: [a, b]\n"
RULES = b"""if INSTRUME like "NACO%" and DPR.CATG == "CALIB" then { REFLEX.CATG = "DARK"; }
select execute(NACO_DARK) from inputFiles where REFLEX.CATG == "DARK" group by DET.DIT as (TPL_A,tpl);
action NACO_DARK { minRet = 3; select file as DARK from calibFiles where REFLEX.CATG == "X"; recipe naco_img_dark; }
"""
RESULT = json.dumps({
    "version": 1, "key": "0" * 64, "attempt": 1, "outcome": "made", "record": None, "error": "", "host": "h",
    "seconds": 1.0, "verified": {"/a": "sha256:1"}, "folder": None,
}).encode()  # fmt: skip
LIBRARIES = json.dumps(
    {"looked_at": [["/etc", ""], ["/a", "1:2"], ["/b", ""]], "files": [["l", "/l", "1", "d"]], "cpl": "cpl-7.2.3"}
).encode()
MANIFEST = b'{"esorex_bridge_manifest": 2}\n{"file": "a.fits", "stamp": "1:2:3:4", "digest": "sha256:0"}\n'
LOG = b"12:00:00 [ ERROR ] naco_img_dark: [tid=000] 'Bad file format: message' (6) at function:file.c:302\n[WARNING] x: y\n"
EXCHANGE = {
    "method": "GET", "url": "http://h/tap_obs/sync", "params": [["a", "b"]], "request_headers": {"Range": "bytes=0-0"},
    "status": 206, "headers": {"Content-Range": "bytes 0-0/5"}, "length": 1, "sha256": "0" * 64, "kept": "whole",
}  # fmt: skip
TRACE = f'{{"esorex_bridge_trace": 1, "bridge": "0"}}\n{json.dumps(EXCHANGE)}\n'.encode()
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NOTES = b"""{"esorex_bridge_trees": 1}
{"file": "a_raw2raw.xml", "dp_id": "a", "mode": "Raw2Raw", "time": "2026-03-02T11:00:00+00:00"}
"""
TOKEN = json.dumps({"id_token": "e30.eyJleHAiOiAxNzkwMDAwMDAwfQ.x", "expires_in": 28800, "scope": ""}).encode()
CACHE = b'{"file": "header cache of esorex-bridge", "version": 3}\n["keys", 0, "INSTRUME"]\n[0, "a", "b", ["NACO"]]\n'
CHOICES = b"version: 1\ndatasets:\n  D: {drop: [NACO.2016-03-02T02:00:00.000], use: {DARK: a.fits}}\n"

TARGETS = {
    "header": Target(file("a.fits", read_header), FITS),
    "fits": Target(file("a.fits", read_fits), FITS + b"\0" * 2880),
    "tolerant fits": Target(file("a.fits", lambda path: read_fits(path, tolerant=True)), FITS),
    "header cache": Target(file("c.jsonl", _cache), CACHE),
    "manifest": Target(file(".esorex_bridge_manifest.jsonl", lambda path: Manifest(path.parent)), MANIFEST),
    "association tree": Target(lambda data, _: read_tree(data), TREE),
    "table": Target(lambda data, _: read_rows(data), VOTABLE),
    "links": Target(lambda data, _: read_links(data), VOTABLE),
    "night log": Target(lambda data, _: read_night_log(data), b"OB: x\nGrade: A\nComment: fine\n"),
    "retry-after": Target(text(retry_after_s), b"Wed, 21 Oct 2026 07:28:00 GMT"),
    "content-disposition": Target(
        text(lambda given: local_name("NACO.2016-03-02T02:00:00.000", given, b"SIMPLE  =")),
        b"NACO.2016-03-02T02:00:00.000.fits.Z",
    ),
    "a trace": Target(file("exchanges.jsonl", lambda path: read_trace(path.parent)), TRACE),
    "notes of trees": Target(
        file(".esorex_bridge_trees.jsonl", lambda path: kept_replies(path.parent, ("a",), "Raw2Raw", NOON)), NOTES
    ),
    "notes of a part": Target(
        file("a.part.json", lambda path: stated_begin(path)),
        b'{"version": 1, "total_bytes": 9, "etag": "x", "modified": "", "name": "a.fits"}',
    ),
    "bytes that arrive": Target(file("a.fits", arrive), FITS + b"\0" * 2880),
    "bytes that arrive packed": Target(file("a.fits", arrive), gzip.compress(FITS, mtime=0)),
    "download script": Target(
        file("downloadScript_x.sh", lambda path: read_package(path.parent)),
        b'"https://dataportal.eso.org/dataPortal/file/NACO.2016-03-02T02:00:00.000" -P data_with_raw_calibs\n',
    ),
    "position": Target(lambda data, _: read_position(data), b"# NGC 1365\n%J 53.40155 -36.14040 = 03 33 36.37 -36 08 25.4\n"),
    "token": Target(lambda data, _: Login(Credentials("u", "p"), lambda _: Answer(200, {}, data)).token(), TOKEN),
    "yaml": Target(text(lambda given: read_yaml(given, "x")), JOBS),
    "jobs": Target(text(lambda given: read_jobs(given, "x")), JOBS),
    "parameters": Target(text(lambda given: read_settings(given, "x")), b"naco_img_dark: {nsamples: 50, r: '1 1 1 1'}\n"),
    "parameters of EDPS": Target(
        text(lambda given: read_parameter_sets(given, "x")), b"naco:\n  is_default: yes\n  recipe_parameters: {a: {b: 1}}\n"
    ),
    "choices": Target(text(lambda given: read_choices(_loaded(given), "x")), CHOICES),
    "workflow": Target(
        text(lambda given: parse_workflow(given, "x")), (ROOT / "workflows" / "naco.yaml").read_bytes()
    ),
    "rules": Target(text(lambda given: parse_rules(given, "x")), RULES),
    "expression": Target(text(parse_expression), b'INSTRUME like "NACO%" and DET.DIT > 5 and A.B is null'),
    "breakpoints": Target(text(lambda given: read_breakpoints(given, "x")), b'[{"mjdObs": 57400.5, "instrument": "NACO", "dpInstrument": "NACO", "rawType": "ANY", "doClass": "CAL_DARK", "proCatg": ""}]'),
    "site": Target(text(lambda given: read_site(given, "x")), b"slurm: {minutes: 5, options: [--partition=a]}\n"),
    "task": Target(text(lambda given: read_task(given, "x")), RESULT),
    "result": Target(text(read_result), RESULT),
    "libraries": Target(text(read_libraries), LIBRARIES),
    "statement of a run": Target(file("statement.json", lambda path: read_statement_file(path.parent)), RESULT),
    "set of files": Target(text(parse_sof), b"# x\n/a/b.fits CAL_DARK\n/c.fits RAW\n"),
    "set of files of esorex-lazy": Target(file("a.sof", lambda path: frames_of([str(path)])), b"a.fits CAL_DARK\n"),
    "manifest of esorex-lazy": Target(
        file("steps/00/00/manifest.json", lambda path: read_manifest(LazyStore(str(path.parents[3])), "00")),
        b'{"version": 1, "key": "00", "products": [], "others": []}',
    ),
    "messages of EsoRex": Target(text(lambda given: (first_error(given), warnings_in(given))), LOG),
    "Reflex's database": Target(file("bookkeeping.db", read_database), b"SQLite format 3\0" + b"\x10\0\1\1" * 300),
    "Reflex's folder": Target(
        file("run/parameters.json", lambda path: read_folder(path.parent)), b'[{"name": "a", "value": 1, "valtype": "int"}]'
    ),
    "workflow of Reflex": Target(
        lambda data, _: read_moml(data, "x"),
        b'<?xml version="1.0"?><entity name="x" class="ptolemy.actor.TypedCompositeActor"><property name="a" '
        b'class="ptolemy.data.expr.Parameter" value="1"/><entity name="b" class="c"><port name="p"/></entity></entity>',
    ),
}  # fmt: skip


def _loaded(given: str) -> Any:
    try:
        return yaml.safe_load(given)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return an input with one to four faults."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.choice((1, 1, 2, 8, 80)))
        match chance.randrange(6):
            case 0:
                changed[at:end] = chance.randbytes(end - at)
            case 1:
                del changed[at:end]
            case 2:
                changed[at:at] = chance.choice(WORDS)
            case 3:
                changed[at:end] = chance.choice(WORDS)
            case 4:
                changed[at:at] = changed[at:end] * chance.choice((1, 2, 20))
            case _:
                del changed[at:]
    return bytes(changed)


def untyped(target: Target, inputs: int, seed: int, place: Path) -> list[str]:
    """Return what a reader raised that is no error of ours, with the input."""
    chance = random.Random(seed)
    found = []
    for _ in range(inputs):
        data = mutated(target.sound, chance)
        try:
            target.read(data, place)
        except TYPED:
            continue
        except Exception as error:
            found.append(f"{type(error).__name__}: {error} of {data[:300]!r}")
    return found


@pytest.mark.parametrize("name", TARGETS)
def test_of_some_odd_inputs_none_ends_untyped(name: str, tmp_path: Path) -> None:
    assert untyped(TARGETS[name], 80, 1, tmp_path) == []


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", TARGETS)
def test_of_twenty_thousand_odd_inputs_none_ends_untyped(name: str, tmp_path: Path) -> None:
    assert untyped(TARGETS[name], 20_000, 2, tmp_path) == []


NEVER_SOUND = {"task", "statement of a run", "Reflex's database", "Reflex's dump"}
"""Readers whose sound inputs would be long; theirs are refused as a whole."""


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in NEVER_SOUND])
def test_the_inputs_that_are_changed_are_sound(name: str, tmp_path: Path) -> None:
    TARGETS[name].read(TARGETS[name].sound, tmp_path)

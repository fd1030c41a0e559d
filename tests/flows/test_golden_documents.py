"""The documents that verbs print with --json keep the fields that they have: programs of others read them.

New fields may come; one that goes, or becomes of another kind, is a change that users must be told of.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from esorex_bridge.cli import main
from esorex_bridge.cli.documents import catalogue
from esorex_bridge.cli.documents.catalogue import json_schema
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from reflex_actors.documents import DOCUMENTS as REFLEX_DOCUMENTS
from tests.flows.conftest import SMALL
from tests.golden_files import Golden

SCIENCE = "NACO.2016-03-02T00:30:00.076"
DATASET = f"{SCIENCE}_tpl"
JOBS = """\
parameters:
  naco_img_dark: {r: "8 8 8 8"}
  naco_img_twflat: {r: "8 8 8 8"}
  naco_img_jitter: {xcorr: "12 12 20 20"}
jobs:
  - datasets: all
"""


FOLDED = re.compile(r"((?:\.associated|\.actions)\[\])\1+")
"""Trees count as one level."""


def fields(value: Any, place: str = "") -> Iterator[str]:
    """Yield each field of a document with the kind of its value; elements of a list count together."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from fields(each, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        yield from dict.fromkeys(line for each in value for line in fields(each, f"{place}[]"))
        if not value:
            yield f"{place}[]"
    else:
        kinds = {bool: "true or false", int: "number", float: "number", str: "text", type(None): "null"}
        yield f"{place}: {kinds[type(value)]}"


DOCUMENTS = catalogue.DOCUMENTS | REFLEX_DOCUMENTS

SPECIAL = {
    "--list-only": "list",
    "--explain": "explain",
    "--grid": "grid",
    "--check": "check",
    "--archive-probe": "probe",
    "--bookkeeping": "history",
    "--edps": "edps",
    "--fault": "faults",
}
"""Options with which a verb prints another document, and the end of its name."""


def kind_of(words: tuple[object, ...]) -> str | None:
    """Return the name of the document that a command prints; None for `provenance`, which has its own."""
    verb, second = str(words[0]), str(words[1]) if len(words) > 1 else ""
    named = f"{verb}-{second}"
    if verb == "workflows" and any(str(word).startswith("edps:") for word in words):
        return f"{named}-edps"
    if verb in ("workflows", "provenance", "reflex") and named in DOCUMENTS:
        return named
    if verb == "batch" and "--dry-run" in words:
        return "batch-dry-run"
    found = [f"{verb}-{end}" for option, end in SPECIAL.items() if option in words and f"{verb}-{end}" in DOCUMENTS]
    return found[0] if found else verb if verb in DOCUMENTS else None


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_published_schema_is_that_of_the_type(name: str, update_goldens: bool) -> None:
    published = Path(__file__).resolve().parents[2] / "docs" / "reference" / "schemas" / f"{name}.json"
    if update_goldens:
        published.write_text(json.dumps(json_schema(DOCUMENTS[name]), indent=1) + "\n", encoding="utf-8")
    assert json.loads(published.read_text(encoding="utf-8")) == json_schema(DOCUMENTS[name])


def test_the_fields_of_all_documents_are_as_they_were(
    tmp_path: Path,
    small_archive: EmbeddedArchive,
    esorex: str,
    capsys: pytest.CaptureFixture[str],
    update_goldens: bool,
) -> None:
    root, jobs, wrong = tmp_path / "root", tmp_path / "jobs.yaml", tmp_path / "wrong.yaml"
    jobs.write_text(JOBS)
    wrong.write_text(
        "workflow: wrong\ninstruments: [X]\npipeline: naco\nstate: from documentation\n"
        "steps: [{recipe: naco_img_dark, main: [CAL_DARK], products: [A], parameters: {nsamples: many}}]\n"
    )
    golden = Golden("fields", update_goldens)

    def hold(*words: object, code: int = 0, rooted: bool = True) -> None:
        place = ("--root", root, "--archive", small_archive.url) if rooted else ()
        ended = main([*map(str, words), "--json", *map(str, place)])
        printed = capsys.readouterr()
        assert ended == code, printed.out + printed.err
        document = json.loads(printed.out)
        if (kind := "error" if "error" in document else kind_of(words)) is not None:
            jsonschema.Draft202012Validator(json_schema(DOCUMENTS[kind])).validate(document)
        assert document["schema"] == 1
        shown = (f"edps:{Path(word).name}" if "edps:" in word else Path(word).name for word in map(str, words))
        name = " ".join(word for word in shown if word not in SMALL)
        found = {FOLDED.sub(r"\1", line) for line in fields(json.loads(printed.out))}
        if update_goldens:
            golden.hold(name, sorted(found))
        assert set(golden.parts[name]) - found == set(), f"{name}: fields that are gone"

    frames = ("--program", "60.A-9999(A)")
    hold("query", *frames)
    hold("associations", SCIENCE)
    hold("reduce", *frames, "--dry-run", *SMALL)
    hold("fetch", SCIENCE, "--yes")
    hold("refresh", "--days", 0)
    hold("datalink", SCIENCE)
    hold("night-log", SCIENCE)
    hold("ancillary", "--collection", "NACO")
    hold("ancillary", "--collection", "NACO", "--adql")
    hold("organise")
    hold("why", DATASET)
    hold("why", "naco_img_dark_1", *SMALL)
    hold("review", DATASET, "--drop", "NACO.2016-03-02T00:32:40.624")
    hold("review", DATASET, "--reset")
    hold("plan")
    hold("plan", "--check", "--workflow", wrong, code=1)
    hold("run", "--dry-run", *SMALL)
    hold("run", "--explain", *SMALL)
    hold("batch", jobs, "--dry-run")
    hold("run", *SMALL)
    hold("run", "--dry-run", "--set", "naco_img_dark.nsamples=50", *SMALL)
    hold("reduce", *frames, *SMALL)
    hold("sof", *SMALL[:-1])  # so that one has no arguments
    hold("batch", jobs, "--name", "b")
    for action in ("status", "report"):
        hold("batch", action, "b")
    hold("status")
    hold("status", "--verify")
    hold("run", "--set", "naco_img_twflat.r=8 8 8 8", code=1)
    hold("clean", *SMALL)
    hold("adopt", root / "reflex_input" / "data_with_raw_calibs", "--dry-run")
    hold("run", "--set=nonsense", code=1)
    hold("query", *frames, "--adql")
    hold("fetch", SCIENCE, "--list-only")
    hold("log", "naco_img_dark_1")
    hold("report", "--no-previews")
    hold("doctor", code=1 if shutil.which("esorex") is None else 0)
    hold("completion", "bash", rooted=False)
    hold("doctor", "--archive-probe")
    hold("whoami", code=1)
    hold("demo", "--fault", "list", rooted=False)
    (product,) = root.glob("reflex_end_products/*/*/*.fits")
    hold("compare", product, product)
    hold("provenance", product)
    crate, again = tmp_path / "crate", tmp_path / "again"
    hold("provenance", "export", product, "--crate", crate)
    hold("provenance", "verify", crate, rooted=False)
    hold("provenance", "reproduce", crate, "--dry-run", "--offline", "--root", again, code=1, rooted=False)
    hold("adopt", "--bookkeeping", root / "reflex_book_keeping", "--dry-run")
    hold("workflows", rooted=False)
    for action in ("show", "check"):
        hold("workflows", action, "naco", rooted=False)
    hold("workflows", "compare", "naco", "hawki", rooted=False)
    hold("workflows", "export", "naco", "--edps", tmp_path / "edps", rooted=False)
    for action in ("show", "check"):
        hold("workflows", action, f"edps:{tmp_path}/edps/naco", rooted=False)
    workflow = Path(__file__).resolve().parents[2] / "workflows" / "naco.xml"
    hold("reflex", "check", workflow, "--no-recipes", rooted=False)
    hold("reflex", "workflow", "naco", rooted=False)
    hold("reflex", "install", "--into", tmp_path / "actors", rooted=False)
    hold("reflex", "doctor", "--into", tmp_path / "actors", rooted=False)

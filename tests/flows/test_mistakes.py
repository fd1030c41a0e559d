"""Typical mistakes: each ends with its exit code, one sentence that says what is wrong, and what to type or do next."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from esorex_bridge.cli import main
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.archive.faults import Fault
from esorex_bridge.demo.archive.login import DEMO_PASSWORD, DEMO_USER
from esorex_bridge.demo.nights.amber import amber_night
from esorex_bridge.demo.nights.naco import naco_night
from tests.flows.conftest import SMALL_FRAMES, put_on_disk
from tests.tiny_fits import fits_of, write_night

BRIDGE = Path(sys.executable).with_name("esorex-bridge")
DATASET = "NACO.2016-03-02T00:30:00.076_tpl"
RAW = "NACO.2016-03-02T00:30:00.076"
REFUSED = "NACO.2016-03-02T00:32:40.624"
STATIC = "M.AMBER.2010-04-30T12:00:03.354"
SMALL = " ".join(f"--set '{name}={value}'" for name, value in SMALL_FRAMES.items())
FORS = {"INSTRUME": "FORS2", "ARCFILE": "FORS2.2016-03-02T00:30:00.076", "DPR.CATG": "SCIENCE", "DPR.TYPE": "OBJECT",
        "DPR.TECH": "IMAGE", "TPL.ID": "FORS2_img_obs_crsplit", "MJD-OBS": 57449.02}  # fmt: skip
WITHOUT_RIGHTS = f"unshare -U {BRIDGE}"
SMALL_DISK = (
    f'unshare -rm sh -ec \'mount -t tmpfs -o size=20k none "{{root}}/reflex_tmp_products"; exec "$@"\' sh {BRIDGE}'
)
Prepare = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Mistake:
    """What somebody types, and what is said: `{root}` holds a night, `{empty}` nothing, `{url}` is the archive."""

    what: str
    words: str
    code: int
    said: str
    next: str
    prepare: Prepare = lambda root: None
    env: tuple[tuple[str, str], ...] = ()
    within: str = ""
    """The command with what gives it other rights or another disk; it is started by itself then."""


def _write(name: str, text: str) -> Prepare:
    def write(root: Path) -> None:
        (root / name).write_text(text, encoding="utf-8")

    return write


def _science(root: Path) -> Path:
    return next(root.rglob(f"{RAW}.fits"))


def _truncate(root: Path) -> None:
    path = _science(root)
    path.write_bytes(path.read_bytes()[:4000])


def _two_of_one_name(root: Path) -> None:
    path = _science(root)
    other = root / "reflex_input" / "other" / path.name
    other.parent.mkdir()
    content = bytearray(path.read_bytes())
    content[-3000:-2990] = b"\x01" * 10
    other.write_bytes(content)


def _two_trees(root: Path) -> None:
    (tree,) = root.rglob("*.xml")
    other = root / "reflex_input" / "other" / tree.name
    other.parent.mkdir()
    other.write_text(
        re.sub(r"<message>.*?</message>", "", tree.read_text()).replace('complete="true"', 'complete="false"')
    )


def _copy_of_tree(root: Path) -> None:
    (tree,) = root.rglob("*.xml")
    (root / "reflex_input" / "other").mkdir()
    shutil.copy(tree, root / "reflex_input" / "other" / tree.name)


def _of_fors(root: Path) -> None:
    shutil.rmtree(root / "reflex_input")
    write_night(root / "reflex_input", {FORS["ARCFILE"]: FORS})


def _read_only(root: Path) -> None:
    (root / "reflex_book_keeping").write_text("not a folder")


MISTAKES = [
    Mistake("no verb", "", 2, "usage: esorex-bridge VERB", "esorex-bridge VERB --help"),
    Mistake("verb misspelt", "redcue {root}", 2, "unknown verb 'redcue'", "did you mean 'reduce'"),
    Mistake("option misspelt", "run --root {root} --sett a.b=1", 2, "unknown option '--sett'", "did you mean '--set'"),
    Mistake("choice misspelt", "run --root {root} --by ocaa", 2, "--by is none of auto", "did you mean 'oca'"),
    Mistake("one word too many", "whoami me", 2, "one word too many", "whoami --help"),
    Mistake("wrong root", "run --root {empty}/nowhere", 1, "does not exist|no association tree", "--root|fetch"),
    Mistake("root is a file", "run --root {root}/a_file", 1, "is a file", "--root", _write("a_file", "x")),
    Mistake("root is the data folder", "status --root {root}/reflex_input", 1, "is the input folder of", "--root"),
    Mistake("step misspelt", "run --root {root} --from-step naco_img_drak_1", 1, "no recipe or step 'naco_img_drak_1'",
            "did you mean 'naco_img_dark_1'"),
    Mistake("step misspelt in why", "why naco_img_drak_1 --root {root}", 1, "naco_img_drak_1", "naco_img_dark_1"),
    Mistake("dataset misspelt", "plan NACO.2016-03-02T00:30:00.077_tpl --root {root}", 1, "no dataset",
            f"did you mean '{DATASET}'"),
    Mistake("recipe misspelt", "plan --root {root} --set naco_img_drak.nsamples=5", 1, "no recipe 'naco_img_drak'",
            "did you mean 'naco_img_dark'"),
    Mistake("parameter misspelt", "run --dry-run --root {root} --set naco_img_dark.nsample=5", 1, "nsample",
            "nsamples"),
    Mistake("parameter of the wrong type", "run --dry-run --root {root} --set naco_img_dark.nsamples=many", 1,
            "nsamples.*many", "whole number"),
    Mistake("parameter out of range", "run --dry-run --root {root} --set naco_img_dark.nsamples=99999999999", 1,
            "nsamples", "between|range|-2147483648"),
    Mistake("set without a dot", "run --root {root} --set nsamples=5", 1, "--set nsamples=5", "RECIPE.PARAM=VALUE"),
    Mistake("instrument misspelt", "query --instrument nacoo --max 5 --archive {url}", 0, "0 frames", "naco"),
    Mistake("workflow misspelt", "plan --root {root} --workflow nacoo", 1, "nacoo", "did you mean 'naco'"),
    Mistake("category misspelt", f"review {DATASET} --root {{root}} --use {RAW} --for CAL_DRAK", 1, "CAL_DRAK",
            "review"),
    Mistake("no EsoRex", "run --root {root}", 1, "EsoRex is not installed", "apt-get install esorex",
            env=(("PATH", "/nowhere"),)),
    Mistake("a raw that is missing", "plan --root {root}", 1, "not on this machine|missing", "fetch|why",
            lambda root: _science(root).unlink()),
    Mistake("a tree that is missing", "run --root {root} --by calselector", 1, "no association tree", "fetch",
            lambda root: [path.unlink() for path in root.rglob("*.xml")] and None),
    Mistake("a damaged tree", "run --root {root} --by calselector", 1, "xml", "fetch|not an association tree|refresh",
            lambda root: [path.write_text("<nonsense") for path in root.rglob("*.xml")] and None),
    Mistake("no network", "query --night 2016-03-01 --archive http://127.0.0.1:9", 1, "127.0.0.1:9", "later|--archive",
            env=(("ESOREX_BRIDGE_PATIENCE", "0"),)),
    Mistake("archive is no address", "query --night 2016-03-01 --archive nonsense", 1, "nonsense", "http"),
    Mistake("token refused", f"fetch {REFUSED} --no-calibrations --yes --root {{empty}} --archive {{url}}", 1,
            "this user has no access", "esorex-bridge login",
            env=(("ESO_USERNAME", DEMO_USER), ("ESO_PASSWORD", DEMO_PASSWORD), ("ESOREX_BRIDGE_PATIENCE", "0"))),
    Mistake("a static that is missing", "plan --root {amber}", 1, f"{STATIC} .*is not on this machine", "fetch"),
    Mistake("wrong password", "whoami --archive {url}", 1, "login|password|credentials", "esorex-bridge login|ESO_"),
    Mistake("bad date", "query --night 2016-13-01 --archive {url}", 1, "2016-13-01", "YYYY-MM-DD"),
    Mistake("bad RA", "query --ra 400 --dec 1 --radius 1 --archive {url}", 1, "400", "degrees"),
    Mistake("bad radius", "query --ra 4 --dec 1 --radius -1 --archive {url}", 1, "-1", "degrees"),
    Mistake("RA that is no number", "query --ra five --dec 1 --radius 1 --archive {url}", 1, "five", "degrees"),
    Mistake("swapped dates", "query --from 2016-03-05 --to 2016-03-01 --archive {url}", 1, "later than", "exchange"),
    Mistake("an empty result", "query --night 2011-01-01 --archive {url}", 0, "0 frames", "next: "),
    Mistake("nothing to reduce", "reduce --night 2011-01-01 --root {empty} --archive {url}", 1, "no science frame",
            "esorex-bridge query"),
    Mistake("a folder that is none", "reduce {empty}/nowhere --root {empty}", 1, "nowhere", "NACO.2016|folder"),
    Mistake("root cannot be written", "run --root {root}", 1, "reflex_book_keeping", "move it away",
            _read_only),
    Mistake("no right to write the root", f"run --root {{root}} {SMALL}", 1, "cannot be (written|opened)",
            "g\\+w|get the right", lambda root: root.chmod(0o555), within=WITHOUT_RIGHTS),
    Mistake("no right to read the data", "plan --root {root}", 1, "reflex_input.*Permission denied", "get the right",
            lambda root: (root / "reflex_input").chmod(0), within=WITHOUT_RIGHTS),
    Mistake("a home that cannot be written", "run --dry-run --root {root}", 0, "3 planned", "next: ",
            env=(("HOME", "/proc/1"), ("XDG_CONFIG_HOME", ""), ("XDG_CACHE_HOME", ""))),
    Mistake("a disk without room", f"run --root {{root}} {SMALL}", 1, "are needed on the disk of .*which has",
            "--room ignore", lambda root: (root / "reflex_tmp_products").mkdir(), within=SMALL_DISK),
    Mistake("a SOF that is missing", "naco_img_dark {empty}/none.sof", 9, "none.sof", "sof",
            within=str(BRIDGE.with_name("esorex-lazy"))),
    Mistake("two datasets of one name", "organise --root {root}", 0,
            "not used: other/NACO.*xml, which says otherwise", "remove the one that is out of date", _two_trees),
    Mistake("two datasets of one name in a plan", "plan --json --root {root}", 0, "not used: other/NACO",
            "remove the one that is out of date", _two_trees),
    Mistake("two datasets of one name by both", "organise --by both --json --root {root}", 0, "not used: other/NACO",
            "remove the one that is out of date", _two_trees),
    Mistake("a copy of an association tree", "organise --root {root}", 0, "1 dataset, 1 complete", "next: ",
            _copy_of_tree),
    Mistake("jobs file with a wrong key", "batch {root}/jobs.yaml --root {root}", 1, "jobs.yaml:1.*'job'",
            "allowed: batch",             _write("jobs.yaml", "job: []\n")),
    Mistake("jobs file that is not there", "batch {root}/none.yaml --root {root}", 1, "none.yaml", "No such file"),
    Mistake("a wrong value for a dataset of a jobs file", f"batch {{root}}/jobs.yaml --root {{root}} {SMALL}", 1,
            "'many'; it must be a whole number", "jobs.yaml:3",
            _write("jobs.yaml", "jobs:\n- {datasets: all, overrides: {other: {naco_img_dark: {\n"
                                "   nsamples: many}}}}\n")),
    Mistake("a wrong value in a sweep", "batch {root}/jobs.yaml --root {root} --dry-run", 1,
            "nsamples of naco_img_dark is 'b'", "whole number",
            _write("jobs.yaml", "jobs: [{datasets: all, sweep: {naco_img_dark: {nsamples: [5, b]}}}]\n")),
    Mistake("a recipe misspelt in a jobs file", "batch {root}/jobs.yaml --root {root} --dry-run", 1,
            "jobs.yaml:1: .* has no recipe 'naco_img_drak'", "did you mean 'naco_img_dark'",
            _write("jobs.yaml", "jobs: [{datasets: all, parameters: {naco_img_drak: {nsamples: 5}}}]\n")),
    Mistake("a folder as jobs file", "batch {root} --root {root}", 1, "is a folder", "give --data"),
    Mistake("a verb of batches misspelt", "batch statsu --root {root}", 1, "no jobs file 'statsu'",
            "did you mean 'esorex-bridge batch status'"),
    Mistake("a site file with a wrong key", "batch {root}/jobs.yaml --root {root} --site {root}/site.yaml", 1,
            "site.yaml:1: .*'engine'", "allowed: environment",
            lambda root: [_write("jobs.yaml", "jobs: [{datasets: all}]\n")(root),
                          _write("site.yaml", "engine: slurm\n")(root)]),
    Mistake("a column that is none", "query --night 2016-03-01 --columns dp_id,objct --archive {url}", 1,
            "no column 'objct'", "did you mean object"),
    Mistake("a condition that is none", "query --night 2016-03-01 --where 'exposure >' --archive {url}", 1,
            "does not understand the query", "look at --where"),
    Mistake("a number that is none", "query --max many --archive {url}", 2, "--max is 'many'", "a whole number"),
    Mistake("a port that is none", "explore --root {root} --port 99999", 2, "'99999' is not a port", "65535"),
    Mistake("a file instead of its folder", "reduce {root}/raw.fits --root {empty}", 1, "raw.fits is a file",
            "'esorex-bridge reduce .*night'", _write("raw.fits", "x")),
    Mistake("a dataset instead of a frame", f"fetch {DATASET} --yes --root {{root}}", 1, "is a dataset",
            f"esorex-bridge run {DATASET}"),
    Mistake("a data folder that is not there", "plan --data {empty}/nowhere --root {root}", 1,
            "--data .*nowhere does not exist", "name one that does"),
    Mistake("a folder to organise that is not there", "organise {empty}/nowhere --root {root}", 1,
            "nowhere does not exist", "name one that does"),
    Mistake("breakpoints that are not there", "run --root {root} --breakpoints {empty}/none.json", 1,
            "--breakpoints .*none.json does not exist", "name one that does"),
    Mistake("parameters that are not there", "run --root {root} --parameters {empty}/none.yaml", 1,
            "none.yaml cannot be read: No such file or directory", "name a file that is there"),
    Mistake("a fault without an archive", "demo --fault truncated --root {empty}/demo", 1, "--fault", "give --serve"),
    Mistake("nothing to ask again", "refresh --root {empty}", 0, "0 trees", "esorex-bridge fetch"),
    Mistake("a package that is none", "adopt {empty}/nowhere --root {root}", 1, "is not a folder", "name that of"),
    Mistake("YAML indentation", "batch {root}/jobs.yaml --root {root}", 1, "jobs.yaml:3.*not YAML", "indentation",
            _write("jobs.yaml", "jobs:\n - datasets: all\n  mode: raw\n")),
    Mistake("unknown engine", "batch {root}/jobs.yaml --root {root} --on slrum", 2, "--on is none of local",
            "did you mean 'slurm'", _write("jobs.yaml", "jobs: [{datasets: all}]\n")),
    Mistake("no jobs at a time", "run --root {root} --jobs 0", 2, "--jobs", "1 or more"),
    Mistake("FITS of another instrument", "plan --root {root}", 1, "is another frame than its name says.*FORS2",
            "fetch", lambda root: _science(root).write_bytes(fits_of(FORS))),
    Mistake("a pipeline that is missing", "plan --data {root}/reflex_input", 1, "No OCA rules for FORS2 are installed",
            "cpl-plugin-fors",
            lambda root: _of_fors(root)),
    Mistake("programme without its run", "query --program 60.A-9999 --archive {url}", 0, "60.A-9999",
            "60.A-9999"),
    Mistake("not a FITS file", "plan --root {root}", 1, "not a FITS|no FITS|not FITS", "fetch",
            lambda root: _science(root).write_text("hello")),
    Mistake("a truncated FITS file", f"run --root {{root}} {SMALL}", 1, "truncated|ends|short|cut",
            "fetch", _truncate),
    Mistake("two files of one name", "organise --root {root}", 0, "Two different files are called", "is used",
            _two_of_one_name),
    Mistake("choices that are damaged", "plan --root {root}", 1, "choices.yaml", "correct it",
            _write("choices.yaml", "version: [\n")),
    Mistake("choices that are nested too deeply", "plan --root {root}", 1, "choices.yaml", "correct it",
            _write("choices.yaml", "[" * 5000)),
    Mistake("a setting that is none", "plan --root {root}", 1, "settings.yaml:1", "allowed: root, archive",
            _write("settings.yaml", "rot: x\n")),
    Mistake("a log of nothing", "log naco_img_drak_1 --root {root}", 1, "naco_img_drak_1|no runs", "--root|plan"),
    Mistake("a product that is none", "provenance nothing.fits --root {empty}", 1, "not a data root", "--root"),
    Mistake("a batch that is none", "batch status nightly --root {root}", 1, "nightly|no batch", "batch"),
    Mistake("sub-verb misspelt", "provenance exprot x --root {root}", 2, "one word too many", "did you mean 'export'"),
]  # fmt: skip


@pytest.fixture(scope="module")
def archive(frames_folder: Path) -> Iterator[EmbeddedArchive]:
    with EmbeddedArchive([naco_night(npix=128)], frames_folder, proprietary={REFUSED}) as served:
        served.fault(Fault.REFUSING, "file", file=REFUSED)
        yield served


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, frames_folder: Path) -> Path:
    root = tmp_path_factory.mktemp("template") / "root"
    put_on_disk(naco_night(npix=128), frames_folder, root)
    return root


@pytest.mark.usefixtures("esorex")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what)
def test_a_mistake_is_answered(
    mistake: Mistake,
    template: Path,
    archive: EmbeddedArchive,
    frames_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, empty = tmp_path / "night", tmp_path / "empty"
    empty.mkdir()
    if "{amber}" in mistake.words:
        folder = put_on_disk(amber_night(), frames_folder, root)
        (folder / f"{STATIC}.fits").unlink()
    if "{root}" in mistake.words:
        shutil.copytree(template, root, copy_function=os.link if mistake.prepare is Mistake.prepare else shutil.copy2)
        mistake.prepare(root)
    monkeypatch.chdir(empty)
    for name, value in mistake.env:
        monkeypatch.setenv(name, value)
    words = shlex.split(mistake.words.format(root=root, amber=root, empty=empty, url=archive.url))
    if mistake.within:
        code, out, err = _run_within(shlex.split(mistake.within.format(root=root)), words)
        (root if root.exists() else empty).chmod(0o755)
    else:
        try:
            code = main(words)
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
    said = " ".join((out + err).split())  # tables break long sentences
    assert code == mistake.code, said
    assert re.search(mistake.said, said, re.DOTALL), said
    assert re.search(mistake.next, said, re.DOTALL), said
    assert "Traceback" not in said
    complaint = [line for line in err.splitlines() if line.startswith("esorex-bridge: ")]
    if mistake.code in (1, 2) and not out:
        assert len(complaint) == 1, said
        assert complaint[0].count("\n") == 0


def _run_within(command: list[str], words: list[str]) -> tuple[int, str, str]:
    if command[0] == "unshare" and subprocess.run([*command[:2], "true"], check=False).returncode:
        pytest.skip("no other rights and no other disk can be had here")
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=100)
    return done.returncode, done.stdout, done.stderr


def test_there_are_forty_mistakes() -> None:
    assert len({mistake.what for mistake in MISTAKES}) >= 40


def test_a_usage_error_is_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["run", "--sett", "x", "--json"], ["rnu", "--json"]):
        try:
            code = main(words)
        except SystemExit as stop:
            code = int(stop.code or 0)
        document = json.loads(capsys.readouterr().out)
        assert code == 2
        assert document["error"]["kind"] == "Usage"

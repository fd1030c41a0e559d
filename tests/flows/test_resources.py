"""What recipes take of the machine: measured, recorded, shown, and expected of the next run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from esorex_bridge.esorex.recipe import Recipe, Usage
from esorex_bridge.session import Session
from esorex_bridge.settings import Settings
from esorex_bridge.store.summaries import RunEnd
from tests.batch_runs import JOBS, executions, make_root, stand_in
from tests.flows.conftest import SMALL, Ended
from tests.slurm_cluster import control_group

pytestmark = pytest.mark.usefixtures("esorex")

SLOW = pytest.mark.slow
MEASURE = """\
import os, resource, subprocess, sys
subprocess.run(["sh", sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
"""
"""The same run by other means."""


def test_a_run_tells_what_each_recipe_took_as_the_system_does(root: Path, bridge: Callable[..., Ended]) -> None:
    ended = bridge("run", "--root", root, "--json", *SMALL)
    assert ended.code == 0, ended.err
    step = ended.step("naco_img_dark")
    script = Path(step["sof"]).with_name("cmdline.sh")
    (script.parent / "home").mkdir(exist_ok=True)
    done = subprocess.run([sys.executable, "-c", MEASURE, script], capture_output=True, text=True, check=True)
    processor_seconds, memory_bytes = map(float, done.stdout.split())
    assert step["usage"]["memory_bytes"] == pytest.approx(memory_bytes, rel=0.1)
    assert step["usage"]["processor_seconds"] == pytest.approx(processor_seconds, rel=0.8, abs=0.5)
    files = [Path(line.split()[0]) for line in Path(step["sof"]).read_text().splitlines()]
    assert step["usage"]["input_bytes"] == sum((script.parent / file).stat().st_size for file in files)
    again = bridge("run", "--root", root, "--json", *SMALL)
    assert again.step("naco_img_dark")["usage"] is None, "it took nothing in this run"


def test_log_lineage_and_page_tell_what_a_recipe_took(root: Path, bridge: Callable[..., Ended]) -> None:
    step = bridge("run", "--root", root, "--json", *SMALL).step("naco_img_jitter")
    (product, *_) = step["products"]
    (told, *_) = bridge("log", "naco_img_jitter_1", "--root", root).out.splitlines()
    assert re.fullmatch(r"naco_img_jitter_1: exit code 0, \d+\.\d\d s, \d+\.\d processors, \d+ MB", told)
    lineage = bridge("provenance", product["path"], "--root", root, "--json").json
    usages = {each["recipe"]: each["usage"] for each in lineage["steps"]}
    assert usages["naco_img_jitter"] == step["usage"]
    page = Path(bridge("report", "--root", root, "--json", *SMALL).json["report"]).read_text()
    assert told.partition(", ")[2] in page


def test_what_a_program_around_esorex_takes_counts(
    root: Path, tmp_path: Path, esorex: str, bridge: Callable[..., Ended]
) -> None:
    greedy = f"""{sys.executable} -c 'taken = bytearray(300 << 20); sum(range(20_000_000))'"""
    env = stand_in(tmp_path / "bin", esorex, f'case "$PWD" in *dark*) {greedy};; esac')
    ended = bridge("run", "--root", root, "--json", *SMALL, env=env)
    usage = ended.step("naco_img_dark")["usage"]
    assert 300 << 20 < usage["memory_bytes"] < 340 << 20
    assert usage["processor_seconds"] > 0.3


def test_a_dry_run_tells_what_is_expected(root: Path, bridge: Callable[..., Ended]) -> None:
    nothing = bridge("run", "--root", root, "--dry-run", "--json", *SMALL).step("naco_img_jitter")
    assert (nothing["expected_seconds"], nothing["expected_memory_bytes"]) == (None, None)
    made = bridge("run", "--root", root, "--json", *SMALL).step("naco_img_jitter")
    options = ("--root", root, "--dry-run", "--force", "naco_img_jitter")
    step = bridge("run", "--json", *options, *SMALL).step("naco_img_jitter")
    assert step["expected_seconds"] == pytest.approx(made["seconds"], abs=0.001)
    assert step["expected_memory_bytes"] == round(1.25 * made["usage"]["memory_bytes"])
    told = bridge("run", *options, *SMALL).out
    assert f"~{made['seconds']:.2f}" in told
    assert re.search(r"1 planned; expected: \d+\.\d s of recipes, at most \d+ MB in one", told), told
    (root / "jobs.yaml").write_text(JOBS)
    preview = bridge("batch", root / "jobs.yaml", "--json", *options).json
    assert preview["expected_seconds"] == {"naco_img_jitter": pytest.approx(made["seconds"], abs=0.001)}


def test_a_batch_reports_what_recipes_took(root: Path, bridge: Callable[..., Ended]) -> None:
    (root / "jobs.yaml").write_text(JOBS)
    ended = bridge("batch", root / "jobs.yaml", "--root", root, "--json")
    recipes = {each["recipe"]: each for each in ended.json["recipes"]}
    (run,) = runs_of(root, "naco_img_jitter")
    jitter = recipes["naco_img_jitter"]
    assert (jitter["memory_bytes"], jitter["processor_seconds"]) == (run[2].memory_bytes, run[2].processor_seconds)


ONCE = 'case "$PWD" in *dark*) mkdir {mark} 2>/dev/null && {die};; esac'
"""The dark's recipe is ended at its first attempt."""


def test_a_recipe_that_was_killed_is_run_again_alone_and_that_is_said(
    root: Path, tmp_path: Path, esorex: str, bridge: Callable[..., Ended]
) -> None:
    env = stand_in(tmp_path / "bin", esorex, ONCE.format(mark=tmp_path / "mark", die="kill -9 $$"))
    ended = bridge("run", "--root", root, "--json", *SMALL, env=env)
    assert ended.code == 0, ended.err
    assert "naco_img_dark_1: " in ended.err and "where memory is short; it is run again alone" in ended.err
    (note,) = ended.step("naco_img_dark")["notes"]
    assert note.endswith("it is run again alone")
    assert executions(root) == {"naco_img_dark_1": 2, "naco_img_twflat_1": 1, "naco_img_jitter_1": 1}
    assert [run[1] for run in runs_of(root, "naco_img_dark")] == ["killed", "done"]


def test_a_recipe_that_is_killed_twice_has_failed(
    root: Path, tmp_path: Path, esorex: str, bridge: Callable[..., Ended]
) -> None:
    env = stand_in(tmp_path / "bin", esorex, 'case "$PWD" in *dark*) kill -9 $$;; esac')
    ended = bridge("run", "--root", root, "--json", *SMALL, env=env)
    step = ended.step("naco_img_dark")
    assert (ended.code, step["outcome"]) == (1, "failed")
    assert step["error"].startswith("killed 2 times, though there was more memory at last: naco_img_dark failed")
    assert executions(root)["naco_img_dark_1"] == 2
    assert ended.step("naco_img_jitter")["outcome"] == "blocked"


@pytest.mark.parametrize("verb", ["run", "batch"])
def test_a_recipe_that_the_kernel_kills_for_memory_is_run_again(
    verb: str, root: Path, tmp_path: Path, esorex: str, bridge: Callable[..., Ended]
) -> None:
    with control_group(60 << 20) as group:
        greedy = f"""echo $$ > {group}/cgroup.procs && exec {sys.executable} -c 'bytearray(200 << 20)'"""
        env = stand_in(tmp_path / "bin", esorex, ONCE.format(mark=tmp_path / "mark", die=f"{{ {greedy}; }}"))
        (root / "jobs.yaml").write_text(JOBS)
        words = ("run", *SMALL) if verb == "run" else ("batch", root / "jobs.yaml", "--retries", 0)
        ended = bridge(*words, "--root", root, "--json", env=env)
    assert ended.code == 0, ended.err
    assert re.search(r"naco_img_dark_1.*where memory is short.*again", ended.err), ended.err
    killed, done = runs_of(root, "naco_img_dark")
    assert (killed[1], done[1]) == ("killed", "done")
    assert 40 << 20 < killed[2].memory_bytes < 90 << 20, "what it got, with pages that others share"


@pytest.mark.parametrize(
    ("verb", "memory", "at_once"),
    [("run", 400, 1), ("run", 0, 2), pytest.param("batch", 400, 1, marks=SLOW)],
)
def test_recipes_wait_for_the_memory_that_earlier_runs_took(
    verb: str, memory: int, at_once: int, tmp_path: Path, frames_folder: Path, esorex: str, bridge: Callable[..., Ended]
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 2)
    log = tmp_path / "log"
    greedy = f"{sys.executable} -c 'import time; taken = bytearray(250 << 20); time.sleep(0.4)'"
    # Where two may run, the first waits for the second.
    meet = f"while [ -e {log}.met ] && [ $(grep -c + {log}) -lt {at_once} ]; do sleep 0.05; done"
    script = f"""case "$PWD" in *jitter*)
        echo + >> {log}; {greedy}; {meet}; {esorex} "$@"; c=$?; echo - >> {log}; exit $c;; esac"""
    env = stand_in(tmp_path / "bin", esorex, script)
    words = ("run", *SMALL) if verb == "run" else ("batch", root / "jobs.yaml")
    first = bridge(*words, "--root", root, "--jobs", 1, env=env)
    assert first.code == 0, first.err
    log.unlink()
    Path(f"{log}.met").touch()
    options = ("--root", root, "--force", "naco_img_jitter", "--jobs", 2, "--memory", memory)
    ended = bridge(*words, *options, env=env)
    assert ended.code == 0, ended.err
    assert most_at_once(log) == at_once
    assert ("waits for memory: about 3" in ended.err) is (at_once == 1), ended.err


def most_at_once(log: Path) -> int:
    running = most = 0
    for line in log.read_text().split():
        running += 1 if line == "+" else -1
        most = max(most, running)
    return most


def runs_of(root: Path, recipe: str) -> list[tuple[float, RunEnd, Usage]]:
    with Session(Settings(root=root)) as session:
        assert session.esorex is not None
        found = session.esorex.recipes([recipe])[recipe]
        assert isinstance(found, Recipe)
        return session.store.measured_runs(recipe, found.pipeline)

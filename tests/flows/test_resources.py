"""What recipes take of the machine: measured, recorded, shown, and expected of the next run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.batch_runs import stand_in
from tests.flows.conftest import SMALL, Ended

pytestmark = pytest.mark.usefixtures("esorex")

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
    assert step["usage"]["processor_seconds"] == pytest.approx(processor_seconds, rel=0.6, abs=0.03)
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

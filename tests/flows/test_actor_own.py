"""The example of how to write an own actor works as it stands there, in Reflex's own interpreter."""

from __future__ import annotations

import re
from pathlib import Path

from reflex_actors.install import install
from tests.flows.reflex_driver import ReflexDriver

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "write-your-own-actor.md"


def test_the_example_runs_in_reflexs_own_interpreter(tmp_path: Path, empty_home: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) < 30
    actors = install(tmp_path / "actors").folder
    (actors / "brightest.py").write_text(example)
    (tmp_path / "scratch").mkdir()
    reflex = ReflexDriver(actors, tmp_path / "scratch", empty_home)
    for number in range(3):
        (tmp_path / f"{number}.fits").write_bytes(b"x" * (number + 1))
    sof = "night|" + ",".join(f"{tmp_path}/{number}.fits;BIAS;BIAS/SCI" for number in range(3))
    found = reflex.ok("brightest.py", in_sof=sof, number="2")
    assert [Path(file["name"]).stem for file in found["out_sof"]["files"]] == ["2", "1"]
    assert found["total"] == "3"
    assert found["out_sof"]["files"][0]["purposes"] == ["BIAS/SCI"]
    assert "must be a whole number" in reflex.run("brightest.py", {"in_sof": sof, "number": "all"}).stderr


def test_the_command_in_the_guide_is_a_step(tmp_path: Path, actors_folder: Path, empty_home: Path) -> None:
    (script,) = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    (tmp_path / "clean.sh").write_text(script)
    (tmp_path / "a.fits").write_text("x")
    (tmp_path / "scratch").mkdir()
    reflex = ReflexDriver(actors_folder, tmp_path / "scratch", empty_home)
    found = reflex.ok("run_command.py", in_sof=f"d|{tmp_path}/a.fits;RAW;RAW/SCI", command=f"sh {tmp_path}/clean.sh")
    (file,) = found["out_sof"]["files"]
    assert (Path(file["name"]).name, file["category"], file["purposes"]) == ("clean_a.fits", "CLEAN_RAW", ["SCI"])

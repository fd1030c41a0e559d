"""What happens to a batch on Parsl: beginnings, a pilot that is lost, a driver that is killed, paths with blanks."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path

import pytest

from esorex_bridge.executors.parsl import workers_of
from esorex_bridge.executors.site import read_site
from tests.batch_runs import (
    assert_accounted,
    await_that,
    batch_folder,
    ended,
    events,
    make_root,
    recorded,
    report_of,
    running,
    stand_in,
)

pytestmark = [
    pytest.mark.usefixtures("esorex"),
    pytest.mark.skipif(
        importlib.util.find_spec("parsl") is None,
        reason="Parsl is not installed (pip install 'esorex-bridge[cluster]')",
    ),
]

WAITING = 'case "$PWD" in *dark*) echo $$ > {mark}.begun; while ! [ -e {mark} ]; do sleep 0.1; done;; esac'


def pilots(root: Path) -> list[int]:
    """Return the processes of Parsl that work for a root."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace") if entry.name.isdigit() else ""
        except OSError:
            continue
        if "process_worker_pool" in words and str(root) in words:
            found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["parsl"], indirect=True)
def test_a_lost_pilot_is_reported_as_lost_attempts_and_replaced(
    engine: tuple[str, ...], tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "root", frames_folder, 1)
    mark = tmp_path / "go"
    env = stand_in(tmp_path / "bin", esorex, WAITING.format(mark=mark))
    with running("batch", root / "jobs.yaml", "--root", root, "--name", "b", "--json", *engine, env=env) as process:
        await_that(lambda: Path(f"{mark}.begun").exists() and Path(f"{mark}.begun").read_text().strip())
        await_that(lambda: any(each["event"] == "running" for each in events(root, "b")))
        await_that(lambda: recorded(root)["naco_img_twflat"])  # what runs beside it would be lost too
        for pilot in pilots(root):
            os.kill(pilot, signal.SIGKILL)
        recipe = Path("/proc", Path(f"{mark}.begun").read_text().strip())
        await_that(lambda: not recipe.exists())
        mark.touch()
        done = ended(process, 100)
    report = report_of(done)
    assert (report["outcomes"]["done"], report["lost"]) == (1, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("begun: naco_img_jitter_1") == 1
    assert sum(recorded(root).values()) == 3
    assert_accounted(root)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["parsl"], indirect=True)
def test_parsl_works_where_paths_have_blanks_and_ends_with_a_driver_that_was_killed(
    engine: tuple[str, ...], tmp_path: Path, frames_folder: Path, esorex: str
) -> None:
    root = make_root(tmp_path / "a night" / "root", frames_folder, 1)
    environment = tmp_path / "an environment"
    environment.symlink_to(sys.prefix)
    command = environment / "bin" / "python"
    mark = tmp_path / "go"
    env = stand_in(tmp_path / "bin", esorex, WAITING.format(mark=mark))
    words = ("batch", root / "jobs.yaml", "--root", root, "--name", "b", *engine)
    with running(*words, env=env, command=(command, "-m", "esorex_bridge")) as process:
        await_that(lambda: Path(f"{mark}.begun").exists() and Path(f"{mark}.begun").read_text().strip())
        process.kill()
        process.wait()
    recipe = int(Path(f"{mark}.begun").read_text())
    await_that(lambda: not Path(f"/proc/{recipe}").exists())
    mark.touch()
    with running(*words, "--resume", "--json", env=env, command=(command, "-m", "esorex_bridge")) as process:
        done = ended(process)
    assert report_of(done)["outcomes"]["done"] == 1, done.stderr
    assert sum(recorded(root).values()) == 3
    assert_accounted(root)
    assert not (batch_folder(root, "b") / "parsl" / "000").is_symlink()


def test_parsl_begins_as_many_workers_as_a_node_has_room_for() -> None:
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    site = read_site("parsl: {workers_per_node: 8, cores_per_worker: 2, memory_per_worker_mb: 3072}\n", "site").parsl
    for processors, memory_gb, workers in ((16, 64, 8), (8, 64, 4), (16, 10, 3)):
        provider = LocalProvider()
        provider.cores_per_node, provider.mem_per_node = processors, memory_gb
        executor = HighThroughputExecutor(provider=provider, address="127.0.0.1", **workers_of(site))
        assert executor.workers_per_node == workers


def test_parsl_takes_no_resources_of_a_single_step() -> None:
    """When it does, they are to be passed: what is expected of a step is known."""
    from parsl.executors import HighThroughputExecutor
    from parsl.executors.errors import InvalidResourceSpecification

    with pytest.raises(InvalidResourceSpecification):
        HighThroughputExecutor(address="127.0.0.1").validate_resource_spec({"cores": 2, "memory": 2048, "disk": 0})

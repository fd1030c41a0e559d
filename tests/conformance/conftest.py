"""What tests of the engines share: a real Slurm on this machine, and each engine with its site file."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm_cluster import Cluster, missing_programs, slurm_cluster

SITES = {
    "local": "most_threads: 2\n",
    "slurm": "slurm: {poll_s: 0.3, memory_mb: 200, minutes: 10}\n",
    "parsl on slurm": """\
parsl:
  provider: SlurmProvider
  options: {partition: main, cores_per_node: 2, exclusive: false, init_blocks: 1, max_blocks: 1, walltime: "00:10:00"}
  workers_per_node: 2
  address: 127.0.0.1
""",
    "parsl": "parsl:\n  provider: LocalProvider\n  options: {init_blocks: 1, max_blocks: 1}\n  workers_per_node: 2\n",
}


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start Slurm, or skip with the reason."""
    if lacking := missing_programs():
        pytest.skip(f"no Slurm here: {lacking}")
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    """Return the words that choose an engine."""
    name: str = request.param
    if "slurm" in name:
        request.getfixturevalue("slurm")
    if "parsl" in name and importlib.util.find_spec("parsl") is None:
        pytest.skip("Parsl is not installed (pip install 'esorex-bridge[cluster]')")
    return on(name, tmp_path)


def on(name: str, folder: Path) -> tuple[str, ...]:
    """Return the words that choose an engine, with its site file in a folder."""
    site = folder / "site.yaml"
    site.write_text(SITES[name])
    return "--on", name.split()[0], "--site", str(site)

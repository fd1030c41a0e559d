"""How long downloads take beside other tools: 200 files of 2 MB, 30 ms before each answer, four connections.

    .venv/bin/python benchmarks/fetch.py [--files 200] [--rounds 3]

Prints seconds (median of alternated rounds) and ratios; ratios travel between machines. The tools fetch from one
embedded archive in a process of its own. Ours verifies the FITS structure and hashes; the others do not.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from esorex_bridge.archive.client import ArchiveClient
from esorex_bridge.archive.services import Services
from esorex_bridge.demo.archive.embedded import EmbeddedArchive
from esorex_bridge.demo.nights.dummies import dummy_night
from esorex_bridge.files import DpId

Tool = Callable[[str, list[DpId], Path], None]


def serve(files: int, size_bytes: int, latency_s: float, folder: Path, pipe: Connection) -> None:
    night = dummy_night(files, size_bytes)
    with EmbeddedArchive([night], folder, latency_s=latency_s) as archive:
        pipe.send((archive.url, [file.dp_id for file in night.files]))
        pipe.recv()


def ours(parallel: int) -> Tool:
    def run(url: str, names: list[DpId], into: Path) -> None:
        with ArchiveClient(Services.at(url)) as client:
            report = client.fetch(names, into, parallel)
        assert report.complete

    return run


def curl(parallel: int) -> Tool:
    def run(url: str, names: list[DpId], into: Path) -> None:
        into.mkdir()
        config = into / "curl.txt"
        config.write_text(
            "".join(f'url = "{url}/dataPortal/file/{name}"\noutput = "{into / name}.fits"\n' for name in names)
        )
        subprocess.run(
            ["curl", "--silent", "--fail", "--parallel", "--parallel-max", str(parallel), "--config", str(config)],
            check=True,
            stderr=subprocess.DEVNULL,  # it shows its progress, however silent
        )

    return run


def astroquery(url: str, names: list[DpId], into: Path) -> None:
    from astroquery import log
    from astroquery.eso import Eso

    log.setLevel("WARNING")
    eso = Eso()
    eso.DOWNLOAD_URL = f"{url}/dataPortal/file/"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = eso.retrieve_data(names, destination=str(into), unzip=False)
    assert len(found) == len(names)


def measure(tool: Tool, url: str, names: list[DpId], folder: Path) -> float:
    started = time.perf_counter()
    tool(url, names, folder)
    seconds = time.perf_counter() - started
    shutil.rmtree(folder)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--megabytes", type=float, default=2.0)
    parser.add_argument("--latency-ms", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    tools: dict[str, Tool] = {"astroquery": astroquery, "curl x4": curl(4), "ours x4": ours(4), "ours x8": ours(8)}
    here, there = multiprocessing.get_context("spawn").Pipe()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = multiprocessing.get_context("spawn").Process(
            target=serve, args=(args.files, int(args.megabytes * 1e6), args.latency_ms / 1e3, folder / "frames", there)
        )
        server.start()
        url, names = here.recv()
        for tool in tools.values():
            measure(tool, url, names[:8], folder / "warm")
        seconds: dict[str, list[float]] = {called: [] for called in tools}
        for _ in range(args.rounds):
            for called, tool in tools.items():
                seconds[called].append(measure(tool, url, names, folder / "run"))
        here.send("done")
        server.join()
    median = {called: statistics.median(found) for called, found in seconds.items()}
    print(f"{args.files} files of {args.megabytes} MB, {args.latency_ms} ms latency, {args.rounds} rounds")
    print(f"{'tool':12} {'seconds':>8} {'/astroquery':>12} {'/curl x4':>9}")
    for called, value in median.items():
        print(f"{called:12} {value:8.2f} {value / median['astroquery']:12.2f} {value / median['curl x4']:9.2f}")


if __name__ == "__main__":
    main()

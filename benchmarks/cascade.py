"""The NACO cascade: `esorex-bridge run` from nothing against a shell script that calls `esorex` as most people do.

Both run the same three recipes on the same frames. The script knows everything beforehand: files, tags, order. The
bridge reads association tree and headers, plans, hashes, runs, checks, hashes the products and keeps the books.

    python benchmarks/cascade.py [--npix 512] [--rounds 7]

Prints the time of both and the ratio, round by round, and the medians. Goal: 0.75 at 512 pixels, 0.65 at 128.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from esorex_bridge.demo.archive.tree_xml import tree_document
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import FrameFolder
from esorex_bridge.organise.tree_datasets import files_named

SMALL = "--r=8 8 8 8"
SCRIPT = """#!/bin/sh
set -e
cd "$1"
mkdir dark flat jitter
(cd dark && esorex naco_img_dark {small} ../../dark.sof)
(cd flat && esorex naco_img_twflat --bpm=TRUE {small} ../../flat.sof)
{{ cat ../science.sof
  echo "$PWD/flat/naco_img_twflat_set01.fits MASTER_IMG_FLAT"
  echo "$PWD/flat/naco_img_twflat_set01_bpm.fits MASTER_IMG_FLAT_BADPIX"
  echo "$PWD/dark/naco_img_dark_set01_avg.fits NACO_IMG_DARK_AVG"
}} > jitter.sof
(cd jitter && esorex naco_img_jitter ../jitter.sof)
"""


def main() -> int:
    """Prepare both, run them in turn, print the ratios."""
    args = read_arguments(__doc__.splitlines()[0])
    if args is None:
        return 1
    with tempfile.TemporaryDirectory(prefix="cascade-") as made:
        compare(Path(made), args.npix, args.rounds)
    return 0


def read_arguments(description: str) -> argparse.Namespace | None:
    """Return how large the frames are to be and how often all is run; None without EsoRex, which is said."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # An installed package has its bytecode written.
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--npix", type=int, default=512, help="size of the frames")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    if shutil.which("esorex") is None:
        print("esorex is not installed: nothing to run")
        return None
    return args


def compare(folder: Path, npix: int, rounds: int) -> None:
    """Run script and bridge in turn, each from nothing, after one round that does not count."""
    data = prepare(folder, npix)
    pairs = [one_round(folder, data, npix, number) for number in range(rounds + 1)][1:]
    for script, bridge in pairs:
        print(f"script {script:.3f} s   bridge {bridge:.3f} s   ratio {bridge / script:.2f}")
    print(
        f"{npix} px, median of {rounds}: script {statistics.median(s for s, _ in pairs):.3f} s, "
        f"bridge {statistics.median(b for _, b in pairs):.3f} s, "
        f"ratio {statistics.median(b / s for s, b in pairs):.2f}"
    )


def prepare(folder: Path, npix: int) -> Path:
    """Make the frames that the tree names, the tree beside them, and what the script needs to know."""
    night = naco_night(npix)
    data = folder / "data"
    data.mkdir()
    tree = night.trees[0]
    files = [file for file in night.files if file.dp_id in files_named([tree])]
    for file in files:
        FrameFolder(folder / "frames").fits(night, file).rename(data / f"{file.dp_id}.fits")
    (data / f"{tree.root.files[0].name}_raw2raw.xml").write_text(tree_document(tree))
    darks = [file for file in files if file.category == "CAL_DARK"]
    flat_dark = next(file for file in darks if file.keyword("ESO DET DIT") != 10.0)
    sofs = {
        "dark": [(f.dp_id, f.category) for f in darks if f.keyword("ESO DET DIT") == 10.0],
        "flat": [(f.dp_id, f.category) for f in files if f.category == "CAL_FLAT_TW"]
        + [(flat_dark.dp_id, flat_dark.category)],
        "science": [(f.dp_id, f.category) for f in files if f.category == "IM_JITTER_OBJ"],
    }
    for name, entries in sofs.items():
        lines = "".join(f"{data}/{dp_id}.fits {tag}\n" for dp_id, tag in entries)
        (folder / f"{name}.sof").write_text(lines)
    (folder / "script.sh").write_text(SCRIPT.format(small=f"'{SMALL}'" if npix < 410 else ""))
    return data


def one_round(folder: Path, data: Path, npix: int, number: int) -> tuple[float, float]:
    """Return the seconds of the script and of the bridge, each in a new folder."""
    by_hand, root = folder / f"script{number}", folder / f"bridge{number}"
    by_hand.mkdir()
    (root / "reflex_input").mkdir(parents=True)
    (root / "reflex_input" / "data_with_raw_calibs").symlink_to(data)
    command = [str(Path(sys.executable).with_name("esorex-bridge")), "run", "--root", str(root), "--json"]
    if npix < 410:
        command += [f"--set={recipe}.r=8 8 8 8" for recipe in ("naco_img_dark", "naco_img_twflat")]
    script = timed(["sh", str(folder / "script.sh"), str(by_hand)])
    bridge = timed(command)
    assert list(root.glob("reflex_end_products/*/*/*COADDED_IMG.fits")), "the bridge made no product"
    assert list(by_hand.glob("jitter/*.fits")), "the script made no product"
    for used in (by_hand, root):
        shutil.rmtree(used)
    return script, bridge


def timed(command: list[str]) -> float:
    """Return the seconds that a command took; it must succeed."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())

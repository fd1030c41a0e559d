"""Headers of a whole season: OCA classification against `ccdproc.ImageFileCollection.summary` and astropy.

Both read the same raw headers of 420 cards. ccdproc makes a table of twelve keywords; the bridge reads all keywords
that the rules and the organiser look at, classifies every file, and keeps the headers for the next time.

    python benchmarks/organise.py [--files 10000] [--rounds 3] [--compared 500]

Prints times per file and their ratios: bridge to ccdproc (goal: 0.04), and the second pass, from the cache, to the
first (goal: 0.1). ccdproc's time grows in proportion with the files, so it is measured on some of them by default.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

from esorex_bridge.definitions.oca.classify import Classifier
from esorex_bridge.definitions.oca.grammar import parse_rules
from esorex_bridge.definitions.oca.library import PATTERNS, rule_file
from esorex_bridge.fits.cache import HeaderCache
from esorex_bridge.fits.scan import scan
from esorex_bridge.organise.frames import wanted_keywords

CARDS = 420
SUMMARY = [
    "instrume",
    "mjd-obs",
    "object",
    "ESO DPR CATG",
    "ESO DPR TYPE",
    "ESO DPR TECH",
    "ESO DET DIT",
    "ESO INS FILT1 NAME",
    "ESO OBS ID",
    "ESO TPL START",
    "ESO OBS TARG NAME",
    "ESO TPL ID",
]
KINDS = [
    ("CALIB", "DARK", "IMAGE"),
    ("CALIB", "FLAT,SKY", "IMAGE"),
    ("CALIB", "FLAT,LAMP", "IMAGE"),
    ("SCIENCE", "OBJECT", "IMAGE,JITTER"),
]


def main() -> int:
    """Write the headers, time both, print the ratios."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # An installed package has its bytecode written.
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--compared", type=int, default=500, help="files that ccdproc reads")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    installed = [path for pattern in PATTERNS for path in Path("/usr/share").glob(pattern)]
    rules = rule_file("NAOS+CONICA", installed)
    if rules is None:
        print("the NACO pipeline is not installed: no rules to classify by")
        return 1
    with tempfile.TemporaryDirectory(prefix="organise-") as made:
        compare(Path(made), rules, args)
    return 0


def compare(folder: Path, rules: Path, args: argparse.Namespace) -> None:
    """Run both in turn, each after a look at the files, so that neither waits for the disk."""
    season, some = folder / "season", folder / "some"
    write(season, args.files)
    write(some, min(args.compared, args.files))
    ratios, passes = [], []
    for number in range(args.rounds):
        warm(season)
        first, second = ours(season, rules, folder / f"cache{number}.jsonl")
        warm(some)
        theirs = ccdproc(some)
        ratios.append(first / theirs)
        passes.append(second / first)
        print(
            f"ccdproc {theirs * 1e6:7.0f} us a file   bridge {first * 1e6:6.1f} ({ratios[-1]:.4f})   "
            f"from the cache {second * 1e6:5.1f} ({passes[-1]:.3f} of the first pass)"
        )
    print(
        f"median: {statistics.median(ratios):.4f} of ccdproc (goal 0.04), "
        f"second pass {statistics.median(passes):.3f} of the first (goal 0.1), {args.files} files"
    )


def ours(season: Path, rules: Path, cache: Path) -> tuple[float, float]:
    """Return the seconds a file of reading and classifying, first from the files, then from the cache."""
    known = parse_rules(rules.read_text(encoding="utf-8"), rules.name)
    return classified(season, known, cache), classified(season, known, cache)


def classified(season: Path, rules: object, cache: Path) -> float:
    """Return the seconds a file of one pass."""
    keys = wanted_keywords(rules)  # type: ignore[arg-type]
    began = time.perf_counter()
    found = scan([season], keys, HeaderCache(cache, keys))
    classify = Classifier(rules)  # type: ignore[arg-type]
    categories = [classify(header).category for header in found.found.values()]
    spent = time.perf_counter() - began
    assert len(categories) == len(found.found) and all(categories) and not found.faults
    return spent / len(categories)


def ccdproc(folder: Path) -> float:
    """Return the seconds a file of ccdproc's summary of twelve keywords."""
    import ccdproc as peer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        summary = peer.ImageFileCollection(folder, keywords=SUMMARY).summary
        return (time.perf_counter() - began) / len(summary)


def warm(folder: Path) -> None:
    """Look at all files once."""
    for path in folder.iterdir():
        path.read_bytes()


def write(folder: Path, number: int) -> None:
    """Write raw headers such as ESO's instruments write them, without data."""
    folder.mkdir()
    dice = random.Random(1)
    sensors = [
        f"HIERARCH ESO INS SENS{sensor} VAL = {dice.random():.5f} / a sensor's reading" for sensor in range(CARDS - 20)
    ]
    for index in range(number):
        text = "".join(card.ljust(80) for card in cards(index, sensors))
        (folder / f"NACO.{index:06d}.fits").write_bytes(text.encode().ljust(-(-len(text) // 2880) * 2880))


def cards(index: int, sensors: list[str]) -> list[str]:
    """Return the cards of one frame."""
    catg, kind, tech = KINDS[index % len(KINDS)]
    own = [
        f"HIERARCH ESO DPR CATG = '{catg}' / category",
        f"HIERARCH ESO DPR TYPE = '{kind}' / type",
        f"HIERARCH ESO DPR TECH = '{tech}' / technique",
        f"HIERARCH ESO DET DIT = {index % 7}.5 / s",
        "HIERARCH ESO INS FILT1 NAME = 'Ks' / filter",
        f"HIERARCH ESO OBS ID = {index // 20} / block",
        f"HIERARCH ESO TPL START = '2016-03-02T{index // 5:08d}' / template",
        f"HIERARCH ESO OBS TARG NAME = 'field {index // 20}' / target",
        "HIERARCH ESO TPL ID = 'NACO_img' / template",
    ]
    middle = len(sensors) // 2
    return [
        "SIMPLE  =                    T",
        "BITPIX  =                   16",
        "NAXIS   =                    0",
        "EXTEND  =                    T",
        "INSTRUME= 'NAOS+CONICA'",
        "OBJECT  = 'OBJECT'",
        f"MJD-OBS =   {57449 + index * 1e-3:.8f} / start",
        "DATE-OBS= '2016-03-02T00:00:00.000'",
        *sensors[:middle],
        *own,
        *sensors[middle:],
        "END",
    ]


if __name__ == "__main__":
    sys.exit(main())

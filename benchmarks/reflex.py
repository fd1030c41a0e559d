"""NACO's workflow file by `esorex-bridge reflex run` against `esorex-bridge run` on the same night, each from nothing.

Both run the same three recipes on the same frames and deliver the same products. The workflow file is carried out actor
by actor, as Reflex's engine would, where `run` has the plan of the whole night.

    python benchmarks/reflex.py [--rounds 7] [--npix 512]

Prints seconds, processor seconds and ratios, round by round, and the median of the ratios. Goal: 1.3.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import cascade

WORKFLOW = Path(__file__).resolve().parent.parent / "workflows" / "naco.xml"


def main() -> int:
    """Prepare the night, run both in turn, print the ratios."""
    args = cascade.read_arguments(__doc__.splitlines()[0])
    if args is None:
        return 1
    with tempfile.TemporaryDirectory(prefix="reflex-") as made:
        data = cascade.prepare(Path(made), args.npix)
        rounds = []
        for number in range(args.rounds + 1):
            before = processor_seconds()
            plain = run(Path(made), data, f"plain{number}")
            between = processor_seconds()
            reflex = run(Path(made), data, f"reflex{number}", WORKFLOW)
            spent = (between - before, processor_seconds() - between)
            rounds.append((reflex / plain, spent[1] / spent[0]))
            print(
                f"run {plain:.3f} s ({spent[0]:.2f} s of processors)   reflex run {reflex:.3f} s ({spent[1]:.2f} s)   "
                f"ratio {rounds[-1][0]:.2f} ({rounds[-1][1]:.2f})"
            )
    elapsed, spent_ratio = (statistics.median(each) for each in zip(*rounds[1:], strict=True))
    print(f"median of {args.rounds}: ratio {elapsed:.2f} ({spent_ratio:.2f} in processor time)")
    return 0


def processor_seconds() -> float:
    """Return what commands have taken of processors so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(folder: Path, data: Path, name: str, workflow: Path | None = None) -> float:
    """Return the seconds of `run`, or of a workflow file, in a new root, which is removed."""
    root = folder / name
    place = root / "reflex_input" / "data_with_raw_calibs"
    place.parent.mkdir(parents=True)
    place.symlink_to(data)
    command = [str(Path(sys.executable).with_name("esorex-bridge"))]
    if workflow is None:
        command += ["run", "--root", str(root), "--json"]
    else:
        command += ["reflex", "run", str(workflow), "--json"]
        command += ["-ROOT_DATA_DIR", str(root), "-RAW_DATA_DIR", str(place), "-CALIB_MODE", "none"]
    seconds = cascade.timed(command)
    assert list(root.glob("reflex_end_products/*/*/*COADDED_IMG.fits")), f"{name} made no product"
    shutil.rmtree(root)
    return seconds


if __name__ == "__main__":
    sys.exit(main())

"""Many datasets of 100 files: planned, decided about as finished, and reported; and made for the first time.

    python benchmarks/scale.py [--datasets 1000 10000] [--place DIR]

A dataset has 10 science frames of its own and shares 90 calibrations with all others, as trees of calSelector tell. All
frames have whole headers of NACO, each its own, and data that are a hole in the file. The first run has an engine that
makes one small product a step and starts no recipe: what it takes beside writing these is the driver's. The second run
is the command `esorex-bridge batch`, which finds all made. Each run is a process of its own, of which the memory (most
that was resident), the time and the processor's time are taken. Goals: 1,000 datasets in 2 s, at most 12 times as long
for ten times as many, 600 MB at 100,000; in the folder of the batch 20 files for 1,000 steps.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from instant import InstantExecutor, SilentWatcher
from msgspec import Struct
from msgspec.json import decode, encode
from msgspec.structs import replace
from spent import Spent, measure_command

from esorex_bridge.batch import start
from esorex_bridge.datasets.association import AssociatedFile, Association, AssociationTree, distinct_files
from esorex_bridge.demo.archive.tree_xml import tree_document
from esorex_bridge.demo.nights.frames import mjd, timestamp
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.disk.stamp import stamp_of
from esorex_bridge.executors.batch_folder import BatchFolder
from esorex_bridge.files import DpId
from esorex_bridge.fits.verify import read_fits
from esorex_bridge.reuse.record import Product, Record
from esorex_bridge.run.executor import TaskRequest
from esorex_bridge.run.result import StepResult
from esorex_bridge.settings import Settings

COMMAND = str(Path(sys.executable).with_name("esorex-bridge"))
JOBS = "jobs: [{datasets: all}]\n"
OWN = 10
SHARED = {"DARK": 20, "FLAT_TW": 29, "IMG_STD_CATALOG": 1}
"""Files of each group of the tree; there are three groups of darks."""

APART = timedelta(seconds=0.5)
"""Between two templates: all lie in one night, so that the calibrations are in time for all."""

CARD = 80
BLOCK = 2880


class Measured(Struct, frozen=True):
    """What so many datasets took.

    Parameters
    ----------
    datasets, files : int
        How many there are.
    built : Spent
        To put them on the disk, which is none of the bridge's work.
    first : Spent
        To see them for the first time, and to have all made by an engine that does so at once.
    left : int
        Files in the folder of that batch.
    found : tuple of Spent
        To find all made and to report it, each time.
    """

    datasets: int
    files: int
    built: Spent
    first: Spent
    left: int
    found: tuple[Spent, ...] = ()

    @property
    def steps(self) -> int:
        """How many there are: one for each dataset, and those of the calibrations."""
        return self.datasets + len(SHARED)

    @property
    def median(self) -> Spent:
        """The run in the middle of those that found all made."""
        return sorted(self.found, key=lambda spent: spent.seconds)[len(self.found) // 2]


def main() -> int:
    """Build, make and find made, for each number of datasets."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # An installed package has its bytecode written.
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=3, help="of the second run")
    parser.add_argument("--place", type=Path, help="where to build; nothing is built or made that is there already")
    parser.add_argument("--part", choices=("build", "make"), help="only that, in the place")
    args = parser.parse_args()
    if args.part == "build":
        put_datasets(args.place, *args.datasets)
        return 0
    if args.part == "make":
        make_all(args.place)
        return 0
    if shutil.which("esorex") is None:
        print("esorex is not installed: nothing says what a recipe is")
        return 1
    with tempfile.TemporaryDirectory(prefix="scale-") as made:
        print("\n".join(table(measure(args.place or Path(made), args.datasets, args.rounds))))
    return 0


def measure(place: Path, numbers: Sequence[int], rounds: int) -> tuple[Measured, ...]:
    """Return what each number of datasets takes; all are found made in turn."""
    ready = [prepare(place / f"{number}", number) for number in numbers]
    found: dict[int, list[Spent]] = {number: [] for number in numbers}
    for _ in range(rounds):
        for number in numbers:
            found[number].append(find_all(place / f"{number}"))
            tell(f"{number:,} datasets found made: {found[number][-1]}")
    return tuple(replace(each, found=tuple(found[each.datasets])) for each in ready)


def prepare(root: Path, number: int) -> Measured:
    """Return what datasets take that are built and made for the first time, as far as they are not there already."""
    built, made = root / "built.json", root / "made.json"
    if not built.exists():
        spent = measure_part("build", root, number)
        built.write_bytes(encode(spent))
        tell(f"{number:,} datasets built: {spent}")
    folder = root / "reflex_book_keeping" / "batches" / "first"
    if not made.exists():
        if folder.exists():
            tell(f"{number:,} datasets: the first run was broken off; the rest of it alone is measured")
        first = measure_part("make", root, number)
        made.write_bytes(encode(first))
        tell(f"{number:,} datasets made for the first time: {first}")
    left = sum(path.is_file() for path in folder.rglob("*"))
    files = sum(1 for _ in os.scandir(root / "reflex_input" / "data_with_raw_calibs"))
    return Measured(number, files, decode(built.read_bytes(), type=Spent), decode(made.read_bytes(), type=Spent), left)


def table(measured: Sequence[Measured]) -> Iterator[str]:
    """Yield the lines of a table, and what ten times the most datasets would take where growth tells that."""
    yield (
        "| datasets of 100 files | files built in | made for the first time | processor | memory | a step | files left "
        "| found made and reported | processor | memory | times as long |"
    )
    yield f"|{'---|' * 11}"
    before: Measured | None = None
    for each in measured:
        growth = f"{each.median.processor / before.median.processor:.1f}" if before else ""
        yield (
            f"| {each.datasets:,} | {each.files:,} in {each.built.seconds / 60:.1f} min | {each.first} "
            f"| {1e3 * each.first.processor / each.steps:.1f} ms | {each.left} | {each.median} | {growth} |"
        )
        before = each
    if len(measured) > 1:
        yield ""
        yield f"By that, {10 * measured[-1].datasets:,} would take {ten_times(*measured[-2:])}."


def ten_times(some: Measured, more: Measured) -> str:
    """Return what ten times `more` take, where all goes on to grow as from `some` to `more`."""

    def at_that(each: Callable[[Measured], float]) -> float:
        growth = (each(more) - each(some)) / (more.datasets - some.datasets)
        return each(more) + 9 * more.datasets * growth

    first, found = at_that(lambda each: each.first.processor), at_that(lambda each: each.median.processor)
    most = max(at_that(lambda each: each.first.megabytes), at_that(lambda each: each.median.megabytes))
    return (
        f"{first / 60:.1f} min of a processor to be made beside their recipes, {found / 60:.1f} min to be found made, "
        f"{most / 1e3:.1f} GB of memory at most, and {at_that(lambda each: each.files) / 1e6:.1f} million files"
    )


def tell(text: str) -> None:
    """Say how far it is."""
    print(text, file=sys.stderr, flush=True)


# ----- what is measured


def measure_part(part: str, root: Path, number: int) -> Spent:
    """Return what a part of this program takes in a process of its own."""
    return measure_command([sys.executable, __file__, "--datasets", f"{number}", "--place", str(root), "--part", part])


def find_all(root: Path) -> Spent:
    """Return what it takes to find all made, and to report that."""
    name = f"again-{time.monotonic_ns()}"
    spent = measure_command([COMMAND, "batch", str(root / "jobs.yaml"), "--root", str(root), "--name", name])
    folder = root / "reflex_book_keeping" / "batches" / name
    with (folder / "events.jsonl").open() as events:
        assert json.loads(deque(events, 1)[0])["event"] == "done"
    decided = {
        step["decision"]
        for line in folder.joinpath("datasets.jsonl").open()
        for step in json.loads(line).get("steps", ())
    }
    assert decided == {"reuse"}, decided
    shutil.rmtree(folder)
    return spent


def make_all(root: Path) -> None:
    """Make all steps of all datasets by an engine that starts no recipe, or go on with that."""
    # By frames that are holes nobody knows how large products are.
    asked = start.BatchRequest(Settings(root, room="ignore"), keep_going=True)
    folder = start.find_batch(root, "first")
    if not folder.path.exists():
        folder = start.new_batch(root, "first", JOBS, asked)
    report = start.carry_out(folder, asked, SilentWatcher(), open_executor=make_at_once)
    assert report.state == "done" and not report.failed, report.datasets[:3]


def make_at_once(folder: BatchFolder, *_: object) -> InstantExecutor:
    """Return an engine that makes small products."""
    return InstantExecutor(folder, SmallProducts(folder).make)


class SmallProducts:
    """Makes one small product a step."""

    def __init__(self, folder: BatchFolder) -> None:
        self._products = folder.root / "reflex_tmp_products"
        self._sof = str(folder.root / "data.sof")
        (folder.root / "data.sof").touch()

    def make(self, order: TaskRequest) -> StepResult:
        """Write the product."""
        file = self._products / order.key[:3] / f"{order.key}.fits"
        file.parent.mkdir(parents=True, exist_ok=True)
        size_bytes = file.write_bytes(blank_frame(order.key))
        product = Product(str(file), "COADDED_IMG", read_fits(file, False)[0].digest, size_bytes, stamp_of(file))
        record = Record(order.key, (product,), 0.0, "2026-01-01T00:00:00Z", self._sof)
        return StepResult(order.key, order.attempt, "made", record)


# ----- what it is measured on


def put_datasets(root: Path, number: int) -> None:
    """Put frames and trees of so many datasets into a root."""
    place = root / "reflex_input" / "data_with_raw_calibs"
    place.mkdir(parents=True, exist_ok=True)
    (root / "jobs.yaml").write_text(JOBS)
    night = naco_night(64, science_frames=3)
    headers = {file.dp_id: header_of(file.build()) for file in night.files}
    first = night.trees[0].root
    groups = tuple(
        put_group(node, number, headers, place) for number, node in enumerate(first.associated) if node.kind == "main"
    )
    shared = sum(len(distinct_files(node)) for node in groups)
    assert shared == sum(SHARED.values()) + 2 * SHARED["DARK"], shared
    science = Frame(headers[DpId(first.files[0].name)])
    begin = datetime(2016, 3, 2, 0, 30)
    for index in range(number):
        names = []
        for count in range(OWN):
            moment = begin + index * APART + count * timedelta(milliseconds=40)
            names.append(science.write(place, moment, begin + index * APART, count + 1))
        files = tuple(AssociatedFile(name, first.files[0].category) for name in names)
        tree = AssociationTree(replace(first, files=files, associated=groups), "Raw2Raw")
        (place / f"{names[0]}_raw2raw.xml").write_text(tree_document(tree))


def put_group(node: Association, number: int, headers: Mapping[DpId, bytes], place: Path) -> Association:
    """Put as many frames of a group, and of those below it, into a folder as are wanted, and return it with these."""
    like = node.files[0]
    begin = datetime(2016, 3, 1, 10 + number)
    if not any(like.name.startswith(prefix) for prefix in ("NACO.",)):
        (place / f"{like.name}.fits").write_bytes(headers[DpId(like.name)] + bytes(BLOCK))
        return node
    frame = Frame(headers[DpId(like.name)])
    times = [begin + index * timedelta(seconds=40) for index in range(SHARED[node.category])]
    names = [frame.write(place, moment, begin, index + 1) for index, moment in enumerate(times)]
    below = tuple(put_group(child, number + 5, headers, place) for child in node.associated)
    return replace(node, files=tuple(replace(like, name=name) for name in names), associated=below)


class Frame:
    """A header in which a few cards are those of each frame; its data are a hole."""

    def __init__(self, header: bytes) -> None:
        self._header = bytearray(header)
        names = ("DATE    ", "DATE-OBS", "MJD-OBS ", "ARCFILE ", "HIERARCH ESO TPL START", "HIERARCH ESO TPL EXPNO",
                 "HIERARCH ESO OBS START")  # fmt: skip
        self._places = {name: header.index(name.encode()) for name in names}

    def write(self, folder: Path, moment: datetime, begun: datetime, number: int) -> DpId:
        """Write the frame of a moment, and return its name."""
        taken = timestamp(moment)
        name = DpId(f"NACO.{taken[:-1]}")
        for card, value in (
            ("DATE    ", f"'{taken}'"),
            ("DATE-OBS", f"'{taken}'"),
            ("MJD-OBS ", f"{mjd(moment):20.11f}"),
            ("ARCFILE ", f"'{name}.fits'"),
            ("HIERARCH ESO TPL START", f"'{timestamp(begun)}'"),
            ("HIERARCH ESO OBS START", f"'{timestamp(begun)}'"),
            ("HIERARCH ESO TPL EXPNO", f"{number}"),
        ):
            at = self._places[card]
            self._header[at : at + CARD] = f"{card}{'' if len(card) == 8 else ' '}= {value}".ljust(CARD).encode()
        descriptor = os.open(folder / f"{name}.fits", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, self._header)
        os.ftruncate(descriptor, len(self._header) + BLOCK)
        os.close(descriptor)
        return name


def header_of(frame: bytes) -> bytes:
    """Return the header of a frame, made to describe a small image of one block, without checksums."""
    cards = [frame[at : at + CARD] for at in range(0, frame.index(b"END".ljust(CARD)), CARD)]
    kept = [card for card in cards if not card.startswith((b"CHECKSUM", b"DATASUM"))]
    small = {b"NAXIS1": 40, b"NAXIS2": 36}
    told = [
        f"{card[:8].decode()}= {small[card[:6]]:20d}".ljust(CARD).encode() if card[:6] in small else card
        for card in kept
    ]
    text = b"".join((*told, b"END".ljust(CARD)))
    return text.ljust(-(-len(text) // BLOCK) * BLOCK)


def blank_frame(key: str) -> bytes:
    """Return a product without pixels, like no other."""
    cards = (
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    0",
        f"COMMENT {key}",
        "END",
    )
    return "".join(card.ljust(CARD) for card in cards).ljust(BLOCK).encode()


if __name__ == "__main__":
    sys.exit(main())

"""Where things lie under a data root: the folders of ESO Reflex, and how files get into them whole."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from esorex_bridge.errors import DataError
from esorex_bridge.plan.sof import SofLink

LOCK_NAME = ".running"
"""Name of the file in a run's folder that is locked while it goes on."""

_FREE_NAME_TRIES = 10_000
_UNSAFE = re.compile(r"[^A-Za-z0-9_.:+=@,-]")


class Workspace(Struct, frozen=True):
    """The folders of a data root, named as ESO Reflex names them.

    Parameters
    ----------
    root : Path
        The data root, absolute.
    """

    root: Path

    @property
    def input(self) -> Path:
        """What was fetched: raw frames, calibrations, association trees."""
        return self.root / "reflex_input"

    @property
    def bookkeeping(self) -> Path:
        """One folder a run, by workflow and actor, and the bridge's store."""
        return self.root / "reflex_book_keeping"

    @property
    def logs(self) -> Path:
        """EsoRex's log of each run."""
        return self.root / "reflex_logs"

    @property
    def tmp_products(self) -> Path:
        """Products of all steps; what is reused lies here."""
        return self.root / "reflex_tmp_products"

    @property
    def end_products(self) -> Path:
        """Products that datasets are for, under the names of their contents."""
        return self.root / "reflex_end_products"

    def reflex_database(self, workflow: str) -> Path:
        """Return Reflex's own bookkeeping of a workflow."""
        return self.bookkeeping / workflow / "bookkeeping.db"

    @property
    def locks(self) -> Path:
        """Locks of steps that are being made."""
        return self.bookkeeping / "locks"

    @property
    def batches(self) -> Path:
        """The folders of batches."""
        return self.bookkeeping / "batches"

    @property
    def going_on(self) -> Path:
        """The lock that every run shares while it goes on, and that cleaning wants for itself."""
        return self.locks / "going_on"

    @property
    def store(self) -> Path:
        """The bridge's own bookkeeping."""
        return self.bookkeeping / "esorex_bridge.db"

    def new_run(self, workflow: str, actor: str, now: datetime) -> RunFolders:
        """Make the private folder of a run, `<workflow>/<actor>/<time stamp>`, with a stamp that nobody else has."""
        for _ in range(_FREE_NAME_TRIES):
            stamp = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}"
            place = Path(workflow, actor, stamp)
            try:
                (self.bookkeeping / place).mkdir(parents=True)
            except FileExistsError:
                now += timedelta(milliseconds=1)
                continue
            return RunFolders(self.bookkeeping / place, self.tmp_products / place, self.logs / place)
        raise DataError(f"no free folder for a run of {actor} in {self.bookkeeping / workflow}; check the system clock")


class RunFolders(Struct, frozen=True):
    """Where one run works, and where its products and its log go."""

    work: Path
    products: Path
    logs: Path

    @property
    def lock(self) -> Path:
        """The lock that is held while the run goes on."""
        return self.work / LOCK_NAME

    def publish(self, files: tuple[Path, ...]) -> tuple[Path, ...]:
        """Move products that are on the disk (`bring_to_disk`) to their place, all at once, and return where they are.

        They are gathered in a folder beside the final one, which is then renamed: a run that is killed here leaves
        nothing that could be taken for whole.
        """
        waiting = self.products.with_name(f"{self.products.name}.part")
        waiting.mkdir(parents=True)
        for file in files:
            file.rename(waiting / file.name)
        bring_to_disk((waiting,))
        waiting.rename(self.products)
        return tuple(self.products / file.name for file in files)

    def link_published(self, log: Path | None) -> None:
        """Do what else Reflex does about a run that made products: its log in its place, links to both beside the SOF.

        No recipe waits for that.
        """
        if log is not None:
            self.logs.mkdir(parents=True, exist_ok=True)
            (self.logs / "esorex.log").write_bytes(log.read_bytes())
        for name, target in (("products_dir", self.products), ("log_dir", self.logs)):
            with suppress(FileExistsError):
                (self.work / name).symlink_to(os.path.relpath(target, self.work))
        _remove_home(self.work / "home")


def _remove_home(home: Path) -> None:
    """Remove the home of a run, with what the recipe left there; most leave nothing, and shutil takes 3 ms to load."""
    try:
        home.rmdir()
    except OSError:
        from shutil import rmtree

        rmtree(home, ignore_errors=True)


def make_links(links: tuple[SofLink, ...]) -> None:
    """Make the symbolic links that stand in for paths that EsoRex cannot read."""
    for link in links:
        link.at.parent.mkdir(parents=True, exist_ok=True)
        link.at.unlink(missing_ok=True)
        link.at.symlink_to(link.to)


def safe_name(text: str) -> str:
    """Return a text from a header or a name from outside as the name of a file: nothing that could leave the folder."""
    return _UNSAFE.sub("_", text.strip()).lstrip(".") or "_UNKNOWN_"


def round_times(files: tuple[Path, ...]) -> None:
    """Give files times of whole seconds: Reflex's checksum holds the time, and older Javas see whole seconds only."""
    for file in files:
        with suppress(FileNotFoundError):
            seconds = int(file.stat().st_mtime)
            os.utime(file, (seconds, seconds))


def bring_to_disk(files: tuple[Path, ...]) -> None:
    """Bring files to the disk before anything says that they are there, as far as they are."""
    for file in files:
        with suppress(FileNotFoundError):
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

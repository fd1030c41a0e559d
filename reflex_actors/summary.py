"""What came of the datasets of a run: why a recipe made nothing, and at the end a table and the report."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

REDUCED = "Dataset has been reduced"
NOTHING = ": no products"


def cause_of(bookkeeping: Path, actor: str, files: Set[str]) -> str:
    """Return why a recipe that made nothing failed, as its log says; empty where it did not run or says nothing.

    Parameters
    ----------
    bookkeeping : Path
        Reflex's folder of the workflow, with `<actor>/<time>` for each run.
    actor : str
        The RecipeExecuter.
    files : set of str
        Paths of the dataset; a run on none of them was for another dataset.
    """
    from esorex_bridge.esorex.diagnosis import first_error

    own = {str(Path(file).resolve()) for file in files}
    runs = sorted(bookkeeping.glob(f"{actor}/*/"), key=lambda run: run.stat().st_mtime, reverse=True)
    for run in runs:
        if not own.isdisjoint(_paths(run)):
            return first_error(*_texts(run))
    return ""


def _paths(run: Path) -> Iterator[str]:
    """Yield the files of a run's SOF, links followed."""
    from esorex_bridge.errors import BridgeError
    from esorex_bridge.plan.sof import parse_sof

    for place in sorted(run.glob("*.sof")):
        try:
            found = parse_sof(place.read_text(encoding="utf-8", errors="replace"))
        except (OSError, BridgeError):
            continue
        yield from (str((run / entry.path).resolve()) for entry in found.entries)


def _texts(run: Path) -> Iterator[str]:
    for place in (run / "log_dir" / "esorex.log", run / "esorex.log", run / "stderr.txt", run / "stdout.txt"):
        try:
            yield place.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue


def show_report(bookkeeping: Path) -> Path | None:
    """Write the report of the data root that holds Reflex's notes, and open it where there is a screen.

    Parameters
    ----------
    bookkeeping : Path
        Reflex's folder of the workflow, somewhere below `reflex_book_keeping`.

    Returns
    -------
    Path or None
        The page; None where the folder is of no data root.
    """
    from esorex_bridge.pages.report_file import write_report
    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings
    from reflex_actors.page import can_show, open_browser

    books = next((each for each in (bookkeeping, *bookkeeping.parents) if each.name == "reflex_book_keeping"), None)
    if books is None:
        return None
    with Session(Settings(books.absolute().parent)) as session:
        page, _ = write_report(session)
    if can_show(os.environ):
        open_browser(page)
    return page


def table(readme: str) -> str:
    """Return a line for each dataset of a README: its name, how many products it has, and what was said of it."""
    # Runs that begin within one second share a README: of each dataset the last entry counts.
    rows = list({row[0]: row for row in _rows(readme.splitlines())}.values())
    if not rows:
        return ""
    width = max(len(name) for name, _, _ in rows)
    lines = (f"{name:<{width}}  end products: {count:>3}  {said}".rstrip() for name, count, said in rows)
    return "\n".join((f"{len(rows)} dataset" + ("" if len(rows) == 1 else "s"), *lines)) + "\n"


def _rows(lines: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    name, count, said = "", 0, ""
    for line in (*lines, "end"):
        if line.startswith("    "):
            count += 1
        elif line.startswith("  "):
            said = said or ("" if REDUCED in line else line.strip())
        elif line:
            if name:
                yield name, count, said
            name, count, said = line.removesuffix(NOTHING), 0, ""

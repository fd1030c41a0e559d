"""ESO's actors that handle sets of files: route, split, accumulate, combine, create, look into."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeVar

from reflex_actors.headless.director import Fire
from reflex_actors.headless.network import RunningActor
from reflex_actors.headless.running import Running
from reflex_actors.headless.tokens import (
    Parameters,
    Pending,
    Token,
    Value,
    WorkflowError,
    first,
    number_of,
    sof_of,
    text_of,
)
from reflex_actors.purposes import Route, accumulate, combine, patterns_of, route, split, unite_purposes
from reflex_actors.sof_json import EncodingError, FitsFile, SetOfFiles, read_sop

REJECTED = "sof rejected"
Answer = TypeVar("Answer")


def fits_router(node: RunningActor, run: Running) -> Fire:
    """Categories go to ports."""

    def fire() -> None:
        files = together((token for port in list(node.inputs) for token in node.take(port)), run)
        ports, rejected = refused_plainly(lambda: route(files, _routes(node)))
        for port, sof in ports.items():
            node.send(port, sof)
        node.send(REJECTED, rejected)

    return fire


def _routes(node: RunningActor) -> tuple[Route, ...]:
    declared = [port.name for port in node.entity.ports if port.has("output") and port.name != REJECTED]
    listed = tuple(dict.fromkeys((*declared, *(name for name in node.outputs if name != REJECTED))))
    return tuple(
        Route(
            port,
            patterns_of(node.text(f"{port}_config")),
            _limit(node, port, "min"),
            _limit(node, port, "max"),
        )
        for port in listed
    )


def _limit(node: RunningActor, port: str, which: str) -> int | None:
    text = node.text(f"{port}_{which}_number") or node.text(f"{port}_{which}number")
    return int(number_of(text)) if text.strip() else None


def split_by_purpose(node: RunningActor, run: Running) -> Fire:
    """One set a purpose, and how many."""

    def fire() -> None:
        groups = split(together(node.take("sof in"), run), node.flag("Group purposes", True))
        for group in groups:
            node.send("sof out", group)
        node.send("#groups", len(groups))

    return fire


class Accumulator:
    """Reads how many sets will come, then these one by one, and sends them as one."""

    def __init__(self, node: RunningActor, run: Running) -> None:
        self._node, self._run = node, run
        self._missing, self._waiting = 0, list[Token]()
        self._expect(0)

    def __call__(self) -> None:
        """Fire."""
        if self._missing == 0:
            self._expect(int(number_of(first(self._node.take("#groups")))))
            if self._missing:
                return
        else:
            self._waiting += self._node.take("sof in")
            self._missing -= 1
            if self._missing:
                return
        held, self._waiting = tuple(self._waiting), []
        self._node.send("sof out", Pending(lambda: self._unite(held)))
        self._expect(0)

    def _unite(self, held: tuple[Token, ...]) -> Value:
        sofs = [sof_of(token, self._run.options.flatten) for token in held]
        return refused_plainly(lambda: accumulate(sofs, self._node.flag("same dataset", True)))

    def _expect(self, number: int) -> None:
        self._missing = number
        self._node.rate("#groups", 0 if number else 1)
        self._node.rate("sof in", 1 if number else 0)


def combine_sets(node: RunningActor, run: Running) -> Fire:
    """Files whose purposes are in all sets."""

    def fire() -> None:
        needed, optional = node.take("sof in"), node.take("sof in opt")

        def combine_all() -> SetOfFiles:
            how = run.options.flatten
            return combine([sof_of(token, how) for token in needed], [sof_of(token, how) for token in optional])

        node.send("sof out", Pending(combine_all))

    return fire


def create_set(node: RunningActor, run: Running) -> Fire:
    """The FITS files of folders; none where no folder is named."""

    def fire() -> None:
        pattern, category = node.text("Filename Pattern", "*.fits"), node.text("Default Category")
        folders = [Path(text_of(token)) for token in node.take("data dir") if text_of(token).strip()]
        files = [
            FitsFile(str(path.absolute()), _category(path) or category)
            for folder in folders
            if folder.is_dir()
            for path in sorted(folder.iterdir())
            if fnmatch(path.name, pattern)
        ]
        dataset = node.text("Dataset Name") or node.text("Dataset name")
        node.send("sof out", SetOfFiles(dataset, tuple(files)))

    return fire


def _category(path: Path) -> str:
    from esorex_bridge.fits.header import read_header

    return str(read_header(path).get("PRO.CATG") or "")


def is_empty(node: RunningActor, run: Running) -> Fire:
    """Whether a set is empty, and whether it is not."""

    def fire() -> None:
        empty = not together(node.take("sof in"), run).files
        node.send("is empty", empty)
        node.send("is not empty", not empty)

    return fire


def create_parameters(node: RunningActor, run: Running) -> Fire:
    """Recipe parameters from a text."""

    def fire() -> None:
        text = text_of(first(node.take("param in")))
        node.send("sop out", refused_plainly(lambda: Parameters(read_sop(text))))

    return fire


def show_as_text(node: RunningActor, run: Running) -> Fire:
    """The files of a set, one a line."""

    def fire() -> None:
        files = together(node.take("json in"), run).files
        node.send("text out", "".join(f"{file.name} {file.category}\n" for file in files))

    return fire


def together(tokens: Iterable[Token], run: Running) -> SetOfFiles:
    """Return the files of all tokens of a port as one set."""
    sofs = [sof_of(token, run.options.flatten) for token in tokens]
    if len(sofs) == 1:
        return sofs[0]
    return SetOfFiles(sofs[0].dataset if sofs else "", unite_purposes(file for sof in sofs for file in sof.files))


def refused_plainly(work: Callable[[], Answer]) -> Answer:
    """Return what work returns; what it refuses is an error of the workflow."""
    try:
        return work()
    except EncodingError as error:
        raise WorkflowError(str(error)) from None

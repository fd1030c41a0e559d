"""Reading again every file that datasets, recorded steps and end products name, to find what is not whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from esorex_bridge.disk.digest import Reading
from esorex_bridge.errors import DataError
from esorex_bridge.fits.verify import read_fits
from esorex_bridge.store.step_store import SqliteStore

State = Literal["whole", "unknown", "changed", "absent"]
"""As recorded; readable, but nothing is recorded to hold it against; other than recorded, or damaged; not there."""

Kind = Literal["input", "product", "end product"]


class AuditFinding(Struct, frozen=True):
    """What was found of one file, and what is wrong in words; empty where nothing is."""

    kind: Kind
    file: str
    state: State
    problem: str = ""


class Audit(Struct, frozen=True):
    """What was found of all files that are named, and the number of recorded steps."""

    findings: tuple[AuditFinding, ...] = ()
    steps: int = 0

    @property
    def files(self) -> int:
        """How many files were read that are no products of steps."""
        return sum(finding.kind != "product" and finding.state != "absent" for finding in self.findings)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is not whole, in words."""
        return tuple(sorted(finding.problem for finding in self.findings if finding.problem))

    def counts(self) -> dict[str, dict[State, int]]:
        """Return how many files there are of each kind and state."""
        found: dict[str, dict[State, int]] = {}
        for finding in self.findings:
            states = found.setdefault(finding.kind, {"whole": 0, "unknown": 0, "changed": 0, "absent": 0})
            states[finding.state] += 1
        return found


def audit(
    store: SqliteStore,
    named: Mapping[str, Path | None],
    progress: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> Audit:
    """Read every file that is named, whole, and hold it against what is recorded of it.

    A file whose content is another one than remembered counts with its new content from now on: what depends on it is
    made again.

    Parameters
    ----------
    store : SqliteStore
        What is recorded.
    named : mapping of str to Path or None
        The files that datasets name, and where they are; None where they are not there.
    progress : callable
        Called before each file: what it is, the number of those done, and of all.
    """
    inputs, fresh = _inputs(store, named, progress)
    missing = tuple(
        AuditFinding("input", name, "absent", f"{name} is missing: a dataset names it; fetch it again")
        for name, path in named.items()
        if path is None
    )
    products, made = _hold_against("product", store.all_products(), progress)
    ends, delivered = _hold_against("end product", store.all_end_products(), progress)
    store.doubt_all({**fresh, **delivered})
    store.trust_products(made)
    return Audit((*inputs, *missing, *products, *ends), len(store.all_keys()))


def _hold_against(
    kind: Kind, recorded: Iterable[tuple[str, str]], progress: Callable[[str, int, int], None]
) -> tuple[list[AuditFinding], dict[str, Reading]]:
    """Return what was found of products, and what was read of the whole ones."""
    listed = tuple(recorded)
    findings: list[AuditFinding] = []
    whole: dict[str, Reading] = {}
    for number, (file, digest) in enumerate(listed):
        progress(f"{kind}s", number, len(listed))
        finding, reading = _product(kind, file, digest)
        findings.append(finding)
        if reading is not None:
            whole[file] = reading
    return findings, whole


def _inputs(
    store: SqliteStore, named: Mapping[str, Path | None], progress: Callable[[str, int, int], None]
) -> tuple[list[AuditFinding], dict[str, Reading]]:
    known = store.known_files()
    files = tuple(dict.fromkeys((*known, *(str(path) for path in named.values() if path is not None))))
    findings: list[AuditFinding] = []
    fresh: dict[str, Reading] = {}
    for number, file in enumerate(files):
        progress("files", number, len(files))
        stamp, digest = known.get(file, ("", ""))
        seen = store.stamps((file,))[file]
        try:
            content, shown = read_fits(Path(file))
        except DataError as error:
            findings.append(AuditFinding("input", file, "changed", str(error)))
            continue
        fresh[file] = Reading(content.digest, shown)
        findings.append(_judge(file, digest, content.digest, seen == stamp))
    return findings, fresh


def _judge(file: str, recorded: str, digest: str, unseen: bool) -> AuditFinding:
    if not recorded:
        return AuditFinding("input", file, "unknown")
    if recorded == digest:
        return AuditFinding("input", file, "whole")
    how = " without a trace: its sha256 differs, its size and time do not" if unseen else ": its sha256 differs"
    return AuditFinding("input", file, "changed", f"{file} was changed{how}")


def _product(kind: Kind, file: str, digest: str) -> tuple[AuditFinding, Reading | None]:
    if not Path(file).exists():
        return AuditFinding(kind, file, "absent", f"{kind} {file} is missing"), None
    try:
        content, stamp = read_fits(Path(file), checksums=False)
    except DataError as error:
        return AuditFinding(kind, file, "changed", f"{kind} {file} is damaged: {error}"), None
    if content.digest != digest:
        return AuditFinding(kind, file, "changed", f"{kind} {file} is damaged: its sha256 differs"), None
    return AuditFinding(kind, file, "whole"), Reading(content.digest, stamp)

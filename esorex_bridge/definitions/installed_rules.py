"""The rule files of the installed pipelines."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from esorex_bridge.definitions.oca.library import PATTERNS, rule_file
from esorex_bridge.definitions.oca.rules import Rules
from esorex_bridge.definitions.workflow import Workflow
from esorex_bridge.disk.digest import digest_of_bytes
from esorex_bridge.disk.remembered import memory_folder, recall, remember, version_of
from esorex_bridge.errors import UserError

_LANGUAGE = Path(__file__).parent / "oca"
SHARE_FOLDERS = (Path("/usr/share"), Path("/usr/local/share"), Path("/opt/local/share"))


@cache
def rule_files() -> tuple[Path, ...]:
    """Return the rule files of all installed pipelines, the preferred ones first."""
    return tuple(path for pattern in PATTERNS for folder in SHARE_FOLDERS for path in sorted(folder.glob(pattern)))


def installed_rules(instrument: str) -> Rules | None:
    """Return the rules of an instrument's installed pipeline; None where there are none.

    Raises
    ------
    UserError
        If the file cannot be read, or is not written in the language of rules.
    """
    path = rule_file(instrument, rule_files())
    return None if path is None else read_rules(path)


def rules_for(workflow: Workflow) -> Rules | None:
    """Return the rules of a definition's instrument, or else of its pipeline: that of UVES reduces FLAMES too.

    Raises
    ------
    UserError
        If the file cannot be read, or is not written in the language of rules.
    """
    found = (installed_rules(name) for name in (*workflow.instruments, workflow.pipeline))
    return next((rules for rules in found if rules is not None), None)


@cache
def read_rules(path: Path) -> Rules:
    """Read a rule file, or recall what it says: its grammar takes longer to load than most nights to organise.

    Raises
    ------
    UserError
        If it cannot be read, or is not written in the language of rules.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    digest = digest_of_bytes(path.name.encode() + b"\0" + text).partition(":")[2]
    place = memory_folder("rules") / f"{digest}.{version_of(_LANGUAGE.glob('*.py'))}"
    known = recall(place, Rules)
    if known is None:
        from esorex_bridge.definitions.oca.grammar import parse_rules

        known = parse_rules(text.decode("utf-8", errors="replace"), path.name)
        remember(place, known)
    return known

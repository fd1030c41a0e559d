"""The rule files of the installed pipelines."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from esorex_bridge.definitions.oca.grammar import parse_rules
from esorex_bridge.definitions.oca.library import PATTERNS, rule_file
from esorex_bridge.definitions.oca.rules import Rules
from esorex_bridge.errors import UserError

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


@cache
def read_rules(path: Path) -> Rules:
    """Read a rule file.

    Raises
    ------
    UserError
        If it cannot be read, or is not written in the language of rules.
    """
    try:
        return parse_rules(path.read_text(encoding="utf-8", errors="replace"), path.name)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None

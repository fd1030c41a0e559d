"""The command lines of the documentation."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?(esorex-bridge .*)$")


def documented_commands() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each command line of the bridge in a block of code, with the page that has it, as words."""
    for page in PAGES:
        for language, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            if language in ("", "sh", "console"):
                for line in block.replace("\\\n", " ").splitlines():
                    if found := _COMMAND.match(line):
                        yield str(page.relative_to(ROOT)), _words(found[1])


def _words(line: str) -> tuple[str, ...]:
    """Return the words of one command: without what follows it, comments, redirections and other commands."""
    words: list[str] = []
    for word in shlex.split(line, comments=True):
        if re.fullmatch(r"\|\|?|&&?|;|\d?>>?.*|<.*", word):
            break
        words.append(word)
    return tuple(words[1:])

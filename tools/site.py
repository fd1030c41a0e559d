"""What the site has beside its pages: the reference of the command line, made from the parsers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from esorex_bridge.cli import STAGES, Verb, parser_of

_RESULTS = Path(__file__).parents[1] / "benchmarks" / "RESULTS.md"


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    files.append(File.generated(config, "reference/cli.md", content=cli_reference()))
    files.append(File.generated(config, "explanation/measured.md", content=measured()))
    return files


def measured() -> str:
    """Return the page of what was measured beside other tools."""
    if not _RESULTS.exists():
        return "# Measured beside other tools\n\nNothing is measured yet: `make bench` does.\n"
    return _RESULTS.read_text(encoding="utf-8")


def cli_reference() -> str:
    """Return the page of all verbs with their options."""
    return "\n".join(_page())


def _page() -> Iterator[str]:
    yield "# Command line\n"
    yield "Exit codes: 0 done, 1 refused or failed with a reason, 2 usage, 3 internal error, 130 interrupted.\n"
    for stage, verbs in STAGES.items():
        yield f"## {stage.capitalize()}\n"
        for name, verb in verbs.items():
            yield from _verb(name, verb)
            for sub, below in verb.sub.items():
                yield from _verb(f"{name} {sub}", below)


def _verb(name: str, verb: Verb) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"```text\n{parser_of(name, verb).format_help()}```\n"

"""The options that verbs share, spelt once."""

from __future__ import annotations

import argparse
from pathlib import Path


def common(parser: argparse.ArgumentParser) -> None:
    """Add `--root`, `--archive`, `--json` and `-v`."""
    group = parser.add_argument_group("common options")
    group.add_argument("--root", type=Path, default=Path("."), metavar="DIR",
                       help="data root; holds reflex_input/, reflex_end_products/ and the rest (default: here)")
    group.add_argument("--archive", metavar="URL",
                       help="one base for all archive services, such as an embedded archive (default: ESO's hosts)")
    group.add_argument("--json", action="store_true", help="print one JSON document on stdout, and nothing else there")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more on stderr; twice for all")


def dry_run(parser: argparse.ArgumentParser) -> None:
    """Add `--dry-run`."""
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")

"""`esorex-bridge log`: what a recipe said, of the latest run of a step or of the one that made a product."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.history import LogDocument
    from esorex_bridge.run.logs import RecipeLog

EXAMPLE = "esorex-bridge log naco_img_dark_1 --root night\n  esorex-bridge log COADDED.fits --root night --warnings"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("what", metavar="STEP|PRODUCT", help="a step or a recipe; or a product by its path or name")
    parser.add_argument("--warnings", action="store_true", help="warnings and errors alone")
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Print the log."""
    from esorex_bridge.run.logs import find_log

    found = find_log(args.what, args.root)
    if args.json:
        output.emit_json(_document(found))
        return 0
    took = f", {found.took}" if found.took else ""
    output.say(f"{found.step}: exit code {'-' if found.exit_code is None else found.exit_code}{took}")
    output.say(f"folder: {found.folder}", more=4)
    for line in found.warnings if args.warnings else found.lines:
        print(output.escape_line(line))
    many = f"{len(found.warnings)} warning{'s' * (len(found.warnings) != 1)} or errors"
    if found.script:
        output.close(many, f"sh {shlex.quote(str(found.folder / found.script))}")
    else:
        output.say(many)
    return 0


def _document(found: RecipeLog) -> LogDocument:
    from esorex_bridge.cli.documents.history import LogDocument

    return LogDocument(
        step=found.step,
        folder=str(found.folder),
        exit_code=found.exit_code,
        took=found.took,
        warnings=found.warnings,
        lines=found.lines,
    )

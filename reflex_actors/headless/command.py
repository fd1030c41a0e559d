"""`esorex-bridge reflex run`: words on the command line become a run, and its report is printed."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import output
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from reflex_actors.headless.report import RunReport
    from reflex_actors.headless.running import RunOptions
    from reflex_actors.moml.model import Entity

PARAMETER = re.compile(r"-([A-Za-z_]\w+)(?:=(.*))?", re.DOTALL)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a workflow, .xml or .kar")
    parser.add_argument(
        "--flatten",
        choices=("last", "merge"),
        default="last",
        help=(
            "purposes of a file that serves several actions: those of the last one, as Reflex does, or merged "
            "(default: last)"
        ),
    )
    parser.add_argument("--datasets", type=Path, metavar="FILE", help="a datasets.json, instead of organising")
    parser.add_argument("--interactive", action="store_true", help="open the windows that the workflow has")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="recipes at a time (default: processors)"
    )
    parser.add_argument("--dry-run", action="store_true", help="list the recipes with their SOFs; run nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, and nothing else there")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="say more on stderr")
    values = parser.add_argument(
        "values", nargs=argparse.REMAINDER, metavar="-PARAM VALUE", help="global parameters, as esoreflex takes them"
    )
    values.required = False


def parameters_first(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words of a command line without its `-PARAM VALUE` pairs, and these.

    Raises
    ------
    UserError
        If a parameter has no value.
    """
    rest: list[str] = []
    values: dict[str, str] = {}
    waiting = iter(words)
    for word in waiting:
        found = PARAMETER.fullmatch(word)
        if found is None:
            rest.append(word)
            continue
        value = next(waiting, None) if found.group(2) is None else found.group(2)
        if value is None:
            raise UserError(f"parameter {word} has no value")
        values[found.group(1)] = value
    return rest, values


def run(args: argparse.Namespace) -> int:
    """Run a workflow and print what came of it."""
    from reflex_actors.headless.report import lines
    from reflex_actors.headless.running import RunOptions
    from reflex_actors.moml.read import read_file

    rest, values = parameters_first(args.values)
    options = argparse.ArgumentParser(prog="esorex-bridge reflex run", allow_abbrev=False)
    configure(options)
    args = options.parse_args([*rest, str(args.file)], namespace=args)
    root = read_file(args.file).root
    report = carry_out(root, values, RunOptions(args.flatten, args.dry_run, args.interactive, args.datasets, args.jobs))
    if args.json:
        from msgspec.structs import asdict

        from reflex_actors.documents import ReflexRunDocument

        output.emit_json(ReflexRunDocument(**asdict(report)))
    else:
        for line in lines(report, whole=args.verbose > 0):
            print(line)
    return 0 if report.done else 1


def carry_out(root: Entity, values: dict[str, str], options: RunOptions) -> RunReport:
    """Run a workflow with the recipes that are installed, in the data root that it names."""
    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings
    from reflex_actors.headless.bridge_recipes import BridgeRecipes, known_products
    from reflex_actors.headless.workflow_run import prepare, run_prepared

    network, variables = prepare(root, values, options.interactive)
    folder = Path(variables.text("ROOT_DATA_DIR") or ".").expanduser().absolute()
    place = Path(variables.text("TMP_PRODUCTS_DIR") or root.name)
    with Session(Settings(folder, jobs=options.jobs)) as session:
        recipes = BridgeRecipes(session, place.name, options.dry_run, known_products(root.name))
        return run_prepared(root.name, network, variables, recipes, options)

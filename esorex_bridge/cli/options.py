"""The options that verbs share, spelt once."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

_LAST_PORT = 65535


def common(parser: argparse.ArgumentParser) -> None:
    """Add `--root`, `--archive`, `--json` and `-v`."""
    group = parser.add_argument_group("common options")
    group.add_argument(
        "--root",
        type=Path,
        default=None,
        metavar="DIR",
        help="data root; holds reflex_input/, reflex_end_products/ and the rest (default: ESOREX_BRIDGE_ROOT, or here)",
    )
    group.add_argument(
        "--archive",
        metavar="URL",
        help="one base for all archive services, such as an embedded archive (default: ESO's hosts)",
    )
    group.add_argument(
        "--trace-http",
        type=Path,
        metavar="DIR",
        help="write every exchange with the archive into a folder, without passwords and tokens, for a report",
    )
    json_and_verbose(group)


def json_and_verbose(parser: argparse._ActionsContainer, verbose: str = "say more on stderr; twice for all") -> None:
    """Add `--json` and `-v`."""
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, and nothing else there")
    parser.add_argument("-v", "--verbose", action="count", default=0, help=verbose)


def definitions(parser: argparse.ArgumentParser, verbose: str = "say more on stderr; twice for all") -> None:
    """Add names of definitions, and what is common to the verbs that look at them."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="names or files of definitions, or edps:PATH (default: all definitions)",
    )
    parser.add_argument(
        "--trust-package",
        action="store_true",
        help="execute a package of EDPS even where the kernel cannot fence it in",
    )
    json_and_verbose(parser, verbose)


def page(parser: argparse._ActionsContainer) -> None:
    """Add how a page is served: `--port`, `--no-browser`."""
    parser.add_argument("--port", type=port, default=0, metavar="N", help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="name the address, and open no browser")


def port(text: str) -> int:
    """Return the number of a port; argparse says which option where it is none."""
    if not text.isdigit() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port; give 0 (any free one) to {_LAST_PORT}")
    return int(text)


def dry_run(parser: argparse.ArgumentParser) -> None:
    """Add `--dry-run`."""
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")


def organising(parser: argparse.ArgumentParser, objects: bool = False) -> None:
    """Add what datasets are made by: `--by`, `--oca`, `--workflow`, `--breakpoints`, and for packages of EDPS.

    `objects` says that `--target` is an object on the sky, because frames are queried.
    """
    group = parser.add_argument_group("organising")
    group.add_argument(
        "--by",
        choices=("auto", "both", "calselector", "oca"),
        default="auto",
        help="auto: association trees, and OCA rules for frames that no tree names; both: also fill the gaps of trees "
        "by rules; calselector: trees alone; oca: rules alone (default: auto)",
    )
    group.add_argument("--oca", type=Path, metavar="FILE", help="a rule file to use instead of the pipeline's own")
    group.add_argument(
        "--workflow",
        metavar="NAME|FILE|edps:PATH",
        help="a workflow definition, or a workflow package of EDPS, to use instead of the one for the instrument; "
        "'none': organise by the rules as they are",
    )
    group.add_argument(
        "--breakpoints",
        type=Path,
        metavar="FILE",
        help="breakpoints of calSelector, dates that calibrations must not cross (default: ROOT/breakpoints.json)",
    )
    edps(parser, objects)


def edps(parser: argparse.ArgumentParser, objects: bool = False) -> None:
    """Add what is said about a workflow package of EDPS; `objects` as in `organising`."""
    from esorex_bridge.definitions.edps.words import PREFERENCES

    group = parser.add_argument_group("EDPS workflow packages (--workflow edps:…)")
    group.add_argument(
        *(("--target-task",) if objects else ("--target", "--target-task")),
        dest="target_tasks",
        action="append",
        default=[],
        metavar="TASK",
        help="make the jobs of this task and what they need; may be repeated",
    )
    group.add_argument(
        "--meta-target",
        action="append",
        default=[],
        metavar="LABEL",
        help="make the jobs of all tasks with this label, such as science or qc1calib (default: science)",
    )
    group.add_argument("--parameter-set", metavar="NAME", help="parameter set of the package (default: its default)")
    group.add_argument(
        "--workflow-parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a workflow parameter of the package; may be repeated",
    )
    group.add_argument(
        "--association-preference",
        choices=PREFERENCES,
        default=PREFERENCES[0],
        metavar="ORDER",
        help=f"whether raws or masters are tried first: {', '.join(PREFERENCES)} (default: {PREFERENCES[0]})",
    )
    group.add_argument(
        "--trust-package",
        action="store_true",
        help="execute the package even where the kernel cannot fence it in",
    )


def planning(parser: argparse.ArgumentParser, objects: bool = False) -> None:
    """Add what a plan depends on: what datasets are made by, `--mode`, `--set`, `--parameters`."""
    organising(parser, objects)
    group = parser.add_argument_group("planning")
    group.add_argument(
        "--data",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="where the data lie; may be repeated (default: reflex_input/ of the data root)",
    )
    group.add_argument(
        "--mode", choices=("raw", "master"), default="raw", help="calibrations as raw frames or as processed masters"
    )
    group.add_argument(
        "--quality",
        type=int,
        metavar="N",
        help="refuse calibrations of a level above N: 0 is the calibration plan, 1 good, 2 probably acceptable, 3 a "
        "significant risk (default: no limit)",
    )
    parameters(group)


def parameters(group: argparse._ActionsContainer) -> None:
    """Add what recipe parameters are given by: `--set`, `--parameters`."""
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="RECIPE.PARAM=VALUE",
        help="a recipe parameter, such as naco_img_twflat.prop=true; may be repeated",
    )
    group.add_argument(
        "--parameters", type=Path, metavar="FILE", help="a YAML file of recipe parameters: 'recipe: {parameter: value}'"
    )


def room_rule(parser: argparse._ActionsContainer) -> None:
    """Add `--room`."""
    parser.add_argument(
        "--room",
        choices=("check", "ignore"),
        help="check: refuse what the disk has no room for, by an estimate; ignore: begin all the same (default: check, "
        "or room in settings.yaml)",
    )


def running(parser: argparse.ArgumentParser, *start: str) -> None:
    """Add what carrying a plan out depends on; `start` as in `reuse`."""
    group = parser.add_argument_group("running")
    _jobs(group)
    room_rule(group)
    memory(group)
    reuse(group, *start)
    group.add_argument(
        "--recipe-failure-mode",
        choices=("Continue", "Stop", "Ask"),
        default="Continue",
        help="after a failure: make what does not need the failed step, stop, or ask (default: Continue)",
    )


def reuse(group: argparse._ArgumentGroup, *start: str) -> None:
    """Add what runs although its products are there: `--lazy`, `--force`, `--from-step`.

    `start` are more names for the last one; `--from` is one where it is not the date of a query.
    """
    group.add_argument(
        "--lazy",
        action="append",
        default=[],
        metavar="[RECIPE=]on|off|reflex",
        help="Lazy Mode for all recipes or for one: on reuses what is there, off runs everything, reflex goes by "
        "Reflex's own rule (default: on)",
    )
    group.add_argument(
        "--force", action="append", default=[], metavar="RECIPE|STEP", help="run it although its products are there"
    )
    group.add_argument(
        "--from-step",
        *start,
        action="append",
        default=[],
        dest="start",
        metavar="RECIPE|STEP",
        help="run it, and all that depends on it, although their products are there",
    )


def _jobs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--jobs",
        type=at_least_one,
        default=os.cpu_count() or 1,
        metavar="N",
        help="how many recipes may run at a time (default: one a processor)",
    )


def memory(group: argparse._ActionsContainer) -> None:
    """Add `--memory`."""
    group.add_argument(
        "--memory",
        type=at_least_zero,
        metavar="MB",
        help="what recipes may take together here, as far as earlier runs tell (default: what is free; 0: no limit)",
    )


def at_least_zero(text: str) -> int:
    """Return a number that an option gives; argparse says which option where it is none."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is not a number; give 0 or more")
    return int(text)


def at_least_one(text: str) -> int:
    """Return a number that an option gives; argparse says which option where it is none."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number; give 1 or more")
    return int(text)

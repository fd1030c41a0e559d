"""The options that verbs share, spelt once, and the settings they give."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.plan.parameters import ParameterSetting
    from esorex_bridge.session import Settings


def common(parser: argparse.ArgumentParser) -> None:
    """Add `--root`, `--archive`, `--json` and `-v`."""
    group = parser.add_argument_group("common options")
    group.add_argument(
        "--root",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="data root; holds reflex_input/, reflex_end_products/ and the rest (default: here)",
    )
    group.add_argument(
        "--archive",
        metavar="URL",
        help="one base for all archive services, such as an embedded archive (default: ESO's hosts)",
    )
    group.add_argument("--json", action="store_true", help="print one JSON document on stdout, and nothing else there")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more on stderr; twice for all")


def dry_run(parser: argparse.ArgumentParser) -> None:
    """Add `--dry-run`."""
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")


def planning(parser: argparse.ArgumentParser) -> None:
    """Add what a plan depends on: `--mode`, `--workflow`, `--set`."""
    group = parser.add_argument_group("planning")
    group.add_argument(
        "--mode", choices=("raw", "master"), default="raw", help="calibrations as raw frames or as processed masters"
    )
    group.add_argument("--workflow", type=Path, metavar="FILE", help="a workflow definition to use instead of our own")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="RECIPE.PARAM=VALUE",
        help="a recipe parameter, such as naco_img_twflat.prop=true; may be given again",
    )


def jobs(parser: argparse.ArgumentParser) -> None:
    """Add `--jobs`."""
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="how many recipes may run at a time (default: one a processor; fewer where memory is short)",
    )


def settings(args: argparse.Namespace) -> Settings:
    """Return the settings of a session that a command line gives.

    Raises
    ------
    UserError
        A `--set` is not of its form.
    """
    from esorex_bridge.session import Settings

    return Settings(
        root=args.root,
        archive=args.archive,
        mode="Raw2Master" if getattr(args, "mode", "raw") == "master" else "Raw2Raw",
        workflow=getattr(args, "workflow", None),
        parameters=tuple(map(_setting, getattr(args, "set", ()))),
        jobs=getattr(args, "jobs", os.cpu_count() or 1),
    )


def _setting(text: str) -> ParameterSetting:
    from esorex_bridge.plan.parameters import ParameterSetting

    name, equals, value = text.partition("=")
    recipe, dot, parameter = name.partition(".")
    if not (equals and dot and recipe and parameter):
        raise UserError(f"--set {text} is not of the form RECIPE.PARAM=VALUE")
    return ParameterSetting(recipe, parameter, value, "--set")

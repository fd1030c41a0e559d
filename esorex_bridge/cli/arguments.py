"""What a command line says, as settings, requests and policies."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.definitions.edps.options import EdpsOptions
    from esorex_bridge.definitions.parameters import ParameterSetting
    from esorex_bridge.disk.room import DiskNeed, Room
    from esorex_bridge.organise.organised_data import Request
    from esorex_bridge.reuse.decide import Policy
    from esorex_bridge.settings import Settings


def apply_defaults(args: argparse.Namespace) -> None:
    """Fill in the data root and the archive from the environment and the settings, where no option names them."""
    from esorex_bridge.workspace.user_settings import default_archive, default_root, fill_environment

    if "root" in args:
        args.root = default_root(os.environ) if args.root is None else args.root
        refuse_odd_root(args.root)
    _refuse_absent(args)
    fill_environment(os.environ, args.root if "root" in args else default_root(os.environ))
    if "archive" in args:
        args.given_archive = args.archive
        args.archive = args.archive or default_archive(os.environ, args.root)


def _refuse_absent(args: argparse.Namespace) -> None:
    """Refuse folders and files of the user's that are not there: nothing would be found in them."""
    for name in ("data", "places", "oca", "breakpoints"):
        given = getattr(args, name, None) or ()
        for path in given if isinstance(given, list) else (given,):
            if isinstance(path, Path) and not path.exists():
                option = "" if name == "places" else f"--{name} "
                raise UserError(f"{option}{path} does not exist; name one that does")


def refuse_odd_root(root: Path) -> None:
    """Refuse a data root that is a file, or a folder inside the input folder of one.

    Raises
    ------
    UserError
        If it is one; the message says what to give instead.
    """
    from esorex_bridge.organise.places import INPUT_FOLDER

    if root.exists() and not root.is_dir():
        raise UserError(f"{root} is a file; name a folder as the data root with --root")
    place = root.absolute()
    inside = next((folder for folder in (place, place.parent) if folder.name == INPUT_FOLDER), None)
    if inside is not None and place.is_dir():
        raise UserError(f"{root} is the input folder of a data root; give --root {inside.parent}")


def settings(args: argparse.Namespace) -> Settings:
    """Return the settings of a session that a command line gives.

    Raises
    ------
    UserError
        If a `--set` or `--lazy` is not of its form, or the file of parameters cannot be read.
    """
    from esorex_bridge.cli import output
    from esorex_bridge.definitions.folders import read_text
    from esorex_bridge.definitions.parameters import read_settings
    from esorex_bridge.settings import Settings

    file = getattr(args, "parameters", None)
    return Settings(
        root=args.root,
        archive=args.archive,
        trace=getattr(args, "trace_http", None),
        mode="Raw2Master" if getattr(args, "mode", "raw") == "master" else "Raw2Raw",
        workflow=Path(args.workflow) if getattr(args, "workflow", None) else None,
        by=getattr(args, "by", "auto"),
        oca=getattr(args, "oca", None),
        breakpoints=getattr(args, "breakpoints", None),
        data=tuple(getattr(args, "data", None) or ()),
        edps=edps_options(args),
        quality=getattr(args, "quality", None),
        room=getattr(args, "room", None),
        parameters=(
            *(read_settings(read_text(file), str(file)) if file else ()),
            *map(setting, getattr(args, "set", ())),
        ),
        jobs=getattr(args, "jobs", os.cpu_count() or 1),
        policy=policy(args),
        memory_mb=getattr(args, "memory", None),
        messages=output.note if args.verbose else None,
    )


def policy(args: argparse.Namespace) -> Policy:
    """Return what a command line says about reuse.

    Raises
    ------
    UserError
        If a `--lazy` is not of its form.
    """
    from esorex_bridge.reuse.decide import LAZY_MODES, LazyMode, Policy

    general: LazyMode = "on"
    by_recipe: dict[str, LazyMode] = {}
    for text in getattr(args, "lazy", ()):
        recipe, _, word = text.rpartition("=")
        mode = next((known for known in LAZY_MODES if known == word), None)
        if mode is None:
            raise UserError(f"--lazy {text}: the mode is one of {', '.join(LAZY_MODES)}")
        if recipe:
            by_recipe[recipe] = mode
        else:
            general = mode
    return Policy(general, by_recipe, tuple(getattr(args, "force", ())), tuple(getattr(args, "start", ())))


def setting(text: str, origin: str = "--set") -> ParameterSetting:
    """Return what a `--set`, or another option of that form, says.

    Raises
    ------
    UserError
        If it is not of its form.
    """
    from esorex_bridge.definitions.parameters import read_setting

    name, equals, value = text.partition("=")
    if not (equals and name.partition(".")[2]):
        raise UserError(f"{origin} {text} is not of the form RECIPE.PARAM=VALUE, such as naco_img_dark.nsamples=50")
    return read_setting(name, value, origin)


def request(args: argparse.Namespace) -> Request:
    """Return what to organise by, as a command line says."""
    from esorex_bridge.organise.organised_data import Request
    from esorex_bridge.organise.places import default_mode

    here = not (getattr(args, "places", None) or getattr(args, "data", None))
    mode = default_mode(args.root) if here else None
    return Request(args.root, args.by, args.oca, args.workflow, args.breakpoints, edps_options(args), mode)


def edps_options(args: argparse.Namespace) -> EdpsOptions:
    """Return what a command line says about a workflow package.

    Raises
    ------
    UserError
        If a workflow parameter is not of its form.
    """
    from esorex_bridge.definitions.edps.options import EdpsOptions
    from esorex_bridge.definitions.edps.words import PREFERENCES

    return EdpsOptions(
        tuple(getattr(args, "target_tasks", ())),
        tuple(getattr(args, "meta_target", ())),
        getattr(args, "parameter_set", None),
        tuple(map(_workflow_parameter, getattr(args, "workflow_parameter", ()))),
        getattr(args, "association_preference", PREFERENCES[0]),
        bool(getattr(args, "trust_package", False)),
    )


def _workflow_parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UserError(f"--workflow-parameter {text} is not of the form NAME=VALUE")
    return name, value


def room(args: argparse.Namespace) -> Room:
    """Return the room of the disks that a command line works on."""
    from esorex_bridge.disk.room import Room
    from esorex_bridge.workspace.user_settings import read_user_settings, user_folder

    return Room(args.room or read_user_settings(args.root, user_folder(os.environ)).room)


def lacks_room(settings: Settings, needs: Iterable[DiskNeed]) -> bool:
    """Tell whether a run would be refused for want of room."""
    from esorex_bridge.session import Session

    return not all(need.enough for need in needs) and Session(settings).room_rule == "check"

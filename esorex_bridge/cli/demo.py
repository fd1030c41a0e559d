"""`esorex-bridge demo`: the whole road on an embedded archive, twice: the second time nothing runs."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esorex_bridge.cli import options, output
from esorex_bridge.demo.nights.catalogue import NIGHTS, make_night, night_name
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.cli.documents.running import DemoDocument
    from esorex_bridge.cli.reduce import ReductionResult
    from esorex_bridge.definitions.parameters import ParameterSetting
    from esorex_bridge.demo.nights.night import DemoNight

EXAMPLE = "esorex-bridge demo --instrument hawki --root demo_data\n  esorex-bridge demo --serve --fault truncated"
PROGRAM = "60.A-9999(A)"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "--instrument",
        metavar="NAME",
        help=f"which synthetic night, in any of ESO's spellings (default: naco; all of them with --serve): "
        f"{', '.join(NIGHTS)}",
    )
    group = parser.add_argument_group("serving the embedded archive to a client, instead of the demonstration")
    group.add_argument("--serve", action="store_true", help="serve on 127.0.0.1 until Ctrl-C")
    group.add_argument("--port", type=options.port, default=0, help="port to serve on (default: any free one)")
    group.add_argument(
        "--fault", action="append", default=[], metavar="NAME", help="switch a fault on; 'list' lists them"
    )
    group.add_argument(
        "--protect",
        action="append",
        default=[],
        metavar="DP_ID",
        help="a frame for the user demo alone (demo-password)",
    )
    options.common(parser)
    parser.set_defaults(root=Path("demo_data"), dry_run=False)


def run(args: argparse.Namespace) -> int:
    """Reduce the night twice, or serve the archive."""
    if args.fault == ["list"]:
        return _list_faults(args.json)
    if (args.fault or args.protect or args.port) and not args.serve:
        raise UserError("--fault, --protect and --port are of the archive that is served; give --serve with them")
    if args.serve:
        return _serve(args)
    return _demonstrate(args)


def _demonstrate(args: argparse.Namespace) -> int:
    from esorex_bridge.archive.query import Constraints
    from esorex_bridge.cli import reduce as verb
    from esorex_bridge.cli.run_view import show
    from esorex_bridge.demo.archive.embedded import EmbeddedArchive
    from esorex_bridge.run.report import count_started
    from esorex_bridge.settings import Settings

    name = night_name(args.instrument or "naco")
    night, listed = make_night(name), NIGHTS[name]
    words, fields = _ask_words(night)
    runs: list[tuple[str, verb.ReductionResult]] = []
    failed = False
    args.mode, args.set = "master" if listed.mode == "Raw2Master" else "raw", list(listed.settings)
    args.dry_run = False
    with EmbeddedArchive([night], _frames(args.root)) as archive:
        settings = Settings(
            root=args.root,
            archive=archive.url,
            mode=listed.mode,
            jobs=os.cpu_count() or 1,
            parameters=_parameters(listed.settings),
        )
        mode = ("--mode", "master") if listed.mode == "Raw2Master" else ()
        sets = tuple(word for text in listed.settings for word in ("--set", text))
        command = shlex.join((*words, *mode, *sets, "--root", str(args.root), "--archive", archive.url))
        for part in ("first", "second"):
            output.note(f"the {part} time: {command}")
            came = verb.go(settings, Constraints(**fields))
            runs.append((command, came))
            failed = failed or verb.has_failed(came)
            if not args.json:
                print(f"\nThe {part} time:")
                verb.say_what_is_missing(came)
                show(came.reports, args)
    if args.json:
        output.emit_json(_document(archive.url, runs))
    else:
        _conclude([count_started(came.reports) for _, came in runs], args.root)
    output.leave_report(settings, count_started(runs[0][1].reports))
    return 1 if failed else 0


def _ask_words(night: DemoNight) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the words that ask for a night's data: its science, or calibrations by name where it has none."""
    if night.science:
        fields: dict[str, Any] = {"program": PROGRAM, "instrument": night.instrument}
        return ("esorex-bridge", "reduce", "--program", PROGRAM, "--instrument", night.instrument), fields
    return ("esorex-bridge", "reduce", *night.roots), {"dp_ids": night.roots, "category": None}


def _parameters(settings: tuple[str, ...]) -> tuple[ParameterSetting, ...]:
    from esorex_bridge.definitions.parameters import ParameterSetting

    found = []
    for text in settings:
        name, _, value = text.partition("=")
        recipe, _, parameter = name.partition(".")
        found.append(ParameterSetting(recipe, parameter, value, "the demonstration"))
    return tuple(found)


def _document(archive: str, runs: list[tuple[str, ReductionResult]]) -> DemoDocument:
    from msgspec.structs import asdict

    from esorex_bridge.cli.documents.running import DemoDocument, DemoRunPart
    from esorex_bridge.cli.reduce import document

    found = [(command, asdict(document(came))) for command, came in runs]
    for _, fields in found:
        del fields["schema"]
    return DemoDocument(
        archive=archive, runs=tuple(DemoRunPart(command=command, **fields) for command, fields in found)
    )


def _conclude(started: list[int], root: Path) -> None:
    first, second = started
    print(f"\nRecipes started: {first} the first time, {second} the second time.")
    output.say(f"Everything lies in {root}; the products in {root / 'reflex_end_products'}.")
    _say_where_we_are()


def _say_where_we_are() -> None:
    """Say how to have the command within reach, where it is not on the search path."""
    import shutil
    import sys

    folder = Path(sys.executable).parent
    if shutil.which("esorex-bridge") is None and (folder / "esorex-bridge").exists():
        output.say(f'To type esorex-bridge anywhere: export PATH="{folder}:$PATH"')


def _serve(args: argparse.Namespace) -> int:
    from esorex_bridge.demo.archive.embedded import serve, wait_for_interrupt

    names = (args.instrument,) if args.instrument else NIGHTS
    nights = {night.name: night for night in map(make_night, names)}
    held = {file.dp_id for night in nights.values() for file in night.files}
    if lacking := sorted(set(args.protect) - held):
        raise UserError(f"the embedded archive has no {', '.join(lacking)}; --protect names a frame that it serves")
    archive = serve(
        nights.values(), _frames(args.root), port=args.port, faults=args.fault, proprietary=frozenset(args.protect)
    )
    try:
        if args.json:
            from esorex_bridge.cli.documents.running import DemoServeDocument

            output.emit_json(DemoServeDocument(archive=archive.url))
        else:
            print(f"serving on {archive.url} (for --archive); Ctrl-C ends it", flush=True)
        wait_for_interrupt()
    finally:
        archive.__exit__(None, None, None)
    return 0


def _list_faults(as_json: bool) -> int:
    from esorex_bridge.demo.archive.faults import REAL_MANNERS, Fault

    several = ", ".join(fault.value for fault in REAL_MANNERS)
    listed = [("real_manners", f"what ESO's services are reported to do on a good day: {several}")]
    listed += [(fault.value, fault.description) for fault in Fault]
    if as_json:
        from esorex_bridge.cli.documents.running import ArchiveFaultPart, DemoFaultsDocument

        output.emit_json(DemoFaultsDocument(faults=tuple(ArchiveFaultPart(*each) for each in listed)))
    else:
        output.table(("fault", "meaning"), listed)
    return 0


def _frames(root: Path) -> Path:
    """Return where the embedded archive keeps its frames, apart from what is fetched from it."""
    return root.absolute() / "embedded_archive"

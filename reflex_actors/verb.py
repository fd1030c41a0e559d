"""`esorex-bridge reflex`: install actors, look whether Reflex can run them, write workflow files and check them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esorex_bridge.cli import output
from esorex_bridge.disk.atomic import write_bytes_whole
from esorex_bridge.errors import UserError

if TYPE_CHECKING:
    from esorex_bridge.definitions.located import Scalar
    from esorex_bridge.definitions.workflow import Workflow
    from reflex_actors.moml.reduction import Tunable

EXAMPLE = (
    "esorex-bridge reflex install\n"
    "  esorex-bridge reflex doctor\n"
    "  esorex-bridge reflex workflow hawki > hawki.xml\n"
    "  esorex-bridge reflex check hawki.xml\n"
    "  esorex-bridge reflex run hawki.xml -ROOT_DATA_DIR $PWD -CALIB_MODE none"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own verbs."""
    verbs = parser.add_subparsers(dest="what", metavar="VERB", required=True)
    _configure_install(verbs.add_parser("install", help="write the actors for Reflex", allow_abbrev=False))
    _configure_doctor(verbs.add_parser("doctor", help="say what Reflex lacks to run them", allow_abbrev=False))
    _configure_workflow(verbs.add_parser("workflow", help="write an instrument's workflow file", allow_abbrev=False))
    _configure_check(verbs.add_parser("check", help="read a workflow file and say what is wrong", allow_abbrev=False))
    from reflex_actors.headless import command

    command.configure(verbs.add_parser("run", help="run a workflow file without Kepler and Java", allow_abbrev=False))


def _configure_install(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--into", type=Path, metavar="DIR", help="where to (default: ~/.esoreflex/esorex_bridge)")
    parser.add_argument(
        "--write-rc", action="store_true", help="add what is missing to ~/.esoreflex/esoreflex.rc; a copy is kept"
    )
    _common(parser)


def _configure_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workflows", nargs="*", type=Path, metavar="FILE", help="workflow files to look at as well")
    parser.add_argument("--into", type=Path, metavar="DIR", help="where the actors are installed")
    _common(parser)


def _configure_workflow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="name or file of a workflow definition, such as hawki")
    parser.add_argument("--kar", type=Path, metavar="FILE", help="write Kepler's archive instead of printing the XML")
    parser.add_argument("--actors", metavar="DIR", help="where the actors are (default: ~/.esoreflex/esorex_bridge)")
    parser.add_argument(
        "--tune",
        action="append",
        default=[],
        metavar="RECIPE",
        help="show this recipe's products and all its parameters after each run; may be repeated",
    )
    parser.add_argument(
        "--interactive",
        action="append",
        default=[],
        metavar="RECIPE=SCRIPT",
        help="the same with the window of a script in one of ESO's kits; may be repeated",
    )
    parser.add_argument(
        "--reflex-organises", action="store_true", help="let Reflex's DataOrganizer organise, in its CalSelector mode"
    )
    _common(parser)


def _configure_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a workflow, .xml or .kar")
    parser.add_argument("--describe", action="store_true", help="print what is in it, too")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw its canvas")
    parser.add_argument("--no-recipes", action="store_true", help="do not ask EsoRex about recipes and parameters")
    _common(parser)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, and nothing else there")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="say more on stderr")


def run(args: argparse.Namespace) -> int:
    """Carry out one of them."""
    verbs = {"install": _install, "doctor": _doctor, "workflow": _workflow, "check": _check, "run": _run}
    return verbs[args.what](args)


def _run(args: argparse.Namespace) -> int:
    from reflex_actors.headless import command

    return command.run(args)


def _folder(args: argparse.Namespace) -> Path:
    from reflex_actors.install import DEFAULT_FOLDER

    into: Path = args.into or Path.home() / DEFAULT_FOLDER
    return into.absolute()


def _install(args: argparse.Namespace) -> int:
    from reflex_actors.install import install, settings
    from reflex_actors.rc_file import rc_in_force, write_rc

    done = install(_folder(args))
    wanted = settings(done.folder, Path.home(), os.environ)
    lines = [f"esoreflex.{name}={value}" for name, value in wanted.items()]
    written, backup = None, None
    if args.write_rc and wanted:
        written, backup = write_rc(rc_in_force(Path.home(), os.environ), wanted, Path.home())
    if args.json:
        from reflex_actors.documents import InstallDocument

        document = InstallDocument(
            folder=str(done.folder),
            actors=tuple(map(str, done.launchers)),
            workflows=tuple(map(str, done.workflows)),
            rc_lines=tuple(lines),
            written=str(written) if written else None,
            backup=str(backup) if backup else None,
        )
        output.emit_json(document)
        return 0
    print(f"{len(done.launchers)} actors and {len(done.workflows)} workflows are in {done.folder}")
    if written:
        print(f"{written} has {len(lines)} more settings" + (f"; the earlier one is {backup}" if backup else ""))
    elif lines:
        print("The actors need no settings. So that Reflex lists the workflows, give --write-rc, or set:")
    for line in lines:
        print(f"  {line}")
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from reflex_actors.doctor import examine

    found = examine(_folder(args), Path.home(), os.environ, args.workflows)
    if args.json:
        from reflex_actors.documents import CheckPart, ReflexDoctorDocument

        output.emit_json(
            ReflexDoctorDocument(checks=tuple(CheckPart(each.what, each.state, each.text) for each in found))
        )
    else:
        for each in found:
            print(f"{each.state:<4}  {each.what}: {each.text}")
    return 1 if any(each.state == "mend" for each in found) else 0


def _workflow(args: argparse.Namespace) -> int:
    from reflex_actors.definitions import definition_named
    from reflex_actors.moml.kar import kar
    from reflex_actors.moml.reduction import DEFAULT_ACTORS, reduction
    from reflex_actors.moml.text import write

    if args.name.startswith("edps:"):
        raise UserError(
            f"a workflow package of EDPS has no workflow file: its functions choose while it is planned; "
            f"'esorex-bridge run --workflow {args.name}' carries it out, and the actor organise_datasets gives its "
            "datasets to Reflex"
        )
    definition = definition_named(args.name)
    windows = _windows(args.interactive)
    tunable = _tunable(definition, [*args.tune, *windows])
    root = reduction(definition, args.actors or DEFAULT_ACTORS, tunable, args.reflex_organises, windows)
    if args.kar:
        write_bytes_whole(args.kar, kar(root))
        output.note(f"{args.kar} written")
    elif args.json:
        from msgspec.structs import asdict

        from reflex_actors.documents import WorkflowDocument
        from reflex_actors.moml.describe import describe

        output.emit_json(WorkflowDocument(**asdict(describe(root))))
    else:
        sys.stdout.write(write(root, head_comment(definition)))
    return 0


def head_comment(definition: Workflow) -> str:
    """Return the line at the head of a workflow file that we made."""
    return f" Made from workflows/{definition.name}.yaml by 'esorex-bridge reflex workflow {definition.name}'. "


def _windows(given: list[str]) -> dict[str, str]:
    """Return scripts by recipe."""
    found = {}
    for text in given:
        recipe, equals, script = text.partition("=")
        if not (recipe and equals and script):
            raise UserError(f"--interactive {text}: it must be RECIPE=SCRIPT")
        found[recipe] = script
    return found


def _tunable(definition: Workflow, recipes: list[str]) -> Tunable:
    """Return the parameters of recipes with their first values, as the installed EsoRex tells them.

    Of a recipe that is not installed, those that the definition names; that is said.
    """
    steps = {step.recipe: step for step in definition.steps}
    for recipe in recipes:
        if recipe not in steps:
            raise UserError(f"workflow {definition.name} has no recipe '{recipe}'; it has: {', '.join(steps)}")
    found: dict[str, tuple[tuple[str, Scalar], ...]] = {}
    for recipe, known in _ask_what_is_there(recipes).items():
        if isinstance(known, dict):
            found[recipe] = tuple(known.items())
            continue
        named = {**dict(steps[recipe].parameters), **dict(steps[recipe].tune)}
        what = f"{len(named)} parameters that the definition names" if named else "no parameters"
        output.note(f"{known} Its window has {what}.")
        found[recipe] = tuple(named.items())
    return found


def _ask_what_is_there(recipes: list[str]) -> dict[str, dict[str, Any] | Exception]:
    """Return the parameters of recipes, or why they are not known."""
    from esorex_bridge.errors import RecipeError

    if not recipes:
        return {}
    try:
        return _ask(recipes)
    except RecipeError:
        return dict.fromkeys(recipes, RecipeError("EsoRex is not installed."))


def _ask(recipes: list[str]) -> dict[str, dict[str, Any] | Exception]:
    from tempfile import TemporaryDirectory

    from esorex_bridge.errors import RecipeError
    from esorex_bridge.session import Session
    from esorex_bridge.settings import Settings

    with TemporaryDirectory(prefix="esorex-bridge-") as scratch, Session(Settings(Path(scratch))) as session:
        if session.esorex is None:
            raise RecipeError("EsoRex is not installed, so nothing is known of recipes; use --no-recipes")
        return {
            name: recipe
            if isinstance(recipe, RecipeError)
            else {each.display_name: each.default for each in recipe.parameters}
            for name, recipe in session.esorex.recipes(recipes).items()
        }


def _check(args: argparse.Namespace) -> int:
    from reflex_actors.moml import describe
    from reflex_actors.moml.check import check
    from reflex_actors.moml.model import recipe_of
    from reflex_actors.moml.read import read_file

    read = read_file(args.file)
    recipes = None
    if not args.no_recipes:
        used = {recipe_of(actor) for _, actor in read.root.walk() if actor.cls == "org.eso.RecipeExecuter"}
        recipes = {name: tuple(each) for name, each in _ask(sorted(used)).items() if isinstance(each, dict)}
    findings = check(read.root, read.oddities, recipes)
    if args.picture:
        write_bytes_whole(args.picture, describe.picture(read.root).encode())
    if args.json:
        from reflex_actors.documents import CheckDocument, FindingPart

        said = tuple(FindingPart(each.rule, each.place, each.text) for each in findings)
        output.emit_json(CheckDocument(findings=said, workflow=describe.describe(read.root)))
        return 1 if findings else 0
    if args.describe:
        print("\n".join(describe.lines(read.root)))
    for each in findings:
        print(f"{each.place}: {each.text}")
    if not findings:
        print(f"{args.file}: nothing wrong found")
    return 1 if findings else 0

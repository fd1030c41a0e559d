"""`esorex-bridge review`: the alternatives for each calibration of a dataset, and the choice among them and of
parameters.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.cli import options, output
from esorex_bridge.cli.tables import Column
from esorex_bridge.errors import UnknownNameError, UserError
from esorex_bridge.files import stem
from esorex_bridge.organise.choices_file import CHOICES_FILE

if TYPE_CHECKING:
    from esorex_bridge.datasets.choices import Choices
    from esorex_bridge.definitions.parameters import ParameterSetting
    from esorex_bridge.organise.review import Alternative, Review
    from esorex_bridge.session import Session

_COLUMNS = (
    Column("category"),
    Column("file"),
    Column("used", "state"),
    Column("days", "number"),
    Column("level", "number"),
    Column("files", "number", 1),
    Column("match", "text"),
    Column("certified", "state", 2),
    Column("quality", keep=3),
)
_COLUMNS_OF_PACKAGES = (
    Column("input"),
    Column("file"),
    Column("used", "state"),
    Column("level", "number"),
    Column("days", "number"),
    Column("category", "text", 1),
    Column("files", "number", 1),
    Column("match", "text", 2),
)
_LOOK_S = 0.2
_TRIED = 3
EXAMPLE = (
    "esorex-bridge review NACO.2016-03-02T00:30:00.076_tpl --root night\n"
    "  esorex-bridge review NACO.2016-03-02T00:30:00.076_tpl --use NACO.2016-03-03T16:00:00.000 --for CAL_DARK\n"
    "  esorex-bridge review NACO.2016-03-02T00:30:00.076_tpl --replace MASTER_IMG_FLAT=my_flat.fits\n"
    "  esorex-bridge review NACO.2016-03-02T00:30:00.076_tpl --set naco_img_dark.nsamples=50\n"
    "  esorex-bridge review NACO.2016-03-02T00:30:00.076_tpl --web"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("dataset", metavar="DATASET", help="a dataset's name")
    parser.add_argument(
        "--data",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="folder of the data; may be repeated (default: reflex_input/ of the data root)",
    )
    told = f"kept in {CHOICES_FILE} of the data root; every later run applies them"
    group = parser.add_argument_group("choices", told)
    group.add_argument("--use", metavar="FILE", help="use this file, with the group it belongs to (needs --for)")
    group.add_argument("--for", dest="category", metavar="CATEGORY", help="the category that --use is for")
    group.add_argument(
        "--purpose",
        metavar="PURPOSE",
        help="the purpose, as the review shows it, that --use is for, or 'science' (default: where the category is "
        "used nearest to the science)",
    )
    group.add_argument("--undrop", action="append", default=[], metavar="FILE", help="use a dropped file again")
    group.add_argument(
        "--force",
        dest="all_the_same",
        action="store_true",
        help="keep a choice although the plan does not take what it names",
    )
    group.add_argument("--drop", action="append", default=[], metavar="FILE", help="do not use this file")
    group.add_argument(
        "--replace",
        action="append",
        default=[],
        metavar="CATEGORY=FILE",
        help="use an own file in place of what would be made",
    )
    group.add_argument(
        "--set",
        dest="chosen",
        action="append",
        default=[],
        metavar="RECIPE.PARAM=VALUE",
        help="a recipe parameter for this dataset",
    )
    group.add_argument("--reset", action="store_true", help="take back all choices for this dataset")
    group.add_argument("--pick", action="store_true", help="choose by number on the terminal")
    group = parser.add_argument_group("browser")
    group.add_argument("--web", action="store_true", help="choose on a page, which shows the raws and what changes")
    options.page(group)
    options.organising(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Show the alternatives, or keep a choice."""
    from esorex_bridge.cli import arguments
    from esorex_bridge.session import Session

    if bool(args.use) != bool(args.category):
        raise UserError("--use FILE and --for CATEGORY belong together")
    with Session(arguments.settings(args)) as session:
        return _review(args, session)


def _review(args: argparse.Namespace, session: Session) -> int:
    from esorex_bridge.cli import arguments
    from esorex_bridge.datasets.choices import Choices
    from esorex_bridge.organise.reviewing import open_review

    planner = session.planning.planner()
    review = open_review(arguments.request(args), args.data, args.dataset, planner, args.reset)
    changed = _change(Choices() if args.reset else review.choices, args, review, session)
    if args.pick:
        changed = _ask_for_number(changed, review)
    if changed != review.choices:
        _say_what_changes(review, changed, args.all_the_same)
        review.keep(changed)
        review.choices = changed
    if args.web:
        _serve(args, review)
    _show(args, review, review.choices)
    return 0


def _serve(args: argparse.Namespace, review: Review) -> None:
    """Serve the page of a review until the user is done, or Ctrl-C."""
    import webbrowser

    from esorex_bridge.pages.review import serve_review
    from esorex_bridge.pages.server import lead_to
    from esorex_bridge.workspace.folders import Workspace

    page, desk = serve_review(review, args.port)
    redirect = Workspace(args.root.absolute()).bookkeeping / "review.html"
    with lead_to(page, redirect):
        output.note(f"{redirect.as_uri()} leads to the review; 'Done' there or Ctrl-C here ends it")
        if not args.no_browser:
            webbrowser.open(redirect.as_uri())
        while not desk.done.wait(_LOOK_S):
            pass  # in short waits, so that Ctrl-C is heard


def _say_what_changes(review: Review, changed: Choices, force: bool) -> None:
    """Note what a choice changes in the plan; refuse one that names what the plan does not take.

    Raises
    ------
    UserError
        If the plan does not take what was chosen, or is less complete than before, and nobody forces it.
    """
    effect = review.effect_of(changed)
    for line in effect.lines:
        output.note(line)
    if effect.problem and not force:
        raise UserError(f"the plan would not do with this choice: {effect.problem}; --force keeps it all the same")


def _change(choices: Choices, args: argparse.Namespace, review: Review, session: Session) -> Choices:
    from esorex_bridge.cli import arguments

    if args.use:
        choices = choices.with_use(review.key_of(args.category, args.purpose), stem(Path(args.use).name))
    for name in args.undrop:
        if stem(Path(name).name) not in choices.drop:
            raise UnknownNameError("dropped file", name, choices.drop)
        choices = choices.without_drop(stem(Path(name).name))
    for name in args.drop:
        choices = choices.with_drop(stem(Path(name).name))
    for text in args.replace:
        category, equals, path = text.partition("=")
        if not (category and equals and path):
            raise UserError(f"--replace {text} is not of the form CATEGORY=FILE")
        choices = choices.with_replacement(category, Path(path).absolute())
    settings = tuple(map(arguments.setting, args.chosen))
    _refuse_settings(review, settings, session)
    for setting in settings:
        choices = choices.with_parameter(setting.recipe, setting.name, str(setting.value))
    return choices


def _refuse_settings(review: Review, given: tuple[ParameterSetting, ...], session: Session) -> None:
    """Refuse parameters that the installed recipes do not have or do not allow, as `run` does.

    Raises
    ------
    ParameterError
        If a recipe has no such parameter, or it may not have that value.
    """
    from msgspec.structs import replace

    from esorex_bridge.definitions.parameters import effective
    from esorex_bridge.errors import RecipeError

    settings = [replace(each, recipe=review.recipe_of(each.recipe)) for each in given]
    if not settings or session.esorex is None:
        return
    found = session.esorex.recipes({each.recipe: None for each in settings})
    for recipe in dict.fromkeys(each.recipe for each in settings):
        known = found.get(recipe)
        if known is not None and not isinstance(known, RecipeError):
            effective(recipe, known.parameters, tuple(each for each in settings if each.recipe == recipe))


def _ask_for_number(choices: Choices, review: Review) -> Choices:
    """Ask for a number on the terminal; an empty line keeps what is."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError("--pick needs a terminal; in a script say --use FILE --for CATEGORY")
    rows = review.alternatives(choices)
    for number, row in enumerate(rows, start=1):
        mark = "*" if row.used else " "
        output.note(f"{number:3} {mark} {row.purpose}: {row.category} {row.file} ({row.match}, {_days(row.days)} days)")
    print("number to use (empty: as it is): ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if not answer:
        return choices
    if not answer.isdigit() or not 1 <= int(answer) <= len(rows):
        raise UserError(f"'{answer}' is not a number from 1 to {len(rows)}")
    row = rows[int(answer) - 1]
    return choices.with_use(row.key, row.file)


def _show(args: argparse.Namespace, review: Review, choices: Choices) -> None:
    from esorex_bridge.datasets.choices import MARK, describe_choices

    rows = review.alternatives(choices)
    if args.json:
        from esorex_bridge.cli.documents.datasets import ReviewDocument

        kept = describe_choices(choices)
        output.emit_json(ReviewDocument(dataset=review.name, choices=kept, alternatives=rows))
        return
    output.say(review.name)
    columns = _COLUMNS_OF_PACKAGES if any(row.input for row in rows) else _COLUMNS
    for purpose in dict.fromkeys(row.purpose for row in rows):
        output.say(f"for {purpose}", 2)
        cells = (_cells(row) for row in rows if row.purpose == purpose)
        output.table(columns, (tuple(each[column.head] for column in columns) for each in cells), indent=4)
    for message in review.messages(choices):
        if message.startswith(MARK) or columns is _COLUMNS_OF_PACKAGES:
            output.say(message)
    output.close(f"{len(rows)} alternatives", _next(args, review, choices, rows))


def _cells(row: Alternative) -> dict[str, object]:
    from msgspec.structs import asdict

    used = "yes" if row.used else "-"
    level = "-" if row.level is None else row.level
    return {**asdict(row), "used": used, "days": _days(row.days), "level": level}


def _next(args: argparse.Namespace, review: Review, choices: Choices, rows: Sequence[Alternative]) -> str:
    """Return the command that takes another alternative of what is used; where the plan takes none, the one that runs.

    Only the first alternatives are tried, because each is a plan.
    """
    from esorex_bridge.cli.next_command import OF_DATASETS, follow

    chosen = {(row.purpose, row.input or row.category) for row in rows if row.used}
    offered = (row for row in rows if not row.used and (row.purpose, row.input or row.category) in chosen)
    likely = (
        row for row in islice(offered, _TRIED) if not review.effect_of(choices.with_use(row.key, row.file)).problem
    )
    other = next(likely, None)
    if other is None:
        return follow(args, "run", args.dataset, over=OF_DATASETS)
    what = ("--use", other.file, "--for", other.input or other.category, "--purpose", other.purpose)
    return follow(args, "review", args.dataset, *what, over=OF_DATASETS)


def _days(days: float | None) -> str:
    return "-" if days is None else f"{days:.2f}"

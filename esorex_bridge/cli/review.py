"""`esorex-bridge review`: the alternatives for each calibration of a dataset, and the choice among them and of
parameters.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esorex_bridge.cli import options, output
from esorex_bridge.cli.documents.datasets import Alternative, ReviewDocument
from esorex_bridge.cli.tables import Column
from esorex_bridge.definitions.edps.options import PREFIX
from esorex_bridge.errors import UnknownNameError, UserError
from esorex_bridge.files import stem
from esorex_bridge.organise import from_disk
from esorex_bridge.organise.choices_file import CHOICES_FILE, read_choices_file, write_choices_file
from esorex_bridge.organise.from_disk import OrganisedData, with_choices

if TYPE_CHECKING:
    from esorex_bridge.datasets.choices import Choices
    from esorex_bridge.datasets.dataset import Action, Dataset
    from esorex_bridge.definitions.parameters import ParameterSetting
    from esorex_bridge.organise.choosing import Taken
    from esorex_bridge.organise.grouping import Candidate, Group
    from esorex_bridge.organise.organiser import Organised

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
EXAMPLE = (
    "esorex-bridge review NACO.2016-03-02T00:30:00.076_tpl --root night\n"
    "  esorex-bridge review NACO.2016-03-02T00:30:00.076_tpl --use NACO.2016-03-03T16:00:00.000 --for CAL_DARK\n"
    "  esorex-bridge review NACO.2016-03-02T00:30:00.076_tpl --replace MASTER_IMG_FLAT=my_flat.fits\n"
    "  esorex-bridge review NACO.2016-03-02T00:30:00.076_tpl --set naco_img_dark.nsamples=50"
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
        help="folder of the data; may be given again (default: reflex_input/ of the data root)",
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
        "--force", action="store_true", help="keep a choice although the plan does not take what it names"
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
        "--set", action="append", default=[], metavar="RECIPE.PARAM=VALUE", help="a recipe parameter for this dataset"
    )
    group.add_argument("--reset", action="store_true", help="take back all choices for this dataset")
    group.add_argument("--pick", action="store_true", help="choose by number on the terminal")
    options.organising(parser)
    options.common(parser)


def run(args: argparse.Namespace) -> int:
    """Show the alternatives, or keep a choice."""
    if (args.workflow or "").startswith(PREFIX):
        raise UserError(
            "a workflow package of EDPS chooses by its own rules, and choices are not applied to it; "
            "see --quality, --association-preference and --workflow-parameter of 'plan', and 'why' for its reasons"
        )
    from esorex_bridge.datasets.choices import Choices

    if bool(args.use) != bool(args.category):
        raise UserError("--use FILE and --for CATEGORY belong together")
    data = from_disk.load(options.request(args), args.data) if not args.reset else _without_choices(args)
    dataset = data.before.get(args.dataset)
    if dataset is None:
        raise UnknownNameError("dataset", args.dataset, data.before)
    choices = Choices() if args.reset else data.choices.get(dataset.name, Choices())
    changed = _changed(choices, args, data, dataset)
    if args.pick:
        changed = _picked(changed, tuple(dict.fromkeys(alternatives(data, dataset))))
    reviewed = with_choices(data, dataset, changed)
    if changed != choices and not args.reset:
        _say_what_changes(data, with_choices(data, dataset, choices), reviewed, args.force)
    if changed != choices or args.reset:
        write_choices_file(args.root, {**data.choices, dataset.name: changed})
    _show(args, replace(data, before={**data.before, dataset.name: dataset}), reviewed, changed)
    return 0


def _without_choices(args: argparse.Namespace) -> OrganisedData:
    """Load without applying the dataset's own choices, since one of them may be what has to be taken back."""
    kept = read_choices_file(args.root)
    kept.pop(args.dataset, None)
    write_choices_file(args.root, kept)
    return from_disk.load(options.request(args), args.data)


def _say_what_changes(data: OrganisedData, before: Dataset, after: Dataset, force: bool) -> None:
    """Note what a choice changes in the plan; refuse one that names what the plan does not take.

    Raises
    ------
    UserError
        If the plan does not take what was chosen, or is less complete than before, and nobody forces it.
    """
    from esorex_bridge.organise.choosing import effect_of_choice

    effect = effect_of_choice(data, before, after)
    for line in effect.lines:
        output.note(line)
    if effect.problem and not force:
        raise UserError(f"the plan would not do with this choice: {effect.problem}; --force keeps it all the same")


def _changed(choices: Choices, args: argparse.Namespace, data: OrganisedData, dataset: Dataset) -> Choices:
    if args.use:
        from esorex_bridge.organise.choosing import key_of_choice

        key = key_of_choice(data, dataset, args.category, args.purpose)
        choices = choices.with_use(key, stem(Path(args.use).name))
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
    settings = tuple(map(options.setting, args.set))
    _refuse_settings(args, settings)
    for setting in settings:
        choices = choices.with_parameter(setting.recipe, setting.name, str(setting.value))
    return choices


def _refuse_settings(args: argparse.Namespace, settings: tuple[ParameterSetting, ...]) -> None:
    """Refuse parameters that the installed recipes do not have or do not allow, as `run` does.

    Raises
    ------
    ParameterError
        If a recipe has no such parameter, or it may not have that value.
    """
    from esorex_bridge.definitions.parameters import effective
    from esorex_bridge.errors import RecipeError
    from esorex_bridge.session import Session, Settings

    if not settings:
        return
    with Session(Settings(args.root)) as session:
        found = session.esorex.recipes({each.recipe: None for each in settings}) if session.esorex else {}
    for recipe in dict.fromkeys(each.recipe for each in settings):
        known = found.get(recipe)
        if known is not None and not isinstance(known, RecipeError):
            effective(recipe, known.parameters, tuple(each for each in settings if each.recipe == recipe))


def _picked(choices: Choices, rows: tuple[Alternative, ...]) -> Choices:
    """Ask for a number on the terminal; an empty line keeps what is."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError("--pick needs a terminal; in a script say --use FILE --for CATEGORY")
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
    return choices.with_use(f"{row.category}/{row.purpose}", row.file)


def _show(args: argparse.Namespace, data: OrganisedData, reviewed: Dataset, choices: Choices) -> None:
    from esorex_bridge.datasets.choices import MARK, document_of
    from esorex_bridge.organise.choosing import taken_files

    taken = taken_files(data, reviewed)
    marked = _marked(alternatives(data, data.before[reviewed.name]), reviewed, taken)
    rows = tuple(dict.fromkeys(marked))
    if args.json:
        kept = document_of({reviewed.name: choices})["datasets"].get(reviewed.name, {})
        output.emit_json(ReviewDocument(dataset=reviewed.name, choices=kept, alternatives=rows))
        return
    output.say(reviewed.name)
    for purpose in dict.fromkeys(row.purpose for row in rows):
        output.say(f"for {purpose}", 2)
        output.table(_COLUMNS, (_cells(row) for row in rows if row.purpose == purpose), indent=4)
    for message in reviewed.action.messages:
        if message.startswith(MARK):
            output.say(message)
    output.close(f"{len(rows)} alternatives", _next(args, rows))


def _cells(row: Alternative) -> tuple[object, ...]:
    used = "yes" if row.used else "-"
    level = "-" if row.level is None else row.level
    return row.category, row.file, used, _days(row.days), level, row.files, row.match, row.certified, row.quality


def _next(args: argparse.Namespace, rows: Sequence[Alternative]) -> str:
    """Return the command that takes another alternative of what is used; where there is none, the one that runs."""
    where = f"--root {shlex.quote(str(args.root))}"
    chosen = {(row.purpose, row.category) for row in rows if row.used}
    other = next((row for row in rows if not row.used and (row.purpose, row.category) in chosen), None)
    if other is None:
        return f"esorex-bridge run {args.dataset} {where}"
    words = f"--use {other.file} --for {other.category} --purpose {shlex.quote(other.purpose)}"
    return f"esorex-bridge review {args.dataset} {words} {where}"


def _days(days: float | None) -> str:
    return "-" if days is None else f"{days:.2f}"


def _marked(rows: Iterator[Alternative], reviewed: Dataset, taken: Taken | None) -> Iterator[Alternative]:
    """Mark the rows that the plan takes; where nothing is known of recipes, those that are in the dataset."""
    from esorex_bridge.datasets.dataset import purposes

    used = {(file.name, purpose) for file, served in purposes(reviewed).items() for purpose in served}
    above = {(name, purpose.partition("/")[2]) for name, purpose in used}
    for row in rows:
        if taken is None:
            yield replace(row, used=(row.file, row.purpose) in used | above)
            continue
        places = [(name, row.purpose) for name in (row.file, *row.members) if (name, row.purpose) in taken]
        yield replace(row, used=bool(places), level=taken[places[0]] if places else None)


def alternatives(data: OrganisedData, dataset: Dataset) -> Iterator[Alternative]:
    """Yield what could be used for each calibration of a dataset: by rules where they know it, else by its tree."""
    known = data.of(dataset.name)
    target = known.target(dataset.name) if known else None
    if known is not None and target is not None and not dataset.mode:
        yield from _by_rules(known, target)
    else:
        yield from _by_tree(data, dataset.action, dataset.action.name)


def _by_rules(known: Organised, target: Group) -> Iterator[Alternative]:
    from esorex_bridge.organise.association import days_between

    waiting = [(target, target.execution.action)]
    seen = {id(target)}
    while waiting:
        group, purpose = waiting.pop(0)
        for selection in group.action.selections:
            chosen = known.associator.survey(group, selection)
            for candidate in (*chosen.taken, *chosen.surplus):
                days = days_between(candidate.frame, group.trigger)
                yield _row(purpose, selection.category, candidate, candidate in chosen.taken, days)
                if candidate.maker and candidate in chosen.taken and id(candidate.maker) not in seen:
                    seen.add(id(candidate.maker))
                    waiting.append((candidate.maker, f"{candidate.maker.execution.action}/{purpose}"))


def _row(purpose: str, category: str, candidate: Candidate, used: bool, days: float) -> Alternative:
    frames = candidate.maker.frames if candidate.maker else (candidate.frame,)
    first = frames[0]
    own = first.category if candidate.maker else category
    grade = first.keywords.get("OBS.GRADE") or first.keywords.get("QC.GRADE") or "-"
    return Alternative(
        purpose,
        own,
        first.name,
        len(frames),
        used,
        days if days < float("inf") else None,
        "settings agree",
        "-",
        str(grade),
        tuple(frame.name for frame in frames),
    )


def _by_tree(data: OrganisedData, action: Action, purpose: str) -> Iterator[Alternative]:
    from esorex_bridge.organise.alternatives import alternatives_of

    for choices in alternatives_of(action, data.headers):
        for place, choice in enumerate(choices):
            first = choice.action.files[0].name if choice.action.files else "-"
            yield Alternative(
                purpose,
                choice.action.name,
                first,
                len(choice.action.files),
                place == 0,
                choice.days if choice.days < float("inf") else None,
                "; ".join((choice.action.match or "-", *choice.disagreements)),
                "yes" if choice.action.certified else "no",
                members=tuple(file.name for file in choice.action.files),
            )
            yield from _by_tree(data, choice.action, f"{choice.action.name}/{purpose}")
    for file in action.statics:
        yield Alternative(
            purpose, file.category, file.name, 1, True, None, file.match or "-", "yes" if file.certified else "no"
        )

"""One reduction through every entrance, and what it came to: the harness of the parity tests.

A *situation* is a root on disk and a wish: it is defined once, in `SITUATIONS`. An *entrance* carries a wish out and
gives an `Outcome`; there is one function for each, in `ENTRANCES`, and `run` is what the others are compared with. What
was made is read from the disk, the same way for all; what was decided, from the documents that an entrance gives.

Everything runs in this process, with real recipes on small frames: nights are reduced once and copied for each cell.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from esorex_bridge.cli import main
from esorex_bridge.datasets.association import Association, AssociationTree, walk
from esorex_bridge.definitions.steps import StepDefinition
from esorex_bridge.demo.nights.amber import amber_night
from esorex_bridge.demo.nights.naco import naco_night
from esorex_bridge.demo.nights.night import DemoNight
from esorex_bridge.demo.nights.uves import uves_night
from esorex_bridge.demo.nights.visir import visir_night
from reflex_actors.__main__ import start
from reflex_actors.definitions import definition_named
from reflex_actors.moml.steps import places
from reflex_actors.purposes import accumulate, split
from reflex_actors.sof_json import SetOfFiles, read_sof, value_text
from tests.flows.conftest import SMALL_FRAMES, put_on_disk
from tests.programs import first_lines

DATABASE = Path("reflex_book_keeping") / "esorex_bridge.db"
OWN_STEP = "own_step"
_TIME = re.compile(r"(?<![A-Z]\.)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z?")


# ----- instruments


@dataclass(frozen=True)
class Instrument:
    """A night that is reduced in a second or two.

    Parameters
    ----------
    night : callable
        Makes it.
    settings : tuple of str
        What its small frames need, as for `--set`.
    choice : str
        A parameter that a user might choose in review.
    own : tuple of str
        Where a program of the user's fits in: the step that follows, by its name in the definition, the calibration
        of it that the program makes instead, and the product that it makes that of.
    kit : tuple of str
        Categories of static calibrations that may lie in a kit.
    stranger : str
        The definition of another instrument.
    """

    night: Callable[[], DemoNight]
    settings: tuple[str, ...] = ()
    choice: str = ""
    own: tuple[str, str, str] = ("", "", "")
    kit: tuple[str, ...] = ()
    stranger: str = "giraf"


def uves_arcs() -> DemoNight:
    """Return a night whose product is a table of lines, made with a master bias, orders and static tables."""
    whole = uves_night()

    def group(category: str, *below: Association) -> Association:
        files = tuple(file.associated for file in whole.files if file.category == category)
        return Association(category, files, below, match="N/A" if files[0].name.startswith("M.") else "calib_plan")

    biases = group("BIAS_BLUE")
    statics = (group("LINE_REFER_TABLE"), group("LINE_GUESS_TAB_BLUE"))
    arcs = group("ARC_LAMP_BLUE", biases, group("ORDER_FLAT_BLUE", biases), *statics)
    names = {file.name for node in walk(arcs) for file in node.files}
    files = tuple(file for file in whole.files if file.dp_id in names)
    return DemoNight(f"{whole.name}-arcs", whole.instrument, files, (AssociationTree(arcs, "Raw2Raw"),))


def _end_names(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the names of end products without counters: two runs within one second share a folder."""
    return tuple(sorted(re.sub(r"(?:_\d+)+(?=\.fits$)", "", Path(path).name) for path in paths))


INSTRUMENTS = {
    "naco": Instrument(
        lambda: naco_night(npix=128),
        tuple(f"{name}={value}" for name, value in SMALL_FRAMES.items()),
        choice="naco_img_jitter.rej=1 1",
        own=("naco_img_jitter", "MASTER_IMG_FLAT", "MASTER_IMG_FLAT"),
        kit=("IMG_STD_CATALOG",),
    ),
    "visir": Instrument(
        visir_night,
        choice="visir_img_ff.low=0.1",
        own=("visir_old_img_combine", "BPM", "IMG_BPM"),
    ),
    "amber": Instrument(
        amber_night,
        choice="amber_SciCal.activate_BEAUTIFY_PISTON=FALSE",
        own=("amber_SciCal_1", "P2VM_REDUCED", "P2VM_REDUCED"),
    ),
    "uves": Instrument(
        uves_arcs,
        choice="uves_cal_wavecal.range=9",
        own=("uves_cal_wavecal_1", "MASTER_BIAS_BLUE", "MASTER_BIAS_BLUE"),
        kit=("LINE_REFER_TABLE",),
    ),
}


# ----- wishes and outcomes


@dataclass(frozen=True)
class Wish:
    """What a user asks of an entrance.

    Parameters
    ----------
    root : Path
        The data root.
    settings : tuple of str
        Parameters, as for `--set`.
    workflow : str
        A definition by name or file.
    lazy : str
        A Lazy Mode for all recipes.
    forced : tuple of str
        Recipes that are to run in any case.
    path : str
        Another PATH, in which EsoRex is found.
    surprising : bool
        Whether something fails that nobody can foresee.
    plan : mapping
        The plan of the night as it was fetched, as `plan --json` has it.
    """

    root: Path
    settings: tuple[str, ...] = ()
    workflow: str = ""
    lazy: str = ""
    forced: tuple[str, ...] = ()
    path: str = ""
    surprising: bool = False
    plan: Mapping[str, Any] = field(default_factory=dict)

    @property
    def targets(self) -> tuple[str, ...]:
        """The recipes that end products come from."""
        return tuple(dict.fromkeys(step["recipe"] for step in self.plan["steps"] if step["target"]))

    @property
    def first(self) -> Mapping[str, Any]:
        """The first step that a target takes a product of."""
        found: Mapping[str, Any] = next(step for step in self.plan["steps"] if self.needing(step["step"]))
        return found

    def needing(self, name: str) -> tuple[str, ...]:
        """Return the targets that take a product of a step."""
        targets = (step for step in self.plan["steps"] if step["target"])
        return tuple(step["step"] for step in targets if any(entry.get("step") == name for entry in step["inputs"]))

    def above(self, name: str) -> frozenset[str]:
        """Return a step and all that take products of it, or of what is made of these."""
        found = {name}
        for step in self.plan["steps"]:  # Producers come first.
            found |= {step["step"]} if any(entry.get("step") in found for entry in step["inputs"]) else set()
        return frozenset(found)

    @property
    def data(self) -> Path:
        """The folder of the data."""
        return self.root / "reflex_input" / "data_with_raw_calibs"

    @property
    def words(self) -> tuple[str, ...]:
        """The wish as options of the command line."""
        return (
            *(f"--set={text}" for text in self.settings),
            *(("--workflow", self.workflow) if self.workflow else ()),
            *(("--lazy", self.lazy) if self.lazy else ()),
            *(word for name in self.forced for word in ("--force", name)),
        )


Told = Mapping[str, tuple[str, ...]]
"""Something for each recipe: as many texts as it has steps, sorted."""


@dataclass(frozen=True)
class Outcome:
    """What came of a wish; None where an entrance has no place to tell it.

    Parameters
    ----------
    failed : bool
        Whether the exit status says that something is not there.
    decisions : mapping
        By recipe: `execute`, `reuse`, `not_needed`.
    reached : mapping
        As `decisions`, of the steps that were started or reused.
    reasons : mapping
        By recipe: why.
    reasons_reached : mapping
        As `reasons`, of the steps that were started or reused and did not fail.
    keys : mapping
        By recipe; of `run`, those under which the products that it tells of are recorded.
    made : mapping
        By recipe: the categories of the products that are new on disk.
    ends : tuple of str
        Names of the end products of the datasets.
    errors : frozenset of str
        What went wrong, in words.
    said : str
        All that was said.
    """

    failed: bool | None
    decisions: Told | None = None
    reached: Told | None = None
    reasons: Told | None = None
    reasons_reached: Told | None = None
    keys: Told | None = None
    made: Told | None = None
    ends: tuple[str, ...] | None = None
    errors: frozenset[str] = frozenset()
    said: str = ""

    def differences(self, reference: Outcome) -> tuple[str, ...]:
        """Return the names of what is not as in another outcome."""
        mine, theirs = vars(self), vars(reference)
        compared = ("failed", "decisions", "reached", "reasons", "reasons_reached", "made", "ends")
        found = [name for name in compared if None not in (mine[name], theirs[name]) and mine[name] != theirs[name]]
        if self.keys is not None and reference.keys is not None:
            both = self.keys.keys() & reference.keys.keys()
            found += ["keys"] if any(not set(reference.keys[name]) <= set(self.keys[name]) for name in both) else []
        untold = self.failed is not None and not all(error in self.said for error in reference.errors)
        return (*found, *(("errors",) if untold else ()))

    def shown(self, name: str) -> str:
        """Return one of the things that are compared, for a message."""
        return self.said[-1500:] if name == "errors" else str(vars(self)[name])


def by_recipe(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return what is told of steps by their recipes, in an order that no entrance determines."""
    found: dict[str, list[str]] = {}
    for recipe, text in pairs:
        found.setdefault(recipe, []).append(text)
    return {recipe: tuple(sorted(texts)) for recipe, texts in sorted(found.items())}


def portable(text: str, root: Path) -> str:
    """Return a text without the root and the times that differ from run to run."""
    return _TIME.sub("TIME", text.replace(str(root), "ROOT"))


def reason_of(text: str, root: Path) -> str:
    """Return a reason without what differs from run to run; a plan and a definition count a recipe's steps apart."""
    return re.sub(r"(?<= of )([a-zA-Z]\w*?)_\d+\b", r"\1_N", portable(text, root))


# ----- calling


@dataclass(frozen=True)
class Ended:
    """How a call ended."""

    code: int
    out: str
    err: str

    @cached_property
    def json(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)


def call(function: Callable[[], int], path: str) -> Ended:
    """Call something in this process that writes to stdout and stderr."""
    before = os.environ["PATH"]
    out, err = StringIO(), StringIO()
    os.environ["PATH"] = path or before
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = function()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        os.environ["PATH"] = before
    return Ended(code, out.getvalue(), err.getvalue())


def command(wish: Wish, *words: object) -> Ended:
    """Run a verb on the root of a wish."""
    line = [*map(str, words), "--json", "--root", str(wish.root)]
    return call(lambda: main(line), wish.path)


# ----- what is on disk


def products(root: Path) -> dict[str, tuple[str, str, str]]:
    """Return recipe, category and key of all products that are recorded, by their paths."""
    if not (root / DATABASE).exists():
        return {}
    query = "SELECT path, recipe, category, key FROM products JOIN steps USING (key)"
    with closing(sqlite3.connect(root / DATABASE)) as db:
        return {path: (recipe, category, key) for path, recipe, category, key in db.execute(query)}


def recorded(root: Path, made: Iterable[tuple[str, Path]]) -> set[tuple[str, str]]:
    """Return recipe and key of products (recipe, path), as far as they are recorded in a root."""
    known = products(root)
    places = ((recipe, str(path).removeprefix(f"{root}/")) for recipe, path in made)
    return {(recipe, known[place][2]) for recipe, place in places if place in known}


def observed(wish: Wish, carry_out: Callable[[], Outcome]) -> Outcome:
    """Carry a wish out and add what is new on disk."""
    before = products(wish.root)
    outcome = carry_out()
    new = {path: made for path, made in products(wish.root).items() if path not in before}
    return replace(outcome, made=by_recipe((recipe, category) for recipe, category, _ in new.values()))


# ----- entrances


def run(wish: Wish) -> Outcome:
    """Use the command `run`."""
    return observed(wish, lambda: reported(wish, command(wish, "run", *wish.words)))


def dry_run(wish: Wish) -> Outcome:
    """Use the command `run --dry-run`; what fails when it is tried is not known yet."""
    ended = command(wish, "run", "--dry-run", *wish.words)
    outcome = reported(wish, ended)
    failed = outcome.failed or (None if wish.surprising else False)
    return replace(outcome, failed=failed, reached=None, reasons_reached=None, ends=None, keys=explained(wish))


def reported(wish: Wish, ended: Ended) -> Outcome:
    """Return what the document of `run` says."""
    said = portable(ended.out + ended.err, wish.root)
    if "datasets" not in ended.json:
        refusal = portable(ended.json["error"]["message"], wish.root)
        return Outcome(bool(ended.code), errors=frozenset([refusal]), said=said)
    steps = [step for dataset in ended.json["datasets"] for step in dataset["steps"] if step["recipe"]]
    planned = [step for step in steps if re.fullmatch(rf"{step['recipe']}_\d+", step["step"])]
    reached = [step for step in planned if step["outcome"] in ("done", "failed")]
    done = [step for step in planned if step["outcome"] == "done"]
    wrong = [step for step in planned if step["outcome"] in ("failed", "blocked")]
    ends = (end for dataset in ended.json["datasets"] for end in dataset["end_products"])
    own = [step for step in reached if not any(text.startswith("made by Reflex") for text in step["warnings"])]
    made = ((step["recipe"], Path(product["path"])) for step in own for product in step["products"])
    return Outcome(
        failed=bool(ended.code),
        decisions=by_recipe((step["recipe"], step["decision"]) for step in planned),
        reached=by_recipe((step["recipe"], step["decision"]) for step in reached),
        reasons=by_recipe((step["recipe"], reason_of(step["reason"], wish.root)) for step in planned),
        reasons_reached=by_recipe((step["recipe"], reason_of(step["reason"], wish.root)) for step in done),
        keys=by_recipe(recorded(wish.root, made)),
        ends=_end_names(end["path"] for end in ends),
        errors=frozenset(error for step in wrong for error in errors_in(portable(step["error"], wish.root))),
        said=said.replace('\\"', '"'),
    )


def errors_in(text: str) -> Iterator[str]:
    """Yield the errors of a step, without where to look further and what follows from another step's error."""
    for part in re.split(r"; (?=log: )", text)[0].split("; "):
        if part and not part.endswith(" was not made"):
            yield part


def explained(wish: Wish) -> Told | None:
    """Return the keys that `run --explain` tells."""
    ended = command(wish, "run", "--explain", *wish.words)
    steps = ended.json.get("steps")
    return by_recipe((step["recipe"], step["key"]) for step in steps) if steps else None


def batch(wish: Wish) -> Outcome:
    """Use the command `batch`, and what it leaves in its folder."""
    jobs = wish.root / "jobs.yaml"
    jobs.write_text("jobs:\n  - datasets: all\n")
    words = ("batch", jobs, "--name", "b", "--keep-going", *wish.words)
    return observed(wish, lambda: batched(wish, command(wish, *words)))


def batched(wish: Wish, ended: Ended) -> Outcome:
    """Return what a batch says and leaves."""
    notes = wish.root / "reflex_book_keeping" / "batches" / "b" / "datasets.jsonl"
    said = portable(ended.out + ended.err, wish.root).replace('\\"', '"')
    if not notes.exists():
        return Outcome(bool(ended.code), said=said)
    lines = [json.loads(line) for line in notes.read_text().splitlines()]
    steps = [step for line in lines for step in line.get("steps", ())]
    ends = [path for dataset in ended.json.get("datasets", ()) for path in dataset["end_products"]]
    if any("problem" in line for line in lines):
        return Outcome(bool(ended.code), said=said)
    return Outcome(
        failed=bool(ended.code),
        decisions=by_recipe((step["recipe"], step["decision"]) for step in steps),
        reasons=by_recipe((step["recipe"], reason_of(step["reason"], wish.root)) for step in steps),
        keys=by_recipe((step["recipe"], step["key"]) for step in steps),
        ends=_end_names(ends),
        said=said,
    )


def actors(wish: Wish) -> Outcome:
    """Use the actors that a workflow of Reflex is made of, `run_recipe` among them."""
    return observed(wish, lambda: Workflow(wish).outcome())


class Workflow:
    """A workflow of actors going its way."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.scratch = wish.root.with_name(f"{wish.root.name}-actors")
        self.said: list[str] = []
        self.failed = False
        self.told: list[tuple[str, str]] = []
        self.keys: list[tuple[str, str]] = []
        self.reasons: list[tuple[str, str]] = []
        self.calls = 0

    def outcome(self) -> Outcome:
        """Go from the data folder to end products; an actor that fails hands nothing on."""
        ends = self._reduced()
        return Outcome(
            failed=self.failed,
            reached=by_recipe(self.told),
            reasons_reached=by_recipe(self.reasons),
            keys=by_recipe(self.keys),
            ends=ends,
            said=portable("\n".join(self.said), self.wish.root),
        )

    def _reduced(self) -> tuple[str, ...]:
        given_by_user = {"workflow": self.wish.workflow} if self.wish.workflow else {}
        listed = self._ask("organise_datasets", data_dir=str(self.wish.data), **given_by_user)
        workflow = self.wish.workflow or self.wish.plan["workflow"]
        chosen = self._ask("select_dataset", datasets=listed["datasets"], rule="first") if listed else {}
        files = SetOfFiles()
        for step in steps_of(workflow) if chosen else ():
            there = {file.category for file in (*read_sof(chosen["out_sof"]).files, *files.files)}
            if there.isdisjoint(step.main):
                continue
            given = {"dataset": chosen["out_dataset"], "products": files.document()}
            taken = self._ask("sof_for_recipe", recipe=step.name, workflow=workflow, **given)
            self.failed = self.failed or bool(taken and taken["messages"])
            groups = [group for group in split(read_sof(taken["out_sof"])) if group.files] if taken else []
            made = accumulate(self._recipe(step, group) for group in groups)
            files = accumulate((files, made), same_dataset=False)
        if not files.files:
            return ()
        given = {"dataset": chosen["out_dataset"], "workflow": workflow}
        ended = self._ask("collect_products", in_sof=files.document(), **given)
        return _end_names(file.name for file in read_sof(ended["out_sof"]).files) if ended else ()

    def _recipe(self, step: StepDefinition, group: SetOfFiles) -> SetOfFiles:
        recipe, root = step.recipe, self.wish.root
        own = [f"{recipe}:{name}={value_text(value)}" for name, value in step.parameters]
        parameters = [*own, *(text.replace(".", ":", 1) for text in self.wish.settings)]
        wished = {
            **({"lazy": self.wish.lazy} if self.wish.lazy else {}),
            **({"force": "true"} if recipe in self.wish.forced else {}),
            **({"workflow": self.wish.workflow} if step.command else {}),
        }
        given = {"in_sof": group.document(), "recipe": recipe, "root_dir": str(root), "in_sop": ",".join(parameters)}
        before = started(root)
        answer = self._ask("run_recipe", **given, **wished)
        if answer or started(root) - before:
            self.told.append((recipe, answer.get("decision", "execute")))
        if not answer:
            return group.with_files(())
        assert bool(started(root) - before) == (answer["decision"] == "execute")
        self.reasons.append((recipe, reason_of(answer["reason"], root)))
        made = read_sof(answer["out_sof"])
        self.keys += recorded(root, ((recipe, Path(file.name)) for file in made.files))
        return made

    def _ask(self, actor: str, **inputs: Any) -> dict[str, Any]:
        """Return the outputs of an actor; nothing where it failed."""
        self.calls += 1
        place = self.scratch / f"{self.calls:02d}_{actor}"
        (place / "products").mkdir(parents=True)
        (place / "in.json").write_text(json.dumps(inputs))
        options = {"input-parameters-file": "in.json", "output-parameters-file": "out.json", "products-dir": "products"}
        words = [actor, *(f"--{name}={place / file}" for name, file in options.items())]

        def go() -> int:
            start(words)
            return 0

        ended = call(go, self.wish.path)
        self.said.append(ended.err)
        self.failed = self.failed or bool(ended.code)
        return {} if ended.code else json.loads((place / "out.json").read_text())


def started(root: Path) -> set[Path]:
    """Return the folders of the runs that were started in a root."""
    sofs = (root / "reflex_book_keeping").glob("*/*/*/data.sof")
    return {path.parent for path in sofs if not path.parent.is_symlink()}


ENTRANCES: dict[str, Callable[[Wish], Outcome]] = {"batch": batch, "actors": actors, "dry run": dry_run}
"""All but `run`, which they are compared with."""


@cache
def steps_of(workflow: str) -> tuple[StepDefinition, ...]:
    """Return the steps of a definition by its name or file, producers first, as a workflow for Reflex has them."""
    return tuple(place.step for place in places(definition_named(workflow)))


# ----- roots


class Bench:
    """Nights reduced once, and copies of their roots.

    Parameters
    ----------
    folder, frames : Path
        For roots, and for frames.
    esorex : str
        The real EsoRex.
    """

    def __init__(self, folder: Path, frames: Path, esorex: str) -> None:
        self.folder, self.frames, self.esorex = folder, frames, esorex
        self._roots: dict[tuple[str, str], Path] = {}
        self._copies = Counter[str]()
        self._plans: dict[str, Mapping[str, Any]] = {}

    def fetched(self, name: str) -> Path:
        """Return a root in which a night lies, as it was fetched."""
        return self._once(name, "fetched", lambda root: put_on_disk(INSTRUMENTS[name].night(), self.frames, root))

    def plan(self, name: str) -> Mapping[str, Any]:
        """Return the plan of a night."""
        if name not in self._plans:
            (self._plans[name],) = command(Wish(self.fetched(name)), "plan").json["datasets"]
        return self._plans[name]

    def wish(self, name: str, root: Path, **wished: Any) -> Wish:
        """Return a wish for a root of a night, with what its small frames need."""
        return Wish(root, **{"settings": INSTRUMENTS[name].settings, "plan": self.plan(name), **wished})

    def reduced(self, name: str, kind: str = "reduced", **wished: Any) -> Path:
        """Return a root in which a night was reduced, as a wish says."""

        def reduce(root: Path) -> None:
            clone(self.fetched(name), root)
            wish = self.wish(name, root, **wished)
            ended = command(wish, "run", *wish.words)
            assert ended.code == 0, ended.out + ended.err

        return self._once(name, kind, reduce)

    def _once(self, name: str, kind: str, make: Callable[[Path], object]) -> Path:
        if (name, kind) not in self._roots:
            root = self.folder / f"{name}-{kind}"
            make(root)
            self._roots[name, kind] = root
        return self._roots[name, kind]

    def copy(self, root: Path) -> Path:
        """Return a root of its own that is like another."""
        self._copies[root.name] += 1
        return clone(root, self.folder / f"{root.name}-{self._copies[root.name]}")


def clone(root: Path, copy: Path) -> Path:
    """Copy a root; its FITS files, which nobody writes into, are linked."""

    def take(source: str, target: str) -> str:
        if source.endswith(".fits"):
            os.link(source, target)
        else:
            shutil.copy2(source, target)
        return target

    shutil.copytree(root, copy, symlinks=True, copy_function=take)
    return copy


# ----- situations


@dataclass(frozen=True)
class Situation:
    """A root and a wish.

    Parameters
    ----------
    what : str
        In words.
    prepare : callable
        Returns a new wish with a new root; called once for every entrance.
    shows : frozenset of str
        What `run` must decide, so that a situation is what it is called: `reuse`, `execute`; `failed`. Where it is one
        word, nothing else.
    """

    what: str
    prepare: Callable[[Bench, str], Wish]
    shows: frozenset[str] = field(default_factory=frozenset)


def _copy(bench: Bench, name: str) -> Wish:
    return bench.wish(name, bench.copy(bench.reduced(name)))


def adopted_history(bench: Bench, name: str) -> Wish:
    wish = bench.wish(name, bench.copy(bench.fetched(name)))
    ended = command(wish, "adopt", "--bookkeeping", bench.reduced(name) / "reflex_book_keeping")
    assert ended.code == 0, ended.err
    return wish


PROGRAM = f"""{first_lines("-SE")}import re, sys
from pathlib import Path

def own(card):
    return card[1] + b"'OWN'".ljust(len(card[0]) - len(card[1]))

for line in open(sys.argv[-1]):
    path, tag = line.split()
    data = Path(path).read_bytes()
    head = re.sub(rb"(HIERARCH ESO PRO CATG *= *)'[^']*' *(?=/)", own, data[:28800])
    head = re.sub(rb"(?:CHECKSUM|DATASUM )= .{{70}}", b"COMMENT".ljust(80), head)
    Path("own.fits").write_bytes(head + data[28800:])
"""


def definition(bench: Bench, name: str) -> Path:
    """Return a definition that puts a program between two recipes."""
    place = bench.folder / f"{name}-definition"
    path = place / "own.yaml"
    if not path.exists():
        after, calibration, product = INSTRUMENTS[name].own
        workflow = bench.plan(name)["workflow"]
        place.mkdir()
        program = place / "own_step"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        path.write_text(
            f"workflow: {workflow}\nextends: {workflow}\n"
            f"change:\n  {after}: {{calibrations: {{{calibration}: {{from: OWN}}}}}}\n"
            f"steps:\n  - name: {OWN_STEP}\n    command: [./own_step]\n    main: [{product}]\n"
            f"    parameters: {{curve: none}}\n    products: [OWN]\n"
        )
    return path


def own_step(bench: Bench, name: str) -> Wish:
    return replace(_copy(bench, name), workflow=str(definition(bench, name)))


def file_parameter(bench: Bench, name: str) -> Wish:
    """A parameter names a file that has another content than when everything was made."""
    path, curve = definition(bench, name), bench.folder / f"{name}-curve.txt"
    settings = (*INSTRUMENTS[name].settings, f"{OWN_STEP}.curve={curve}")
    curve.write_text("before\n")
    reduced = bench.reduced(name, "with-curve", settings=settings, workflow=str(path))
    curve.write_text("after\n")
    return bench.wish(name, bench.copy(reduced), settings=settings, workflow=str(path))


def statics(bench: Bench, name: str) -> Wish:
    """Static calibrations lie in the folder of a kit and not beside the data."""
    wish = _copy(bench, name)
    kit = wish.root / "kit"
    kit.mkdir()
    for file in INSTRUMENTS[name].night().files:
        if file.category in INSTRUMENTS[name].kit:
            (wish.data / f"{file.dp_id}.fits").rename(kit / f"{file.category.lower()}.fits")
    (wish.root / "statics.yaml").write_text("folders: [kit]\nfirst: kit\n")
    return wish


def choices(bench: Bench, name: str) -> Wish:
    wish = _copy(bench, name)
    ended = command(wish, "review", wish.plan["dataset"], "--set", INSTRUMENTS[name].choice)
    assert ended.code == 0, ended.err
    return wish


def forced(bench: Bench, name: str) -> Wish:
    wish = _copy(bench, name)
    return replace(wish, forced=wish.targets[:1])


def lazy_off(bench: Bench, name: str) -> Wish:
    return replace(_copy(bench, name), lazy="off")


def reflex(bench: Bench, name: str) -> Wish:
    """Reflex's own rule goes by path and time, so the root is the very one in which everything was made."""
    return bench.wish(name, bench.reduced(name), lazy="reflex")


def gap(bench: Bench, name: str) -> Wish:
    """The tree lacks the group that the first step of the plan works on."""
    wish = _copy(bench, name)
    raws = {Path(entry["file"]).stem for entry in wish.first["inputs"] if "file" in entry}
    (path,) = wish.data.glob("*.xml")
    document = ElementTree.parse(path)
    for parent in list(document.iter("associatedFiles")):
        for group in list(parent):
            files = [file.get("name") for file in group.findall("mainFiles/file")]
            if raws.issuperset(files) and files:
                parent.remove(group)
    document.write(path, encoding="UTF-8", xml_declaration=True)
    return wish


def missing_file(bench: Bench, name: str) -> Wish:
    wish = _copy(bench, name)
    file = next(entry["file"] for entry in wish.first["inputs"] if "file" in entry)
    (wish.data / Path(file).name).unlink()
    return wish


def wrong_instrument(bench: Bench, name: str) -> Wish:
    return replace(_copy(bench, name), workflow=INSTRUMENTS[name].stranger)


def failed_recipe(bench: Bench, name: str) -> Wish:
    """The first recipe ends with 1, and its products and those of all that need it are gone.

    `run` reuses what was made of a product that is gone; actors hand files on, so one that is gone ends their road.
    """
    wish = _copy(bench, name)
    gone = wish.above(wish.first["step"])
    (dataset,) = command(wish, "run", "--dry-run", *wish.words).json["datasets"]
    for step in dataset["steps"]:
        for product in step["products"] if step["step"] in gone else ():
            Path(product["path"]).unlink()
    folder = wish.root / "bin"
    folder.mkdir()
    stand_in = folder / "esorex"
    stand_in.write_text(
        f'#!/bin/sh\ncase "$*" in *"{wish.first["recipe"]} data.sof") exit 1;; esac\nexec {bench.esorex} "$@"\n'
    )
    stand_in.chmod(0o755)
    return replace(wish, path=f"{folder}:{os.environ['PATH']}", surprising=True)


PARTLY = frozenset({"execute", "reuse"})

SITUATIONS = {
    "adopted history": Situation("what Reflex made is reused", adopted_history, frozenset({"reuse"})),
    "own step": Situation("a program of the user's between recipes", own_step, PARTLY),
    "file parameter": Situation("a file that a parameter names has changed", file_parameter, PARTLY),
    "statics": Situation("static calibrations in a kit", statics, frozenset({"reuse"})),
    "choices": Situation("a parameter chosen in review", choices, PARTLY),
    "forced": Situation("a recipe that runs in any case", forced, PARTLY),
    "lazy off": Situation("everything runs", lazy_off, frozenset({"execute"})),
    "gap": Situation("a group of calibrations is missing", gap, frozenset()),
    "missing file": Situation("a raw frame is not there", missing_file, frozenset({"failed"})),
    "wrong instrument": Situation("a definition of another instrument", wrong_instrument, frozenset({"failed"})),
    "failed recipe": Situation("a recipe ends with 1", failed_recipe, frozenset({"failed", "execute"})),
    # The last, because it works in the roots that the others are copies of.
    "reflex": Situation("what Reflex would reuse is reused", reflex, frozenset({"reuse"})),
}

"""Steps of the user's own: programs in any language, a set of files in, products out.

A program is started in the private folder of its run as `program [arguments] [--parameter=value …] data.sof`. It leaves
FITS files whose `PRO CATG` says which of the step's products they are, and ends with 0. What it is made of, its words
and the files among them, counts as a recipe's plugin does: a changed program runs again.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from esorex_bridge.definitions.parameters import ParameterSchema, Value
from esorex_bridge.errors import RecipeError
from esorex_bridge.esorex.recipe import (
    Execution,
    FailedRunError,
    Output,
    Recipe,
    RecipeRun,
    RecipeRunner,
    Usage,
    pass_over,
)
from esorex_bridge.esorex.runner import KILLED, environment
from esorex_bridge.esorex.supervisor import Started
from esorex_bridge.files import Digest
from esorex_bridge.fits.header import read_header
from esorex_bridge.plan.plan import Plan, Step

PIPELINE = "own"
_LAST_WORDS_BYTES = 2000


def own_recipes(plan: Plan) -> dict[str, Recipe | RecipeError]:
    """Return the user's own steps of a plan as recipes, by the name that stands for a recipe's."""
    return {step.recipe: describe(step) for step in plan.steps if step.command}


class ProgramRunner:
    """A runner of programs and, through another runner, of recipes.

    Parameters
    ----------
    runner : RecipeRunner
        For recipes.
    """

    def __init__(self, runner: RecipeRunner) -> None:
        self._runner = runner
        self._started = Started()

    def recipes(self, names: Iterable[str], asking: Callable[[], None] = pass_over) -> dict[str, Recipe | RecipeError]:
        """Return installed recipes by name; a plan knows its own steps (`own_recipes`)."""
        return self._runner.recipes(names, asking)

    def execute(self, job: RecipeRun, begun: Callable[[], None] = pass_over) -> Execution:
        """Run a program, or a recipe, to its end; `begun` is called while it runs.

        Raises
        ------
        FailedRunError
            If it failed; the message holds its last words.
        """
        if not job.command:
            return self._runner.execute(job, begun)
        (job.folder / "data.sof").write_text(job.sof.text(), encoding="utf-8")
        words = [f"--{parameter.schema.display_name}={parameter.value}" for parameter in job.parameters]
        began = time.monotonic()
        log = job.folder / "program.log"
        home = job.folder / "home"
        home.mkdir()
        command, said = (*job.command, *words, "data.sof"), (log.name, log.name)
        code, processors, memory = self._started.run(command, job.folder, environment(home), said, lambda _: begun())
        usage = Usage(processors, memory, job.input_bytes)
        if code != 0:
            last = log.read_text(errors="replace")[-_LAST_WORDS_BYTES:].strip() or "it said nothing"
            told = f"{job.recipe.name} ({job.command[0]}) ended with {code}: {last}; log: {log}"
            raise FailedRunError(told, usage, code in KILLED and not self._started.stopped)
        return Execution(tuple(_outputs(job)), time.monotonic() - began, log, usage=usage)

    def stop(self) -> None:
        """End what runs, and start nothing more."""
        self._started.stop()
        self._runner.stop()


def describe(step: Step) -> Recipe | RecipeError:
    """Return an own step as a recipe; its parameters are those that the definition gives it."""
    program = shutil.which(step.command[0])
    if program is None:
        return RecipeError(f"step {step.recipe}: there is no program {step.command[0]} that can be started")
    return Recipe(step.recipe, Path(program), PIPELINE, _digest((program, *step.command[1:])), tuple(_schemas(step)))


def _schemas(step: Step) -> Iterable[ParameterSchema]:
    for setting in step.settings:
        if setting.origin.startswith("workflow ") and setting.value is not None:
            kind = {bool: "bool", int: "int", float: "double"}.get(type(setting.value), "string")
            yield _schema(setting.name, kind, setting.value)


def _schema(name: str, kind: str, value: Value) -> ParameterSchema:
    if kind == "bool":
        return ParameterSchema(name, name, "bool", value)
    if kind == "int":
        return ParameterSchema(name, name, "int", value)
    return ParameterSchema(name, name, "double" if kind == "double" else "string", value)


def _digest(words: tuple[str, ...]) -> Digest:
    return Digest(f"sha256:{hashlib.sha256(b''.join(_content(word) + bytes(1) for word in words)).hexdigest()}")


def _content(word: str) -> bytes:
    """Return what counts of a word: the content of the file that it is, or that it names as in `--table=/a/b`."""
    option, _, value = word.rpartition("=")
    if Path(word).is_file():
        return Path(word).read_bytes()
    if option and Path(value).is_absolute() and Path(value).is_file():
        return f"{option}=".encode() + Path(value).read_bytes()
    return word.encode()


def _outputs(job: RecipeRun) -> Iterable[Output]:
    for path in sorted(job.folder.glob("*.fits")):
        category = str(read_header(path).get("PRO.CATG", "")).strip()
        if category in job.products:
            yield Output(path, category)

"""EsoRex: where it and its recipes are, what parameters they have, and how one is run. The only module that starts it.

Each run has a private folder as its working directory, because recipes write products and log there whatever
`--output-dir` says, and two runs in one folder take each other's products with exit code 0. HOME is empty and
`ESOREX_*` are gone, because a user's `esorex.rc` would flip defaults silently. A recipe folder of one symbolic link
spares EsoRex from loading every plugin: 10 ms to start instead of 90.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from esorex_bridge.definitions.parameters import RECIPE_DEFAULT, Parameter, read_schemas
from esorex_bridge.disk.atomic import make_executable
from esorex_bridge.disk.digest import Reading, read_digest
from esorex_bridge.errors import RecipeError
from esorex_bridge.esorex.libraries import Libraries, Linker, libraries_in
from esorex_bridge.esorex.plugin_memory import RememberedPlugin, question_about, recall_plugin, remember_plugin
from esorex_bridge.esorex.recipe import Execution, FailedRunError, Output, Recipe, RecipeRun, Usage, pass_over
from esorex_bridge.esorex.supervisor import Started, SupervisedProcess

if TYPE_CHECKING:
    from concurrent.futures import Future

PLUGIN_FOLDERS = (
    "/usr/lib/*/cpl/plugins",
    "/usr/lib/cpl/plugins",
    "/usr/lib/esopipes-plugins",
    "/usr/lib64/esopipes-plugins",
    "/usr/local/lib/esopipes-plugins",
    "/opt/local/lib/esopipes-plugins",
)
"""Where packages put recipes."""

EXIT_CODE = "exitcode.txt"
"""The file of a run's folder that holds EsoRex's exit code, as Reflex writes it."""

KILLED = (-9, 137)
"""Exit codes of what was killed by SIGKILL, as we see it and as a shell between us tells it."""

_STDOUT, _STDERR = "stdout.txt", "stderr.txt"

_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "OMP_NUM_THREADS", "OMP_PROC_BIND", "TZ")
_LOOK_SECONDS = 0.2
_INTROSPECTION_SECONDS = 60.0


def _complain_absent(name: str) -> RecipeError:
    family = name.split("_")[0]
    return RecipeError(f"recipe {name} is not installed; install its pipeline (Debian: cpl-plugin-{family}…)")


class EsoRex:
    """An installed EsoRex.

    Parameters
    ----------
    command : Path
        The executable.
    plugins : mapping of str to Path
        Plugin file of every recipe.
    messages : callable or None
        Is given EsoRex's own messages, line by line, while it runs.
    """

    def __init__(
        self,
        command: Path,
        plugins: Mapping[str, Path],
        messages: Callable[[str], None] | None = None,
    ) -> None:
        self._command = command
        self._plugins = plugins
        self._messages = messages
        self._started = Started()

    def recipes(self, names: Iterable[str], asking: Callable[[], None] = pass_over) -> dict[str, Recipe | RecipeError]:
        """Return installed recipes by name, and the error where one is not installed or EsoRex cannot load it.

        Where EsoRex must be asked, which takes a while, `asking` is called meanwhile.
        """
        listed = tuple(names)
        known = {name: self._recall(name) for name in listed}
        unknown = tuple(name for name, found in known.items() if found is None)
        if not unknown:
            return {name: found for name, found in known.items() if found is not None}
        asked = self._ask(unknown, asking)
        return {name: known[name] or asked[name] for name in listed}

    def find_absent(self, names: Iterable[str]) -> dict[str, RecipeError]:
        """Return the error for each recipe that is not installed; EsoRex is asked nothing."""
        return {name: _complain_absent(name) for name in names if name not in self._plugins}

    def _recall(self, name: str) -> Recipe | RecipeError | None:
        """Return a recipe as it was told before; None where EsoRex must be asked."""
        plugin = self._plugins.get(name)
        if plugin is None:
            return _complain_absent(name)
        kept = recall_plugin(question_about(self._command, plugin, environment(Path())), plugin)
        return None if kept is None else _recipe_of(name, plugin, *kept)

    def _ask(self, names: Sequence[str], meanwhile: Callable[[], None]) -> dict[str, Recipe | RecipeError]:
        """Return recipes of which nothing is known.

        EsoRex is asked about several at a time, because each question costs it a start; the linker is asked meanwhile.
        """
        from concurrent.futures import ThreadPoolExecutor

        linker, began_ns = Linker(environment(Path())), time.time_ns()
        with ThreadPoolExecutor(os.cpu_count() or 1, "introspection") as pool:
            asked = [(name, pool.submit(self._created_config, name, self._plugins[name])) for name in names]
            meanwhile()
            ready = [(name, told, _look_at(name, self._plugins[name], self._command, linker)) for name, told in asked]
            return {name: self._learn(name, told, found, began_ns) for name, told, found in ready}

    def _learn(self, name: str, told: Future[str], found: _Look | RecipeError, asked_ns: int) -> Recipe | RecipeError:
        """Return a recipe that was asked about, and remember what was answered."""
        plugin = self._plugins[name]
        try:
            parameters = told.result()
        except RecipeError as error:
            return error
        if isinstance(found, RecipeError):
            return found
        reading, libraries = found
        question = question_about(self._command, plugin, environment(Path()))
        answer = RememberedPlugin(question, reading.stamp, reading.digest, parameters, libraries)
        remember_plugin(answer, asked_ns)
        return _recipe_of(name, plugin, answer, libraries_in(libraries))

    def _created_config(self, name: str, plugin: Path) -> str:
        import subprocess
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="esorex-bridge-") as made:
            folder = Path(made)
            options = ("--log-level=off", "--msg-level=off", "--create-config=parameters.json")
            command = [str(self._command), f"--recipe-dir={_narrow(folder, name, plugin)}", *options, name]
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_INTROSPECTION_SECONDS,
                check=False,
            )
            written = folder / "parameters.json"
            if done.returncode != 0 or not written.exists():
                from esorex_bridge.esorex.diagnosis import explain_exit, first_error

                cause = first_error(done.stderr.decode(errors="replace")) or explain_exit(done.returncode)
                raise RecipeError(f"EsoRex cannot load recipe {name} from {plugin}: {cause}")
            return written.read_text(encoding="utf-8", errors="replace")

    def command_line(self, job: RecipeRun) -> tuple[str, ...]:
        """Return the command that runs a job in its folder, every option given, so that no settings file counts."""
        return (
            str(self._command),
            "--recipe-dir=plugin",
            "--output-dir=.",
            "--log-dir=.",
            "--log-file=esorex.log",
            "--log-level=info",
            "--msg-level=info" if self._messages else "--msg-level=warning",
            "--check-sof-exist=TRUE",
            "--suppress-prefix=TRUE",
            "--suppress-link=TRUE",
            "--output-readonly=FALSE",
            "--no-datamd5=FALSE",
            "--no-checksum=FALSE",
            "--products-sof=products_sof.json",
            "--time=FALSE",
            "--unload-plugin=TRUE",
            f"--recipe-config={job.recipe.name}.rc",
            job.recipe.name,
            "data.sof",
        )

    def execute(self, job: RecipeRun, begun: Callable[[], None] = pass_over) -> Execution:
        """Run a recipe to its end in the job's folder; `begun` is called while it runs.

        Raises
        ------
        FailedRunError
            If EsoRex or the recipe failed; the message holds the cause and the log's path.
        RecipeError
            If it said nothing of products, or was not started.
        """
        _narrow(job.folder, job.recipe.name, job.recipe.plugin_path)
        (job.folder / "data.sof").write_text(job.sof.text(), encoding="utf-8")
        (job.folder / f"{job.recipe.name}.rc").write_text(recipe_config(job.parameters), encoding="utf-8")
        command = self.command_line(job)
        variables = environment(job.folder / "home")

        def follow(process: SupervisedProcess) -> None:
            begun()
            _write_script(job.folder / "cmdline.sh", command, variables)
            if self._messages is not None:
                self._follow(job.folder / _STDOUT, process, self._messages)

        (job.folder / "home").mkdir()
        began = time.monotonic()
        code, processors, memory = self._started.run(command, job.folder, variables, (_STDOUT, _STDERR), follow)
        (job.folder / EXIT_CODE).write_text(str(code if code >= 0 else 128 - code), encoding="utf-8")
        seconds = time.monotonic() - began
        usage = Usage(processors, memory, job.input_bytes)
        if code != 0:
            killed = code in KILLED and not self._started.stopped
            raise FailedRunError(_failure(job, code), usage, killed)
        return Execution(_outputs(job), seconds, _log(job.folder), _complaints(job), usage)

    def _follow(self, written: Path, process: SupervisedProcess, say: Callable[[str], None]) -> None:
        """Pass on what a run writes while it writes it."""
        written.touch()  # the supervisor may not have come to it yet
        with written.open(encoding="utf-8", errors="replace") as stream:
            while True:
                ended = process.has_ended
                for line in stream:
                    say(line.rstrip("\n"))
                if ended:
                    return
                time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """End what runs, with all that it started, and start nothing more."""
        self._started.stop()


_Look = tuple[Reading, str]
"""A plugin file as it was read, and what the linker said of it."""


def _look_at(name: str, plugin: Path, esorex: Path, linker: Linker) -> _Look | RecipeError:
    """Return a plugin file as it is read now, and its libraries; the error where that cannot be told."""
    try:
        reading = read_digest(plugin)
    except OSError as error:
        return RecipeError(f"the plugin {plugin} of recipe {name} cannot be read: {error.strerror or error}")
    try:
        return reading, linker.find(str(esorex), str(plugin))
    except OSError as error:
        return RecipeError(f"a library of recipe {name} cannot be read: {error}")


def _recipe_of(name: str, plugin: Path, answer: RememberedPlugin, libraries: Libraries) -> Recipe:
    schemas = read_schemas(answer.parameters)
    return Recipe(name, plugin, pipeline_of(plugin), answer.digest, schemas, *libraries)


def find_esorex(
    command: str = "esorex",
    folders: Sequence[str] = PLUGIN_FOLDERS,
    messages: Callable[[str], None] | None = None,
) -> EsoRex | None:
    """Return the EsoRex on the search path with its recipes, or None where there is none.

    `ESOREX_PLUGIN_DIR`, EsoRex's own variable for its recipe folders, is looked at first.
    """
    found = _find_program(command)
    if found is None:
        return None
    own = os.environ.get("ESOREX_PLUGIN_DIR", "")
    return EsoRex(found, find_plugins((*filter(None, own.split(":")), *folders)), messages)


def _find_program(command: str) -> Path | None:
    """Return where a program is, as a shell finds it; shutil takes 2 ms to load, which every run would begin with."""
    folders = [""] if "/" in command else os.environ.get("PATH", os.defpath).split(os.pathsep)
    places = (Path(folder, command) for folder in folders)
    return next((place for place in places if place.is_file() and os.access(place, os.X_OK)), None)


def find_plugins(patterns: Sequence[str]) -> dict[str, Path]:
    """Return the plugin file of every recipe below some folders, by recipe name; the first folder that has one wins.

    The name of a plugin file is the name of its recipe: true for all 152 recipes that Debian packages.
    """
    plugins: dict[str, Path] = {}
    for pattern in patterns:
        for folder in sorted(Path("/").glob(pattern.lstrip("/"))):
            for plugin in sorted(_plugins_below(str(folder)), key=lambda path: path.split("/"), reverse=True):
                plugins.setdefault(plugin.rpartition("/")[2].removesuffix(".so"), Path(plugin))
    return plugins


def _plugins_below(folder: str) -> Iterator[str]:
    """Yield the plugin files below a folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".so"):
                yield entry.path
            elif entry.is_dir(follow_symlinks=False):
                yield from _plugins_below(entry.path)


def pipeline_of(plugin: Path) -> str:
    """Return name and version of a plugin's pipeline, which its folder carries (`naco-4.4.11` → `naco/4.4.11`)."""
    found = re.fullmatch(r"(.+)-(\d[\w.]*)", plugin.resolve().parent.name)
    return f"{found.group(1)}/{found.group(2)}" if found else plugin.resolve().parent.name


def environment(home: Path) -> dict[str, str]:
    """Return the variables that a recipe gets: few, so that nothing of the user's settings or secrets gets through."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "HOME": str(home), "LC_ALL": "C.UTF-8"}


def recipe_config(parameters: Sequence[Parameter]) -> str:
    """Return the `.rc` text that gives every parameter by its full name, and says where values come from.

    Raises
    ------
    RecipeError
        If a value holds a quote or a line break, which the format cannot express.
    """
    lines = []
    for parameter in parameters:
        if re.search(r'["\r\n]', parameter.text):
            raise RecipeError(f"parameter {parameter.schema.name} holds a quote or a line break: {parameter.text!r}")
        if parameter.origin != RECIPE_DEFAULT:
            lines.append(f"# {' '.join(parameter.origin.split())}:\n")
        lines.append(f'{parameter.schema.name}="{parameter.text}"\n')
    return "".join(lines)


def _narrow(folder: Path, recipe: str, plugin: Path) -> str:
    narrow = folder / "plugin"
    narrow.mkdir(exist_ok=True)
    (narrow / f"{recipe}.so").symlink_to(plugin.resolve())
    return str(narrow)


def _outputs(job: RecipeRun) -> tuple[Output, ...]:
    listed = job.folder / "products_sof.json"
    if not listed.exists():
        # Seen with exit code 0: a bad value in a settings file or variable, and the recipe never ran.
        raise RecipeError(
            f"EsoRex exited with status 0, but recipe {job.recipe.name} did not run{where_to_look(job.folder)}"
        )
    entries = json.loads(listed.read_text(encoding="utf-8", errors="replace"))
    return tuple(Output(job.folder / entry["name"], entry["category"]) for entry in entries)


def _failure(job: RecipeRun, code: int) -> str:
    from esorex_bridge.esorex.diagnosis import explain_exit, first_error
    from esorex_bridge.esorex.frame_shapes import mismatched_frames

    log = _log(job.folder)
    texts = [path.read_text(errors="replace") for path in (job.folder / _STDERR, log) if path and path.exists()]
    cause = first_error(*texts)
    parts = [
        f"{job.recipe.name} failed with exit code {code}, {explain_exit(code)}",
        cause,
        *mismatched_frames(job.sof, job.folder),
    ]
    return ": ".join(filter(None, parts)) + where_to_look(job.folder)


def where_to_look(folder: Path) -> str:
    """Return, in words to end a message with, the log of a run and the command that repeats it."""
    log = _log(folder)
    return f"; log: {log}; to repeat it: sh {folder / 'cmdline.sh'}" if log else f"; its folder: {folder}"


def _complaints(job: RecipeRun) -> tuple[str, ...]:
    """Return what a recipe reported though it exited with status 0: its errors, and its warnings."""
    written = [(job.folder / name).read_text(errors="replace") for name in (_STDERR, _STDOUT)]
    if not any("[WARNING]" in text or "ERROR" in text for text in written):
        return ()
    from esorex_bridge.esorex.diagnosis import REPORTED, first_error, warnings_in

    error = first_error(written[0])  # on stdout, dumps of errors that the recipe survived are warnings
    told = warnings_in(*written)
    return (*((f"{job.recipe.name}{REPORTED}{error}",) if error else ()), *told)


def _log(folder: Path) -> Path | None:
    # A recipe that crashed leaves EsoRex's working copy of the log.
    return next((path for path in (folder / "esorex.log", folder / ".logfile") if path.exists()), None)


def _write_script(path: Path, command: Sequence[str], variables: Mapping[str, str]) -> None:
    from shlex import quote

    settings = " ".join(f"{name}={quote(value)}" for name, value in variables.items())
    words = " ".join(map(quote, command))
    path.write_text(f"#!/bin/sh\ncd {quote(str(path.parent))} && env -i {settings} {words}\n", encoding="utf-8")
    make_executable(path)

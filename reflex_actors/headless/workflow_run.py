"""A workflow file run to its end: what is unknown is named first, then the actors fire until nothing is left to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reflex_actors.headless.catalogue import KINDS, SELECT, TEXTS, unknown, unknown_settings
from reflex_actors.headless.director import Director, Fire
from reflex_actors.headless.network import Channel, InPort, Network, OutPort, RunningActor, build, feeds_itself
from reflex_actors.headless.report import Left, RunReport
from reflex_actors.headless.running import Recipes, Running, RunOptions
from reflex_actors.headless.scripts import erases, has_window, own_actor
from reflex_actors.headless.tokens import WorkflowError, brief
from reflex_actors.headless.variables import Variables
from reflex_actors.moml.model import Entity, recipe_of

WITHOUT_WINDOWS = {
    "SelectDatasetMethod": "All",
    "ProductExplorerMode": "Disabled",
    "ProvenanceExplorer": "false",
    "GlobalPlotInteractivity": "false",
}
"""Values that open no windows, for the global parameters that a workflow has."""

_RUN = "Run"


class UnknownPartsError(WorkflowError):
    """A workflow holds what cannot be run.

    Parameters
    ----------
    parts : tuple of str
        Each with its place.
    """

    def __init__(self, parts: Iterable[str]) -> None:
        self.parts = tuple(parts)
        super().__init__("this workflow cannot be run here; nothing was started:\n  " + "\n  ".join(self.parts))


def prepare(root: Entity, values: Mapping[str, str], interactive: bool = False) -> tuple[Network, Variables]:
    """Return the network of a workflow with its parameters set.

    Raises
    ------
    UnknownPartsError
        If it holds what cannot be run.
    WorkflowError
        If there is no parameter of a name.
    """
    parts = list(unknown(root))
    if parts:
        raise UnknownPartsError(parts)
    network, variables = build(root, TEXTS)
    unset = {} if interactive else {name: text for name, text in WITHOUT_WINDOWS.items() if name in variables}
    for name, text in {**unset, **values}.items():
        if name not in variables:
            known = ", ".join(name for name in variables.names() if not name.startswith("_"))
            raise WorkflowError(f"the workflow has no parameter {name}; it has: {known}")
        variables.assign(name, text)
    return network, variables


def unknown_parts(network: Network, variables: Variables, recipes: Recipes, interactive: bool) -> Iterator[str]:
    """Yield what a prepared workflow cannot do: settings, scripts, recipes, commands."""
    yield from variables.unreadable()
    wanted: dict[str, str] = {}
    for node in network.walk():
        yield from (f"{node.path}: {text}" for text in unknown_settings(node))
        if node.entity.cls == "org.eso.RecipeExecuter" and node.text("mode", _RUN) == _RUN:
            wanted.setdefault(recipe_of(node.entity), node.path)
        if node.entity.cls == "org.eso.PythonActor" and not own_actor(node) and (interactive or not has_window(node)):
            script = Path(node.text("Python script"))
            if not script.is_file():
                yield f"{node.path}: there is no script {script}"
        if node.entity.cls == "ptolemy.actor.lib.Exec" and not _is_erasing(node, network):
            yield f"{node.path}: it runs a command other than the one that removes what earlier runs left"
    missing = recipes.missing(tuple(wanted))
    yield from (f"{wanted[name]}: {reason}" for name, reason in missing.items() if name in wanted)


def _is_erasing(node: RunningActor, network: Network) -> bool:
    if node.text("command", "sh").strip() not in ("sh", "/bin/sh", "bash"):
        return False
    channels = [id(channel) for channel in node.inputs["input"].channels] if "input" in node.inputs else []
    makers = [each for each in network.walk() if any(id(channel) in channels for channel in _all_channels(each))]
    return bool(makers) and all(erases(each.text("value")) for each in makers)


def _all_channels(node: RunningActor) -> Iterator[Channel]:
    inner: Iterable[OutPort] = node.inner.entrances.values() if node.inner else ()
    for port in (*node.outputs.values(), *inner):
        for link in port.links:
            yield from link


def run_prepared(name: str, network: Network, variables: Variables, recipes: Recipes, options: RunOptions) -> RunReport:
    """Run a workflow to its end.

    Parameters
    ----------
    name : str
        Of the workflow.
    network : Network
        Its actors, as `prepare` returns them.
    variables : Variables
        Its parameters, as `prepare` returns them.
    recipes : Recipes
        What runs recipes.
    options : RunOptions
        How.

    Raises
    ------
    UnknownPartsError
        If it holds what cannot be run; nothing has been started then.
    """
    parts = tuple(unknown_parts(network, variables, recipes, options.interactive))
    if parts and not options.dry_run:
        raise UnknownPartsError(parts)
    with ThreadPoolExecutor(max(1, options.jobs), "recipe") as pool:
        run = Running(options, variables, recipes, pool)
        problem = _go(network, run)
    return RunReport.of(name, run, tuple(_list_left(network)), parts, problem)


def _go(network: Network, run: Running) -> str:
    """Fire until nothing can; return why it ended before that."""

    def count_firings(node: RunningActor) -> Fire:
        fire = KINDS[node.entity.cls].start(node, run)

        def fire_and_count() -> bool | None:
            run.account.count(node)
            return fire()

        return fire_and_count

    def set_delayed() -> None:
        for place, name, value in run.delayed:
            place.assign(name, value)
        run.delayed.clear()

    try:
        Director(network, count_firings).run(set_delayed)
        for future in run.started:
            future.result()
    except WorkflowError as error:
        for future in run.started:
            future.cancel()
        return str(error)
    return ""


def _list_left(network: Network) -> Iterator[Left]:
    """Yield the tokens that nobody took, and what their actors wait for; loops keep some."""
    for node in network.walk():
        ports = (port for port in node.inputs.values() if not _is_passed_over(node, port))
        held = [port for port in ports if any(channel.queue for channel in port.channels)]
        if held and not feeds_itself(node):
            wait = tuple(port.name for port in node.inputs.values() if not port.ready)
            has = tuple(f"{port.name}: {_show(port.channels)}" for port in held)
            yield Left(node.path, has, wait)


def _is_passed_over(node: RunningActor, port: InPort) -> bool:
    """Tell whether an input is the one that a select did not choose: what stands there is never taken."""
    return node.entity.cls == SELECT and port.rate == 0


def _show(channels: Iterable[Channel]) -> str:
    try:
        return "; ".join(brief(channel.queue[0]) for channel in channels if channel.queue)
    except WorkflowError as error:
        return str(error)

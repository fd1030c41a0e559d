"""Which actors can be run, by class, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from reflex_actors.headless import files, jython, organising, plumbing, recipes, scripts
from reflex_actors.headless.director import Fire
from reflex_actors.headless.network import RunningActor, direction
from reflex_actors.headless.running import Running
from reflex_actors.moml.model import Entity

Start = Callable[[RunningActor, Running], Fire]


class Kind(Struct, frozen=True):
    """A class of actors.

    Parameters
    ----------
    start : callable
        Makes an actor ready, and returns how it fires.
    texts : tuple of str
        Patterns of the parameters that are texts whatever their class says.
    unused : tuple of str
        Parameters that are not looked at.
    """

    start: Start
    texts: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


SELECT = "ptolemy.domains.ddf.lib.DDFBooleanSelect"
KINDS = {
    "org.eso.DataOrganizer": Kind(organising.data_organizer),
    "org.eso.DataSetChooser": Kind(organising.dataset_chooser),
    "org.eso.CurrentDataSet": Kind(organising.current_dataset),
    "org.eso.FitsRouter": Kind(files.fits_router),
    "org.eso.SofSplitter": Kind(files.split_by_purpose),
    "org.eso.SofAccumulator": Kind(files.Accumulator),
    "org.eso.SofCombiner": Kind(files.combine_sets),
    "org.eso.SofCreator": Kind(files.create_set),
    "org.eso.SopCreator": Kind(files.create_parameters),
    "org.eso.IsSofEmpty": Kind(files.is_empty),
    "org.eso.ObjectToText": Kind(files.show_as_text),
    "org.eso.RecipeExecuter": Kind(recipes.RecipeExecuter, (r"recipe_param_\d+",)),
    "org.eso.RecipeLooper": Kind(recipes.RecipeLooper),
    "org.eso.PythonActor": Kind(scripts.python_actor),
    "org.eso.ProductExplorer": Kind(plumbing.swallow),
    "ptolemy.actor.lib.StringConst": Kind(plumbing.constant, ("value",)),
    "ptolemy.actor.lib.Const": Kind(plumbing.constant),
    "ptolemy.actor.lib.SetVariable": Kind(plumbing.set_variable),
    "ptolemy.actor.lib.Counter": Kind(plumbing.counter),
    "ptolemy.actor.lib.Synchronizer": Kind(plumbing.synchronizer),
    "ptolemy.actor.lib.BooleanSwitch": Kind(plumbing.switch),
    "ptolemy.actor.lib.ElementsToArray": Kind(plumbing.elements_to_array),
    "ptolemy.actor.lib.Exec": Kind(scripts.erase, ("command",), ("environment", "directory")),
    "ptolemy.actor.lib.gui.Display": Kind(plumbing.display),
    "ptolemy.actor.lib.logic.Comparator": Kind(plumbing.compare_numbers),
    "ptolemy.actor.lib.logic.LogicFunction": Kind(plumbing.combine_flags),
    "ptolemy.actor.lib.logic.LogicalNot": Kind(plumbing.negate),
    "ptolemy.actor.lib.logic.IsPresent": Kind(plumbing.is_present),
    "ptolemy.actor.lib.python.PythonScript": Kind(jython.jython),
    "ptolemy.actor.lib.string.StringCompare": Kind(plumbing.compare_texts, ("firstString", "secondString", "function")),
    SELECT: Kind(plumbing.Select),
    "ptolemy.domains.sdf.lib.SampleDelay": Kind(plumbing.sample_delay),
    "org.resurgence.actor.StringAccumulator": Kind(plumbing.join_texts),
    "org.resurgence.actor.StringToInt": Kind(plumbing.text_to_integer),
    "org.resurgence.actor.DirectoryMaker": Kind(plumbing.make_directory, ("Directory name",)),
    "org.sdm.spa.Timestamp": Kind(plumbing.timestamp, ("format",)),
    "org.geon.FileWrite": Kind(plumbing.write_file, ("fileName",)),
}
"""By class."""

TEXTS = {cls: kind.texts for cls, kind in KINDS.items()}
DDF = "DDFDirector"
_TESTS = ("equals", "startsWith", "endsWith", "contains")
_FUNCTIONS = ("and", "or", "xor", "nand", "nor", "xnor")


def unknown(root: Entity) -> Iterator[str]:
    """Yield what is in a workflow and cannot be run, each with its place."""
    for path, entity in root.walk():
        place = path.removeprefix(f".{root.name}").removeprefix(".") or root.name
        if entity.is_composite:
            if entity.director is not None and not entity.director.cls.endswith(DDF):
                yield f"{place}: its director is {entity.director.cls}; only {DDF} is known"
            yield from (f"{place}: {text}" for text in _unknown_ports(entity))
        elif entity.cls not in KINDS:
            yield f"{place}: there is no actor {entity.cls}"


def _unknown_ports(composite: Entity) -> Iterator[str]:
    for link in composite.links:
        actor, port = link.ends
        owner = composite if actor is None else composite.entity(actor)
        if owner is None:
            yield f"a link names the actor '{actor}', which is not there"
        elif direction(owner, port) is None and (owner.is_composite or owner.cls in KINDS):
            yield f"{actor or 'this composite'} has no port '{port}'"


def unknown_settings(node: RunningActor) -> Iterator[str]:
    """Yield what an actor is told and cannot do."""
    cls = node.entity.cls
    yield from node.variables.unreadable(KINDS[cls].unused if cls in KINDS else ())
    if cls == "ptolemy.actor.lib.python.PythonScript" and not jython.jython_kind(node):
        yield "its script in Jython is none of those that are known"
    if cls == "ptolemy.actor.lib.string.StringCompare" and node.text("function", "equals") not in _TESTS:
        yield f"the test '{node.text('function')}' is not known"
    if cls == "ptolemy.actor.lib.logic.LogicFunction" and node.text("function", "and") not in _FUNCTIONS:
        yield f"the function '{node.text('function')}' is not known"
    if cls == "ptolemy.actor.lib.logic.Comparator" and node.text("comparison", ">").strip() not in (
        ">",
        ">=",
        "<",
        "<=",
        "==",
    ):
        yield f"the comparison '{node.text('comparison')}' is not known"

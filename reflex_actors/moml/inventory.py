"""What is known of the actors of Reflex, Kepler and Ptolemy that workflows use: ports, marks, parameters.

The names are those of shipped workflows; ports that an actor makes itself are absent from many files, so a reader needs
this list to know them.
"""

from __future__ import annotations

from msgspec import Struct

IN, OUT = "input", "output"


class KnownPort(Struct, frozen=True):
    """A port of an actor.

    Parameters
    ----------
    name : str
        As in links.
    direction : {'input', 'output'}
        Where tokens go.
    multiport : bool
        Whether it takes several relations.
    needed : bool
        Whether the actor is of no use without it.
    """

    name: str
    direction: str
    multiport: bool = False
    needed: bool = False


class KnownActor(Struct, frozen=True):
    """An actor.

    Parameters
    ----------
    ports : tuple of KnownPort
        Those it makes itself.
    parameters : tuple of str
        Their names.
    own_ports : bool
        Whether a workflow adds further ports.
    """

    ports: tuple[KnownPort, ...]
    parameters: tuple[str, ...] = ()
    own_ports: bool = False

    def port(self, name: str) -> KnownPort | None:
        """Return a port by name."""
        return next((each for each in self.ports if each.name == name), None)


def _in(*names: str) -> tuple[KnownPort, ...]:
    return tuple(_port(name, IN) for name in names)


def _out(*names: str) -> tuple[KnownPort, ...]:
    return tuple(_port(name, OUT) for name in names)


def _port(text: str, direction: str) -> KnownPort:
    return KnownPort(text.rstrip("*!"), direction, "*" in text, "!" in text)


_TRIGGERED = (KnownPort("trigger", IN, True), KnownPort("output", OUT))

ACTORS = {
    "org.eso.DataOrganizer": KnownActor(
        (*_in("input data!"), *_out("datasets out!")),
        ("OCA File", "Keywords to be displayed", "Lazy Mode", "Bookkeeping Dir", "Use CalSelector associations"),
    ),
    "org.eso.DataSetChooser": KnownActor(
        (*_in("datasets in*!", "execution time"), *_out("dataset out*!", "#selected")),
        ("Selection mode", "FITS Viewer", "Bookkeeping DB"),
    ),
    "org.eso.FitsRouter": KnownActor((*_in("in!", "sof"), *_out("sof rejected*")), (), own_ports=True),
    "org.eso.SofSplitter": KnownActor((*_in("sof in*!"), *_out("sof out*!", "#groups!")), ("Group purposes",)),
    "org.eso.SofAccumulator": KnownActor((*_in("sof in*!", "#groups!"), *_out("sof out*!")), ("same dataset",)),
    "org.eso.SofCombiner": KnownActor((*_in("sof in*", "sof in opt*"), *_out("sof out*!"))),
    "org.eso.RecipeExecuter": KnownActor(
        (
            *_in("sof in*!", "sop in"),
            *_out("sof out*", "sop out", "rejected inputs*", "rejected outputs*", "logs", "warnings", "errors"),
        ),
        (
            "recipe",
            "mode",
            "Lazy Mode",
            "Recipe Failure Mode",
            "Input Files Category",
            "Output Files Category",
            "File Purpose Processing",
            "Allow empty inputs",
            "Pause before execution",
            "Pause after execution",
            "Clean Temporary Directories",
            "Bookkeeping DB",
            "Bookkeeping Dir",
            "Logs Dir",
            "Products Dir",
            "EsoRex default args",
            "Reuse Inputs (Expert Mode)",
        ),
    ),
    "org.eso.RecipeLooper": KnownActor(
        (
            *_in("sof in*!", "sop in!", "sof loop!", "sop loop!", "iteration complete!"),
            *_out("sof out*!", "sop out!"),
        ),
        ("Actor name", "Get initial params from DB"),
    ),
    "org.eso.PythonActor": KnownActor(
        _out("stdout"),
        (
            "Python script",
            "Run in terminal",
            "Lazy Mode",
            "Recipe Failure Mode",
            "Disable logging",
            "Products Dir",
            "Logs Dir",
            "Bookkeeping Dir",
            "Clear Products Dir",
            "Clear Logs Dir",
            "Clear Bookkeeping Dir",
            "Clean Temporary Directories",
        ),
        own_ports=True,
    ),
    "org.eso.SopCreator": KnownActor((*_in("param in!"), *_out("sop out!"))),
    "org.eso.SofCreator": KnownActor(
        (*_in("data dir*!"), *_out("sof out!")),
        ("Dataset Name", "Dataset name", "Default Category", "Filename Pattern"),
    ),
    "org.eso.IsSofEmpty": KnownActor((*_in("sof in*!"), *_out("is empty", "is not empty"))),
    "org.eso.CurrentDataSet": KnownActor((*_in("in!"), *_out("dataset name"))),
    "org.eso.ObjectToText": KnownActor((*_in("json in!"), *_out("text out")), ("Include Header and Footer",)),
    "org.eso.ProductExplorer": KnownActor(
        _in("start date", "end date", "trigger"), ("Mode", "Bookkeeping DB", "FITS Viewer", "date format", "Enabled")
    ),
    "ptolemy.actor.lib.StringConst": KnownActor(_TRIGGERED, ("value", "firingCountLimit", "NONE")),
    "ptolemy.actor.lib.Const": KnownActor(_TRIGGERED, ("value", "firingCountLimit", "NONE")),
    "ptolemy.actor.lib.SetVariable": KnownActor((*_in("input!"), *_out("output")), ("variableName", "delayed")),
    "ptolemy.actor.lib.Counter": KnownActor((*_in("increment", "decrement"), *_out("output"))),
    "ptolemy.actor.lib.Synchronizer": KnownActor((*_in("input*!"), *_out("output*"))),
    "ptolemy.actor.lib.gui.Display": KnownActor(
        _in("input*!"), ("rowsDisplayed", "columnsDisplayed", "suppressBlankLines", "title")
    ),
    "ptolemy.actor.lib.logic.Comparator": KnownActor(
        (*_in("left!", "right!"), *_out("output")), ("comparison", "tolerance")
    ),
    "ptolemy.actor.lib.logic.LogicFunction": KnownActor((*_in("input*!"), *_out("output")), ("function",)),
    "ptolemy.actor.lib.logic.LogicalNot": KnownActor((*_in("input!"), *_out("output"))),
    "ptolemy.actor.lib.logic.IsPresent": KnownActor((*_in("input*!"), *_out("output*"))),
    "ptolemy.actor.lib.string.StringCompare": KnownActor(
        (*_in("firstString", "secondString"), *_out("output")),
        ("function", "ignoreCase", "firstString", "secondString"),
    ),
    "ptolemy.actor.lib.BooleanSwitch": KnownActor((*_in("input*!", "control!"), *_out("trueOutput*", "falseOutput*"))),
    "ptolemy.domains.ddf.lib.DDFBooleanSelect": KnownActor(
        (*_in("trueInput", "falseInput", "control!"), *_out("output"))
    ),
    "ptolemy.actor.lib.Exec": KnownActor(
        (*_in("trigger*", "input", "command"), *_out("output", "error", "exitCode")),
        ("command", "directory", "environment", "firingCountLimit", "NONE"),
    ),
    "ptolemy.actor.lib.ElementsToArray": KnownActor((*_in("input*!"), *_out("output"))),
    "ptolemy.domains.sdf.lib.SampleDelay": KnownActor((*_in("input!"), *_out("output")), ("initialOutputs",)),
    "org.resurgence.actor.StringAccumulator": KnownActor((*_in("parts*!"), *_out("whole")), ("Substring separator",)),
    "org.resurgence.actor.StringToInt": KnownActor((*_in("string!"), *_out("integer"))),
    "org.resurgence.actor.DirectoryMaker": KnownActor((*_in("trigger*", "Directory name"),), ("Directory name",)),
    "org.geon.FileWrite": KnownActor((*_in("input!", "fileName"), *_out("url")), ("fileName", "append")),
    "org.sdm.spa.Timestamp": KnownActor((*_in("trigger*"), *_out("output")), ("format",)),
}
"""By class. An actor that is not here is looked at no further than its declared ports."""

SOURCES = ("ptolemy.actor.lib.StringConst", "ptolemy.actor.lib.Const")
"""Actors that fire of themselves."""

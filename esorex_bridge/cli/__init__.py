"""The command `esorex-bridge`: one module per verb, loaded only when its verb is typed."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from threading import current_thread, main_thread
from types import MappingProxyType
from typing import TYPE_CHECKING

from esorex_bridge.errors import BridgeError, nearest_name
from esorex_bridge.process import begin, end, load_msgspec
from esorex_bridge.version import __version__

if TYPE_CHECKING:
    from typing import Protocol

    from esorex_bridge.cli.parser import VerbParser

    class VerbModule(Protocol):
        """What the module of a verb offers."""

        EXAMPLE: str

        def configure(self, parser: argparse.ArgumentParser) -> None:
            """Add the verb's arguments."""

        def run(self, args: argparse.Namespace) -> int:
            """Carry the verb out and return the exit code."""


DONE, REFUSED, USAGE, INTERNAL_ERROR, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: done, refused or failed with a reason, usage, internal error, interrupted."""

SHARED_OPTIONS = frozenset(("--root", "--archive", "--cache", "--trace-http"))
"""Options with a value that may stand before the verb."""


class Verb:
    """A verb in the list of verbs; a plain class, because a named tuple takes 1 ms to define, and help 20.

    Parameters
    ----------
    module : str
        Name of its module in this package; with dots, its full name elsewhere.
    summary : str
        One line for `--help`.
    sub : mapping of str to Verb
        Verbs of its own, each with options and help of its own: `provenance export`.
    """

    __slots__ = ("module", "sub", "summary")

    def __init__(self, module: str, summary: str, sub: Mapping[str, Verb] = MappingProxyType({})) -> None:
        self.module, self.summary, self.sub = module, summary, sub


STAGES: dict[str, dict[str, Verb]] = {
    "archive": {
        "query": Verb("query", "find raw frames in the archive"),
        "associations": Verb("associations", "ask calSelector which calibrations belong to science frames"),
        "fetch": Verb("fetch", "download science frames and their calibrations, verified"),
        "refresh": Verb("refresh", "ask calSelector again, and show what changed"),
        "adopt": Verb("adopt", "import request packages, downloads or a history of Reflex"),
        "ancillary": Verb("ancillary", "list or download the files of processed products"),
        "datalink": Verb("datalink", "show what belongs to a file of the archive"),
        "night-log": Verb("night_log", "show the observer's report and grade of a frame"),
        "login": Verb("login", "log in at ESO, and keep the password in the keyring"),
        "logout": Verb("logout", "remove the password from the keyring"),
        "whoami": Verb("whoami", "show the ESO user you are logged in as"),
    },
    "datasets": {
        "organise": Verb("organise", "group files into datasets by association trees or OCA rules"),
        "why": Verb("why", "explain why a file is not used, or what a dataset lacks"),
        "review": Verb("review", "show alternative calibrations, and choose among them"),
    },
    "plan and run": {
        "reduce": Verb("reduce", "query, fetch, organise, plan and run, end to end"),
        "plan": Verb("plan", "show the ordered steps of each dataset"),
        "sof": Verb("sof", "write the SOF files, for use by hand with esorex"),
        "run": Verb("run", "run the recipes, reusing existing products"),
        "workflows": Verb(
            "workflows",
            "list, show or check workflow definitions",
            {
                "list": Verb("workflows", "list definitions, and packages of EDPS that were found"),
                "show": Verb("workflows_show", "show the steps of definitions, or the tasks of packages"),
                "check": Verb("workflows_check", "check definitions against recipes, rules and packages"),
                "compare": Verb("workflows_compare", "show where two definitions differ"),
                "import": Verb("workflows_import", "print a draft of a definition, from the rules of a pipeline"),
                "export": Verb("workflows_export", "write definitions as workflow packages of EDPS"),
            },
        ),
    },
    "look": {
        "provenance": Verb(
            "provenance",
            "show what a product was made from, down to the raws",
            {
                "export": Verb("provenance_export", "write a reduction to carry away, as an RO-Crate"),
                "reproduce": Verb("provenance_reproduce", "make products again, and compare them with the old ones"),
                "verify": Verb("provenance_verify", "check that a crate is what was exported"),
            },
        ),
        "compare": Verb("compare", "show what differs between two products or reductions"),
        "report": Verb("report", "write a page that shows what was made, and what is missing"),
        "explore": Verb("explore", "show that page in the browser, following what goes on"),
        "log": Verb("log", "show what a recipe said, and its warnings"),
        "status": Verb("status", "show history and disk use; verify files"),
        "clean": Verb("clean", "remove unneeded products"),
    },
    "many datasets": {
        "batch": Verb(
            "batch",
            "reduce many datasets, on this machine or on a cluster",
            {
                "resume": Verb("batch_again", "go on with a batch that was begun"),
                "retry": Verb("batch_again", "go on with a batch, and try again what failed"),
                "status": Verb("batch_look", "show how a batch stands"),
                "report": Verb("batch_look", "show what came of every dataset of a batch"),
                "cancel": Verb("batch_look", "end a batch; what was made is kept"),
            },
        ),
    },
    "ESO Reflex": {
        "reflex": Verb("reflex_actors.verb", "install, inspect, generate and validate actors and workflows"),
    },
    "try it": {
        "doctor": Verb("doctor", "check what is installed, and whether the archive can be reached"),
        "completion": Verb("completion", "print completion for a shell, or the manual page"),
        "demo": Verb("demo", "reduce a synthetic night from an embedded archive"),
    },
}
"""The verbs by the stage of work that they belong to, in the order of `--help`."""

_FIRST = ("demo", "reduce", "report")
"""The verbs that matter to a newcomer: see it work, do it, look at what came of it."""

_COLUMNS = 80

VERBS = {name: verb for verbs in STAGES.values() for name, verb in verbs.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; that of this process, where none is given, ends the process."""
    if argv is not None:
        return _run_words(argv)
    begin()
    try:
        code = _run_words(sys.argv[1:])
    except SystemExit as stop:  # of help, and of words that are not understood
        if not isinstance(stop.code, int):
            raise
        code = stop.code
    return end(code)


def _run_words(argv: Sequence[str]) -> int:
    words = _with_signs(argv)
    if words == ["help", "all"]:
        print(_all_verbs_text())
        return DONE
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    name = _verb_in(words)
    if name not in VERBS:
        return _overview(words, name)
    verb = VERBS[name]
    words.remove(name)
    second = _verb_in(words)
    if second is not None and second in verb.sub:
        words.remove(second)
        name, verb = f"{name} {second}", verb.sub[second]
    args = parser_of(name, verb).read(words)
    args.typed = tuple(argv)
    load_msgspec()
    return _run_guarded(_module_of(verb), args)


def _module_of(verb: Verb) -> VerbModule:
    module: VerbModule = importlib.import_module(verb.module if "." in verb.module else f"{__name__}.{verb.module}")
    return module


def parser_of(name: str, verb: Verb) -> VerbParser:
    """Return the parser of a verb's words."""
    from esorex_bridge.cli.parser import VerbParser

    module = _module_of(verb)
    parser = VerbParser(
        prog=f"esorex-bridge {name}",
        description=verb.summary[0].upper() + verb.summary[1:] + ".",
        epilog=f"{_sub_verbs(name, verb)}example:\n{_fold_examples(module.EXAMPLE.replace('{verb}', name))}",
        allow_abbrev=False,
    )
    parser.sub_verbs = tuple(verb.sub)
    parser.set_defaults(verb=name)
    module.configure(parser)
    return parser


def _fold_examples(text: str) -> str:
    """Return examples on lines of 80 columns, those that are longer with a backslash between words."""
    lines = [f"  {line.strip()}" for line in text.splitlines()]
    return "\n".join(" \\\n".join(_fold_example(line)) if len(line) > _COLUMNS else line for line in lines)


def _fold_example(line: str) -> list[str]:
    import textwrap

    wrapper = textwrap.TextWrapper(
        _COLUMNS - len(" \\"), "  ", "      ", break_long_words=False, break_on_hyphens=False
    )
    return wrapper.wrap(line.strip())


def _sub_verbs(name: str, verb: Verb) -> str:
    width = max(map(len, verb.sub), default=0)
    lines = [f"  {name} {word:<{width}}  {each.summary}" for word, each in verb.sub.items()]
    return "\n".join(["verbs of its own, each with --help:", *lines, "", ""]) if lines else ""


def _with_signs(words: Sequence[str]) -> list[str]:
    """Return words in which values such as `-05:23:28` hang on their options: they would pass for options."""
    joined: list[str] = []
    for word in words:
        before = joined[-1] if joined else ""
        if _is_negative(word) and before.startswith("--") and "=" not in before and before != "--":
            joined[-1] = f"{before}={word}"
        else:
            joined.append(word)
    return joined


def _is_negative(word: str) -> bool:
    return word.startswith("-") and word[1:].removeprefix(".")[:1].isdecimal()


def _verb_in(words: Sequence[str]) -> str | None:
    """Return the first word that is neither an option nor the value of one of the options that all verbs share."""
    for before, word in zip(("", *words), words, strict=False):
        if not word.startswith("-") and before not in SHARED_OPTIONS:
            return word
    return None


def _overview(words: list[str], name: str | None) -> int:
    if "--version" in words:
        from esorex_bridge.cli.doctor import versions

        print("\n".join((f"esorex-bridge {__version__}", *versions())))
        return DONE
    if name is None and (not words or set(words) & {"-h", "--help"}):
        print(_help_text(), end="")
        return DONE if words else USAGE
    from esorex_bridge.cli import output

    said = f"{_unknown(words, name)}; 'esorex-bridge --help' lists the verbs"
    return output.report_failure(said, "Usage", USAGE, "--json" in words)


def _help_text() -> str:
    """Return what fits a screen of 24 lines of 80 columns: the verbs to begin with, and the names of all."""
    first = "\n".join(f"  {name:<8}{VERBS[name].summary}" for name in _FIRST)
    width = max(map(len, STAGES))
    stages = "\n".join(_stage_lines(stage, width) for stage in STAGES)
    return (
        "usage: esorex-bridge VERB [options]\n\n"
        "From the ESO archive to reduced data. Verbs to begin with:\n"
        f"{first}\n\n"
        "all verbs, by stage:\n"
        f"{stages}\n\n"
        "'esorex-bridge help all' says what each verb does, 'esorex-bridge VERB --help'\n"
        "shows its options with an example.\n"
    )


def _stage_lines(stage: str, width: int) -> str:
    """Return the verbs of a stage on lines of 80 columns."""
    lines, room = [""], _COLUMNS - width - 4
    for name in STAGES[stage]:
        if len(lines[-1]) + len(name) + 1 > room:
            lines.append("")
        lines[-1] += f" {name}" if lines[-1] else name
    return f"\n{'':{width + 4}}".join([f"  {stage:<{width}}  {lines[0]}", *lines[1:]])


def _all_verbs_text() -> str:
    """Return every verb with what it does."""
    width = max(map(len, VERBS))
    return "\n".join(
        f"{stage}:\n" + "\n".join(f"  {name:<{width}}  {verb.summary}" for name, verb in verbs.items())
        for stage, verbs in STAGES.items()
    )


def _unknown(words: Sequence[str], name: str | None) -> str:
    if name is None:
        return f"no verb given, only '{words[0]}'"
    near = nearest_name(name, VERBS)
    return f"unknown verb '{name}'" + (f", did you mean '{near}'?" if near else "")


def _refusal_of_system(error: OSError) -> str:
    """Return what the system refused, and what to do."""
    from esorex_bridge.log import logger

    logger(__name__).info("traceback", exc_info=error)
    what = f"{error.filename}: " if error.filename is not None else ""
    return f"{what}{error.strerror or error}; make room, get the right, or name another place, and run again"


class StopRequest(KeyboardInterrupt):
    """Somebody asked us to stop, by a signal: all is put in order as after Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


_STOPS: tuple[tuple[signal.Signals, object, Callable[[int], KeyboardInterrupt]], ...] = (
    (signal.SIGTERM, signal.SIG_DFL, StopRequest),
    (signal.SIGHUP, signal.SIG_DFL, StopRequest),
    (signal.SIGINT, signal.default_int_handler, lambda number: KeyboardInterrupt()),
)
"""What asks us to stop, how Python handles it where nobody said otherwise, and the error that it is for us."""


def _run_guarded(module: VerbModule, args: argparse.Namespace) -> int:
    from esorex_bridge.cli import arguments, output
    from esorex_bridge.signals import make_handler

    output.configure(getattr(args, "verbose", 0))
    as_json = bool(getattr(args, "json", False))
    for number, usual, error in _STOPS:
        if signal.getsignal(number) is usual and current_thread() is main_thread():
            signal.signal(number, make_handler(error))
    try:
        arguments.apply_defaults(args)
        if getattr(args, "root", None) is not None:
            from esorex_bridge.workspace.sharing import share_with_group

            share_with_group(args.root)
        return module.run(args)
    except BridgeError as error:
        return output.report_failure(str(error), type(error).__name__, REFUSED, as_json)
    except StopRequest as stop:
        name = signal.Signals(stop.number).name
        said = f"stopped by {name}; what was finished is kept, the next run goes on from there"
        return output.report_failure(said, "Interrupted", 128 + stop.number, as_json)
    except KeyboardInterrupt:
        return output.report_failure(
            "interrupted; what was finished is kept, the next run goes on from there",
            "Interrupted",
            INTERRUPTED,
            as_json,
        )
    except BrokenPipeError:
        return output.leave_quietly()
    except OSError as error:
        return output.report_failure(_refusal_of_system(error), "SystemRefusal", REFUSED, as_json)
    except UnicodeEncodeError as error:
        said = f"a path or a text cannot be written as UTF-8 ({error.object!r:.200}); rename it and run again"
        return output.report_failure(said, "SystemRefusal", REFUSED, as_json)
    except Exception as error:
        return output.report_crash(error, INTERNAL_ERROR, as_json)

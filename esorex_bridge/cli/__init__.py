"""The command `esorex-bridge`: one module per verb, loaded only when its verb is typed."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from esorex_bridge.errors import BridgeError
from esorex_bridge.version import __version__

DONE, REFUSED, USAGE, OUR_BUG, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: done, refused or failed with a reason, usage, our bug, interrupted."""


class VerbModule(Protocol):
    """What the module of a verb offers."""

    EXAMPLE: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Carry the verb out and return the exit code."""


class Verb(Struct, frozen=True):
    """A verb in the list of verbs.

    Parameters
    ----------
    module : str
        Name of its module in this package; with dots, its full name elsewhere.
    summary : str
        One line for `--help`.
    """

    module: str
    summary: str


VERBS = {
    "query": Verb("query", "find raw frames in the archive"),
    "associations": Verb("associations", "ask calSelector what calibrates science frames"),
    "fetch": Verb("fetch", "fetch science frames with all that calibrates them, verified"),
    "refresh": Verb("refresh", "ask again for uncertified, incomplete or old associations, and say what changed"),
    "adopt": Verb("adopt", "take a request package or a folder of downloads into use"),
    "ancillary": Verb("ancillary", "list or fetch the files of processed products"),
    "datalink": Verb("datalink", "show what belongs to a file of the archive"),
    "night-log": Verb("night_log", "show the observer's report for a frame, and its grade"),
    "login": Verb("login", "check user and password with ESO, and keep them in the keyring"),
    "logout": Verb("logout", "take the password out of the keyring"),
    "whoami": Verb("whoami", "say who the archive takes you for"),
    "organise": Verb("organise", "files on disk become datasets, by association trees, OCA rules, or both"),
    "why": Verb("why", "tell in words why a file is not used, or what a dataset still needs"),
    "review": Verb("review", "show the alternatives for each calibration, and keep your choice"),
    "plan": Verb("plan", "show the ordered steps of each dataset, or check a workflow definition"),
    "sof": Verb("sof", "write the SOF files, for use by hand with esorex"),
    "run": Verb("run", "carry out the plan of datasets on this machine, reusing what exists"),
    "reduce": Verb("reduce", "query, fetch, organise, plan and run: from names to products"),
    "workflows": Verb("workflows", "list, show or check the workflow definitions"),
    "reflex": Verb("reflex_actors.verb", "actors and workflow files for ESO Reflex: install, look, write, check"),
    "batch": Verb("batch", "many datasets at once, here or on a cluster; status, report, cancel, resume, retry"),
    "status": Verb("status", "runs, hits and misses, what is recorded, disk used"),
    "clean": Verb("clean", "remove products that no dataset needs"),
    "demo": Verb("demo", "the whole road on an embedded archive with synthetic nights"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in words if not word.startswith("-")), None)
    if name not in VERBS:
        return _overview(words, name)
    verb = VERBS[name]
    module: VerbModule = importlib.import_module(verb.module if "." in verb.module else f"{__name__}.{verb.module}")
    parser = argparse.ArgumentParser(
        prog=f"esorex-bridge {name}",
        description=verb.summary[0].upper() + verb.summary[1:] + ".",
        epilog=f"example:\n  {module.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    words.remove(name)
    args = parser.parse_args(words)
    return _guarded(module, args)


def _overview(words: list[str], name: str | None) -> int:
    if "--version" in words:
        print(f"esorex-bridge {__version__}")
        return DONE
    width = max(map(len, VERBS))
    listing = "\n".join(f"  {verb:<{width}}  {VERBS[verb].summary}" for verb in VERBS)
    text = (
        "usage: esorex-bridge VERB [options]\n\n"
        "From the ESO archive to reduced data.\n\n"
        f"verbs:\n{listing}\n\n"
        "Each verb has --help with an example. --version prints the version.\n\n"
        "example:\n  esorex-bridge demo --root /tmp/demo\n"
    )
    if name is None and (not words or set(words) & {"-h", "--help"}):
        print(text, end="")
        return DONE if words else USAGE
    unknown = f"no verb '{name}'" if name else f"no option '{words[0]}' without a verb"
    print(f"esorex-bridge: {unknown}; 'esorex-bridge --help' lists the verbs", file=sys.stderr)
    return USAGE


def _guarded(module: VerbModule, args: argparse.Namespace) -> int:
    from esorex_bridge.cli import output

    output.configure(getattr(args, "verbose", 0))
    as_json = bool(getattr(args, "json", False))
    try:
        return module.run(args)
    except BridgeError as error:
        return output.failed(str(error), type(error).__name__, REFUSED, as_json)
    except KeyboardInterrupt:
        return output.failed(
            "interrupted; what was finished is kept, the next run goes on from there",
            "Interrupted",
            INTERRUPTED,
            as_json,
        )
    except BrokenPipeError:
        return output.abandoned()
    except Exception as error:
        return output.crashed(error, OUR_BUG, as_json)

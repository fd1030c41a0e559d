"""`esorex-bridge completion`: completion for a shell, made by shtab from the parsers; and the manual page."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import date

from esorex_bridge.version import __version__

EXAMPLE = (
    "esorex-bridge completion bash > ~/.local/share/bash-completion/completions/esorex-bridge\n"
    "  esorex-bridge completion man > ~/.local/share/man/man1/esorex-bridge.1"
)
SHELLS = ("bash", "zsh", "fish", "tcsh")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("what", metavar="SHELL|man", choices=(*SHELLS, "man"), help="a shell, or the manual page")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, and nothing else there")


def run(args: argparse.Namespace) -> int:
    """Print the script or the page."""
    from esorex_bridge.cli import output

    text = "\n".join(_manual_page()) + "\n" if args.what == "man" else _script(args.what)
    if args.json:
        from esorex_bridge.cli.documents.checks import CompletionDocument

        output.emit_json(CompletionDocument(what=args.what, text=text))
    else:
        print(text, end="")
    return 0


def _script(shell: str) -> str:
    import shtab

    text: str = shtab.complete(whole_parser(), shell)
    return text


def whole_parser() -> argparse.ArgumentParser:
    """Return one parser of all verbs with their options, for tools that want to know them all."""
    from esorex_bridge.cli import VERBS, parser_of

    whole = argparse.ArgumentParser(prog="esorex-bridge", description="From the ESO archive to reduced data.")
    whole.add_argument("--version", action="store_true", help="print the versions of the bridge and the pipelines")
    verbs = whole.add_subparsers(metavar="VERB")
    for name, verb in VERBS.items():
        parent = parser_of(name, verb)
        if parent._subparsers is None:
            verbs.add_parser(name, help=verb.summary, parents=[parent], add_help=False, conflict_handler="resolve")
        else:
            verbs.add_parser(name, help=verb.summary)
    return whole


def _manual_page() -> Iterator[str]:
    """Yield the lines of the manual page in roff: what there is in `--help`, of all verbs."""
    from esorex_bridge.cli import STAGES, parser_of

    yield f'.TH ESOREX-BRIDGE 1 "{date.today():%Y-%m-%d}" "esorex-bridge {__version__}"'
    yield ".SH NAME\nesorex-bridge \\- from the ESO archive to reduced data, end to end"
    yield ".SH SYNOPSIS\n.B esorex-bridge\n.I VERB\n[options]"
    for stage, verbs in STAGES.items():
        yield f'.SH "{stage.upper()}"'
        for name, verb in verbs.items():
            yield f'.SS "{name}"\n.nf'
            yield from map(_escape, parser_of(name, verb).format_help().splitlines())
            yield ".fi"
    yield ".SH EXIT STATUS\n0 done, 1 refused or failed with a reason, 2 usage, 3 internal error, 130 interrupted"


def _escape(line: str) -> str:
    text = line.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text

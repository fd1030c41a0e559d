"""The parser of a verb's words: one sentence for what is wrong, the nearest that there is, and what to type next."""

from __future__ import annotations

import argparse
import re
import sys
from typing import NoReturn

from esorex_bridge.errors import nearest_name
from esorex_bridge.progress.lines import count_columns

USAGE = 2
_UNKNOWN = r"(?s)unrecognized arguments: (.*)"
_CHOICE = r"(?s)argument (?P<of>\S+): invalid choice: '(?P<word>[^']*)' \(choose from (?P<known>.*)\)"
_KIND = r"(?s)argument (?P<of>\S+): invalid (?P<kind>\w+) value: '(?P<word>.*)'"
_WIDTH = 80

# argparse looks for translations of each of its words, and loads what knows of languages for that. There are none, and
# we put some of its words into our own.
argparse._ = str  # type: ignore[attr-defined]


class VerbParser(argparse.ArgumentParser):
    """Reads options and names in any order; a mistake ends with exit code 2.

    `as_json` says that the mistake is told as a JSON document too.
    """

    as_json = False
    words: tuple[str, ...] = ()
    sub_verbs: tuple[str, ...] = ()
    _helps = False

    def read(self, words: list[str]) -> argparse.Namespace:
        """Return what a command line says; names may stand before and after options: `batch report --root R NAME`."""
        self.as_json, self.words = "--json" in words, tuple(words)
        if not any(map(_asks_for_help, words)):
            self.usage = ""  # else it is laid out for errors, which we tell in one sentence without it
        return self.parse_args(words) if self._subparsers else self.parse_intermixed_args(words)

    def _get_formatter(self) -> argparse.HelpFormatter:
        """Return what lays out help, which alone is as wide as the terminal."""
        width = count_columns(_WIDTH) - 2 if self._helps else _WIDTH
        return argparse.RawDescriptionHelpFormatter(self.prog, width=width)

    def format_help(self) -> str:
        """Return the help."""
        self._helps = True
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """End with what is wrong, in one sentence, and where help is."""
        from esorex_bridge.cli import output

        text = f"{self._in_words(message)}; '{self.prog} --help' shows what there is"
        sys.exit(output.report_failure(text, "Usage", USAGE, self.as_json))

    def _in_words(self, message: str) -> str:
        if found := re.fullmatch(_UNKNOWN, message):
            return self._unknown(found[1].split()[0])
        if found := re.fullmatch(_CHOICE, message):
            known = [word.strip(" '") for word in found["known"].split(",")]
            near = nearest_name(found["word"], known)
            said = f", did you mean '{near}'?" if near else ""
            return f"{found['of']} is none of {', '.join(known)}: '{found['word']}'{said}"
        if found := re.fullmatch(_KIND, message):
            kind = {"int": "a whole number", "float": "a number"}.get(found["kind"], found["kind"])
            return f"{found['of']} is '{found['word']}'; it must be {kind}"
        return message.removeprefix("argument ").replace("the following arguments are required:", "missing:")

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            near = next((near for each in self.words if (near := nearest_name(each, self.sub_verbs))), None)
            return f"'{word}' is one word too many" + (f", did you mean '{near}'?" if near else "")
        name = word.partition("=")[0]
        near = nearest_name(name, [option for option in self._option_string_actions if option.startswith("--")])
        return f"unknown option '{name}'" + (f", did you mean '{near}'?" if near else "")


def _asks_for_help(word: str) -> bool:
    """Tell whether a word is `--help`, or short options with `h` as the last one."""
    return word == "--help" or (word.startswith("-") and word[1:].isalpha() and word.endswith("h"))

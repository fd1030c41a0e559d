"""The parser of a verb's words: one sentence for what is wrong, the nearest that there is, and what to type next."""

from __future__ import annotations

import argparse
import re
import sys
from typing import NoReturn

from esorex_bridge.errors import nearest_name

USAGE = 2
_HELP = re.compile(r"--help|-[A-Za-z]*h")
_UNKNOWN = re.compile(r"unrecognized arguments: (.*)", re.DOTALL)
_CHOICE = re.compile(
    r"argument (?P<of>\S+): invalid choice: '(?P<word>[^']*)' \(choose from (?P<known>.*)\)", re.DOTALL
)


class VerbParser(argparse.ArgumentParser):
    """Reads options and names in any order; a mistake ends with exit code 2.

    `as_json` says that the mistake is told as a JSON document too.
    """

    as_json = False
    words: tuple[str, ...] = ()
    sub_verbs: tuple[str, ...] = ()

    def read(self, words: list[str]) -> argparse.Namespace:
        """Return what a command line says; names may stand before and after options: `batch report --root R NAME`."""
        self.as_json, self.words = "--json" in words, tuple(words)
        if not any(_HELP.fullmatch(word) for word in words):
            self.usage = ""  # else it is laid out for errors, which we tell in one sentence without it
        return self.parse_args(words) if self._subparsers else self.parse_intermixed_args(words)

    def error(self, message: str) -> NoReturn:
        """End with what is wrong, in one sentence, and where help is."""
        from esorex_bridge.cli import output

        text = f"{self._in_words(message)}; '{self.prog} --help' shows what there is"
        sys.exit(output.report_failure(text, "Usage", USAGE, self.as_json))

    def _in_words(self, message: str) -> str:
        if found := _UNKNOWN.fullmatch(message):
            return self._unknown(found[1].split()[0])
        if found := _CHOICE.fullmatch(message):
            known = [word.strip(" '") for word in found["known"].split(",")]
            near = nearest_name(found["word"], known)
            said = f", did you mean '{near}'?" if near else ""
            return f"{found['of']} is none of {', '.join(known)}: '{found['word']}'{said}"
        return message.removeprefix("argument ")

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            near = next((near for each in self.words if (near := nearest_name(each, self.sub_verbs))), None)
            return f"'{word}' is one word too many" + (f", did you mean '{near}'?" if near else "")
        name = word.partition("=")[0]
        near = nearest_name(name, [option for option in self._option_string_actions if option.startswith("--")])
        return f"unknown option '{name}'" + (f", did you mean '{near}'?" if near else "")

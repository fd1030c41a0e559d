"""What went wrong in a run of EsoRex, in words: from exit code, messages and log to one sentence.

EsoRex passes CPL's error code on as its exit code; some codes come from EsoRex itself and some from the recipe.
Sources: EsoRex 3.13 and CPL 7.2 as measured.
"""

from __future__ import annotations

import re
import signal

_CPL_CODES = {
    1: "unspecified error",
    2: "error history lost",
    3: "duplicate stream",
    4: "stream assignment",
    5: "file input/output error",
    6: "bad file format (a file is damaged or no FITS)",
    7: "file already open",
    8: "file could not be created",
    9: "file not found",
    10: "data not found (a keyword, an extension, or frames of a tag are missing)",
    11: "access beyond boundaries",
    12: "null input",
    13: "input data do not match (sizes, settings, or an unknown recipe)",
    14: "illegal input (a value out of its range, or not a number)",
    15: "illegal output",
    16: "unsupported mode",
    17: "singular matrix",
    18: "division by zero",
    19: "type mismatch (a keyword has another type than the recipe expects)",
    20: "invalid type",
    21: "iterative process did not converge",
    22: "no world coordinate system",
}
_ESOREX_CODES = {
    61: "the products could not be moved",
    62: "the products could not be linked",
    66: "the disk is full",
    67: "no permission to write the products",
    68: "the file system of the products is read-only",
    250: "the recipe configuration names a parameter that the recipe does not have",
    251: "the recipe configuration has a value that the recipe does not allow",
    255: "the recipe refused its input or an argument",
}
WARNED = " warned: "
"""What stands between a recipe and its words, where a warning is the recipe's own."""

REPORTED = " exited with status 0, but reported: "
"""What stands between a recipe and its words, where they are an error."""

_MOST_WARNINGS = 5
_STACK = re.compile(r"\[1/\d+\]\s*(.+)")
_DUMP = re.compile(r"\[\d+/\d+\]|Dumping all \d+ error")
_WARNING = re.compile(r"\[WARNING\]\s*([^:\s]+):\s*(?:\[tid=\d+\]\s*)?(.+)")
_ERROR = re.compile(r"\[\s*ERROR\s*\]\s*([^:\s]+):\s*(?:\[tid=\d+\]\s*)?(.+)")


def explain_exit(code: int) -> str:
    """Say what an exit code of EsoRex means; negative codes are signals, as Python's subprocess gives them."""
    if code > 128 and code not in _ESOREX_CODES:
        code = 128 - code
    if code < 0:
        name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
        if name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL"):
            return f"the recipe crashed ({name}); most often its input frames differ in size, chips or extensions"
        if name == "SIGKILL":
            return "it was killed (SIGKILL), as the system does where memory is short"
        return f"it was ended from outside ({name})"
    return _CPL_CODES.get(code) or _ESOREX_CODES.get(code) or "unknown exit code"


def warnings_in(*texts: str) -> tuple[str, ...]:
    """Return the warnings of a recipe, each once, EsoRex's own left out; the first few where there are many."""
    found = (match.groups() for text in texts for line in text.splitlines() if (match := _WARNING.search(line)))
    own = (
        f"{component} warned: {text}" for component, text in found if component != "esorex" and not _DUMP.match(text)
    )
    told = tuple(dict.fromkeys(own))
    return (
        told
        if len(told) <= _MOST_WARNINGS
        else (*told[:_MOST_WARNINGS], f"the recipe{WARNED}{_times(len(told) - _MOST_WARNINGS)}")
    )


def _times(number: int) -> str:
    return f"{number} more time" + "s" * (number > 1)


def first_error(*texts: str) -> str:
    """Return the root cause that messages or a log name; empty where none does.

    The first line of CPL's error dump is the root; without a dump it is the first ERROR that the recipe, not EsoRex
    itself, wrote.
    """
    lines = [line for text in texts for line in text.splitlines()]
    for line in lines:
        if found := _STACK.search(line):
            return found.group(1).strip()
    errors = [found.groups() for line in lines if (found := _ERROR.search(line))]
    for component, message in errors:
        if component != "esorex":
            return f"{component}: {message.strip()}"
    return f"esorex: {errors[0][1].strip()}" if errors else ""

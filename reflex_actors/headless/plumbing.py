"""The actors of Ptolemy and Kepler that workflow files use between ESO's: constants, switches, texts, counters."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path

from reflex_actors.headless.director import Fire
from reflex_actors.headless.network import RunningActor
from reflex_actors.headless.running import Running
from reflex_actors.headless.tokens import WorkflowError, first, flag_of, number_of, settle, text_of

JAVA_TIME = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
"""Letters of Java's time formats."""


def constant(node: RunningActor, run: Running) -> Fire:
    """A text or a value, sent at each trigger, as often as its limit allows."""
    sent = count(1)

    def fire() -> bool:
        node.take("trigger")
        node.send("output", node.variables.value("value"))
        limit = node.variables.value("firingCountLimit") if "firingCountLimit" in node.variables else 0
        return next(sent) != limit

    return fire


def set_variable(node: RunningActor, run: Running) -> Fire:
    """A parameter is given the value of a token, now or after this round."""

    def fire() -> None:
        value = settle(first(node.take("input")))
        place, name = node.variables.outer, node.text("variableName")
        if place is None:
            raise WorkflowError("it stands in no workflow")
        if isinstance(value, str):
            value = place.substitute_names(value)
        if node.flag("delayed", True):
            run.delayed.append((place, name, value))
        else:
            place.assign(name, value)
        node.send("output", value)

    return fire


def counter(node: RunningActor, run: Running) -> Fire:
    """How many tokens have come."""
    number = 0

    def fire() -> None:
        nonlocal number
        number += len(node.take("increment")) - len(node.take("decrement"))
        node.send("output", number)

    return fire


def synchronizer(node: RunningActor, run: Running) -> Fire:
    """Tokens wait for each other."""

    def fire() -> None:
        for number, token in enumerate(node.take("input")):
            if "output" in node.outputs:
                node.outputs["output"].send_on(number, token)

    return fire


def sample_delay(node: RunningActor, run: Running) -> Fire:
    """Sends its initial tokens before anything runs, then what comes."""
    initial = node.variables.value("initialOutputs") if "initialOutputs" in node.variables else (0,)
    for token in initial if isinstance(initial, tuple) else (initial,):
        node.send("output", token)

    def fire() -> None:
        node.send("output", first(node.take("input")))

    return fire


def elements_to_array(node: RunningActor, run: Running) -> Fire:
    """One token of each channel, as an array."""

    def fire() -> None:
        node.send("output", tuple(settle(token) for token in node.take("input")))

    return fire


def join_texts(node: RunningActor, run: Running) -> Fire:
    """Texts put together."""

    def fire() -> None:
        between = node.text("Substring separator")
        node.send("whole", between.join(map(text_of, node.take("parts"))))

    return fire


def text_to_integer(node: RunningActor, run: Running) -> Fire:
    """A text read as an integer."""

    def fire() -> None:
        node.send("integer", int(number_of(first(node.take("string")))))

    return fire


def timestamp(node: RunningActor, run: Running) -> Fire:
    """The time as text; without a trigger once."""

    def fire() -> bool:
        node.take("trigger")
        node.send("output", time_text(datetime.now(), node.text("format", "yyyy-MM-dd'T'HH:mm:ss")))
        return "trigger" in node.inputs

    return fire


def time_text(moment: datetime, java_format: str) -> str:
    """Return a time in one of Java's formats.

    >>> time_text(datetime(2026, 3, 4, 5, 6, 7), "yyyy-MM-dd'T'HH:mm:ss")
    '2026-03-04T05:06:07'
    """

    def letters(found: re.Match[str]) -> str:
        if found.group(1) is not None:
            return found.group(1)
        word = found.group(0)
        return f"{moment.microsecond // 1000:03d}" if word == "SSS" else moment.strftime(JAVA_TIME.get(word, word))

    return re.sub(r"'([^']*)'|yyyy|MM|dd|HH|mm|SSS|ss", letters, java_format)


def value_given(node: RunningActor, name: str) -> str:
    """Return the value of a parameter that is a port as well: the token's, where one has come."""
    tokens = node.take(name)
    return text_of(tokens[0]) if tokens else node.text(name)


_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "equals": str.__eq__,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}


def compare_texts(node: RunningActor, run: Running) -> Fire:
    """Whether two texts are equal, or one begins or ends with the other."""

    def fire() -> None:
        one, other = value_given(node, "firstString"), value_given(node, "secondString")
        if node.flag("ignoreCase"):
            one, other = one.lower(), other.lower()
        node.send("output", _TEXT_TESTS[node.text("function", "equals")](one, other))

    return fire


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    "==": lambda left, right: left == right,
}


def compare_numbers(node: RunningActor, run: Running) -> Fire:
    """Whether one number is greater than another, or what else the comparison says."""

    def fire() -> None:
        left, right = (number_of(first(node.take(port))) for port in ("left", "right"))
        node.send("output", _COMPARISONS[node.text("comparison", ">").strip()](left, right))

    return fire


def combine_flags(node: RunningActor, run: Running) -> Fire:
    """And, or, xor, and their contraries."""

    def fire() -> None:
        node.send("output", _combine(node.text("function", "and"), list(map(flag_of, node.take("input")))))

    return fire


def _combine(function: str, flags: list[bool]) -> bool:
    plain = {"nand": "and", "nor": "or", "xnor": "xor"}.get(function, function)
    found = {"and": all(flags), "or": any(flags), "xor": sum(flags) % 2 == 1}[plain]
    return found == (plain == function)


def negate(node: RunningActor, run: Running) -> Fire:
    """True becomes false."""

    def fire() -> None:
        for token in node.take("input"):
            node.send("output", not flag_of(token))

    return fire


def is_present(node: RunningActor, run: Running) -> Fire:
    """Says that a token has come."""

    def fire() -> None:
        for _ in node.take("input"):
            node.send("output", True)

    return fire


def switch(node: RunningActor, run: Running) -> Fire:
    """What comes goes one way or the other."""
    way = "falseOutput"

    def fire() -> None:
        nonlocal way
        for token in node.take("control"):
            way = "trueOutput" if flag_of(token) else "falseOutput"
        for number, token in enumerate(node.take("input")):
            if way in node.outputs:
                node.outputs[way].send_on(number, token)

    return fire


class Select:
    """Takes a token from one of two inputs, as the control says: first the control, then the token."""

    def __init__(self, node: RunningActor, run: Running) -> None:
        self._node, self._chosen = node, ""
        self._wait_for("control")

    def __call__(self) -> None:
        """Fire."""
        if self._chosen:
            for token in self._node.take(self._chosen):
                self._node.send("output", token)
            self._chosen = ""
            self._wait_for("control")
        else:
            self._chosen = "trueInput" if flag_of(first(self._node.take("control"))) else "falseInput"
            self._wait_for(self._chosen)

    def _wait_for(self, port: str) -> None:
        for each in ("control", "trueInput", "falseInput"):
            self._node.rate(each, 1 if each == port else 0)


def make_directory(node: RunningActor, run: Running) -> Fire:
    """A folder is made."""

    def fire() -> None:
        node.take("trigger")
        folder = value_given(node, "Directory name")
        if folder and not run.options.dry_run:
            Path(folder).mkdir(parents=True, exist_ok=True)

    return fire


def write_file(node: RunningActor, run: Running) -> Fire:
    """A text is written to a file, or to the terminal."""

    def fire() -> None:
        name = value_given(node, "fileName")
        for token in node.take("input"):
            if name in ("/dev/stdout", "System.out"):
                _say(run, text_of(token))
            elif not run.options.dry_run:
                _write(Path(name), text_of(token), node.flag("append"))
        node.send("url", name)

    return fire


def _write(path: Path, text: str, append: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a" if append else "w", encoding="utf-8") as stream:
        stream.write(text + "\n")


def display(node: RunningActor, run: Running) -> Fire:
    """A text is shown."""

    def fire() -> None:
        for token in node.take("input"):
            _say(run, text_of(token))

    return fire


def _say(run: Running, text: str) -> None:
    run.account.said.append(text)
    # A workflow says that a dataset has been reduced; in a dry run it has not.
    if not run.options.dry_run:
        sys.stderr.write(text.rstrip() + "\n")


def swallow(node: RunningActor, run: Running) -> Fire:
    """Takes what comes and does nothing: a window that is not shown."""

    def fire() -> None:
        for port in node.inputs:
            node.take(port)

    return fire

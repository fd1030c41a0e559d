"""The protocol of Reflex's PythonActor: ports declared once, a help page to find them by, JSON files in and out.

Python 3.8 and the standard library only, so that an actor can run in Reflex's own interpreter. The contract is that of
ESO's `reflex` module, of which nothing is copied: docs/reference/actors.md tells it.

    from reflex_actors.protocol import Actor, Port, main

    def work(inputs):
        return {"out_sof": inputs.sof("in_sof")}

    main(Actor("pass_on", "Hands files on.", (Port("in_sof", kind="sof"),), (Port("out_sof", kind="sof"),)), work)
"""

from __future__ import annotations

import json
import optparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from reflex_actors.ports import Actor, ActorError, Inputs, Port, document, value_of
from reflex_actors.sof_json import EncodingError

__all__ = ["Actor", "ActorError", "Inputs", "Port", "main", "run"]

RESERVED = ("input-parameters-file", "output-parameters-file", "products-dir", "stdout-file", "stderr-file")
"""Options that Reflex itself gives; they are no ports."""

DONE, REFUSED, USAGE, BUG, UNKNOWN_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 255, 130, 143
"""Statuses. 255 for an unknown key in the input file is what ESO's module ends with."""

_WIDTH = 110

if TYPE_CHECKING:
    Work = Callable[[Inputs], Mapping[str, Any]]


def main(actor: Actor, work: Work, argv: Sequence[str] | None = None, refusals: Iterable[type[Exception]] = ()) -> None:
    """Run an actor on a command line and end the process with its status.

    Parameters
    ----------
    actor : Actor
        Its face.
    work : callable
        Gets the inputs, returns the outputs by name.
    argv : sequence of str, optional
        The words after the script's name.
    refusals : iterable of exception classes
        Whose messages are for the user, beside ActorError and EncodingError.
    """
    sys.exit(run(actor, work, sys.argv[1:] if argv is None else argv, tuple(refusals)))


def run(actor: Actor, work: Work, argv: Sequence[str], refusals: tuple[type[Exception], ...] = ()) -> int:
    """Run an actor on a command line and return its status."""
    parser = parser_of(actor)
    try:
        options, rest = parser.parse_args(list(argv))
        if rest:
            parser.error(f"this actor takes options only, not {rest[0]!r}")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else USAGE
    known: tuple[type[Exception], ...] = (ActorError, EncodingError, *refusals)
    with _logged(options):
        try:
            return _carry_out(actor, work, vars(options))
        except _UnknownInputError as error:
            return _say(str(error), UNKNOWN_INPUT)
        except known as error:
            return _say(f"{actor.name}: {error}", REFUSED)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            return _say(f"{actor.name}: {error.strerror or error}{where}", REFUSED)
        except KeyboardInterrupt:
            return _say(f"{actor.name}: interrupted; what was finished is kept", INTERRUPTED)
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else REFUSED
        except Exception:
            traceback.print_exc()
            return _say(f"{actor.name}: internal error; please report it with the lines above", BUG)


def parser_of(actor: Actor) -> optparse.OptionParser:
    """Return the parser of an actor's command line; its help page is what Reflex makes ports from."""
    parser = _Parser(actor)
    for name in RESERVED:
        parser.add_option("--" + name)
    for port in actor.inputs:
        parser.add_option(*_spellings(port), dest=port.name, help=port.help)
    return parser


class _Parser(optparse.OptionParser):
    def __init__(self, actor: Actor) -> None:
        formatter = optparse.IndentedHelpFormatter(width=_WIDTH)
        super().__init__(prog=actor.name, usage="%prog [options]", description=actor.summary, formatter=formatter)
        self._actor = actor

    def format_help(self, formatter: Any = None) -> str:
        outputs = optparse.OptionParser(
            usage=optparse.SUPPRESS_USAGE, add_help_option=False, formatter=optparse.IndentedHelpFormatter(width=_WIDTH)
        )
        for port in self._actor.outputs:
            outputs.add_option(*_spellings(port), dest=port.name, help=port.help)
        lines = outputs.format_option_help().splitlines()[1:]
        return super().format_help(formatter) + "\noutputs:\n" + "".join(line + "\n" for line in lines)


def _spellings(port: Port) -> tuple[str, ...]:
    long = "--" + port.name
    return ("-" + port.short, long) if port.short else (long,)


def _carry_out(actor: Actor, work: Work, options: dict[str, Any]) -> int:
    inputs = Inputs(_values(actor, options), options["products_dir"])
    target = options["output_parameters_file"]
    with _end_by_signal():
        # What an actor prints must not mix with its answer where that goes to stdout.
        with redirect_stdout(sys.stdout if target else sys.stderr):
            answer = work(inputs)
        text = json.dumps(document(actor, answer), sort_keys=True, indent=2)
        if target:
            _write_whole(target, text)
        else:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
    return DONE


class _UnknownInputError(Exception):
    """The input file names a port that the actor does not have."""


def _values(actor: Actor, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs: defaults first, the file over them, the command line over both."""
    given = {port.name: port.default for port in actor.inputs if port.default is not None}
    path = options["input_parameters_file"]
    if path:
        given.update(_read_inputs(path, {port.name for port in actor.inputs}))
    given.update({port.name: options[port.name] for port in actor.inputs if options[port.name] is not None})
    missing = [port.name for port in actor.inputs if port.required and given.get(port.name) in (None, "")]
    if missing:
        listing = ", ".join(missing)
        raise ActorError(f"no value for {listing}; link the port, or give --{missing[0]}")
    return {port.name: value_of(port, given[port.name]) for port in actor.inputs if given.get(port.name) is not None}


def _read_inputs(path: str, known: set[str]) -> dict[str, Any]:
    with Path(path).open(encoding="utf-8") as stream:
        try:
            found = json.load(stream)
        except ValueError as error:
            raise ActorError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ActorError(f"{path} must hold one JSON object with a value for each port")
    for key in found:
        if key not in known:
            raise _UnknownInputError(f"{path}: error: no such option: {key}")
    return found


def _write_whole(path: str, text: str) -> None:
    part = Path(f"{path}.{os.getpid()}.part")
    try:
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(path)
    finally:
        if part.exists():
            part.unlink()


def _say(text: str, status: int) -> int:
    sys.stderr.write(text.rstrip() + "\n")
    sys.stderr.flush()
    return status


@contextmanager
def _end_by_signal() -> Iterator[None]:
    """Let SIGTERM, by which Reflex ends an actor, unwind as Ctrl-C does: a running recipe is ended with it."""

    def end(_number: int, _frame: Any) -> None:
        raise SystemExit(TERMINATED)

    earlier = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


class _Tee:
    """A stream that is written to two places."""

    def __init__(self, stream: TextIO, copy: TextIO) -> None:
        self._stream, self._copy = stream, copy

    def write(self, text: str) -> int:
        self._copy.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._copy.flush()
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _logged(options: Any) -> Iterator[None]:
    """Copy stdout and stderr to the files that Reflex names when it runs an actor in a terminal."""
    with ExitStack() as stack:
        if options.stdout_file:
            out: Any = _Tee(sys.stdout, stack.enter_context(Path(options.stdout_file).open("w", encoding="utf-8")))
            stack.enter_context(redirect_stdout(out))
        if options.stderr_file:
            err: Any = _Tee(sys.stderr, stack.enter_context(Path(options.stderr_file).open("w", encoding="utf-8")))
            stack.enter_context(redirect_stderr(err))
        yield

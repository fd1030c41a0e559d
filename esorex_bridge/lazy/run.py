"""One run of a recipe: from the store where its key is known, else by the real EsoRex, and then put into the store.

Look up, lock, look up again, make, record. Whatever is odd before EsoRex ran makes this process EsoRex; whatever is
odd after it ran means that the run is not kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from esorex_bridge.lazy.command import Call, DoubtError, take_apart
from esorex_bridge.lazy.content import SofFrame, frames_of, inputs_of
from esorex_bridge.lazy.effective import Plugin, SetParameter, Settings, parameters_of, plugin_of, settings_of
from esorex_bridge.lazy.lazy_store import LazyStore, default_place
from esorex_bridge.lazy.real import become, die_of, run, without_line
from esorex_bridge.lazy.replay import DamagedError, leave, read_manifest
from esorex_bridge.lazy.statement import key_of, older_keys_of, parameters_with_names, stated_parameters, statement_of

_NO_LIST = b"Writing of output sof omitted due to previous errors"
"""What EsoRex says of a failed run that was asked for a list of products."""


class WantedRun(NamedTuple):
    """A run with all that is known of it beforehand.

    Parameters
    ----------
    call : Call
        The command line.
    settings : mapping
        EsoRex's settings that are in force.
    plugin : Plugin
        The recipe's.
    parameters : list of SetParameter
        Its parameters, with their values.
    frames : list of SofFrame
        What the recipe will read.
    document : dict
        `key` and `statement`, and the `labels` of the inputs.
    shelf : LazyStore
        The store.
    """

    call: Call
    settings: Settings
    plugin: Plugin
    parameters: list[SetParameter]
    frames: list[SofFrame]
    document: dict[str, Any]
    shelf: LazyStore

    @property
    def key(self) -> str:
        """The key of its statement."""
        return str(self.document["key"])


def carry_out(real: str, words: Sequence[str]) -> int:
    """Carry out one command line and return its exit code; where it is left to EsoRex, this does not return."""
    try:
        wanted = _prepare(real, words)
        if _reuse(wanted):
            return 0
        with wanted.shelf.locked(wanted.key):
            _take_over(wanted)
            if _reuse(wanted):
                return 0
            return die_of(_run_and_keep(real, wanted))
    except DoubtError as doubt:
        _say(f"left to EsoRex: {doubt}")
    except Exception as error:  # a drop-in must never be the reason why nothing is reduced
        _say(f"left to EsoRex: {type(error).__name__}: {error}")
    become(real, words)


def _prepare(real: str, words: Sequence[str]) -> WantedRun:
    call = take_apart(words)
    shelf = LazyStore(default_place(os.environ))
    settings = settings_of(call, real, shelf)
    plugin = plugin_of(call.recipe, settings, real, shelf)
    parameters = parameters_of(call, settings, plugin, real, shelf)
    frames = frames_of(call.sofs)
    inputs = inputs_of(frames, shelf)
    statement = statement_of(call.recipe, plugin, stated_parameters(parameters, settings, plugin, shelf), inputs)
    document = {"key": key_of(statement), "statement": statement, "labels": [entry.label for entry in inputs]}
    return WantedRun(call, settings, plugin, parameters, frames, document, shelf)


def _reuse(wanted: WantedRun) -> bool:
    try:
        manifest = read_manifest(wanted.shelf, wanted.key)
        if manifest is None:
            return False
        leave(wanted.call, wanted.settings, wanted.shelf, manifest)
    except DamagedError as damage:
        _say(f"made again: {damage}")
        wanted.shelf.remove(wanted.key)
        return False
    _say(f"reused {wanted.call.recipe}, made {manifest['made']} (key {wanted.key[:12]})")
    return True


def _take_over(wanted: WantedRun) -> None:
    """Put a run that an earlier version kept under its present key.

    Version 0.1.0 did not know libraries: all that the recipe runs with must be older than the run.
    """
    statement, changed_ns = wanted.document["statement"], wanted.plugin.libraries.changed_ns
    with_names = parameters_with_names(wanted.parameters, wanted.settings, wanted.plugin, wanted.shelf)
    second, first = older_keys_of(statement, with_names)
    for version, older in (("0.2.0", second), ("0.1.0", first)):
        try:
            manifest = None if older == wanted.key else read_manifest(wanted.shelf, older)
        except DamagedError:
            continue
        if manifest is None or read_manifest(wanted.shelf, wanted.key) is not None:
            continue
        if version == "0.2.0" or 0 < changed_ns < _made_ns(manifest):
            wanted.shelf.rename(older, wanted.key, {**manifest, "key": wanted.key, "statement": statement})
            _say(f"taken over from version {version} (key {wanted.key[:12]})")


def _made_ns(manifest: Mapping[str, Any]) -> int:
    import time
    from calendar import timegm

    return timegm(time.strptime(manifest["made"], "%Y-%m-%dT%H:%M:%SZ")) * 1_000_000_000


def _run_and_keep(real: str, wanted: WantedRun) -> int:
    """Run the recipe by EsoRex, keep the run if it went well, and return the exit code."""
    from esorex_bridge.lazy.recording import listed_products, record, start

    shelf, settings, call = wanted.shelf, wanted.settings, wanted.call
    with shelf.alone_in(".") as alone, shelf.scratch() as folder:
        listing = settings["products-sof"] or f"{folder}/products.json"
        unsaid = b"" if settings["products-sof"] else _NO_LIST
        extra = {} if settings["products-sof"] else {"ESOREX_PRODUCTS_SOF": listing}
        if call.option("recipe-dir") is None:
            extra["ESOREX_PLUGIN_DIR"] = wanted.plugin.narrow
        begun = start()
        ended = run(real, call.words, extra, unsaid)
        if ended.code != 0:
            _unsay(settings, unsaid)
            return ended.code
        try:
            products = listed_products(listing)
            if not alone():
                raise DoubtError("another recipe ran in the same folder meanwhile")
            _check_unchanged(wanted)
            cpl = wanted.plugin.libraries.cpl
            record(call, settings, wanted.frames, shelf, wanted.document, ended, products, begun, cpl)
        except Exception as problem:  # EsoRex did its work; that it cannot be kept is no failure
            _say(f"not kept: {problem}")
    return 0


def _unsay(settings: Settings, words: bytes) -> None:
    """Take a line out of the log that speaks of what we set, not the caller."""
    path = f"{settings['log-dir']}/{settings['log-file']}"
    if not words or settings["log-level"] in ("error", "off"):
        return
    try:
        with open(path, "r+b") as log:
            text = log.read()
            if words in text:
                log.seek(0)
                log.write(without_line(text, words))
                log.truncate()
    except OSError:
        pass  # a run that ended badly may have left no log


def _check_unchanged(wanted: WantedRun) -> None:
    """Raise a doubt where an input changed while the recipe ran."""
    stated = [digest for _, digest in wanted.document["statement"]["inputs"]]
    now = [entry.digest for entry in inputs_of(wanted.frames, LazyStore(wanted.shelf.place))]
    if stated != now:
        raise DoubtError("an input changed while the recipe ran")
    parameters = stated_parameters(wanted.parameters, wanted.settings, wanted.plugin, LazyStore(wanted.shelf.place))
    if sorted(map(list, parameters)) != wanted.document["statement"]["parameters"]:
        raise DoubtError("a file that a parameter names changed while the recipe ran")


def _say(text: str) -> None:
    if os.environ.get("ESOREX_LAZY_VERBOSE"):
        print(f"esorex-lazy: {text}", file=sys.stderr)
